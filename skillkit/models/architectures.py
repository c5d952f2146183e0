"""The model families that the package knows, one declarative row per architecture.

A row says where the FFN layers are, and how the answer is read. To add an architecture, add a row to
``ARCHITECTURES``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM

from skillkit.errors import unknown


@dataclass(frozen=True)
class Stack:
    """A stack of layers: the path of its list, and inside a layer the paths of the FFN's projections."""

    name: str
    layers: str
    up: tuple[str, ...]
    down: str


@dataclass(frozen=True)
class Architecture:
    """How to find the neurons of an architecture and read its answer.

    Attributes:
        name: the row's name, transformers' ``model_type`` as a rule.
        family: ``masked-lm``, ``encoder-decoder`` or ``causal-lm``.
        loader: the class that loads the weights.
        body: path of the module that turns embeddings into hidden states ("" for the model itself).
        stacks: encoder first, then decoder.
        transform: maps hidden states [..., hidden] at the answer slot to what the vocabulary projection
            multiplies.
        projection: that projection's path, None where the (tied) input embeddings serve.
    """

    name: str
    family: str
    loader: Any
    body: str
    stacks: tuple[Stack, ...]
    transform: Callable[[Any, Tensor], Tensor]
    projection: str | None


def _identity(model: Any, hidden: Tensor) -> Tensor:
    return hidden


def _roberta_transform(model: Any, hidden: Tensor) -> Tensor:
    return model.lm_head.layer_norm(nn.functional.gelu(model.lm_head.dense(hidden)))


def _bert_transform(model: Any, hidden: Tensor) -> Tensor:
    return model.cls.predictions.transform(hidden)


def _t5_transform(model: Any, hidden: Tensor) -> Tensor:
    return hidden * model.model_dim**-0.5 if model.config.scale_decoder_outputs else hidden


_T5_UP = ("wi", "wi_0", "wi_1")

ARCHITECTURES: dict[str, Architecture] = {
    "roberta": Architecture(
        "roberta",
        "masked-lm",
        AutoModelForMaskedLM,
        body="roberta",
        stacks=(Stack("encoder", "roberta.encoder.layer", ("intermediate.dense",), "output.dense"),),
        transform=_roberta_transform,
        projection="lm_head.decoder",
    ),
    "bert": Architecture(
        "bert",
        "masked-lm",
        AutoModelForMaskedLM,
        body="bert",
        stacks=(Stack("encoder", "bert.encoder.layer", ("intermediate.dense",), "output.dense"),),
        transform=_bert_transform,
        projection="cls.predictions.decoder",
    ),
    # A sentence encoder without a masked-LM head (MiniLM): the answer is read with the tied word embeddings.
    "bert-encoder": Architecture(
        "bert-encoder",
        "masked-lm",
        AutoModel,
        body="",
        stacks=(Stack("encoder", "encoder.layer", ("intermediate.dense",), "output.dense"),),
        transform=_identity,
        projection=None,
    ),
    # T5 v1.0 (ReLU) and v1.1 (gated) differ only in their up-projections; those that exist are used.
    "t5": Architecture(
        "t5",
        "encoder-decoder",
        AutoModelForSeq2SeqLM,
        body="",
        stacks=(
            Stack(
                "encoder",
                "encoder.block",
                tuple(f"layer.1.DenseReluDense.{u}" for u in _T5_UP),
                "layer.1.DenseReluDense.wo",
            ),
            Stack(
                "decoder",
                "decoder.block",
                tuple(f"layer.2.DenseReluDense.{u}" for u in _T5_UP),
                "layer.2.DenseReluDense.wo",
            ),
        ),
        transform=_t5_transform,
        projection="lm_head",
    ),
    "gpt2": Architecture(
        "gpt2",
        "causal-lm",
        AutoModelForCausalLM,
        body="transformer",
        stacks=(Stack("decoder", "transformer.h", ("mlp.c_fc",), "mlp.c_proj"),),
        transform=_identity,
        projection="lm_head",
    ),
    "llama": Architecture(
        "llama",
        "causal-lm",
        AutoModelForCausalLM,
        body="model",
        stacks=(Stack("decoder", "model.layers", ("mlp.gate_proj", "mlp.up_proj"), "mlp.down_proj"),),
        transform=_identity,
        projection="lm_head",
    ),
}


def architecture_of(config: Any, class_name: str | None = None) -> Architecture:
    """The row of a model by its config, and its class where that is known.

    Raises:
        SkillkitError: there is no row for it.
    """
    kind = config.model_type
    declared = class_name or (config.architectures or [""])[0]
    if kind == "bert" and declared == "BertModel":
        kind = "bert-encoder"
    if kind not in ARCHITECTURES:
        raise unknown(
            "architecture", kind, ARCHITECTURES, "A new one is a row in skillkit/models/architectures.py."
        )
    return ARCHITECTURES[kind]
