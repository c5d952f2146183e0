"""Words of the two inference worlds: the park (people doing things) and the home (who did what to which thing)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .grammar import Pool, phrases, words


@dataclass(frozen=True)
class Verb:
    """One verb: base, progressive, past and participle; `anti` is the base form of its opposite, if it has one."""

    base: str
    ing: str
    past: str
    participle: str
    anti: str = ""

    def form(self, progressive: bool) -> str:
        """The form that names the act in a world: "riding" or "washed"."""
        return self.ing if progressive else self.past


def verbs(table: str) -> tuple[Verb, ...]:
    """Verbs from lines of `base ing past participle`, or of two such verbs that are opposites, separated by `|`."""
    found = []
    for line in table.strip().splitlines():
        pair = [Verb(*half.split()) for half in line.split("|")]
        for verb, other in zip(pair, reversed(pair), strict=True):
            found.append(replace(verb, anti=other.base) if other.base != verb.base else verb)
    return tuple(found)


@dataclass(frozen=True)
class World:
    """One inference world.

    `agents` and `objects` map a general word (hypernym) to its particular words; `acts` maps such a general object
    word to the verbs that go with it; `alone` are verbs without an object and `between` verbs between two agents.
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
        "vehicle": verbs(
            "clean cleaning cleaned cleaned\npush pushing pushed pushed | pull pulling pulled pulled\nride riding rode ridden"
        ),
        "instrument": verbs(
            "play playing played played\ncarry carrying carried carried\nbuy buying bought bought | sell selling sold sold"
        ),
        "fruit": verbs(
            "eat eating ate eaten\npeel peeling peeled peeled\nbuy buying bought bought | sell selling sold sold"
        ),
        "flower": verbs(
            "pick picking picked picked\nsmell smelling smelled smelled\nplant planting planted planted"
        ),
        "tool": verbs(
            "hold holding held held\nlift lifting lifted lifted | drop dropping dropped dropped\nuse using used used"
        ),
        "toy": verbs(
            "hold holding held held\nthrow throwing threw thrown | catch catching caught caught\nhide hiding hid hidden | find finding found found"
        ),
    },
    alone=verbs(
        "sleep sleeping slept slept\nrun running ran run\nswim swimming swam swum\nrest resting rested rested\n"
        "jump jumping jumped jumped\nwait waiting waited waited"
    ),
    between=verbs(
        "chase chasing chased chased\nfollow following followed followed\nwatch watching watched watched\n"
        "help helping helped helped"
    ),
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
        "container": verbs(
            "open opening opened opened | close closing closed closed\nfill filling filled filled | empty emptying emptied emptied\nlift lifting lifted lifted | drop dropping dropped dropped"
        ),
        "dish": verbs(
            "wash washing washed washed\nbreak breaking broke broken | repair repairing repaired repaired\nfind finding found found | lose losing lost lost"
        ),
        "garment": verbs(
            "wash washing washed washed\nfind finding found found | lose losing lost lost\nfold folding folded folded"
        ),
        "vegetable": verbs(
            "cook cooking cooked cooked\ncut cutting cut cut\nbuy buying bought bought | sell selling sold sold"
        ),
        "appliance": verbs(
            "clean cleaning cleaned cleaned\nrepair repairing repaired repaired | break breaking broke broken\nopen opening opened opened | close closing closed closed"
        ),
        "furniture": verbs(
            "move moving moved moved\npaint painting painted painted\nbuy buying bought bought | sell selling sold sold"
        ),
    },
    alone=verbs(
        "sleep sleeping slept slept\nlaugh laughing laughed laughed\ncough coughing coughed coughed\n"
        "dance dancing danced danced\nwait waiting waited waited"
    ),
    between=verbs(
        "help helping helped helped\nthank thanking thanked thanked\nfollow following followed followed\n"
        "hear hearing heard heard"
    ),
    places=phrases(
        "in the kitchen | in the garage | in the hall | near the window | in the cellar | behind the door"
        " | on the balcony | in the bedroom",
        "in the attic | by the stairs",
    ),
    states={
        "container": words("full/empty clean/dirty open/closed big/small", "round/square"),
        "dish": words("full/empty clean/dirty hot/cold big/small", "round/square"),
        "garment": words("clean/dirty new/old wet/dry", "long/short"),
        "vegetable": words("clean/dirty hot/cold wet/dry big/small", "raw/cooked"),
        "appliance": words("full/empty clean/dirty hot/cold open/closed new/old", "broken/intact"),
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
