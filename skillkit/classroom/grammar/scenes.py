"""Premise and hypothesis pairs about small scenes, related by word meaning, detail, roles or negation.

A pair is drawn as an event and a changed event. `relation` names the change:

| relation | change from premise to hypothesis | truth |
|---|---|---|
| general | a particular word becomes its general word (a boy, a child) | entailment |
| drop | a detail (place, adjective) is left out | entailment |
| passive | active becomes passive, roles kept | entailment |
| opposite_not | "is full" becomes "is not empty" | entailment |
| particular | a general word becomes a particular one (a child, a boy) | neutral |
| detail | a detail is added | neutral |
| roles | agent and patient change places | neutral |
| other_state | "is full" becomes "is (not) clean" | neutral |
| other_act | another act of the same agent | neutral |
| not | the event is denied | contradiction |
| opposite | the verb or state becomes its opposite | contradiction |
| nobody | "nobody is riding the bicycle" | contradiction |

Other factors: `truth`, `negated` (the hypothesis has a negation), `general` (1 if the hypothesis also holds a
generalised word that does not decide), `agent`, `kind` (act, alone, between, state), `form` of the premise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from skillkit.classroom.drawing import Example, Picker, sentence
from skillkit.classroom.grammar.reviews import remark
from skillkit.classroom.lexicon.common import DAYS, MONTHS, SEASONS
from skillkit.classroom.lexicon.scenes import (
    ADJECTIVES,
    HOME,
    HYPOTHESIS_FORMS,
    OPPOSITES,
    PARK,
    PREMISE_FORMS,
    TIMES,
    Verb,
    World,
)
from skillkit.errors import unknown

TRUTHS = ("entailment", "neutral", "contradiction")
ANSWERS = {"entailment": "yes", "neutral": "maybe", "contradiction": "no"}

RELATIONS: dict[str, dict[str, float]] = {
    "entailment": {"general": 4, "drop": 3, "passive": 1.5, "opposite_not": 2.5},
    "neutral": {"particular": 3, "detail": 3, "roles": 1.5, "other_state": 3, "other_act": 2},
    "contradiction": {"not": 2.5, "opposite": 4.5, "nobody": 1},
}
KINDS: dict[str, tuple[str, ...]] = {
    "general": ("act", "alone", "between"),
    "drop": ("act", "alone", "between"),
    "passive": ("between", "act"),
    "opposite_not": ("state",),
    "particular": ("act", "alone", "between"),
    "detail": ("act", "alone", "between"),
    "roles": ("between",),
    "other_state": ("state",),
    "other_act": ("act", "alone"),
    "not": ("act", "alone", "between", "state"),
    "opposite": ("act", "state"),
    "nobody": ("act", "alone"),
}


@dataclass(frozen=True)
class Event:
    """Who does what to whom or what, where. `thing` is empty for verbs without an object."""

    agent: str
    verb: Verb
    thing: str = ""
    adjective: str = ""
    place: str = ""
    negated: bool = False
    passive: bool = False
    nobody: bool = False

    def text(self, progressive: bool) -> str:
        """The event as a clause: "a boy is riding a bicycle" or "the father washed the plate"."""
        article = "a" if progressive else "the"
        agent = f"{article} {self.adjective} {self.agent}"
        thing = f"{article} {self.thing}" if self.thing else ""
        deny = "not" if self.negated else ""
        if self.nobody:
            middle = f"nobody is {self.verb.ing}" if progressive else f"nobody {self.verb.past}"
            return f"{middle} {thing} {self.place}"
        if self.passive:
            being = "is being" if progressive else "was"
            return f"{thing} {being} {self.verb.participle} by {agent} {self.place}"
        if progressive:
            return f"{agent} is {deny} {self.verb.ing} {thing} {self.place}"
        act = f"did not {self.verb.base}" if self.negated else self.verb.past
        return f"{agent} {act} {thing} {self.place}"


@dataclass(frozen=True)
class State:
    """A thing in a state: "the jar is not full"."""

    thing: str
    state: str
    place: str = ""
    negated: bool = False

    def text(self, progressive: bool) -> str:
        """The state as a clause."""
        return f"the {self.thing} {self.place} is {'not' if self.negated else ''} {self.state}"


@dataclass(frozen=True)
class Pair:
    """A premise, its changed copy, the word the change is about, and whether another word was generalised."""

    premise: Event | State
    hypothesis: Event | State
    key: str
    general: bool = False


def draw_park_pair(picker: Picker, label: int) -> Example:
    """Two-way: 0 not entailed (neutral or contradicted, equally often), 1 entailed."""
    truth = "entailment" if label else picker.draw.choice(TRUTHS[1:])
    return draw_pair(picker, PARK, truth, label)


def draw_home_pair(picker: Picker, label: int) -> Example:
    """Three-way: 0 entailment, 1 neutral, 2 contradiction."""
    return draw_pair(picker, HOME, TRUTHS[label], label)


def draw_pair(picker: Picker, world: World, truth: str, label: int) -> Example:
    """A premise and a hypothesis that stand in the relation `truth`."""
    relation = picker.draw.weighted(RELATIONS[truth])
    kind = picker.draw.choice(KINDS[relation])
    change = _state_pair if kind == "state" else _event_pair
    pair = change(picker, world, relation, kind)
    form, hypothesis_form = picker.template(PREMISE_FORMS), picker.template(HYPOTHESIS_FORMS)
    return Example(
        texts=(
            sentence(_wrap(picker, form, pair.premise.text(world.progressive))),
            sentence(_wrap(picker, hypothesis_form, pair.hypothesis.text(world.progressive))),
        ),
        label=label,
        factors={
            "truth": truth,
            "relation": relation,
            "kind": kind,
            "negated": int(pair.hypothesis.negated or relation == "nobody"),
            "general": int(pair.general),
            "key": pair.key,
            "form": PREMISE_FORMS.all.index(form),
            **picker.flags,
        },
        answers={
            "truth": ANSWERS[truth],
            "entailed": "yes" if truth == "entailment" else "no",
            "key": pair.key,
        },
        key=(pair.key,),
    )


def _wrap(picker: Picker, form: str, event: str) -> str:
    draw = picker.draw
    slots = {"event": event}
    if "{remark}" in form:
        slots["remark"] = remark(picker)
    if "{time}" in form:
        time = picker.word(TIMES)
        slots["time"] = time.format(
            day=draw.choice(DAYS.seen), season=draw.choice(SEASONS.seen), month=draw.choice(MONTHS.seen)
        )
    return form.format(**slots)


def _event_pair(picker: Picker, world: World, relation: str, kind: str) -> Pair:
    """Draw an event of the given kind and change it as `relation` says."""
    draw = picker.draw
    event, agent_group, thing_group = _draw_event(picker, world, relation, kind)
    agent = event.agent
    if relation in ("general", "particular"):
        at_agent = not event.thing or draw.chance(0.4)
        wide = replace(event, agent=agent_group) if at_agent else replace(event, thing=thing_group)
        key = agent if at_agent else event.thing
        return Pair(event, wide, key) if relation == "general" else Pair(wide, event, key)
    # Elsewhere general words decide nothing. They occur all the same, so that they do not tell the label
    # either.
    if event.thing and draw.chance(0.25):
        event = replace(event, thing=thing_group)
    if draw.chance(0.25):
        event = replace(event, agent=agent_group)
    general = event.agent == agent and draw.chance(0.3)
    target = replace(event, agent=agent_group) if general else event
    return _changed_event(picker, world, relation, event, target, general)


def _draw_event(picker: Picker, world: World, relation: str, kind: str) -> tuple[Event, str, str]:
    """An event that `relation` can change, and the groups that its agent and its thing (if any) are from."""
    draw = picker.draw
    acting = [group for group in world.agents if kind != "act" or group not in ("animal", "pet")]
    agent_group = draw.choice(acting)
    agent = picker.word(world.agents[agent_group])
    thing_group = thing = ""
    if kind == "act":
        thing_group = draw.choice(list(world.objects))
        thing = picker.word(world.objects[thing_group])
        verbs = [verb for verb in world.acts[thing_group] if verb.anti or relation != "opposite"]
        while not verbs:  # this group of things has no verb with an opposite: take another group
            thing_group = draw.choice(list(world.objects))
            thing = picker.word(world.objects[thing_group])
            verbs = [verb for verb in world.acts[thing_group] if verb.anti]
        verb = draw.choice(verbs)
    elif kind == "between":
        thing_group = draw.choice([group for group in world.agents if group != agent_group])
        thing = picker.word(world.agents[thing_group])
        verb = draw.choice(world.between)
    else:
        verb = draw.choice(world.alone)
    adjective = picker.word(ADJECTIVES) if draw.chance(0.3) else ""
    place = picker.word(world.places) if draw.chance(0.5) else ""
    event = Event(agent, verb, thing, adjective, place, passive=bool(thing) and draw.chance(0.15))
    return event, agent_group, thing_group


def _changed_event(
    picker: Picker, world: World, relation: str, event: Event, target: Event, general: bool
) -> Pair:
    """Change `target`, which is the event, its agent named by a general word if `general`."""
    verb, draw = event.verb, picker.draw
    word = verb.form(world.progressive)
    if relation in ("drop", "detail"):
        return _detail(picker, world, relation, event, target, general)
    if relation == "other_act":
        return _other_act(picker, world, event, target, general)
    if relation == "passive":
        return Pair(event, replace(target, passive=not event.passive), word, general)
    if relation == "roles":
        swapped = replace(event, agent=event.thing, thing=event.agent, passive=draw.chance(0.5))
        return Pair(event, swapped, word)
    if relation == "not":
        return Pair(event, replace(target, negated=True, passive=False), word, general)
    if relation == "opposite":
        anti = OPPOSITES[verb.anti]
        return Pair(event, replace(target, verb=anti), anti.form(world.progressive), general)
    if relation == "nobody":
        place = event.place if draw.chance(0.7) else ""
        return Pair(event, replace(target, nobody=True, place=place), "nobody")
    raise unknown("relation", relation, KINDS)


def _detail(picker: Picker, world: World, relation: str, event: Event, target: Event, general: bool) -> Pair:
    """A place or an adjective that the premise alone has ("drop"), or the hypothesis alone ("detail")."""
    at_place = picker.draw.chance(0.6)
    word = (event.place if at_place else event.adjective) or picker.word(
        world.places if at_place else ADJECTIVES
    )
    rich, poor = (event, target) if relation == "drop" else (target, event)
    rich = replace(rich, place=word) if at_place else replace(rich, adjective=word)
    poor = replace(poor, place="") if at_place else replace(poor, adjective="")
    premise, hypothesis = (rich, poor) if relation == "drop" else (poor, rich)
    return Pair(premise, hypothesis, word.split()[-1], general)


def _other_act(picker: Picker, world: World, event: Event, target: Event, general: bool) -> Pair:
    """The same agent does something else to something else."""
    if event.thing:
        group = picker.draw.choice(
            [name for name, pool in world.objects.items() if event.thing not in pool.all]
        )
        thing = picker.word(world.objects[group])
        verb = picker.draw.choice(world.acts[group])
    else:
        thing, verb = "", picker.draw.choice([verb for verb in world.alone if verb != event.verb])
    return Pair(event, replace(target, verb=verb, thing=thing), verb.form(world.progressive), general)


def _state_pair(picker: Picker, world: World, relation: str, kind: str) -> Pair:
    """Draw a thing in a state and change the state as `relation` says."""
    draw = picker.draw
    group = draw.choice(list(world.objects))
    thing = picker.word(world.objects[group])
    pair = picker.word(world.states[group])
    state, opposite = draw.shuffled(pair.split("/"))
    place = picker.word(world.places) if draw.chance(0.4) else ""
    premise = State(thing, state, place)
    if draw.chance(0.25):
        premise = replace(premise, thing=group)
    general = premise.thing == thing and draw.chance(0.3)
    target = replace(premise, thing=group) if general else premise
    if relation == "opposite_not":
        return Pair(premise, replace(target, state=opposite, negated=True), opposite, general)
    if relation == "opposite":
        return Pair(premise, replace(target, state=opposite), opposite, general)
    if relation == "not":
        return Pair(premise, replace(target, negated=True), state, general)
    other = draw.choice(picker.word(world.states[group], but=(pair,)).split("/"))
    return Pair(premise, replace(target, state=other, negated=draw.chance(0.6)), other, general)
