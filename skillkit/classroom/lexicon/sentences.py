"""Words of the acceptability task. Nouns are singular/plural, intransitive verbs base/third person/past,
transitive ones base/past.
"""

from __future__ import annotations

from skillkit.classroom.drawing import phrases, words

NOUNS = words(
    "boy/boys girl/girls doctor/doctors teacher/teachers farmer/farmers painter/painters singer/singers"
    " lawyer/lawyers"
    " nurse/nurses soldier/soldiers writer/writers pilot/pilots king/kings guest/guests",
    "dancer/dancers judge/judges thief/thieves",
)
THINGS = words(
    "table/tables chair/chairs letter/letters box/boxes house/houses garden/gardens window/windows tree/trees"
    " picture/pictures lamp/lamps key/keys book/books",
    "mirror/mirrors clock/clocks",
)
LINKS = words("near behind beside with", "opposite")
STATES = words("tired happy old busy quiet famous late", "hungry proud")
INTRANSITIVE = words(
    "work/works/worked sleep/sleeps/slept smile/smiles/smiled sing/sings/sang travel/travels/traveled"
    " wait/waits/waited laugh/laughs/laughed",
    "whisper/whispers/whispered",
)
TRANSITIVE = words(
    "like/liked see/saw paint/painted sell/sold open/opened move/moved clean/cleaned",
    "describe/described",
)
HABITS = phrases("every day | every {day} | in the {season}", "most mornings")
PAST_TIMES = phrases("yesterday | last {day} | last {season}", "an hour ago")
FUTURE_TIMES = phrases("tomorrow | next {day} | next {season}", "very soon")
SELF_VERBS = words("hurt saw described praised blamed", "trusted")
#: noun and the reflexive that fits
SELVES = words(
    "man/himself woman/herself boy/himself girl/herself king/himself queen/herself", "prince/himself"
)
CASE = words("he/him she/her they/them we/us", "i/me")
#: singular/plural
COPULAS = phrases("is/are | was/were | has been/have been")
DETERMINERS = words("this/these that/those a/many")
CASE_VERBS = words("saw liked praised blamed")
HELPERS = phrases("did not | will | can")
FUTURE, INFINITIVE = "will", "to"
CARRIERS = phrases(
    "{body} | {body} | i think that {body} | we all know that {body}", "my {relative} said that {body}"
)
