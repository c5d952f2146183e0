"""Frozen pretrained models, with the places that prompt tuning and neuron analysis touch.

Everything in the package works on any backbone: a *site* is the input of one FFN's down-projection (in one
layer of one stack), a *neuron* one coordinate of it. For a gated FFN (T5 v1.1, LLaMA) that is the gated
product, so one definition of "activation" serves all families. What differs between them is a row in
``skillkit.models.architectures``.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from skillkit.checks import Size, check_arguments
from skillkit.errors import SkillkitError
from skillkit.models.architectures import Architecture, Stack, architecture_of
from skillkit.models.artifacts import content_digest
from skillkit.models.checks import check_model
from skillkit.models.pretrained import load_model


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

    Attributes:
        name: as it was asked for (bundled, a Hub id or a folder).
        architecture: the declarative row of its family.
        model: frozen, in evaluation mode.
        tokenizer: the one it was pretrained with.
        sites: the FFN sites, encoder first, then decoder.
        max_text_tokens: texts are cut to so many tokens.
        made_from: the digests of the models that this one was made from on purpose (pruned, tuned): it goes
            on reading their prompts.
    """

    name: str
    architecture: Architecture
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    sites: tuple[FFNSite, ...]
    max_text_tokens: int = 128
    made_from: tuple[str, ...] = ()

    @cached_property
    def digest(self) -> str:
        """A name for the weights: another one if any of their numbers changes, or their dtype."""
        return content_digest(dict(self.model.named_parameters()))

    def changed(self, name: str, model: PreTrainedModel, sites: tuple[FFNSite, ...]) -> "Backbone":
        """A backbone made from this one on purpose, which goes on reading the prompts of this one."""
        made_from = (*self.made_from, self.digest)
        return replace(self, name=name, model=model, sites=sites, made_from=made_from)

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
                f"The FFN sites of {self.name!r} have different widths {sorted(widths)}. "
                "Score the unpruned backbone."
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
        """Logits of some tokens at the answer slot: [examples, hidden], [labels] to [examples, labels].

        They are float32.

        Only these rows of the vocabulary projection are multiplied. Autocast does not reach in here: tuning
        may run the body of the model in bfloat16, but answers are compared in the precision of the weights.
        """
        path = self.architecture.projection
        projection: Any = self.model.get_submodule(path) if path else self.embeddings
        bias = getattr(projection, "bias", None)
        with torch.autocast(self.device.type, enabled=False):
            hidden = self.architecture.transform(self.model, hidden.to(self.embeddings.weight.dtype))
            logits = hidden.float() @ projection.weight[token_ids].float().T
        return logits if bias is None else logits + bias[token_ids].float()


@check_arguments
def load_backbone(
    name: str,
    *,
    device: str | torch.device = "auto",
    dtype: str = "float32",
    revision: str | None = None,
    max_text_tokens: Size = 128,
) -> Backbone:
    """Load a model, freeze it and find its FFN sites.

    Args:
        name: bundled (``mini-roberta``, ``mini-t5``), packaged (``minilm``), a Hub id (``roberta-base``) or a
            local folder.
        device: ``auto`` takes a GPU where there is one.
        dtype: of the weights; scores are float32 whatever it is.
        revision: a commit of the Hub repository.
        max_text_tokens: texts are cut to so many tokens (128 in Su et al.).

    Raises:
        SkillkitError: unknown name, unsupported architecture, truncated, incomplete or foreign weights, no
            network for a Hub id, or what ``make_backbone`` refuses.
    """
    model, tokenizer = load_model(name, dtype, revision)
    return make_backbone(name, model, tokenizer, device=device, max_text_tokens=max_text_tokens)


@check_arguments
def make_backbone(
    name: str,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    device: str | torch.device = "auto",
    max_text_tokens: Size = 128,
) -> Backbone:
    """A backbone from a model in memory: frozen, in evaluation mode (no dropout), its FFN sites listed.

    Raises:
        SkillkitError: a model that cannot answer as its family does (``skillkit.models.checks``), or a device
            that cannot be used.
    """
    architecture = architecture_of(model.config, type(model).__name__)
    check_model(name, model, tokenizer, architecture)
    if tokenizer.pad_token_id is None:
        # GPT-2 and LLaMA have none. Padding is masked out in any case.
        tokenizer.pad_token = tokenizer.eos_token
    _show_whole_sites(model)
    _move(model, device)
    model.requires_grad_(False).eval()
    return Backbone(name, architecture, model, tokenizer, _sites(model, architecture), max_text_tokens)


def _show_whole_sites(model: PreTrainedModel) -> None:
    """Switch off what a config may ask for and would hide from hooks or callers.

    Chunked FFNs show a site in pieces, and layers have taken the size of the pieces from the config already.
    Without ``return_dict`` a model returns a bare tuple.
    """
    model.config.return_dict = True
    for module in model.modules():
        if getattr(module, "chunk_size_feed_forward", 0):
            module.chunk_size_feed_forward = 0  # type: ignore[assignment]
        if (config := getattr(module, "config", None)) is not None:
            config.return_dict = True


def _move(model: PreTrainedModel, device: str | torch.device) -> None:
    """Put a model on a device, on which numbers of its kind must be able to be multiplied."""
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    try:
        model.to(chosen)  # type: ignore[arg-type]
        one = torch.ones(2, 2, dtype=model.dtype, device=chosen)
        nn.functional.layer_norm(one @ one, (2,))
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise SkillkitError(
            f"Device {str(device)!r} cannot be used for a model in {model.dtype}: {first}. "
            "Use device='auto' or 'cpu', and dtype='float32'."
        ) from error


def _sites(model: PreTrainedModel, architecture: Architecture) -> tuple[FFNSite, ...]:
    sites = []
    for stack in architecture.stacks:
        layers: Any = model.get_submodule(stack.layers)
        for index, layer in enumerate(layers):
            sites.append(FFNSite(stack.name, index, _inputs(layer.get_submodule(stack.down))))
    return tuple(sites)


def _inputs(projection: Any) -> int:
    """Input width of a linear layer. GPT-2's Conv1D stores its weight as [inputs, outputs]."""
    return projection.in_features if isinstance(projection, nn.Linear) else projection.weight.shape[0]
