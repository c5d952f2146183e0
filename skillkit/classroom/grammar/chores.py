"""A chore and an excuse for not doing it: valid (1) or not (0).

`reason` names the kind of excuse. Valid: `fault` (something that this chore needs is missing or broken),
`done` (it has been done), `unable` (illness). Invalid: `other_fault` and `other_done` (the same about another
chore), `fine` (what it needs works), `unwilling`, `recovered` (denied illness). `matched`: the excuse is
about this chore (1), about another (0), or about the speaker (2). `negated`: the excuse has a negation.
"""

from __future__ import annotations

from skillkit.classroom.drawing import Example, Picker, sentence, tokens
from skillkit.classroom.lexicon.chores import (
    CHORES,
    DONE,
    FAULTS,
    FINE,
    OPENINGS,
    RECOVERED,
    SCENARIOS,
    UNABLE,
    UNWILLING,
)
from skillkit.classroom.lexicon.common import DAYS, RELATIVES

REASONS = (
    {"other_fault": 3.0, "other_done": 2.0, "fine": 2.0, "unwilling": 1.5, "recovered": 1.5},
    {"fault": 4.5, "done": 3.0, "unable": 2.5},
)
PATTERNS = {
    "fault": FAULTS,
    "other_fault": FAULTS,
    "fine": FINE,
    "done": DONE,
    "other_done": DONE,
    "unable": UNABLE,
    "unwilling": UNWILLING,
    "recovered": RECOVERED,
}
MATCHED = {"fault": 1, "fine": 1, "done": 1, "other_fault": 0, "other_done": 0}
NEGATIONS = {"not", "never", "no"}


def draw_excuse(picker: Picker, label: int) -> Example:
    """A chore and an excuse that holds (`label` 1) or does not (0)."""
    draw = picker.draw
    reason = draw.weighted(REASONS[label])
    chore = picker.word(CHORES)
    about = chore
    if reason.startswith("other"):
        alike = [
            other for other in CHORES.all if set(other.needs) & set(chore.needs) or other.thing == chore.thing
        ]
        about = picker.word(CHORES, but=alike)
    need = draw.choice(about.needs)
    slots = {
        "relative": picker.word(RELATIVES),
        "day": draw.choice(DAYS.seen),
        "need": need,
        "done": about.done,
        "thing": about.thing,
    }
    excuse = picker.template(PATTERNS[reason]).format(**slots)
    slots |= {"relative": picker.word(RELATIVES), "day": draw.choice(DAYS.seen)}
    scenario = picker.template(SCENARIOS).format(chore=f"{chore.base} {chore.thing}", **slots)
    key = (
        need if "fault" in reason or reason == "fine" else about.thing.split()[-1] if "done" in reason else ""
    )
    return Example(
        texts=(sentence(scenario), sentence(picker.template(OPENINGS).format(reason=excuse))),
        label=label,
        factors={
            "reason": reason,
            "matched": MATCHED.get(reason, 2),
            "negated": int(bool(NEGATIONS & set(tokens(excuse)))),
            "chore": f"{chore.base} {chore.thing}",
            "key": key,
            **picker.flags,
        },
        answers={"excuse": "valid" if label else "invalid"},
        key=(key,) if key else tuple(word for word in tokens(excuse) if len(word) > 4),
    )
