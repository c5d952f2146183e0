"""A task's splits from the Hugging Face Hub."""

from datasets import ClassLabel, Dataset, load_dataset

from skillkit.data.rows import Rows, checked_rows
from skillkit.data.tables import Table
from skillkit.data.tasks import HubSource, Task
from skillkit.errors import SkillkitError


def read_hub(task: Task) -> dict[str, Rows]:
    """The splits of a task that its row in the task table names.

    Raises:
        SkillkitError: the task is not on the Hub, there is no network, or the data are not those expected.
    """
    hub = task.hub
    if hub is None:
        raise SkillkitError(
            f"Task {task.name!r} is not on the Hub in a form that can be loaded. "
            f"Set SKILLKIT_DATA to a folder that holds {task.name}/train.parquet and so on."
        )
    try:
        loaded = _load(hub)
    except Exception as error:
        raise SkillkitError(
            f"Task {task.name!r} could not be loaded from the Hub ({hub.repository}): "
            f"{type(error).__name__}: {error}. Without network, set SKILLKIT_DATA to a folder of task "
            "folders, or use a bundled task."
        ) from error
    return {
        split: checked_rows(_table(dataset, hub, split), task, split) for split, dataset in loaded.items()
    }


def _load(hub: HubSource) -> dict[str, Dataset]:
    if hub.files:
        loaded = load_dataset(hub.repository, data_files=hub.files, revision=hub.revision)
        return {split: loaded[split] for split in hub.files}
    return {
        ours: load_dataset(hub.repository, hub.config, split=theirs, revision=hub.revision)
        for ours, theirs in hub.splits.items()
    }


def _table(dataset: Dataset, hub: HubSource, split: str) -> Table:
    label = dataset.features.get("label")
    arrow = dataset.with_format("arrow")[:]
    return Table(
        {hub.rename.get(name, name): arrow[name] for name in arrow.column_names},
        f"the {split} split of {hub.repository} on the Hub",
        f"the {split} split of {hub.repository}",
        label_names=tuple(label.names) if isinstance(label, ClassLabel) else None,
    )
