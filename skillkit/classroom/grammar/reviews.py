"""Reviews with a good or bad verdict: negation flips a word, and a contrast puts the other verdict aside.

Factors: `sign` (+1/-1, polarity of the deciding word), `negated` (the deciding clause), `minor` (polarity of
the clause that is set aside, 0 where there is none), `aspect` (the noun judged), `key` (the deciding word),
`part` (adjective, verb or noun), `frame` and `template` (names in lexicon.reviews).
"""

from __future__ import annotations

from dataclasses import dataclass

from skillkit.classroom.drawing import Example, Picker, sentence
from skillkit.classroom.lexicon.common import DAYS, MONTHS, NUMBERS, RELATIVES, REMARKS
from skillkit.classroom.lexicon.reviews import (
    ADJECTIVE_CLAUSES,
    BAD,
    BAD_NOUNS,
    BAD_VERBS,
    CONTRAST_FRAMES,
    DOMAINS,
    GOOD,
    GOOD_NOUNS,
    GOOD_VERBS,
    INTENSIFIERS,
    NOUN_CLAUSES,
    PLAIN_FRAMES,
    VERB_CLAUSES,
    Domain,
)

VERDICTS = ("bad", "good")


@dataclass(frozen=True)
class Clause:
    """A filled clause and the choices behind it."""

    text: str
    key: str
    sign: int
    negated: bool
    part: str
    template: str


def draw_review(picker: Picker, label: int, domain_name: str) -> Example:
    """A review whose verdict is `label` (0 bad, 1 good)."""
    domain = DOMAINS[domain_name]
    wanted = 1 if label else -1
    contrast = picker.draw.chance(0.3)
    frame = picker.template(CONTRAST_FRAMES if contrast else PLAIN_FRAMES)
    whole = picker.word(domain.wholes)
    aspect = picker.word(domain.aspects)
    other_aspect = picker.word(domain.aspects, but=(aspect,))
    target = whole if contrast or picker.draw.chance(0.4) else aspect
    main = draw_clause(picker, domain, wanted, f"the {target}")
    slots = {"main": main.text}
    if "{same}" in frame.text:
        slots["same"] = draw_clause(picker, domain, wanted, f"the {other_aspect}", but=main.key).text
    if "{minor}" in frame.text:
        slots["minor"] = draw_clause(picker, domain, -wanted, f"the {other_aspect}", but=main.key).text
    if "{other}" in frame.text:
        slots["other"] = picker.word(BAD_VERBS if label else GOOD_VERBS).split("/")[1] + " it"
    if "{context}" in frame.text:
        slots["context"] = remark(picker, domain)
    return Example(
        texts=(sentence(frame.text.format(**slots)),),
        label=label,
        factors={
            "sign": main.sign,
            "negated": int(main.negated),
            "minor": -wanted if contrast else 0,
            "aspect": target,
            "key": main.key,
            "part": main.part,
            "frame": frame.name,
            "template": main.template,
            **picker.flags,
        },
        answers={
            "mood": VERDICTS[label],
            "domain": domain_name,
            "subject": target,
            "word": main.key,
            "negated": "yes" if main.negated else "no",
            "contrast": "yes" if contrast else "no",
        },
        key=(main.key,),
    )


def draw_clause(picker: Picker, domain: Domain, polarity: int, thing: str, but: str = "") -> Clause:
    """A clause that says something good (+1) or bad (-1) about `thing`, by a word of either sign."""
    negated = picker.draw.chance(0.25)
    sign = -polarity if negated else polarity
    part = picker.draw.weighted({"adjective": 0.7, "verb": 0.18, "noun": 0.12})
    if part == "adjective":
        local = domain.good if sign > 0 else domain.bad
        pool = local if picker.draw.chance(0.35) else (GOOD if sign > 0 else BAD)
        key = picker.word(pool, but=(but,))
        strong = "" if negated or not picker.draw.chance(0.3) else picker.word(INTENSIFIERS) + " "
        template, slots = picker.template(ADJECTIVE_CLAUSES), {"adj": strong + key}
    elif part == "verb":
        base, key = picker.word(GOOD_VERBS if sign > 0 else BAD_VERBS).split("/")
        template, slots = picker.template(VERB_CLAUSES), {"base": base, "past": key}
    else:
        key = picker.word(GOOD_NOUNS if sign > 0 else BAD_NOUNS, but=(but,))
        template, slots = picker.template(NOUN_CLAUSES), {"noun": key}
    text = picker.draw.choice(template.negated) if negated else template.text
    key = slots["base"] if part == "verb" and "{base}" in text else key
    return Clause(text.format(thing=thing, **slots), key, sign, negated, part, template.name)


def remark(picker: Picker, domain: Domain | None = None) -> str:
    """A neutral clause, of the domain or general."""
    pool = domain.contexts if domain and picker.draw.chance(0.6) else REMARKS
    return picker.word(pool).format(
        relative=picker.word(RELATIVES),
        day=picker.word(DAYS),
        month=picker.word(MONTHS),
        number=picker.word(NUMBERS),
    )
