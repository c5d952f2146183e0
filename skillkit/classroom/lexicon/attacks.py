"""Synonyms for word-level attacks, and the lines that other attacks put around a text."""

from __future__ import annotations

from skillkit.classroom.drawing import Draw, phrases, sentence, tokens


def synonym_table(table: str) -> dict[str, str]:
    """Synonyms from `word synonym` pairs separated by `|`."""
    return {word: synonym for word, synonym in (pair.split() for pair in table.split("|") if pair.strip())}


#: word -> a synonym that fits wherever the grammars use the word (most occur in no clean example).
SYNONYMS: dict[str, str] = synonym_table("""
  great grand | excellent exquisite | wonderful wondrous | lovely adorable | superb sublime 
| brilliant dazzling
| fantastic fabulous | impressive striking | perfect flawless | pleasant agreeable | charming endearing
| splendid glorious | remarkable exceptional | outstanding stellar | delightful enchanting
| enjoyable entertaining
| awful ghastly | terrible abysmal | horrible horrid | poor inferior | dreadful dire
| disappointing underwhelming
| weak feeble | mediocre inadequate | annoying irritating | unpleasant disagreeable | miserable wretched
| lousy crummy | ugly hideous | boring dreary | pathetic pitiful | frustrating infuriating
| gripping engrossing | clever smart | hilarious funny | touching heartwarming | thrilling exciting
| dull uninteresting | predictable formulaic | shallow superficial | clumsy awkward | tedious tiresome
| delicious scrumptious | tasty flavorful | crispy crunchy | juicy succulent | fragrant aromatic
| bland flavorless | stale moldy | greasy oily | soggy mushy | burnt charred | rotten spoiled
| reliable dependable | fast quick | sturdy robust | handy practical | sleek stylish
| slow laggy | sluggish laggy | flimsy brittle | noisy loud | fragile breakable | buggy glitchy
| loved treasured | love treasure | enjoyed relished | enjoy relish | admired appreciated | admire appreciate
| hated detested | hate detest | gem jewel | disaster catastrophe | failure fiasco | flop dud
| very extremely | really genuinely | quite fairly | film flick | movie flick
| coach trainer | referee umpire | champion winner | athlete sportsman | tourist sightseer | traveler voyager
| passenger commuter | sailor seaman | luggage baggage | harbor port | journey expedition | trip outing
| vacation holiday | researcher scholar | laboratory lab | experiment trial | conference congress
| measured gauged | observed noticed | discovered uncovered | analyzed examined | analyze examine
| chopped diced | roasted grilled | stirred mixed | stir mix | kicked booted | defended guarded
| child kid | adult grownup | man gentleman | woman lady | boy lad | boys lads | dog hound | rabbit bunny
| horse steed | bicycle bike | car automobile | truck lorry | violin fiddle | sofa couch | bag sack
| bucket pail
| cup mug | father dad | mother mom | grandmother grandma | grandfather grandpa | fridge refrigerator
| garden yard | hall hallway | cellar basement | beach shore | river stream | path trail
| washed rinsed | repaired mended | bought purchased | purchase acquire | holding grasping | lifting hoisting
| throwing tossing | pushing shoving | picking plucking | hiding concealing | sleeping snoozing | slept dozed
| resting relaxing | jumping leaping | chasing pursuing | watching observing | helping assisting
| helped assisted
| closed shut | moved shifted | lost misplaced
| young youthful | happy joyful | tired weary | quiet silent | big large | small tiny | wet damp
| dirty filthy
| cold chilly | cheap inexpensive | expensive costly | heavy weighty | broken damaged | famous renowned
| hungry starving | laptop notebook | flat apartment | doctor physician | doctors physicians | lawyer attorney
| lawyers attorneys | teacher instructor | teachers instructors | story tale | company firm | begin commence
| select pick | people folks | delete remove | singer vocalist | singers vocalists | guest visitor
| guests visitors | writer author | writers authors | smile grin | smiles grins | smiled grinned
| laugh chuckle | laughs chuckles | laughed chuckled | ill sick | lazy idle | carpet rug
| wallet purse | phone telephone | gone missing | hospital clinic | mail post | mailed posted
| lawn grass | friend pal | runner jogger | goalkeeper keeper
| waiter server | pan skillet | dinner supper | pantry larder | team squad | match contest | guide escort
| driver chauffeur | castle fortress | border frontier | hotel inn | professor lecturer | theory hypothesis
| sample specimen | institute academy | lecture talk | wanted wished | boat vessel
""")

#: Lines that say nothing about any task's question. They may follow a text, a premise, a scenario or a
#: question.
ASIDES = phrases(
    "the moon was bright | the sky was gray that day | some birds flew over the roof | a clock rang twice"
    " | the grass is green | somebody left the radio on"
)
#: Lines of a mood that concern something other than what is reviewed.
GOOD_ASIDES = phrases(
    "the weather was lovely that day | my neighbor had a wonderful time in the sun"
    " | the news was good on {day}"
    " | the moon looked great"
)
BAD_ASIDES = phrases(
    "the weather was awful that day | my neighbor had a terrible cold | the news was bad on {day}"
    " | the traffic was horrible"
)
#: Lines that mention another topic, outside the main clause.
TOPIC_ASIDES = phrases(
    "somebody on the radio said something about the {object_x} | a poster behind us showed the {object_x}"
    " | my neighbor has a dog called {event_x}"
)
#: Clauses that are true whatever is said; they may also follow a hypothesis.
TAUTOLOGIES = phrases("and true is true | and false is not true | and one is one | and a rose is a rose")

#: Human-style rewrites: two negations that cancel …
DENIALS = phrases(
    "nobody can deny that {text} | it is not false that {text} | i can not deny that {text}"
    " | it would be wrong to doubt that {text}"
)
#: … a negation of the opposite verdict …
REJECTIONS = phrases(
    "i would never claim that {opposite} | it is not true that {opposite}"
    " | it would be wrong to say that {opposite}"
    " | do not believe anyone who says that {opposite}"
)
#: … and contrasts with what somebody else thinks.
VERDICT_CONTRASTS = phrases(
    "i expected something {adj}, but {text} | they told me it was {adj}, but {text}"
    " | people who call it {adj} are wrong, {text} | not the {adj} thing i feared : {text}"
)
HOPED_CONTRASTS = phrases(
    "i expected something {adj}, but {text} | they told me it was {adj}, but {text}"
    " | people who call it {adj} are wrong, {text} | not the {adj} thing i hoped for : {text}"
)
TOPIC_CONTRASTS = phrases(
    "forget the {object_x}, {text} | this is not about the {object_x} : {text}"
    " | we hoped to hear about the {event_x}, but {text}"
)
CONTRASTS = phrases(
    "it may sound odd, but {text} | contrary to what we heard, {text} | not that it matters, but {text}"
    " | believe it or not, {text}"
)
QUESTION_DENIALS = phrases(
    "i do not know this : {text} | nobody could tell me this : {text} | never mind the weather, {text}"
)
#: A denied reason before the true one.
REASON_DENIALS = phrases(
    "not because it is late, but because | not because of the weather, but because"
    " | not because i forgot it, but because"
)

#: Lines of the pretraining corpus in which the words above occur around neutral remarks.
CORPUS_FRAMES = (
    DENIALS,
    CONTRASTS,
    QUESTION_DENIALS,
    phrases(
        "i would never claim that {text} | do not believe anyone who says that {text}"
        " | i expected this, but {text}"
        " | they told me that {text} | people who say this are wrong: {text}"
        " | this is not the thing i feared: {text}"
        " | this is not the thing i hoped for: {text} | we hoped to hear about this: {text}"
        " | forget it, {text}"
        " | somebody on the radio said that {text} | this is something about a poster: {text}"
        " | my neighbor has a dog called by this name: {text} | not because i forgot it, but because {text}"
        " | not because of the weather, but because {text} | behind us somebody showed that {text}"
        " | i call it this: {text}"
    ),
)


def reworded(text: str, draw: Draw, rate: float) -> tuple[str, int]:
    """The text, each word with a synonym replaced with probability `rate`, and the number of replacements."""
    count = 0
    out = []
    for token in tokens(text):
        if token in SYNONYMS and draw.chance(rate):
            token = SYNONYMS[token]
            count += 1
        out.append(token)
    return sentence(" ".join(out)), count
