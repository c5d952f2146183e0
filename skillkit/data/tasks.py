"""The task table: what each task asks, in which columns, with which answers, and where its data lives.

Labels are numbered as in the data set's most common published form (GLUE order for GLUE tasks). Label words
come in three
schemes: ``own`` (chosen here, one natural word per label), ``wang`` (Wang et al. 2022: the same sentiment
    words for every task)
and ``su`` (Su et al. 2022: the token ids of their released code, per model family).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from skillkit.classroom.tasks import TASKS as BUNDLED_TASKS
from skillkit.errors import SkillkitError, unknown

#: A label word: text for the tokenizer, or a token id where a paper's code fixes one.
LabelWord = str | int

SCHEMES = ("own", "wang", "su")

# Wang et al.'s code uses these for every task with that many labels (their `modelzoo.py`).
WANG_WORDS: dict[int, tuple[str, ...]] = {
    2: ("negative", "positive"),
    3: ("negative", "neutral", "positive"),
    4: ("conflict", "negative", "neutral", "positive"),
}


@dataclass(frozen=True)
class HubSource:
    """Where a task lives on the Hugging Face Hub.

    ``splits`` maps our split names to the Hub's; a missing ``validation`` is cut from train. ``files``
    replaces them for repositories of plain CSV files. ``rename`` maps Hub columns to ours. ``revision`` is a
    commit, None where none is known.
    """

    repository: str
    config: str | None = None
    splits: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    rename: dict[str, str] = field(default_factory=dict)
    revision: str | None = None


@dataclass(frozen=True)
class Task:
    """One classification task.

    ``text_columns`` holds one or two names; ``labels`` the label names in the order of the label integers;
    ``twins`` the adversarial versions of this task; ``clean`` the task whose prompt an adversarial version is
    evaluated with.
    """

    name: str
    type: str
    text_columns: tuple[str, ...]
    labels: tuple[str, ...]
    words: tuple[LabelWord, ...]
    su_words: Mapping[str, tuple[LabelWord, ...]] = field(default_factory=dict)
    hub: HubSource | None = None
    twins: tuple[str, ...] = ()
    clean: str | None = None

    @property
    def twin(self) -> str | None:
        """The name of the (first) adversarial version, None where there is none."""
        return self.twins[0] if self.twins else None

    @property
    def is_pair(self) -> bool:
        """Whether each example is a pair of texts."""
        return len(self.text_columns) == 2

    def label_words(self, scheme: str = "own", family: str = "masked-lm") -> tuple[LabelWord, ...]:
        """One word (or token id) per label.

        Raises:
            SkillkitError: the scheme is unknown, or has no words for this task and model family.
        """
        if scheme == "own":
            return self.words
        if scheme == "wang" and len(self.labels) in WANG_WORDS:
            return WANG_WORDS[len(self.labels)]
        if scheme == "su" and family in self.su_words:
            return self.su_words[family]
        if scheme not in SCHEMES:
            raise unknown("label-word scheme", scheme, SCHEMES)
        raise SkillkitError(
            f"The label-word scheme {scheme!r} has no words for task {self.name!r} "
            f"({len(self.labels)} labels, {family}). Use label_words='own'."
        )


# Su et al.'s label words as token ids of the roberta and t5 v1.0 tokenizers, re-ordered to this table's label
# order (their MNLI/SNLI and QNLI labels run the other way). The T5 id 3 is the first piece ("▁") of their
# word "entailment".
_SU_SENTIMENT = {"masked-lm": (33407, 22173), "encoder-decoder": (2841, 1465)}
_SU_SENTIMENT3 = {"masked-lm": (33407, 19397, 22173), "encoder-decoder": (2841, 8107, 1465)}
_SU_NLI3 = {"masked-lm": (10932, 12516, 2362), "encoder-decoder": (3, 7163, 27252)}
_SU_NLI2 = {"masked-lm": (10932, 2362), "encoder-decoder": (3, 27252)}
_SU_PARAPHRASE = {"masked-lm": (22303, 29225), "encoder-decoder": (6136, 1176)}
_SU_ETHICS = {"masked-lm": (897, 32047), "encoder-decoder": (29452, 9961)}

_SENTIMENT: dict[str, Any] = dict(
    type="sentiment", labels=("negative", "positive"), words=("terrible", "great")
)
_SENTIMENT3: dict[str, Any] = dict(
    type="sentiment",
    labels=("negative", "neutral", "positive"),
    words=("terrible", "okay", "great"),
    su_words=_SU_SENTIMENT3,
)
_NLI3: dict[str, Any] = dict(
    type="inference",
    text_columns=("premise", "hypothesis"),
    labels=("entailment", "neutral", "contradiction"),
    words=("yes", "maybe", "no"),
    su_words=_SU_NLI3,
)
_NLI2: dict[str, Any] = dict(type="inference", labels=("entailment", "not_entailment"), words=("yes", "no"))
_PARAPHRASE: dict[str, Any] = dict(type="paraphrase", words=("different", "same"))
_QUESTIONS = ("question1", "question2")
_SENTENCES = ("sentence1", "sentence2")


# Commits of the Hub repositories, so that a study meets the same data next year. None: follow the newest.
_REVISIONS = {
    "AI-Secure/adv_glue": "e1abda026f687e917a8d9895469194736ebe872c",
    "cardiffnlp/tweet_eval": "b3a375baf0f409c77e6bc7aa35102b7b3534f8be",
    "cornell-movie-review-data/rotten_tomatoes": "aa13bc287fa6fcab6daf52f0dfb9994269ffea28",
    "fancyzhx/ag_news": "eb185aade064a813bc0b7f42de02595523103ca4",
    "fancyzhx/amazon_polarity": "9d9c45c18f8c3cf1b23a3c27917b60cbf28f3289",
    "fancyzhx/dbpedia_14": "9abd46cf7fc8b4c64290f26993c540b92aa145ac",
    "google-research-datasets/paws": "161ece9501cf0a11f3e48bd356eaa82de46d6a09",
    "nyu-mll/glue": "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c",
    "stanfordnlp/imdb": "e6281661ce1c48d982bc483cf8a173c1bbeb5d31",
    "stanfordnlp/snli": "cdb5c3d5eed6ead6e5a341c8e56e669bb666725b",
}


def _hub(repository: str, config: str | None = None, **splits: str) -> HubSource:
    return HubSource(repository, config, splits=splits, revision=_REVISIONS.get(repository))


def _glue(config: str, test: str = "validation") -> HubSource:
    """GLUE's test labels are hidden, so its dev split is the test split and validation is cut from train."""
    return _hub("nyu-mll/glue", config, train="train", test=test)


def _adv_glue(config: str) -> HubSource:
    return _hub("AI-Secure/adv_glue", config, test="validation")


def _whole(repository: str, config: str | None = None) -> HubSource:
    return _hub(repository, config, train="train", validation="validation", test="test")


def _without_validation(repository: str) -> HubSource:
    return _hub(repository, train="train", test="test")


def _ethics(part: str, rename: dict[str, str]) -> HubSource:
    files = {split: f"data/{part}/{split}.csv" for split in ("train", "test")}
    return HubSource("hendrycks/ethics", files=files, rename=rename)


_ROWS: tuple[Task, ...] = (
    # sentiment
    Task(
        "sst2",
        text_columns=("sentence",),
        hub=_glue("sst2"),
        twins=("adv_sst2",),
        su_words=_SU_SENTIMENT,
        **_SENTIMENT,
    ),
    Task(
        "imdb",
        text_columns=("text",),
        hub=_without_validation("stanfordnlp/imdb"),
        su_words=_SU_SENTIMENT,
        **_SENTIMENT,
    ),
    Task(
        "rotten_tomatoes",
        text_columns=("text",),
        hub=_whole("cornell-movie-review-data/rotten_tomatoes"),
        **_SENTIMENT,
    ),
    Task("movie_rationales", text_columns=("review",), su_words=_SU_SENTIMENT, **_SENTIMENT),
    Task(
        "amazon_polarity",
        text_columns=("title", "content"),
        hub=_without_validation("fancyzhx/amazon_polarity"),
        **_SENTIMENT,
    ),
    Task(
        "tweet_eval_sentiment",
        text_columns=("text",),
        hub=_whole("cardiffnlp/tweet_eval", "sentiment"),
        **_SENTIMENT3,
    ),
    Task("laptop", text_columns=("text", "aspect"), **_SENTIMENT3),
    Task("restaurant", text_columns=("text", "aspect"), **_SENTIMENT3),
    # inference
    Task("mnli", hub=_glue("mnli", "validation_matched"), twins=("adv_mnli", "adv_mnli_mm"), **_NLI3),
    Task(
        "mnli_mismatched",
        hub=_hub("nyu-mll/glue", "mnli", test="validation_mismatched"),
        clean="mnli",
        twins=("adv_mnli_mm",),
        **_NLI3,
    ),
    Task("snli", hub=_whole("stanfordnlp/snli"), **_NLI3),
    Task(
        "qnli",
        text_columns=("question", "sentence"),
        hub=_glue("qnli"),
        twins=("adv_qnli",),
        su_words=_SU_NLI2,
        **_NLI2,
    ),
    Task("rte", text_columns=_SENTENCES, hub=_glue("rte"), twins=("adv_rte",), **_NLI2),
    # paraphrase
    Task(
        "qqp",
        text_columns=_QUESTIONS,
        labels=("not duplicate", "duplicate"),
        hub=_glue("qqp"),
        twins=("adv_qqp",),
        su_words=_SU_PARAPHRASE,
        **_PARAPHRASE,
    ),
    Task(
        "mrpc",
        text_columns=_SENTENCES,
        labels=("not equivalent", "equivalent"),
        hub=_whole("nyu-mll/glue", "mrpc"),
        su_words=_SU_PARAPHRASE,
        **_PARAPHRASE,
    ),
    Task(
        "paws",
        text_columns=_SENTENCES,
        labels=("not paraphrase", "paraphrase"),
        hub=_whole("google-research-datasets/paws", "labeled_final"),
        **_PARAPHRASE,
    ),
    # topic
    Task(
        "ag_news",
        "topic",
        ("text",),
        ("World", "Sports", "Business", "Sci/Tech"),
        ("world", "sports", "business", "technology"),
        hub=_without_validation("fancyzhx/ag_news"),
    ),
    Task(
        "dbpedia_14",
        "topic",
        ("title", "content"),
        (
            "Company",
            "EducationalInstitution",
            "Artist",
            "Athlete",
            "OfficeHolder",
            "MeanOfTransportation",
            "Building",
            "NaturalPlace",
            "Village",
            "Animal",
            "Plant",
            "Album",
            "Film",
            "WrittenWork",
        ),
        (
            "company",
            "school",
            "artist",
            "player",
            "politician",
            "vehicle",
            "building",
            "river",
            "village",
            "animal",
            "plant",
            "album",
            "film",
            "book",
        ),
        hub=_without_validation("fancyzhx/dbpedia_14"),
    ),
    # ethics
    Task(
        "ethics_justice",
        "ethics",
        ("text",),
        ("unreasonable", "reasonable"),
        ("wrong", "right"),
        su_words=_SU_ETHICS,
        hub=_ethics("justice", {"scenario": "text"}),
    ),
    Task(
        "ethics_deontology",
        "ethics",
        ("scenario", "excuse"),
        ("unreasonable", "reasonable"),
        ("wrong", "right"),
        su_words=_SU_ETHICS,
        hub=_ethics("deontology", {}),
    ),
    # adversarial versions (AdvGLUE's public dev set; its test labels are hidden)
    Task(
        "adv_sst2",
        text_columns=("sentence",),
        hub=_adv_glue("adv_sst2"),
        clean="sst2",
        su_words=_SU_SENTIMENT,
        **_SENTIMENT,
    ),
    Task(
        "adv_qqp",
        text_columns=_QUESTIONS,
        labels=("not duplicate", "duplicate"),
        hub=_adv_glue("adv_qqp"),
        clean="qqp",
        su_words=_SU_PARAPHRASE,
        **_PARAPHRASE,
    ),
    Task(
        "adv_qnli",
        text_columns=("question", "sentence"),
        hub=_adv_glue("adv_qnli"),
        clean="qnli",
        su_words=_SU_NLI2,
        **_NLI2,
    ),
    Task("adv_mnli", hub=_adv_glue("adv_mnli"), clean="mnli", **_NLI3),
    Task("adv_mnli_mm", hub=_adv_glue("adv_mnli_mismatched"), clean="mnli", **_NLI3),
    Task("adv_rte", text_columns=_SENTENCES, hub=_adv_glue("adv_rte"), clean="rte", **_NLI2),
)

#: The public tasks by name. The bundled classroom tasks are in ``skillkit.classroom.tasks``.
TASKS: dict[str, Task] = {task.name: task for task in _ROWS}


def _bundled() -> dict[str, Task]:
    """The bundled tasks and their twins as rows of the same kind."""
    return {
        bundled.name: Task(
            bundled.name,
            bundled.type,
            bundled.text_columns,
            bundled.labels,
            bundled.label_words,
            twins=(bundled.twin,) if bundled.twin else (),
            clean=bundled.original,
        )
        for bundled in BUNDLED_TASKS.values()
    }


def all_tasks() -> dict[str, Task]:
    """Every task, bundled ones first."""
    return {**_bundled(), **TASKS}


def get_task(name: str) -> Task:
    """The row of a task.

    Raises:
        SkillkitError: there is no such task (the message names the nearest one), or the name is no text.
    """
    if not isinstance(name, str):
        raise SkillkitError(f"A task is asked for by its name, such as 'sst2', not by {name!r:.60}.")
    if name in TASKS:
        return TASKS[name]
    tasks = all_tasks()
    if name not in tasks:
        raise unknown("task", name, tasks, "A task of your own is a row in skillkit/data/tasks.py.")
    return tasks[name]
