"""Words and templates of the topic task: sport, cooking, travel, science."""

from __future__ import annotations

from dataclasses import dataclass

from skillkit.classroom.drawing import Pool, Template, phrases, words

TOPICS = ("sport", "cooking", "travel", "science")


@dataclass(frozen=True)
class Subject:
    """The words of one topic; verbs are base/past."""

    agents: Pool[str]
    verbs: Pool[str]
    objects: Pool[str]
    places: Pool[str]
    events: Pool[str]


SUBJECTS: dict[str, Subject] = {
    "sport": Subject(
        agents=words(
            "coach player goalkeeper striker referee captain runner swimmer athlete champion", "boxer cyclist"
        ),
        verbs=words(
            "kick/kicked pass/passed score/scored defend/defended win/won train/trained", "tackle/tackled"
        ),
        objects=words("goal ball trophy penalty medal racket helmet jersey team league", "hurdle baton"),
        places=words("stadium pitch court gym track", "arena"),
        events=words("match race tournament final", "championship"),
    ),
    "cooking": Subject(
        agents=words("chef cook baker waiter butcher apprentice host grocer", "caterer brewer"),
        verbs=words(
            "bake/baked fry/fried stir/stirred roast/roasted chop/chopped season/seasoned",
            "marinate/marinated",
        ),
        objects=words("dough onion garlic butter pepper flour soup sauce potato pan recipe", "noodle broth"),
        places=words("kitchen oven stove pantry counter", "grill"),
        events=words("dinner feast lunch breakfast", "barbecue"),
    ),
    "travel": Subject(
        agents=words("tourist traveler passenger pilot guide hiker driver sailor", "backpacker camper"),
        verbs=words(
            "visit/visited book/booked pack/packed cross/crossed explore/explored board/boarded",
            "tour/toured",
        ),
        objects=words(
            "suitcase passport ticket map luggage hotel island bridge castle flight ferry", "visa hostel"
        ),
        places=words("airport station harbor border beach", "terminal"),
        events=words("trip journey cruise vacation", "voyage"),
    ),
    "science": Subject(
        agents=words(
            "scientist chemist professor researcher biologist astronomer engineer physicist",
            "geologist botanist",
        ),
        verbs=words(
            "measure/measured discover/discovered observe/observed test/tested analyze/analyzed"
            " publish/published",
            "simulate/simulated",
        ),
        objects=words(
            "sample molecule planet microscope theory virus magnet telescope laser atom cell", "comet enzyme"
        ),
        places=words("laboratory university observatory institute department", "reactor"),
        events=words("experiment lecture conference seminar", "symposium"),
    ),
}

MAIN = Pool(
    seen=(
        Template("past", "the {agent} {past} the {object}"),
        Template("place", "the {agent} {past} the {object} near the {place}"),
        Template("did_not", "the {agent} did not {base} the {object}"),
        Template("talked", "the {agent} and the {agent2} talked about the {object}"),
        Template("read", "we read about a {agent} who {past} the {object}"),
        Template("there_was", "there was a new {object} for the {agent} at the {place}"),
        Template("question", "why did the {agent} {base} the {object} at the {place}?"),
        Template("wanted", "a {agent} wanted to {base} the {object} before the {event}"),
        Template("event", "during the {event} the {agent} {past} the {object}"),
    ),
    held=(
        Template("it_was", "it was the {agent} who {past} the {object}"),
        Template("according", "according to the {agent}, the {object} was ready for the {event}"),
        Template("nobody_knew", "nobody knew how the {agent} could {base} the {object}"),
    ),
)
#: One word of another topic beside the main clause; `{event_x}` and `{place_x}` belong to that other topic.
FRAMES = Pool(
    seen=(
        Template("single", "{main}"),
        Template("remark_first", "{remark}. {main}"),
        Template("remark_last", "{main}. {remark}"),
        Template("after_other", "after the {event_x}, {main}"),
        Template("near_other", "not far from the {place_x}, {main}"),
        Template("forgot_other", "we forgot about the {object_x}. {main}"),
        Template("today", "{time} {main}"),
    ),
    held=(Template("instead_other", "instead of the {event_x}, they showed us this: {main}"),),
)
TIMES = phrases("yesterday | last week | this morning | on sunday | years ago", "at noon")
