"""Frozen pretrained models, one declarative row per architecture.

A row says where the FFN layers are, and how the answer is read. Everything else in the package works on any backbone: a *site* is
the input of one FFN's down-projection (in one layer of one stack), a *neuron* one coordinate of it. For a gated FFN (T5 v1.1,
LLaMA) that is the gated product, so one definition of "activation" serves all families.

To add an architecture, add a row to ``ARCHITECTURES``.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from skillkit.errors import SkillkitError, unknown
from skillkit.models.bundled import MODELS

#: Parameters that no result depends on.
_UNUSED = re.compile(r"(^|\.)(position_ids|pooler\.)")


@dataclass(frozen=True)
class Stack:
    """A stack of layers: the path of its list of layers, and inside a layer the paths of the FFN's projections."""

    name: str
    layers: str
    up: tuple[str, ...]
    down: str


@dataclass(frozen=True)
class Architecture:
    """How to find the neurons of an architecture and read its answer.

    ``body`` is the path of the module that turns embeddings into hidden states ("" for the model itself). ``transform`` maps hidden
    states [..., hidden] at the answer slot to what the vocabulary projection multiplies; ``projection`` is that projection's path,
    None where the (tied) input embeddings serve.
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


@dataclass(frozen=True)
class FFNSite:
    """The input of the down-projection of one FFN: ``width`` neurons."""

    stack: str
    layer: int
    width: int

    def __str__(self) -> str:
        return f"{self.stack} {self.layer}"


@dataclass(frozen=True)
class Backbone:
    """A frozen model with the places that prompt tuning and neuron analysis touch.

    ``sites`` lists the FFN sites, encoder first, then decoder. ``max_text_tokens`` is where texts are cut.
    """

    name: str
    architecture: Architecture
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    sites: tuple[FFNSite, ...]
    max_text_tokens: int = 128

    @property
    def family(self) -> str:
        """``masked-lm``, ``encoder-decoder`` or ``causal-lm``."""
        return self.architecture.family

    @property
    def hidden_size(self) -> int:
        """Width of an embedding, and so of a soft prompt's row."""
        return self.embeddings.weight.shape[1]

    @property
    def embeddings(self) -> nn.Embedding:
        """The input word embeddings."""
        return self.model.get_input_embeddings()  # type: ignore[return-value]

    @property
    def device(self) -> torch.device:
        """Where the model lives."""
        return self.embeddings.weight.device

    @property
    def body(self) -> nn.Module:
        """The module that turns embeddings into hidden states."""
        return self.model.get_submodule(self.architecture.body)

    @property
    def width(self) -> int:
        """Neurons per site.

        Raises:
            SkillkitError: the sites differ in width, as after pruning some of them.
        """
        widths = {site.width for site in self.sites}
        if len(widths) != 1:
            raise SkillkitError(
                f"The FFN sites of {self.name!r} have different widths {sorted(widths)}; score the unpruned backbone."
            )
        return widths.pop()

    @property
    def max_positions(self) -> int | None:
        """How long a sequence the model can take, None where nothing bounds it (T5's relative positions)."""
        config = self.model.config
        limit = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
        if self.family == "encoder-decoder" or limit is None:
            return None
        # RoBERTa numbers positions from padding_idx + 1.
        return limit - config.pad_token_id - 1 if self.architecture.name == "roberta" else limit

    def layer(self, site: FFNSite) -> nn.Module:
        """The transformer layer that a site belongs to."""
        stack = self.stack(site)
        return self.model.get_submodule(f"{stack.layers}.{site.layer}")

    def stack(self, site: FFNSite) -> Stack:
        """The row of the stack that a site belongs to."""
        return next(s for s in self.architecture.stacks if s.name == site.stack)

    def down(self, site: FFNSite) -> nn.Module:
        """The FFN's down-projection: its input is the site."""
        return self.layer(site).get_submodule(self.stack(site).down)

    def up(self, site: FFNSite) -> list[nn.Module]:
        """The FFN's up-projections: one, or gate and value."""
        layer = self.layer(site)
        names = dict(layer.named_modules())
        return [names[path] for path in self.stack(site).up if path in names]

    def answer_logits(self, hidden: Tensor, token_ids: Tensor) -> Tensor:
        """Logits of some tokens at the answer slot: [examples, hidden] and [labels] to [examples, labels], in float32.

        Only these rows of the vocabulary projection are multiplied. Autocast does not reach in here: tuning may run the
        body of the model in bfloat16, but answers are compared in the precision of the weights.
        """
        path = self.architecture.projection
        projection: Any = self.model.get_submodule(path) if path else self.embeddings
        bias = getattr(projection, "bias", None)
        with torch.autocast(self.device.type, enabled=False):
            hidden = self.architecture.transform(self.model, hidden.to(self.embeddings.weight.dtype))
            logits = hidden.float() @ projection.weight[token_ids].float().T
        return logits if bias is None else logits + bias[token_ids].float()


def load_backbone(
    name: str,
    *,
    device: str = "auto",
    dtype: str = "float32",
    revision: str | None = None,
    max_text_tokens: int = 128,
) -> Backbone:
    """Load a model, freeze it and find its FFN sites.

    Args:
        name: bundled (``mini-roberta``, ``mini-t5``), packaged (``minilm``), a Hub id (``roberta-base``) or a local folder.
        device: ``auto`` takes a GPU where there is one.
        dtype: of the weights; scores are float32 whatever it is.
        revision: a commit of the Hub repository.
        max_text_tokens: texts are cut to so many tokens (128 in Su et al.).

    Raises:
        SkillkitError: unknown name, unsupported architecture, truncated, incomplete or foreign weights, or no network for a Hub id.
    """
    source = _source(name)
    try:
        config = AutoConfig.from_pretrained(source, revision=revision)
        tokenizer = AutoTokenizer.from_pretrained(source, revision=revision)
        architecture = _architecture(config)
        model, told = architecture.loader.from_pretrained(
            source,
            revision=revision,
            dtype=_dtype(dtype),
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, by name
        )
        _check_weights(name, model, told)
    except SkillkitError:
        raise
    except Exception as error:
        raise _load_error(name, error) from error
    return make_backbone(name, model, tokenizer, device=device, max_text_tokens=max_text_tokens)


def make_backbone(
    name: str,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    device: str = "auto",
    max_text_tokens: int = 128,
) -> Backbone:
    """A backbone from a model in memory: frozen, in evaluation mode (no dropout), its FFN sites listed."""
    architecture = _architecture(model.config, type(model).__name__)
    if getattr(model.config, "chunk_size_feed_forward", 0):
        model.config.chunk_size_feed_forward = 0  # chunked FFNs would show a site in pieces
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = (
            tokenizer.eos_token
        )  # GPT-2 and LLaMA have none; padding is masked out in any case
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    try:
        model.to(chosen)  # type: ignore[arg-type]
    except (RuntimeError, AssertionError) as error:
        raise SkillkitError(
            f"Device {device!r} cannot be used: {error}. Use device='auto' or 'cpu'."
        ) from error
    model.requires_grad_(False).eval()
    return Backbone(name, architecture, model, tokenizer, _sites(model, architecture), max_text_tokens)


def _source(name: str) -> str:
    """The folder or Hub id that a name stands for."""
    if name in MODELS:
        return str(MODELS[name].folder)
    if Path(name).is_dir():
        if not (Path(name) / "config.json").exists():
            raise SkillkitError(
                f"The folder {name} has no config.json. Give a folder written by save_pretrained."
            )
        return name
    if name.startswith((".", "/", "~")) or name.count("/") > 1 or not name:
        raise SkillkitError(
            f"There is no model folder {name!r}. Give a folder written by save_pretrained, or a Hub id."
        )
    return name


def _architecture(config: Any, class_name: str | None = None) -> Architecture:
    kind = config.model_type
    declared = class_name or (config.architectures or [""])[0]
    if kind == "bert" and declared == "BertModel":
        kind = "bert-encoder"
    if kind not in ARCHITECTURES:
        raise unknown(
            "architecture", kind, ARCHITECTURES, "A new one is a row in skillkit/models/backbones.py."
        )
    return ARCHITECTURES[kind]


def _dtype(name: str) -> torch.dtype:
    dtypes = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if name not in dtypes:
        raise unknown("dtype", name, dtypes)
    return dtypes[name]


def _load_error(name: str, error: Exception) -> SkillkitError:
    cause = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    if "safetensor" in str(error).lower() or "safetensor" in type(error).__name__.lower():
        return SkillkitError(
            f"The weights of {name!r} are truncated or foreign ({cause}). Copy or download them again."
        )
    if Path(name).is_dir():
        return SkillkitError(
            f"The model folder {name!r} cannot be loaded ({cause}). Is it complete, with its tokenizer?"
        )
    return SkillkitError(
        f"The model {name!r} is neither bundled ({', '.join(MODELS)}), nor a local folder, and it could not be fetched "
        f"from the Hub ({cause}). Check the name and the network, or give a local folder."
    )


def _check_weights(name: str, model: PreTrainedModel, told: dict[str, Any]) -> None:
    """Raise SkillkitError when the loader filled a part of the model with random numbers.

    It says so only in its log. Tied weights are not among the missing; position numbers and a sentence encoder's pooler are
    not used here.
    """
    missing = {key for key in told["missing_keys"] if not _UNUSED.search(key)}
    mismatched = {key for key, *_ in told["mismatched_keys"]}
    for kind, keys in (("lack", missing), ("have another size for", mismatched)):
        if keys:
            some = ", ".join(sorted(keys)[:4]) + (f" and {len(keys) - 4} more" if len(keys) > 4 else "")
            raise SkillkitError(
                f"The weights of {name!r} are incomplete or foreign: for a {type(model).__name__} they {kind} {some}. "
                "Give all weights of one model, with its language-model head, and the config.json that belongs to them."
            )


def _sites(model: PreTrainedModel, architecture: Architecture) -> tuple[FFNSite, ...]:
    sites = []
    for stack in architecture.stacks:
        layers: Any = model.get_submodule(stack.layers)
        for index, layer in enumerate(layers):
            sites.append(FFNSite(stack.name, index, _inputs(layer.get_submodule(stack.down))))
    return tuple(sites)


def _inputs(projection: Any) -> int:
    """Input width of a linear layer. GPT-2's Conv1D stores its weight the other way round, as [inputs, outputs]."""
    return projection.in_features if isinstance(projection, nn.Linear) else projection.weight.shape[0]
