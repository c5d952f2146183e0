"""How long a run tunes, in what steps, and how often it looks at the validation split."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from skillkit.errors import unknown
from skillkit.models.arguments import check_count, check_number, check_type


@dataclass(frozen=True)
class TuningBudget:
    """What a run of tuning may spend. Two runs with equal budgets are comparable.

    Attributes:
        length: rows of a fresh prompt. A prompt that is given to start from keeps its own length.
        steps: batches that the run learns from.
        batch_size: examples in a batch.
        learning_rate: the highest one; it warms up over the first tenth of the steps and then falls to 0.
        evaluate_every: steps between two evaluations on the validation split.
        patience: stop after so many evaluations without a new best; None runs all steps.

    Raises:
        SkillkitError: a count that is no whole number or below 1, or a learning rate that is negative or not
            finite.
    """

    length: int = 16
    steps: int = 400
    batch_size: int = 32
    learning_rate: float = 0.01
    evaluate_every: int = 50
    patience: int | None = None

    def __post_init__(self) -> None:
        for name in ("length", "steps", "batch_size", "evaluate_every", "patience"):
            if getattr(self, name) is not None or name != "patience":
                check_count(name, getattr(self, name))
        check_number("learning_rate", self.learning_rate)


def resolve_budget(budget: TuningBudget | None, changes: Mapping[str, Any]) -> TuningBudget:
    """A budget (None: the default one) with some of its fields changed.

    Raises:
        SkillkitError: a field that budgets do not have, or something else than a budget.
    """
    if budget is not None:
        check_type("budget", budget, TuningBudget, "Give a TuningBudget, or its fields by name.")
    known = [field.name for field in fields(TuningBudget)]
    for name in changes:
        if name not in known:
            raise unknown("setting of a tuning budget", name, known)
    return replace(budget or TuningBudget(), **changes)
