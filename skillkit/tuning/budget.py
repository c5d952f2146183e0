"""How long a run tunes, in what steps, and how often it looks at the validation split."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any

from skillkit.checks import Rule, Size, check_arguments, check_fields
from skillkit.errors import unknown

Rate = Annotated[
    float, Rule("a finite number, not below 0, such as 0.01", lambda value: 0 <= value < float("inf"))
]
"""A learning rate; 0 learns nothing, which tests use."""


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

    length: Size = 16
    steps: Size = 400
    batch_size: Size = 32
    learning_rate: Rate = 0.01
    evaluate_every: Size = 50
    patience: Size | None = None

    def __post_init__(self) -> None:
        check_fields(self)


@check_arguments
def resolve_budget(budget: TuningBudget | None, changes: Mapping[str, Any]) -> TuningBudget:
    """A budget (None: the default one) with some of its fields changed.

    Raises:
        SkillkitError: a field that budgets do not have, or something else than a budget.
    """
    known = [field.name for field in fields(TuningBudget)]
    for name in changes:
        if name not in known:
            raise unknown("setting of a tuning budget", name, known)
    return replace(budget or TuningBudget(), **changes)
