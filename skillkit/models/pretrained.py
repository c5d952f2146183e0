"""From a name to a model in memory, with one clear error for each way that loading fails."""

import re
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from skillkit.errors import SkillkitError, unknown
from skillkit.models.architectures import ARCHITECTURES, architecture_of
from skillkit.models.bundled import MODELS, note_weights
from skillkit.names import source_of

#: Files of which a tokenizer has at least one. Without them transformers makes an empty one.
_VOCABULARIES = ("tokenizer.json", "vocab.*", "*.model", "*.tiktoken")

#: Parameters that no result depends on.
_UNUSED = re.compile(r"(^|\.)(position_ids|pooler\.)")


def load_model(
    name: str, dtype: str, revision: str | None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model and the tokenizer of a name, as ``load_backbone`` takes it.

    Raises:
        SkillkitError: unknown name, unsupported architecture, truncated, incomplete or foreign weights, or no
            network for a Hub id.
    """
    source, numbers = _source(name), _dtype(dtype)
    # No model brings code of its own: without this, a config could ask for it at the terminal.
    options: dict[str, Any] = {"revision": revision, "trust_remote_code": False}
    try:
        _check_known(PreTrainedConfig.get_config_dict(source, **options)[0])
        config = AutoConfig.from_pretrained(source, **options)
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
        model, report = architecture_of(config).loader.from_pretrained(
            source,
            **options,
            dtype=numbers,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, by name
        )
        _check_weights(name, model, report)
        note_weights(name, source, model.config)
    except SkillkitError:
        raise
    except Exception as error:
        raise _load_error(name, error) from error
    return model, tokenizer


def _check_known(config: dict[str, Any]) -> None:
    """Refuse a model type that there is no row for, before transformers looks for code that knows it."""
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in ARCHITECTURES:
        own = " It brings code of its own (auto_map), which is never run." if "auto_map" in config else ""
        raise unknown(
            "architecture", str(kind), ARCHITECTURES, f"config.json calls it by its model_type.{own}"
        )


def _source(name: str) -> str:
    """The folder or Hub id that a name stands for."""
    if name in MODELS:
        return str(MODELS[name].folder)
    name = source_of(name)
    if name and Path(name).is_dir():
        if not (Path(name) / "config.json").exists():
            raise SkillkitError(
                f"The folder {name} has no config.json. Give a folder written by save_pretrained."
            )
        if not any(any(Path(name).glob(pattern)) for pattern in _VOCABULARIES):
            raise SkillkitError(
                f"The folder {name} has no tokenizer. Copy the model's own tokenizer files into it "
                "(such as tokenizer.json), or write them with tokenizer.save_pretrained."
            )
        return name
    if name.startswith((".", "/", "~")) or name.count("/") > 1 or not name:
        raise SkillkitError(
            f"There is no model folder {str(Path(name).absolute())!r}. "
            "Give a folder written by save_pretrained, or a Hub id."
        )
    return name


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
        f"The model {name!r} is neither bundled ({', '.join(MODELS)}), nor a local folder, and it could not "
        f"be fetched from the Hub ({cause}). Check the name and the network, or give a local folder."
    )


def _check_weights(name: str, model: PreTrainedModel, report: dict[str, Any]) -> None:
    """Raise SkillkitError when the loader filled a part of the model with random numbers, which it only logs.

    Tied weights are not among the missing. Position numbers and a sentence encoder's pooler are not used
    here.
    """
    missing = {key for key in report["missing_keys"] if not _UNUSED.search(key)}
    mismatched = {key for key, *_ in report["mismatched_keys"]}
    more = {key for key in report["unexpected_keys"] if _is_further_layer(key, model)}
    faults = (("lack", missing), ("have another size for", mismatched), ("have further layers:", more))
    for kind, keys in faults:
        if keys:
            some = ", ".join(sorted(keys)[:4]) + (f" and {len(keys) - 4} more" if len(keys) > 4 else "")
            raise SkillkitError(
                f"The weights of {name!r} are incomplete or foreign: "
                f"for a {type(model).__name__} they {kind} {some}. Give all weights of one model, "
                "with its language-model head, and the config.json that belongs to them."
            )


def _is_further_layer(key: str, model: PreTrainedModel) -> bool:
    """Whether a weight belongs to a layer beyond those that the config gives the model."""
    for stack in architecture_of(model.config, type(model).__name__).stacks:
        place = ".".join(stack.layers.split(".")[-2:])
        found = re.search(rf"(^|\.){re.escape(place)}\.(\d+)\.", key)
        layers: Any = model.get_submodule(stack.layers)
        if found and int(found[2]) >= len(layers):
            return True
    return False
