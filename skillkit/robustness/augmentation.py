"""Attacked copies of training texts, to tune prompts with."""

from datasets import Dataset

from skillkit.checks import Seed, check_arguments
from skillkit.classroom.attacks import ATTACKS, TRIES, misspell
from skillkit.classroom.drawing import Draw, Example, bucket
from skillkit.classroom.lexicon.attacks import TAUTOLOGIES
from skillkit.classroom.splits import SIZES, draw_examples
from skillkit.classroom.tasks import TASKS as BUNDLED_TASKS
from skillkit.data.tasks import Task
from skillkit.errors import unknown

METHODS = ("typo", "distractor")


@check_arguments
def attacked_copy(
    dataset: Dataset, task: Task, *, methods: tuple[str, ...] = METHODS, split: str = "train", seed: Seed = 0
) -> Dataset:
    """The same rows, each text attacked by one method drawn at random.

    Bundled tasks are attacked by their own rules, which know what keeps the label, and only to texts that
    belong to the same split, so that no text of another split is met. Other tasks get misspelt words, or a
    tautology at the end.

    Args:
        dataset: the rows.
        task: their task.
        methods: to draw from; a row that the drawn one does not fit stays as it is.
        split: that the rows belong to.
        seed: of the draws.

    Returns:
        The rows with a column `method`, which says what was done, "none" where nothing was.

    Raises:
        SkillkitError: an unknown method.
    """
    for method in methods:
        if method not in METHODS:
            raise unknown("attack for augmentation", method, METHODS)
    examples = _bundled_examples(task, split)
    columns: dict[str, list[str]] = {name: [] for name in (*task.text_columns, "method")}
    for row, texts in enumerate(zip(*(dataset[c][:] for c in task.text_columns), strict=True)):
        draw = Draw("augment", task.name, split, seed, row)
        method = draw.choice(methods)
        new = (
            _bundled_attack(examples[texts], task, method, split, draw)
            if texts in examples
            else _plain_attack(texts, method, draw)
        )
        changed = new is not None and new != texts
        for column, text in zip(task.text_columns, new if changed and new else texts, strict=True):
            columns[column].append(text)
        columns["method"].append(method if changed else "none")
    kept = dataset.remove_columns([c for c in columns if c in dataset.column_names])
    for column, values in columns.items():
        kept = kept.add_column(column, values)  # type: ignore[call-arg]
    return kept


def _bundled_examples(task: Task, split: str) -> dict[tuple[str, ...], Example]:
    """The bundled task's examples of a split by their texts; none for other tasks."""
    if task.name not in BUNDLED_TASKS:
        return {}
    return {
        example.texts: example for example in draw_examples(BUNDLED_TASKS[task.name], split, SIZES[split], 0)
    }


def _bundled_attack(
    example: Example, task: Task, method: str, split: str, draw: Draw
) -> tuple[str, ...] | None:
    (attack,) = [each for each in ATTACKS if each.method == method]
    for _ in range(TRIES):
        texts = attack.apply(example, BUNDLED_TASKS[task.name], draw)
        if texts is not None and texts != example.texts and bucket(texts) == split:
            return texts
    return None


def _plain_attack(texts: tuple[str, ...], method: str, draw: Draw) -> tuple[str, ...] | None:
    """For tasks of which nothing is known: a slip in up to two long words, or a tautology at the end."""
    column = draw.below(len(texts))
    if method == "distractor":
        new = f"{texts[column]} {draw.choice(TAUTOLOGIES.seen)} ."
    else:
        words = texts[column].split(" ")
        long = [
            i
            for i, word in enumerate(words)
            if len(word) >= 5 and word.isascii() and word.isalpha() and word.islower()
        ]
        for place in draw.shuffled(long)[: 1 + draw.below(2)]:
            words[place] = misspell(words[place], draw)
        new = " ".join(words)
    return tuple(new if i == column else text for i, text in enumerate(texts))
