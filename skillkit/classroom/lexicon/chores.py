"""Words of the excuse task: chores, what each needs, and what can be wrong with it."""

from __future__ import annotations

from dataclasses import dataclass

from skillkit.classroom.drawing import Pool, phrases


@dataclass(frozen=True)
class Chore:
    """A verb (`base`, and `done`: participle and past), its object, and the things that the chore needs."""

    base: str
    done: str
    thing: str
    needs: tuple[str, ...]


def chores(table: str) -> tuple[Chore, ...]:
    """Chores from lines of `base done | object | need need`."""
    found = []
    for line in table.strip().splitlines():
        verb, thing, needs = (cell.strip() for cell in line.split("|"))
        base, done = verb.split()
        found.append(Chore(base, done, thing, tuple(needs.split())))
    return tuple(found)


CHORES = Pool(
    seen=chores("""
        water watered | the plants | hose bucket
        walk walked | the dog | leash
        wash washed | the dishes | sink
        mow mowed | the lawn | mower
        bake baked | the cake | oven
        iron ironed | the shirts | iron
        print printed | the report | printer
        mail mailed | the letter | stamp
        paint painted | the fence | roller ladder
        clean cleaned | the carpet | vacuum
        buy bought | the milk | wallet
        dry dried | the clothes | dryer
        dig dug | the garden | shovel
        cut cut | the bread | knife
        tune tuned | the guitar | tuner
        row rowed | the boat | oar
        boil boiled | the eggs | pot
        repair repaired | the bicycle | pump
    """),
    held=chores("""
        sweep swept | the floor | broom
        type typed | the essay | keyboard
        measure measured | the wall | ruler
        sew sewed | the curtain | needle
    """),
)

#: How the chore is set: {chore} is "water the plants".
SCENARIOS = phrases(
    "i should {chore} today | my {relative} asked me to {chore} | you have to {chore} on {day}"
    " | it is your turn to {chore} | could you {chore} this week?",
    "i promised to {chore} | everyone expects me to {chore}",
)
#: How the excuse begins.
OPENINGS = phrases(
    "no, because {reason} | i can not, because {reason} | sorry, but {reason} | no, since {reason}",
    "not now, {reason}",
)

FAULTS = phrases(
    "the {need} is broken | the {need} was stolen | i lost the {need} | the {need} does not work"
    " | the {need} is gone",
    "someone took the {need} away",
)
FINE = phrases(
    "the {need} is new | the {need} works well | i found the {need} | the {need} is not broken"
    " | the {need} was never lost",
    "someone brought the {need} back",
)
DONE = phrases(
    "my {relative} already {done} {thing} | i already {done} {thing} | someone {done} {thing} this morning",
    "we {done} {thing} an hour ago",
)
UNABLE = phrases(
    "i am ill | i broke my arm | i have a fever | i am in hospital | i had an accident"
    " | the doctor told me to rest",
    "i am injured | i feel dizzy",
)
UNWILLING = phrases(
    "i am bored | i feel lazy | my shoes are blue | i want to play | i do not like {day}"
    " | my {relative} likes music",
    "i am rich | i feel fancy",
)
RECOVERED = phrases(
    "i am not ill | i never broke my arm | i have no fever | i am not in hospital | i had no accident",
    "i am not injured | i do not feel dizzy",
)
