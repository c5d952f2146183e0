"""Pairs of questions that ask the same thing (1) or not (0).

`relation` names what differs: for duplicates `template` (another way to ask), `synonym` (the other verb),
`both`, `order` (the detail moves to the front); otherwise `object`, `verb`, `intent`, `detail`, or `roles`
(origin and goal of a journey change places). Non-duplicates are reworded as often as duplicates are, so that
the number of shared words does not tell. Other factors: `intent`, `action`, `kind` (action or route).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from skillkit.classroom.drawing import Example, Picker, Pool, sentence
from skillkit.classroom.lexicon.questions import ACTIONS, CITIES, DETAILS, INTENTS, OPENERS, ROUTES

SAME = {"template": 4.0, "synonym": 2.0, "both": 3.0, "order": 1.5}
DIFFERENT = {"object": 3.0, "verb": 2.0, "intent": 3.0, "detail": 2.0}


@dataclass(frozen=True)
class Question:
    """What is asked, and how it is worded."""

    intent: str
    pattern: str
    verb: str
    thing: str
    detail: str = ""
    detail_first: bool = False
    opener: str = ""

    def text(self) -> str:
        """The question as a sentence."""
        body = self.pattern.format(verb=self.verb, object=self.thing)
        body = f"{self.detail}, {body}" if self.detail_first else f"{body} {self.detail}"
        return sentence(f"{self.opener} {body}?")


def draw_question_pair(picker: Picker, label: int) -> Example:
    """Two questions; `label` 1 where they ask the same."""
    if picker.draw.chance(0.15):
        return _draw_routes(picker, label)
    draw = picker.draw
    intent, action = draw.choice(list(INTENTS)), draw.choice(list(ACTIONS))
    detail_kind = draw.weighted({"": 0.5, "city": 0.2, "person": 0.15, "limit": 0.15})
    relation = draw.weighted(SAME if label else DIFFERENT)
    if relation in ("order", "detail") and not detail_kind:
        detail_kind = draw.choice(list(DETAILS))
    first = Question(
        intent,
        picker.template(INTENTS[intent]),
        draw.choice(action.split("/")),
        picker.word(ACTIONS[action]),
        picker.word(DETAILS[detail_kind]) if detail_kind else "",
        detail_first=bool(detail_kind) and draw.chance(0.25),
        opener=_opener(picker),
    )
    second = replace(first, opener=_opener(picker))
    second, key = (_same if label else _different)(picker, second, relation, intent, action, detail_kind)
    return _example(
        (first.text(), second.text()), label, relation, intent, action.split("/")[0], "action", key, picker
    )


def _same(
    picker: Picker, question: Question, relation: str, intent: str, action: str, detail: str
) -> tuple[Question, str]:
    """Reword a question without changing what it asks."""
    if relation in ("template", "both"):
        question = _reword(picker, question, INTENTS[intent])
    if relation in ("synonym", "both"):
        question = replace(question, verb=_other(picker, tuple(action.split("/")), question.verb))
    if relation == "order":
        question = replace(question, detail_first=not question.detail_first)
    return question, question.verb


def _different(
    picker: Picker, question: Question, relation: str, intent: str, action: str, detail: str
) -> tuple[Question, str]:
    """Change what a question asks, and often also its wording."""
    draw = picker.draw
    if relation == "object":
        question = replace(question, thing=picker.word(ACTIONS[action], but=(question.thing,)))
        key = question.thing.split()[-1]
    elif relation == "verb":
        other = draw.choice([name for name in ACTIONS if name != action])
        question = replace(question, verb=draw.choice(other.split("/")), thing=picker.word(ACTIONS[other]))
        key = question.verb
    elif relation == "detail":
        question = replace(question, detail=picker.word(DETAILS[detail], but=(question.detail,)))
        key = question.detail.split()[-1]
    else:
        intent = draw.choice([name for name in INTENTS if name != intent])
        question = replace(question, intent=intent, pattern=picker.template(INTENTS[intent]))
        key = question.pattern.split()[0]
    if relation != "intent" and draw.chance(0.4):
        question = _reword(picker, question, INTENTS[intent])
    if relation != "verb" and draw.chance(0.4):
        question = replace(question, verb=_other(picker, tuple(action.split("/")), question.verb))
    return question, key


def _reword(picker: Picker, question: Question, patterns: Pool[str]) -> Question:
    rest = Pool(
        tuple(pattern for pattern in patterns.seen if pattern != question.pattern),
        tuple(pattern for pattern in patterns.held if pattern != question.pattern),
    )
    return replace(question, pattern=picker.template(rest))


def _other(picker: Picker, items: tuple[str, ...], item: str) -> str:
    return picker.draw.choice([other for other in items if other != item])


def _opener(picker: Picker) -> str:
    return picker.word(OPENERS) if picker.draw.chance(0.12) else ""


def _draw_routes(picker: Picker, label: int) -> Example:
    """Two questions about a journey."""
    draw = picker.draw
    intent = draw.choice(list(ROUTES))
    origin = picker.word(CITIES)
    goal = picker.word(CITIES, but=(origin,))
    first = picker.template(ROUTES[intent])
    second = picker.template(ROUTES[intent])
    relation, key = "template", goal
    other_origin, other_goal = origin, goal
    if not label:
        relation = draw.weighted({"roles": 2, "object": 1})
        if relation == "roles":
            other_origin, other_goal = goal, origin
        else:
            other_goal = key = picker.word(CITIES, but=(origin, goal))
    elif first == second:
        second = draw.choice([pattern for pattern in ROUTES[intent].seen if pattern != first])
    texts = (
        sentence(f"{_opener(picker)} {first.format(origin=origin, goal=goal)}?"),
        sentence(f"{_opener(picker)} {second.format(origin=other_origin, goal=other_goal)}?"),
    )
    return _example(texts, label, relation, intent, "travel", "route", key, picker)


def _example(
    texts: tuple[str, str],
    label: int,
    relation: str,
    intent: str,
    action: str,
    kind: str,
    key: str,
    picker: Picker,
) -> Example:
    return Example(
        texts=texts,
        label=label,
        factors={
            "relation": relation,
            "intent": intent,
            "action": action,
            "kind": kind,
            "key": key,
            **picker.flags,
        },
        answers={"same": "same" if label else "different"},
        key=(key,),
    )
