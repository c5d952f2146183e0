"""Words and templates of the three review domains (film, food, gadget)."""

from __future__ import annotations

from dataclasses import dataclass

from skillkit.classroom.drawing import Pool, Template, phrases, words


@dataclass(frozen=True)
class Domain:
    """What is reviewed: names of the whole, names of its aspects, and adjectives of this domain alone."""

    wholes: Pool[str]
    aspects: Pool[str]
    good: Pool[str]
    bad: Pool[str]
    contexts: Pool[str]


DOMAINS: dict[str, Domain] = {
    "film": Domain(
        wholes=words("film movie picture drama comedy thriller show", "documentary western"),
        aspects=words(
            "plot story acting script soundtrack ending cast pacing dialogue photography humor direction hero"
            " villain opening sequel editing",
            "finale lighting narrator",
        ),
        good=words("gripping moving clever hilarious touching thrilling", "captivating witty"),
        bad=words("dull predictable shallow clumsy tedious lifeless", "forgettable incoherent"),
        contexts=phrases(
            "we watched it on {day} | my {relative} bought the tickets | it runs for {number} hours"
            " | i saw it with my {relative} | it came out in {month}",
            "the cinema opened in {month}",
        ),
    ),
    "food": Domain(
        wholes=words("meal dinner lunch restaurant cafe bakery buffet", "banquet bistro"),
        aspects=words(
            "soup pasta bread salad curry dessert steak coffee cake sauce rice fish pie cheese service"
            " chicken tea",
            "omelette stew pudding",
        ),
        good=words("delicious tasty fresh crispy juicy fragrant", "savory mouthwatering"),
        bad=words("bland stale greasy soggy burnt rotten", "rancid tasteless"),
        contexts=phrases(
            "we went there on {day} | my {relative} paid the bill | we sat there for {number} hours"
            " | i ate there with my {relative} | it opened in {month}",
            "the waiter came after a while",
        ),
    ),
    "gadget": Domain(
        wholes=words("phone laptop camera speaker watch tablet printer", "drone router"),
        aspects=words(
            "battery screen button cable sound menu software design case sensor keyboard charger lens memory"
            " microphone display fan",
            "antenna hinge touchpad",
        ),
        good=words("reliable fast sturdy handy smooth sleek", "durable responsive"),
        bad=words("slow flimsy noisy fragile buggy sluggish", "unreliable defective"),
        contexts=phrases(
            "i ordered it on {day} | my {relative} has the same one | i used it for {number} weeks"
            " | i bought it for my {relative} | it arrived in {month}",
            "the parcel came after {number} days",
        ),
    ),
}

GOOD = words(
    "good great excellent wonderful lovely superb brilliant fantastic delightful impressive perfect pleasant"
    " charming splendid remarkable outstanding",
    "terrific marvelous admirable enjoyable",
)
BAD = words(
    "bad awful terrible horrible poor dreadful disappointing weak mediocre annoying unpleasant miserable"
    " lousy"
    " ugly boring pathetic",
    "atrocious dismal appalling frustrating",
)
#: base/past
GOOD_VERBS = words("love/loved enjoy/enjoyed like/liked admire/admired", "adore/adored")
BAD_VERBS = words("hate/hated dislike/disliked regret/regretted resent/resented", "despise/despised")
GOOD_NOUNS = words("treat joy masterpiece delight gem pleasure", "triumph")
BAD_NOUNS = words("mess waste failure disaster nightmare flop", "letdown")

INTENSIFIERS = words("very really truly quite simply rather")

ADJECTIVE_CLAUSES = Pool(
    seen=(
        Template("was", "{thing} was {adj}", ("{thing} was not {adj}", "{thing} was far from {adj}")),
        Template("is", "{thing} is {adj}", ("{thing} is not {adj}", "{thing} is never {adj}")),
        Template(
            "found", "i found {thing} {adj}", ("i did not find {thing} {adj}", "i never found {thing} {adj}")
        ),
        Template("thought", "i thought {thing} was {adj}", ("i did not think {thing} was {adj}",)),
        Template("turned", "{thing} turned out to be {adj}", ("{thing} did not turn out to be {adj}",)),
        Template("looked", "{thing} looked {adj} to me", ("{thing} never looked {adj} to me",)),
    ),
    held=(
        Template(
            "seemed", "{thing} seemed {adj} from the start", ("{thing} never seemed {adj} from the start",)
        ),
        Template("called", "everyone called {thing} {adj}", ("nobody called {thing} {adj}",)),
        Template("struck", "{thing} struck me as {adj}", ("{thing} did not strike me as {adj}",)),
    ),
)
VERB_CLAUSES = Pool(
    seen=(
        Template("i_verb", "i {past} {thing}", ("i did not {base} {thing}", "i never {past} {thing}")),
        Template("we_verb", "we {past} {thing}", ("we did not {base} {thing}", "none of us {past} {thing}")),
    ),
    held=(Template("family_verb", "my family {past} {thing}", ("my family did not {base} {thing}",)),),
)
NOUN_CLAUSES = Pool(
    seen=(
        Template(
            "was_noun",
            "{thing} was a {noun}",
            ("{thing} was not a {noun}", "{thing} was by no means a {noun}"),
        ),
        Template("like_noun", "{thing} felt like a {noun}", ("{thing} did not feel like a {noun}",)),
    ),
    held=(
        Template("proved_noun", "{thing} proved to be a {noun}", ("{thing} did not prove to be a {noun}",)),
    ),
)

#: Frames in which the main clause stands alone or beside neutral or agreeing clauses.
PLAIN_FRAMES = Pool(
    seen=(
        Template("single", "{main}"),
        Template("agree", "{main} and {same}"),
        Template("context_first", "{context}. {main}"),
        Template("context_last", "{main}. {context}"),
    ),
    held=(Template("context_and", "{context}, and {main}"), Template("both", "{main}, just as {same}")),
)
#: Frames in which a minor clause of the other polarity has to be set aside; the main clause judges the whole.
CONTRAST_FRAMES = Pool(
    seen=(
        Template("but", "{minor}, but overall {main}"),
        Template("but_end", "{minor}, but in the end {main}"),
        Template("although", "although {minor}, {main} overall"),
        Template("even_though", "overall {main}, even though {minor}"),
        Template("others", "others {other}, but {main}"),
    ),
    held=(
        Template("still", "{minor}. still, {main}"),
        Template("while", "while {minor}, {main} in the end"),
        Template("yet", "{minor}, yet all in all {main}"),
    ),
)
