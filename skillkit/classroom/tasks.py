"""The bundled tasks: `TASKS` lists them and their adversarial twins `adv_<task>`."""

from __future__ import annotations

from functools import partial

from skillkit.classroom.grammar.chores import draw_excuse
from skillkit.classroom.grammar.questions import draw_question_pair
from skillkit.classroom.grammar.reviews import draw_review
from skillkit.classroom.grammar.scenes import draw_home_pair, draw_park_pair
from skillkit.classroom.grammar.sentences import draw_sentence
from skillkit.classroom.grammar.topics import draw_topic
from skillkit.classroom.kinds import ClassroomTask
from skillkit.errors import unknown

FACTORS: dict[str, str] = {
    "label": "the label, noise included",
    "sign": "polarity of the deciding word, +1 or -1",
    "negated": "the deciding clause, the hypothesis or the excuse has a negation",
    "minor": "polarity of a clause that is set aside, 0 if there is none",
    "part": "part of speech of the deciding word",
    "topic": "topic of the main clause",
    "other": "topic of another word in the sentence",
    "truth": "what the premise says about the hypothesis",
    "kind": "what is told (an act alone or between two, a state), or asked (an action, a route)",
    "general": "the hypothesis also has a more general word that does not decide",
    "form": "sentence pattern of the premise, by number",
    "relation": "what the second text changes in the first",
    "phenomenon": "the rule of grammar that is kept or broken",
    "plural": "the subject is plural",
    "attractor": "a noun of another number stands between subject and verb",
    "matched": "the excuse is about this chore (1), another (0), or the speaker (2)",
    "reason": "the kind of excuse",
    "held_out_word": "has a word that only the test split has",
    "held_out_template": "has a sentence pattern that only the test split has",
    "noise": "the label was flipped on purpose",
}
"""What the generating factors of few values mean; the others are described in the grammar modules."""


def _review(domain: str, noise: float) -> ClassroomTask:
    return ClassroomTask(
        name=f"{domain}_sentiment",
        type="sentiment",
        text_columns=("sentence",),
        labels=("negative", "positive"),
        label_words=("bad", "good"),
        noise=noise,
        description=f"Does the writer like the {domain}? A negation flips a word; "
        "a contrast sets one verdict aside.",
        rule=partial(draw_review, domain_name=domain),
    )


_CLEAN = (
    _review("film", 0.03),
    _review("food", 0.03),
    _review("gadget", 0.03),
    ClassroomTask(
        name="daily_topic",
        type="topic",
        text_columns=("sentence",),
        labels=("sport", "cooking", "travel", "science"),
        label_words=("sport", "cooking", "travel", "science"),
        noise=0.02,
        description="What is the main clause about? Another topic may be mentioned beside it.",
        rule=draw_topic,
    ),
    ClassroomTask(
        name="park_entailment",
        type="inference",
        text_columns=("premise", "hypothesis"),
        labels=("not_entailment", "entailment"),
        label_words=("no", "yes"),
        noise=0.03,
        description="Does the premise make the hypothesis true? Two-way; "
        "things people and animals do outdoors.",
        rule=draw_park_pair,
    ),
    ClassroomTask(
        name="home_inference",
        type="inference",
        text_columns=("premise", "hypothesis"),
        labels=("entailment", "neutral", "contradiction"),
        label_words=("yes", "maybe", "no"),
        noise=0.03,
        description="Is the hypothesis true, open or false given the premise? Three-way; "
        "what happens in a house.",
        rule=draw_home_pair,
    ),
    ClassroomTask(
        name="question_paraphrase",
        type="paraphrase",
        text_columns=("question1", "question2"),
        labels=("different", "same"),
        label_words=("different", "same"),
        noise=0.03,
        description="Do two questions ask the same thing?",
        rule=draw_question_pair,
    ),
    ClassroomTask(
        name="sentence_acceptability",
        type="acceptability",
        text_columns=("sentence",),
        labels=("unacceptable", "acceptable"),
        label_words=("wrong", "right"),
        noise=0.03,
        description="Is the sentence grammatical? Agreement, tense, case, reflexives, word order.",
        rule=draw_sentence,
    ),
    ClassroomTask(
        name="chore_excuse",
        type="ethics",
        text_columns=("scenario", "excuse"),
        labels=("unreasonable", "reasonable"),
        label_words=("invalid", "valid"),
        noise=0.03,
        description="Is the excuse a valid reason for not doing the chore?",
        rule=draw_excuse,
    ),
)


def _with_twin(task: ClassroomTask) -> tuple[ClassroomTask, ClassroomTask]:
    twin_name = f"adv_{task.name}"
    shared = {key: getattr(task, key) for key in ("type", "text_columns", "labels", "label_words", "rule")}
    twin = ClassroomTask(
        name=twin_name,
        noise=0.0,
        original=task.name,
        description=f"Test examples of {task.name} under word, sentence and human-style attacks "
        "that keep the label.",
        **shared,
    )
    return ClassroomTask(**{**task.__dict__, "twin": twin_name}), twin


#: Every bundled task and twin by name.
TASKS: dict[str, ClassroomTask] = {task.name: task for clean in _CLEAN for task in _with_twin(clean)}


def find_task(name: str) -> ClassroomTask:
    """The task of that name.

    Raises:
        SkillkitError: there is none; the message lists the bundled tasks.
    """
    if not isinstance(name, str) or name not in TASKS:
        raise unknown("bundled task", name, TASKS)
    return TASKS[name]
