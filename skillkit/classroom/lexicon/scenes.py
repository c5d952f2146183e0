"""Words of the two inference worlds: the park (who does what) and the home (who did what to which thing)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from skillkit.classroom.drawing import Pool, phrases, words


@dataclass(frozen=True)
class Verb:
    """The forms of a verb; `anti` is the base form of its opposite, if it has one."""

    base: str
    ing: str
    past: str
    participle: str
    anti: str = ""

    def form(self, progressive: bool) -> str:
        """The form that names the act in a world: "riding" or "washed"."""
        return self.ing if progressive else self.past


def verb_forms(table: str) -> dict[str, Verb]:
    """Verbs by their base form, from `base progressive past participle` entries separated by `|`."""
    found = (Verb(*entry.split()) for entry in table.split("|"))
    return {verb.base: verb for verb in found}


VERBS = verb_forms("""
    clean cleaning cleaned cleaned | push pushing pushed pushed | pull pulling pulled pulled
    | ride riding rode ridden | play playing played played | carry carrying carried carried
    | buy buying bought bought | sell selling sold sold | eat eating ate eaten | peel peeling peeled peeled
    | pick picking picked picked | smell smelling smelled smelled | plant planting planted planted
    | hold holding held held | lift lifting lifted lifted | drop dropping dropped dropped
    | use using used used | throw throwing threw thrown | catch catching caught caught
    | hide hiding hid hidden | find finding found found | sleep sleeping slept slept | run running ran run
    | swim swimming swam swum | rest resting rested rested | jump jumping jumped jumped
    | wait waiting waited waited | chase chasing chased chased | follow following followed followed
    | watch watching watched watched | help helping helped helped | open opening opened opened
    | close closing closed closed | fill filling filled filled | empty emptying emptied emptied
    | wash washing washed washed | break breaking broke broken | repair repairing repaired repaired
    | lose losing lost lost | fold folding folded folded | cook cooking cooked cooked | cut cutting cut cut
    | move moving moved moved | paint painting painted painted | laugh laughing laughed laughed
    | cough coughing coughed coughed | dance dancing danced danced | thank thanking thanked thanked
    | hear hearing heard heard
""")


def verbs(names: str) -> tuple[Verb, ...]:
    """Verbs by their base forms; `push/pull` is two verbs that are opposites."""
    found = []
    for name in names.split():
        pair = name.split("/")
        for base, other in zip(pair, reversed(pair), strict=True):
            found.append(replace(VERBS[base], anti=other if other != base else ""))
    return tuple(found)


@dataclass(frozen=True)
class World:
    """One inference world.

    `agents` and `objects` map a general word (hypernym) to its particular words; `acts` maps such a general
    object word to the verbs that go with it; `alone` are verbs without an object and `between` verbs between
    two agents.
    """

    progressive: bool
    agents: dict[str, Pool[str]]
    objects: dict[str, Pool[str]]
    acts: dict[str, tuple[Verb, ...]]
    alone: tuple[Verb, ...]
    between: tuple[Verb, ...]
    places: Pool[str]
    #: general object word -> state/opposite of such things
    states: dict[str, Pool[str]]


PARK = World(
    progressive=True,
    agents={
        "child": words("boy girl toddler", "schoolboy"),
        "adult": words("man woman farmer soldier teacher nurse", "gardener"),
        "animal": words("dog horse goat rabbit", "donkey"),
    },
    objects={
        "vehicle": words("bicycle scooter car bus truck", "tractor van"),
        "instrument": words("guitar violin drum flute", "trumpet harp"),
        "fruit": words("apple banana pear peach", "mango cherry"),
        "flower": words("rose tulip lily", "daisy orchid"),
        "tool": words("hammer shovel rake ladder", "saw axe"),
        "toy": words("kite doll frisbee puzzle", "yoyo"),
    },
    acts={
        "vehicle": verbs("clean push/pull ride"),
        "instrument": verbs("play carry buy/sell"),
        "fruit": verbs("eat peel buy/sell"),
        "flower": verbs("pick smell plant"),
        "tool": verbs("hold lift/drop use"),
        "toy": verbs("hold throw/catch hide/find"),
    },
    alone=verbs("sleep run swim rest jump wait"),
    between=verbs("chase follow watch help"),
    places=phrases(
        "in the park | near the lake | under the tree | at the beach | by the river | behind the fence"
        " | in the garden | on the hill",
        "beside the fountain | along the path",
    ),
    states={
        "vehicle": words("clean/dirty new/old wet/dry big/small cheap/expensive", "broken/intact"),
        "instrument": words("clean/dirty new/old big/small heavy/light cheap/expensive", "broken/intact"),
        "fruit": words("clean/dirty wet/dry big/small heavy/light cheap/expensive", "sweet/sour"),
        "flower": words("wet/dry big/small cheap/expensive", "fake/real"),
        "tool": words("clean/dirty new/old wet/dry big/small heavy/light", "broken/intact"),
        "toy": words("clean/dirty new/old wet/dry heavy/light cheap/expensive", "broken/intact"),
    },
)

HOME = World(
    progressive=False,
    agents={
        "parent": words("mother father", "stepmother"),
        "relative": words("uncle aunt cousin brother sister grandfather", "niece nephew"),
        "worker": words("plumber painter cleaner carpenter maid", "electrician"),
        "pet": words("cat hamster puppy parrot", "kitten"),
    },
    objects={
        "container": words("box bag basket bucket jar", "crate"),
        "dish": words("plate bowl cup glass", "saucer"),
        "garment": words("shirt sock coat sweater scarf", "glove skirt"),
        "vegetable": words("carrot onion potato cabbage", "turnip radish"),
        "appliance": words("oven fridge toaster kettle", "freezer"),
        "furniture": words("chair table sofa desk", "armchair"),
    },
    acts={
        "container": verbs("open/close fill/empty lift/drop"),
        "dish": verbs("wash break/repair find/lose"),
        "garment": verbs("wash find/lose fold"),
        "vegetable": verbs("cook cut buy/sell"),
        "appliance": verbs("clean repair/break open/close"),
        "furniture": verbs("move paint buy/sell"),
    },
    alone=verbs("sleep laugh cough dance wait"),
    between=verbs("help thank follow hear"),
    places=phrases(
        "in the kitchen | in the garage | in the hall | near the window | in the cellar | behind the door"
        " | on the balcony | in the bedroom",
        "in the attic | by the stairs",
    ),
    states={
        "container": words("full/empty clean/dirty open/closed big/small", "round/square"),
        "dish": words("full/empty clean/dirty hot/cold big/small", "round/square"),
        "garment": words("clean/dirty new/old wet/dry", "long/short"),
        "vegetable": words("clean/dirty hot/cold wet/dry big/small", "sweet/bitter"),
        "appliance": words("full/empty clean/dirty hot/cold open/closed new/old", "loud/silent"),
        "furniture": words("clean/dirty new/old big/small wet/dry", "stable/shaky"),
    },
)

#: base -> verb, for every verb that has an opposite
OPPOSITES = {
    verb.base: verb for world in (PARK, HOME) for group in world.acts.values() for verb in group if verb.anti
}

ADJECTIVES = words("young tall happy tired quiet busy", "sleepy cheerful")
TIMES = phrases("this morning | on {day} | at night | in the {season} | in {month}", "before sunrise")

#: {event} is "a boy is riding a bicycle"; the forms differ in wrapping only and never in truth.
PREMISE_FORMS = phrases(
    "{event} | {time}, {event} | {event} {time} | we can see that {event} | {remark}, and {event}",
    "look, {event}",
)
HYPOTHESIS_FORMS = phrases(
    "{event} | it is true that {event} | in this scene {event}", "one can say that {event}"
)
#: The words of events and states that stand in no list.
FUNCTION_WORDS = words("a an the is was being by not did nobody")
