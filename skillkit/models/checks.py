"""What a model and its tokenizer must be like before anything is computed with them.

A model that lacks a token, has a weight that is no number, or cannot see the text would otherwise end in an
error of torch that names none of it, or in numbers that look like any others.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from skillkit.errors import SkillkitError
from skillkit.models.architectures import Architecture


def check_model(
    name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, architecture: Architecture
) -> None:
    """Refuse a model that cannot answer as its family does.

    Raises:
        SkillkitError: a part, a token or a layer is missing, tokenizer and embeddings do not fit, the model
            cannot see the text, or a weight is not finite.
    """
    _check_modules(name, model, architecture)
    if architecture.family == "masked-lm" and getattr(model.config, "is_decoder", False):
        raise SkillkitError(
            f"The config of {name!r} says is_decoder=True, which hides the text from the answer slot before "
            "it. Set it to False in config.json: this model is used as an encoder."
        )
    _check_tokens(name, model, tokenizer, architecture.family)
    _check_vocabulary(name, model, tokenizer)
    check_weights(name, model)


def check_weights(name: str, model: torch.nn.Module) -> None:
    """Refuse a model with a weight that is NaN or infinite.

    One number is taken of each tensor, and all are looked at together.

    Raises:
        SkillkitError: names the first such tensor, and its dtype.
    """
    named = [(path, weight.detach()) for path, weight in model.named_parameters() if weight.numel()]
    if not named:
        return
    with torch.no_grad():
        sums = torch.stack([weight.sum(dtype=torch.float32) for _, weight in named])
    for place in torch.nonzero(~torch.isfinite(sums)).flatten().tolist():
        path, weight = named[place]
        if broken := int((~torch.isfinite(weight)).sum()):  # a sum alone can be too large
            raise SkillkitError(
                f"The weights of {name!r} are not all numbers: {path} ({_short(weight.dtype)}) holds "
                f"{broken} of {weight.numel()} that are NaN or infinite. {_remedy(weight)}"
            )


def _remedy(weight: Tensor) -> str:
    if weight.dtype == torch.float16:
        return "float16 reaches to 65504 only: load it with dtype='float32'."
    return "Copy or download the weights again; if they were saved like this, their training had failed."


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _check_modules(name: str, model: PreTrainedModel, architecture: Architecture) -> None:
    """The modules that the architecture's row names are there, and there are layers in every stack."""
    paths = [architecture.body, *(stack.layers for stack in architecture.stacks)]
    for path in [*paths, *([architecture.projection] if architecture.projection else [])]:
        try:
            module: Any = model.get_submodule(path)
        except AttributeError as error:
            raise SkillkitError(
                f"The model {name!r} is a {type(model).__name__}, which has no {path!r}. "
                f"Load it with {architecture.loader.__name__}, so that it can answer with a word."
            ) from error
        if path in paths[1:] and len(module) == 0:
            raise SkillkitError(
                f"The model {name!r} has no layer in {path!r}, and so no neurons. Give another."
            )


def _check_tokens(name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, family: str) -> None:
    """The special tokens that the family's input is written with are there."""
    if tokenizer.pad_token_id is None and tokenizer.eos_token_id is None:
        raise SkillkitError(
            f"The tokenizer of {name!r} has neither a pad token nor an end token to fill batches with. "
            "Set tokenizer.pad_token to one of its tokens, and save it with the model."
        )
    if family == "masked-lm" and tokenizer.mask_token_id is None:
        raise SkillkitError(
            f"The tokenizer of {name!r} has no mask token, at which a masked LM answers. "
            "Set tokenizer.mask_token to the one that the model was pretrained with."
        )
    if family == "encoder-decoder":
        start, rows = getattr(model.config, "decoder_start_token_id", None), _rows(model)
        if not isinstance(start, int) or not 0 <= start < rows:
            raise SkillkitError(
                f"The config of {name!r} has decoder_start_token_id={start!r}, where a token id below {rows} "
                "should be: the decoder answers behind it. Set it in config.json (T5: its pad_token_id)."
            )


def _check_vocabulary(name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Every token has an embedding, and the tokenizer is this model's own."""
    words, rows = len(tokenizer), _rows(model)
    if words - len(set(tokenizer.all_special_ids)) < 2:
        raise SkillkitError(
            f"The tokenizer of {name!r} knows no words, only {words} special tokens: its vocabulary is "
            "missing. Copy the tokenizer's files (such as tokenizer.json) beside the weights."
        )
    largest = max(words - 1, *tokenizer.all_special_ids)
    if largest >= rows:
        raise SkillkitError(
            f"The tokenizer of {name!r} has {largest + 1} tokens, the model has embeddings for {rows}. "
            "Use the model's own tokenizer; if tokens were added, resize the model's embeddings."
        )
    if _is_foreign(tokenizer, model.config):
        raise SkillkitError(
            f"The tokenizer of {name!r} belongs to another model: all of its special tokens have other ids "
            "than config.json says. Use the tokenizer that the model was pretrained with."
        )


def _is_foreign(tokenizer: PreTrainedTokenizerBase, config: Any) -> bool:
    """Whether two or more special tokens can be compared with the config, and none has the id given there."""
    known = {
        "pad_token_id": {tokenizer.pad_token_id},
        "bos_token_id": {tokenizer.bos_token_id, tokenizer.cls_token_id},
        "eos_token_id": {tokenizer.eos_token_id, tokenizer.sep_token_id},
    }
    said = {kind: getattr(config, kind, None) for kind in known}
    compared = [
        said[kind] in ids for kind, ids in known.items() if ids != {None} and isinstance(said[kind], int)
    ]
    return len(compared) > 1 and not any(compared)


def _rows(model: PreTrainedModel) -> int:
    """How many tokens have an embedding."""
    embeddings: Any = model.get_input_embeddings()
    return int(embeddings.weight.shape[0])
