"""Skill neurons, prompt transfer and robustness in prompt tuning.

The names below are the package's interface; each lives in the module that its file name suggests. They are imported on first use, so
that the command line starts without loading torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {
    "tasks": ("TASKS", "Task", "all_tasks", "get_task"),
    "data": ("TaskData", "load_task", "binary_subtasks", "drop_shared_sentences"),
    "backbones": ("Backbone", "FFNSite", "load_backbone", "make_backbone"),
    "inputs": ("Encoded", "encode"),
    "prompts": ("SoftPrompt", "label_logits"),
    "tuning": ("TunedPrompt", "tune_prompt", "accuracy"),
    "activations": ("record", "intervene", "watch"),
    "neurons": (
        "Baseline",
        "NeuronScores",
        "score_neurons",
        "score_task",
        "measure_baseline",
        "skill_neurons",
        "merge_subtasks",
        "least_predictive_neurons",
        "random_neurons",
        "matched_neurons",
    ),
    "significance": ("ThresholdBits", "score_with_null"),
    "methods": ("tune_method",),
    "similarities": ("similarity", "activated", "overlap_rate"),
    "pruning": ("prune_ffn",),
    "errors": ("SkillkitError",),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'skillkit' has no attribute {name!r}")
    return getattr(import_module(f"skillkit.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


__version__ = "0.1.0"

if TYPE_CHECKING:
    from skillkit.activations import intervene as intervene
    from skillkit.activations import record as record
    from skillkit.backbones import load_backbone as load_backbone
    from skillkit.data import load_task as load_task
    from skillkit.neurons import score_neurons as score_neurons
    from skillkit.neurons import skill_neurons as skill_neurons
    from skillkit.prompts import SoftPrompt as SoftPrompt
    from skillkit.prompts import label_logits as label_logits
    from skillkit.tuning import tune_prompt as tune_prompt
