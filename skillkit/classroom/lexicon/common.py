"""Words that several grammars use: people, times, and neutral remarks that never decide a label."""

from __future__ import annotations

from skillkit.classroom.drawing import phrases, words

RELATIVES = words("brother sister cousin uncle aunt mother father friend neighbor", "nephew grandmother")
DAYS = words("monday tuesday wednesday thursday friday saturday sunday")
MONTHS = words("january march april june july september october november")
SEASONS = words("spring summer autumn winter")
NUMBERS = words("two three four five six seven")

#: Neutral remarks: {relative}, {day}, {month}, {number} are filled in.
REMARKS = phrases(
    "it was raining outside | we came home on {day} | my {relative} was there too | it was late on {day}"
    " | the bus was on time | my {relative} sat next to me | it took us {number} hours | that was in {month}"
    " | i wrote this on {day} | my {relative} asked about it | we talked for {number} minutes",
    "my {relative} lives close by | the street was quiet on {day}",
)
