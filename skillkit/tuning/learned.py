"""Did the prompts learn their task? What neurons do under a prompt that did not says nothing about the task.

A prompt has learned when its accuracy on the validation split is above the share of the most frequent class
there, by more than chance explains. Prompts that did not are left out of a page's measurements; where none
did, the page's claims are *not tested*.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from skillkit.errors import SkillkitError
from skillkit.models.prompts import SoftPrompt
from skillkit.stats.measurement import proportion

ADVICE = "Try more steps (`-p steps=…`), another learning rate (`-p learning_rate=…`) or a longer prompt."


@dataclass(frozen=True)
class Learned:
    """The prompts of a page that it measures with.

    Attributes:
        prompts: by seed: those that learned their task, or all of them where none did.
        failed: for each seed whose prompt did not learn, why we say so.
    """

    prompts: dict[int, SoftPrompt]
    failed: dict[int, str]

    @property
    def seeds(self) -> list[int]:
        """The seeds of the prompts, in their order."""
        return list(self.prompts)

    @property
    def why_not(self) -> str:
        """Why nothing can be claimed with these prompts; empty where at least one has learned."""
        if not self.failed.keys() & self.prompts.keys():
            return ""
        return "no prompt has learned the task"

    @property
    def note(self) -> str:
        """What a reader must know before the first figure, as Markdown; empty where all prompts learned."""
        if not self.failed:
            return ""
        listed = "; ".join(self.failed.values())
        if self.why_not:
            return (
                f"**No prompt has learned this task**: {listed}. What the neurons do under such a prompt "
                f"says nothing about the task, so no claim of this page is tested. {ADVICE}"
            )
        return f"**Left out**, because they did not learn the task: {listed}. {ADVICE}"


def which_learned(prompts: Mapping[int, SoftPrompt]) -> Learned:
    """Tell the prompts that learned their task from those that did not.

    What `tune_prompt` found on the validation split stands in a prompt's `meta`. A prompt without it (made by
    hand, or released by others) is taken as it is.

    Args:
        prompts: by seed.

    Raises:
        SkillkitError: no prompt is given.
    """
    if not prompts:
        raise SkillkitError("There is no prompt to look at. Give at least one seed.")
    failed = {seed: reason for seed, prompt in prompts.items() if (reason := _failure(seed, prompt))}
    kept = {seed: prompt for seed, prompt in prompts.items() if seed not in failed}
    return Learned(kept or dict(prompts), failed)


@dataclass(frozen=True)
class LearnedTasks:
    """The tasks of a page that compares tasks.

    Attributes:
        tasks: those whose prompts all learned, or all of them where fewer than two are such.
        failed: for each other task, why we say so.
    """

    tasks: list[str]
    failed: dict[str, str]

    @property
    def why_not(self) -> str:
        """Why nothing can be claimed with these tasks; empty where at least two are left."""
        if not self.failed.keys() & set(self.tasks):
            return ""
        return "fewer than two tasks have prompts that learned"

    @property
    def note(self) -> str:
        """What a reader must know before the first figure, as Markdown; empty where all prompts learned."""
        if not self.failed:
            return ""
        if self.why_not:
            return f"**No claim of this page is tested**: {self.why_not}. {ADVICE} Missing: {self._listed}."
        return f"**Left out**, because not all of their prompts learned: {self._listed}. {ADVICE}"

    @property
    def _listed(self) -> str:
        return "; ".join(f"{task} ({reason})" for task, reason in self.failed.items())


def which_tasks_learned(prompts: Mapping[str, Mapping[int, SoftPrompt]]) -> LearnedTasks:
    """Tell the tasks whose prompts all learned from those where one or more did not.

    Args:
        prompts: by task and seed.

    Raises:
        SkillkitError: a task has no prompt.
    """
    found = {task: which_learned(by_seed) for task, by_seed in prompts.items()}
    failed = {task: "; ".join(each.failed.values()) for task, each in found.items() if each.failed}
    kept = [task for task in prompts if task not in failed]
    return LearnedTasks(kept if len(kept) > 1 else list(prompts), failed)


def _failure(seed: int, prompt: SoftPrompt) -> str:
    """Why a prompt does not count as one that has learned; empty where it does."""
    try:
        accuracy, examples, majority = (
            prompt.meta[f"validation_{name}"] for name in ("accuracy", "examples", "majority")
        )
    except KeyError:
        return ""
    found = proportion(round(accuracy * examples), examples, "texts")
    if found.low > majority:
        return ""
    return (
        f"the prompt of seed {seed} answers {accuracy:.0%} of {examples} validation texts right "
        f"({found.low:.0%} to {found.high:.0%}), and always guessing the largest class {majority:.0%}"
    )
