"""Where the bundled mini models lie, and of which family they are."""

from __future__ import annotations

from pathlib import Path

from skillkit.errors import unknown

MINI_MODELS = {"mini-roberta": "masked-lm", "mini-t5": "encoder-decoder"}


def model_path(name: str) -> Path:
    """Return the folder of a bundled model (weights, tokenizer, config, model card); SkillkitError for any other name."""
    if name not in MINI_MODELS:
        raise unknown("bundled model", name, MINI_MODELS)
    return Path(__file__).parent / "models" / name
