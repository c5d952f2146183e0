"""Words of the two inference worlds: the park (people doing things) and the home (who did what to which thing)."""

from __future__ import annotations

from dataclasses import dataclass

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
    """Verbs from lines of `base ing past participle [anti]`."""
    return tuple(Verb(*line.split()) for line in table.strip().splitlines())


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
    #: (state, opposite) of the particular objects
    states: Pool[str]


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
        "vehicle": verbs("clean cleaning cleaned cleaned\npush pushing pushed pushed pull\nride riding rode ridden"),
        "instrument": verbs("play playing played played\ncarry carrying carried carried\nbuy buying bought bought sell"),
        "fruit": verbs("eat eating ate eaten\npeel peeling peeled peeled\nbuy buying bought bought sell"),
        "flower": verbs("pick picking picked picked\nsmell smelling smelled smelled\nplant planting planted planted"),
        "tool": verbs("hold holding held held\nlift lifting lifted lifted drop\nuse using used used"),
        "toy": verbs("hold holding held held\nthrow throwing threw thrown catch\nhide hiding hid hidden find"),
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
    states=words("clean/dirty new/old wet/dry big/small heavy/light cheap/expensive", "broken/intact"),
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
        "container": verbs("open opening opened opened close\nfill filling filled filled empty\nlift lifting lifted lifted drop"),
        "dish": verbs("wash washing washed washed\nbreak breaking broke broken repair\nfind finding found found lose"),
        "garment": verbs("wash washing washed washed\nfind finding found found lose\nfold folding folded folded"),
        "vegetable": verbs("cook cooking cooked cooked\ncut cutting cut cut\nbuy buying bought bought sell"),
        "appliance": verbs("clean cleaning cleaned cleaned\nrepair repairing repaired repaired break\nopen opening opened opened close"),
        "furniture": verbs("move moving moved moved\npaint painting painted painted\nbuy buying bought bought sell"),
    },
    alone=verbs(
        "sleep sleeping slept slept\nlaugh laughing laughed laughed\nleave leaving left left\n"
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
    states=words("full/empty clean/dirty hot/cold open/closed big/small new/old", "dusty/spotless"),
)

#: The opposites of verbs that are only met as opposites.
OPPOSITES = {
    verb.base: verb
    for verb in verbs(
        "pull pulling pulled pulled\nsell selling sold sold\ndrop dropping dropped dropped\n"
        "catch catching caught caught\nfind finding found found\nclose closing closed closed\n"
        "empty emptying emptied emptied\nrepair repairing repaired repaired\nlose losing lost lost\n"
        "break breaking broke broken"
    )
}

ADJECTIVES = words("young tall happy tired quiet busy", "sleepy cheerful")
TIMES = phrases("this morning | on {day} | at night | in the {season} | in {month}", "before sunrise")

#: {event} is "a boy is riding a bicycle"; the forms differ in wrapping only and never in truth.
PREMISE_FORMS = phrases("{event} | {time}, {event} | {event} {time} | we can see that {event} | {remark}, and {event}", "look, {event}")
HYPOTHESIS_FORMS = phrases("{event} | it is true that {event} | in this scene {event}", "one can say that {event}")
#: The words of events and states that stand in no list.
FUNCTION_WORDS = words("a an the is was being by not did nobody")
