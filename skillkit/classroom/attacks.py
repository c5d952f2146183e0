"""Adversarial twins in the spirit of AdvGLUE: each attacked example beside its clean original.

Every attack changes a text only in ways that keep the label for a human reader by construction:

| construction | method | change | why the label stays |
|---|---|---|---|
| word | typo | one or two words misspelled (swap, drop, double, neighbouring key) | the word stays readable |
| word | synonym | one to three words replaced by synonyms | same meaning, same inflection |
| sentence | distractor | a tautology or an unrelated line before or after | it is about something else |
| human | negation | two negations that cancel, or the opposite verdict denied | logically the same |
| human | contrast | somebody else's view, set aside | the text still says what it said |

Rows whose clean label is noise are left out. Only texts that belong to the test split by `drawing.bucket` are
kept, so no attacked text is met in tuning or pretraining.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from skillkit.classroom.drawing import Draw, Example, bucket, sentence, tokens
from skillkit.classroom.kinds import ClassroomTask, row_of
from skillkit.classroom.lexicon.attacks import (
    ASIDES,
    BAD_ASIDES,
    CONTRASTS,
    DENIALS,
    GOOD_ASIDES,
    HOPED_CONTRASTS,
    QUESTION_DENIALS,
    REASON_DENIALS,
    REJECTIONS,
    SYNONYMS,
    TAUTOLOGIES,
    TOPIC_ASIDES,
    TOPIC_CONTRASTS,
    VERDICT_CONTRASTS,
    reworded,
)
from skillkit.classroom.lexicon.common import DAYS
from skillkit.classroom.lexicon.reviews import ADJECTIVE_CLAUSES, BAD, DOMAINS, GOOD
from skillkit.classroom.lexicon.topics import SUBJECTS
from skillkit.classroom.vocabulary import vocabulary

#: Attacked examples of each method in a twin, the classes in equal numbers.
PER_METHOD = 150
#: How often an attack is tried on one example before the next example is taken.
TRIES = 8

#: The neighbours of each letter on a QWERTY keyboard.
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
NEIGHBOURS = {
    letter: row[max(place - 1, 0) : place] + row[place + 1 : place + 2]
    for row in _ROWS
    for place, letter in enumerate(row)
}


@dataclass(frozen=True)
class Attack:
    """One way to change an example: `apply` returns the new texts, or None where it does not fit."""

    method: str
    construction: str
    apply: Callable[[Example, ClassroomTask, Draw], tuple[str, ...] | None]


def misspell(word: str, draw: Draw) -> str:
    """The word with one slip inside.

    Its first and last letters stay, so that it can be read and its ending is kept. The result may by chance
    be another word; the caller checks.
    """
    place = 1 + draw.below(len(word) - 2)
    slip = draw.choice(("swap", "drop", "double", "key"))
    if slip == "swap" and place + 2 < len(word) and word[place] != word[place + 1]:
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    if slip == "drop":
        return word[:place] + word[place + 1 :]
    if slip == "double":
        return word[: place + 1] + word[place:]
    return word[:place] + draw.choice(NEIGHBOURS[word[place]]) + word[place + 1 :]


def _typo(example: Example, task: ClassroomTask, draw: Draw) -> tuple[str, ...] | None:
    column = _column(example, draw)
    words = tokens(example.texts[column])
    long = [place for place, word in enumerate(words) if len(word) >= 5]
    if task.type == "acceptability":  # a slip in the word at issue could add or remove the error
        long = [place for place in long if words[place] not in example.key]
    if not long:
        return None
    keys = [place for place in long if words[place] in example.key]
    places = {draw.choice(keys) if keys and draw.chance(0.7) else draw.choice(long)}
    if draw.chance(0.5):
        places.add(draw.choice(long))
    known = set(vocabulary())
    for place in places:
        slipped = misspell(words[place], draw)
        if slipped in known or slipped == words[place]:
            return None
        words[place] = slipped
    return _replace(example, column, sentence(" ".join(words)))


def _synonym(example: Example, task: ClassroomTask, draw: Draw) -> tuple[str, ...] | None:
    column = _column(example, draw)
    keys = [word for word in example.key if word in SYNONYMS and word in tokens(example.texts[column])]
    text, count = reworded(example.texts[column], draw, 0.6)
    missed = [word for word in keys if word in tokens(text)]
    return _replace(example, column, text) if 0 < count <= 3 and not missed else None


def _distractor(example: Example, task: ClassroomTask, draw: Draw) -> tuple[str, ...] | None:
    column = _column(example, draw)
    text = example.texts[column]
    if task.text_columns[column] in ("hypothesis", "excuse") or draw.chance(0.3):
        if text.endswith("?"):
            return None
        return _replace(example, column, sentence(f"{text[:-1]} {draw.choice(TAUTOLOGIES.seen)}"))
    pool = ASIDES
    if task.type == "sentiment":
        pool = BAD_ASIDES if example.label else GOOD_ASIDES
    elif task.type == "topic":
        pool = TOPIC_ASIDES
    line = sentence(draw.choice(pool.seen).format(**_slots(example, task, draw)))
    return _replace(example, column, f"{text} {line}" if draw.chance(0.5) else f"{line} {text}")


def _negation(example: Example, task: ClassroomTask, draw: Draw) -> tuple[str, ...] | None:
    if task.type == "sentiment" and draw.chance(0.5):
        return (
            sentence(draw.choice(REJECTIONS.seen).format(opposite=_opposite_verdict(example, task, draw))),
        )
    column = _column(example, draw)
    text = example.texts[column]
    if task.type == "ethics" and column == 1:
        return _denied_reason(example, draw)
    if text.endswith("?"):
        return _replace(example, column, draw.choice(QUESTION_DENIALS.seen).format(text=text))
    if "." in text[:-1] or ":" in text:  # a denial reaches over one sentence only
        return None
    return _replace(example, column, sentence(draw.choice(DENIALS.seen).format(text=text[:-1])))


def _contrast(example: Example, task: ClassroomTask, draw: Draw) -> tuple[str, ...] | None:
    if example.factors.get("minor", 0) or example.factors.get("other", "none") != "none":
        return None  # there is a contrast in it already
    column = 0 if task.type == "ethics" else _column(example, draw)
    pool = CONTRASTS
    if task.type == "sentiment":
        pool = VERDICT_CONTRASTS if example.label else HOPED_CONTRASTS
    elif task.type == "topic":
        pool = TOPIC_CONTRASTS
    slots = _slots(example, task, draw)
    return _replace(
        example, column, sentence(draw.choice(pool.seen).format(text=example.texts[column], **slots))
    )


ATTACKS = (
    Attack("typo", "word", _typo),
    Attack("synonym", "word", _synonym),
    Attack("distractor", "sentence", _distractor),
    Attack("negation", "human", _negation),
    Attack("contrast", "human", _contrast),
)


def _opposite_verdict(example: Example, task: ClassroomTask, draw: Draw) -> str:
    """A clause that says the opposite about the same thing."""
    thing = f"the {example.factors['aspect']}"
    adjective = _opposite_adjective(example, task, draw)
    return draw.choice(ADJECTIVE_CLAUSES.seen[:2]).text.format(thing=thing, adj=adjective)


def _opposite_adjective(example: Example, task: ClassroomTask, draw: Draw) -> str:
    domain = DOMAINS[task.name.split("_")[0]]
    local, general = (domain.bad, BAD) if example.label else (domain.good, GOOD)
    return draw.choice((local if draw.chance(0.3) else general).seen)


def _denied_reason(example: Example, draw: Draw) -> tuple[str, ...] | None:
    """A false reason before the true one: "no, not because it is late, but because …"."""
    for marker in ("because", "since"):
        start, found, reason = example.texts[1].partition(f", {marker} ")
        if found:
            return _replace(example, 1, sentence(f"{start}, {draw.choice(REASON_DENIALS.seen)} {reason}"))
    return None


def _slots(example: Example, task: ClassroomTask, draw: Draw) -> dict[str, str]:
    """Words for the slots of a line, chosen so that they do not touch the label."""
    slots = {"day": draw.choice(DAYS.seen)}
    if task.type == "sentiment":
        slots["adj"] = _opposite_adjective(example, task, draw)
    if task.type == "topic":
        other = SUBJECTS[draw.choice([name for name in SUBJECTS if name != example.factors["topic"]])]
        slots |= {"object_x": draw.choice(other.objects.seen), "event_x": draw.choice(other.events.seen)}
    return slots


def _column(example: Example, draw: Draw) -> int:
    return draw.below(len(example.texts))


def _replace(example: Example, column: int, text: str) -> tuple[str, ...]:
    return tuple(text if place == column else old for place, old in enumerate(example.texts))


def twin_rows(
    task: ClassroomTask, examples: Sequence[Example], labels: Sequence[int], seed: int = 0
) -> list[dict[str, object]]:
    """The rows of a task's adversarial twin.

    They are made from its clean test examples and their (partly noisy) labels. Columns: the text columns,
    `label`, `original_<text column>` (null where unchanged), `data_construction` (word, sentence or human),
    `method`, `clean_row` (the original's row in the clean test split), and the original's factors.
    """
    honest = [row for row, example in enumerate(examples) if example.label == labels[row]]
    rows: list[dict[str, object]] = []
    for attack in ATTACKS:
        draw = Draw("attack", attack.method, task.name, seed)
        by_label = []
        for label in range(len(task.labels)):
            sources = draw.shuffled([row for row in honest if examples[row].label == label])
            found = ((source, _attacked(attack, examples[source], task, draw)) for source in sources)
            hits = ((source, texts) for source, texts in found if texts is not None)
            by_label.append(list(islice(hits, PER_METHOD // len(task.labels))))
        size = min(map(len, by_label))
        for label, attacked in enumerate(by_label):
            for source, texts in attacked[:size]:
                rows.append(_twin_row(row_of(task, examples[source], label), task, attack, texts, source))
    return rows


def _attacked(attack: Attack, example: Example, task: ClassroomTask, draw: Draw) -> tuple[str, ...] | None:
    for _ in range(TRIES):
        texts = attack.apply(example, task, draw)
        if texts is not None and texts != example.texts and bucket(texts) == "test":
            return texts
    return None


def _twin_row(
    row: dict[str, object], task: ClassroomTask, attack: Attack, texts: tuple[str, ...], source: int
) -> dict[str, object]:
    factors = {key: value for key, value in row.items() if key.startswith("factor_")}
    return {
        **dict(zip(task.text_columns, texts, strict=True)),
        "label": row["label"],
        **{
            f"original_{column}": row[column] if row[column] != text else None
            for column, text in zip(task.text_columns, texts, strict=True)
        },
        "data_construction": attack.construction,
        "method": attack.method,
        "clean_row": source,
        **factors,
        "factor_noise": 0,
    }
