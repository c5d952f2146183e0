"""The prompts and results that Su et al. (2022) and Ackermann & Ohmer (2024) released, analysed again.

Everything reads a folder of neutral files (`SKILLKIT_REFERENCE`, or given):

    su_prompts_<model>.npz               one array [length, hidden] per task (roberta_base, t5_base, …)
    su_transfer_<model>.csv              source_task, target_task, metric: published zero-shot transfer
    su_ON_roberta_base_2021-09-10.csv    task_a, task_b, ON, transfer_a_to_b: the one published ON matrix
    su_prompts_roberta_base_2021-09-10.npz           the prompts of that matrix's commit
    ackermann_prompts_<model>_seed<seed>.npz         prompts by task; model: roberta, t5
    ackermann_prompt_training_meta.csv               model, seed, task, global_step, lr of each of them
    su_activated_neurons_t5xxl_training_steps.npz    packed 0/1 patterns [step, layer, width / 8]

`convert_repository` makes the first two from a checkout of github.com/thunlp/Prompt-Transferability. The ON
matrix is that repository's `del.txt` at commit 471a903255, its last column the results in `result/` there.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from skillkit.data.loading import load_task
from skillkit.errors import SkillkitError
from skillkit.models.backbones import Backbone, load_backbone
from skillkit.models.prompts import SoftPrompt, label_logits
from skillkit.stats.intervals import wilson
from skillkit.transfer.ranking import AGGREGATIONS, prediction, prediction_table
from skillkit.transfer.similarities import overlap_rate, same_type, similarities

Array = NDArray[np.float64]

VARIABLE = "SKILLKIT_REFERENCE"

TYPES = {
    "sentiment": ("IMDB", "SST2", "laptop", "restaurant", "movierationales", "tweetevalsentiment"),
    "inference": ("MNLI", "QNLI", "WNLI", "anli", "snli", "RTE"),
    "ethics": ("ethicsdeontology", "ethicsjustice"),
    "paraphrase": ("QQP", "MRPC"),
    "question answering": ("squad", "nq_open"),
    "summarisation": ("multi_news", "samsum"),
}
"""Su et al.'s task types, with the names that their files use."""

TASK_NAMES = {
    "IMDB": "imdb",
    "SST2": "sst2",
    "laptop": "laptop",
    "restaurant": "restaurant",
    "movierationales": "movie_rationales",
    "tweetevalsentiment": "tweet_eval_sentiment",
    "MNLI": "mnli",
    "QNLI": "qnli",
    "snli": "snli",
    "ethicsdeontology": "ethics_deontology",
    "ethicsjustice": "ethics_justice",
    "QQP": "qqp",
    "MRPC": "mrpc",
}
"""Their names for the tasks that skillkit has, and ours."""

EVALUATION_BATCH = 64
"""Their evaluation dropped the last partial batch of this size: it saw floor(N / 64) * 64 of N examples."""

EVALUATION_SIZES = {
    "SST2": 872,
    "MRPC": 408,
    "movierationales": 199,
    "restaurant": 1120,
    "tweetevalsentiment": 2000,
    "ethicsdeontology": 3596,
    "ethicsjustice": 2704,
}
"""Official sizes N of the splits they evaluated on, where N is small enough to be told from 4 decimals."""

_AS_SU = {"layout": "su", "label_words": "su"}


@dataclass(frozen=True)
class Release:
    """Prompts [tasks, length, hidden] of one model and their published transfer [source, target] (NaN: not
    published).

    `overlap` is the published ON [tasks, tasks] where there is one.
    """

    name: str
    tasks: tuple[str, ...]
    prompts: Array
    transfer: Array
    overlap: Array | None = None

    @property
    def types(self) -> list[str]:
        """The type of each task."""
        return [_type_of(task) for task in self.tasks]

    def select(self, name: str, tasks: Sequence[str]) -> Release:
        """The same release with these tasks alone."""
        rows = [self.tasks.index(task) for task in tasks]
        square = np.ix_(rows, rows)
        overlap = None if self.overlap is None else self.overlap[square]
        return Release(name, tuple(tasks), self.prompts[rows], self.transfer[square], overlap)


def reference_folder(folder: str | os.PathLike[str] | None = None) -> Path:
    """The folder given, or else the one that the environment variable SKILLKIT_REFERENCE names.

    Raises FileNotFoundError when there is none.
    """
    name = os.fspath(folder) if folder else os.environ.get(VARIABLE, "")
    if not name:
        raise FileNotFoundError(
            f"No folder of released prompts: set {VARIABLE} or give one. `skillkit released FOLDER --convert "
            "CHECKOUT` makes it from a checkout of github.com/thunlp/Prompt-Transferability."
        )
    path = Path(name)
    if not path.is_dir():
        raise FileNotFoundError(
            f"The folder of released prompts {path} does not exist; check {VARIABLE} or the path given."
        )
    return path


def read_prompts(folder: str | os.PathLike[str], model: str) -> dict[str, Array]:
    """The released prompts of a model, float64 [length, hidden] by task. Raises FileNotFoundError,
    ValueError.
    """
    return _read_arrays(Path(folder) / f"su_prompts_{model}.npz")


def releases(folder: str | os.PathLike[str] | None = None) -> list[Release]:
    """Every released model that the folder holds prompts and transfer results for.

    T5 comes twice, with all tasks and with the classification tasks alone; the data of 2021-09-10 too, with
    all 14 tasks and without the three that never trained (WNLI, ANLI, RTE: their own accuracy is at chance).
    """
    path = reference_folder(folder)
    found = []
    for results in sorted(path.glob("su_transfer_*.csv")):
        model = results.stem.removeprefix("su_transfer_")
        if not (path / f"su_prompts_{model}.npz").exists():
            continue  # results of another kind, such as those across models
        release = _release(model, read_prompts(path, model), _read_table(results))
        found.append(release)
        classified = [
            task for task in release.tasks if _type_of(task) not in ("question answering", "summarisation")
        ]
        if len(classified) < len(release.tasks):
            found.append(release.select(f"{model}, classification", classified))
    early = path / "su_ON_roberta_base_2021-09-10.csv"
    if early.exists():
        table = _read_table(early).rename(
            columns={"task_a": "source_task", "task_b": "target_task", "transfer_a_to_b": "metric"}
        )
        release = _release("roberta_base 2021-09-10", read_prompts(path, "roberta_base_2021-09-10"), table)
        trained = [task for task in release.tasks if task not in ("WNLI", "anli", "RTE")]
        found += [release, release.select("roberta_base 2021-09-10, trained", trained)]
    if not found:
        raise FileNotFoundError(f"{path} holds no su_transfer_<model>.csv with its su_prompts_<model>.npz.")
    return found


def metric_matrices(release: Release, *, skip_rows: int = 0) -> dict[str, Array]:
    """Every similarity of a release's tasks, [tasks, tasks] by name: four of embeddings, ON where
    published, same-type.
    """
    matrices = dict(similarities(list(release.prompts), skip_rows=skip_rows))
    if release.overlap is not None:
        matrices["ON"] = release.overlap
    matrices["same-type"] = same_type(release.types)
    return matrices


def correlations(release: Release, *, resamples: int = 1000) -> pd.DataFrame:
    """How well each similarity predicts the published transfer, with and without prompt row 0.

    One row per metric, aggregation and choice of rows: release, tasks (how many), rows ("all" or "without
    row 0"), metric, aggregation, value (Spearman), low, high (95 % bootstrap over tasks). ON and same-type
    do not depend on the rows and come once. `resamples=0` leaves out the intervals.
    """
    tables = []
    for skip, label in ((0, "all"), (1, "without row 0")):
        metrics = metric_matrices(release, skip_rows=skip)
        if skip:
            metrics = {name: matrix for name, matrix in metrics.items() if name not in ("ON", "same-type")}
        table = prediction_table(metrics, release.transfer, resamples=resamples)
        tables.append(table.assign(release=release.name, tasks=len(release.tasks), rows=label))
    first = ["release", "tasks", "rows"]
    whole = pd.concat(tables, ignore_index=True)
    return whole[[*first, *(name for name in whole.columns if name not in first)]]


def row_norms(release: Release) -> pd.DataFrame:
    """Length of each prompt's row 0 beside its other rows: task, row0, median (of the others), ratio.

    In the masked language models row 0 never reaches the model ([MASK] takes its place) but was trained all
    the same.
    """
    norms = np.linalg.norm(release.prompts, axis=2)
    median = np.median(norms[:, 1:], axis=1)
    return pd.DataFrame(
        {
            "release": release.name,
            "task": release.tasks,
            "row0": norms[:, 0],
            "median": median,
            "ratio": norms[:, 0] / median,
        }
    )


def norm_ordering(release: Release) -> float:
    """Mean over targets of the Spearman correlation of E_concat with minus the source prompt's norm.

    Near 1, E_concat ranks sources by their norm, whatever the target.
    """
    distance = similarities(list(release.prompts))["E_concat"]
    norms = np.linalg.norm(release.prompts.reshape(len(release.tasks), -1), axis=1)
    shortness = np.broadcast_to(-norms[:, None], distance.shape)
    return prediction(distance, shortness - shortness.min() + 1)["tgt_off"]


def training_norms(folder: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """How long each of Ackermann & Ohmer's prompts was tuned and how large it became.

    One row per prompt: model, seed, task, steps, learning_rate, norm (median length of rows 1 and on), row0.
    """
    path = reference_folder(folder)
    meta = _read_table(path / "ackermann_prompt_training_meta.csv")
    rows = []
    for (model, seed), group in meta.groupby(["model", "seed"], sort=False):
        prompts = _read_arrays(path / f"ackermann_prompts_{str(model).lower()}_seed{seed}.npz")
        for entry in group.itertuples():
            norms = np.linalg.norm(prompts[str(entry.task)], axis=1)
            rows.append(
                {
                    "model": model,
                    "seed": seed,
                    "task": entry.task,
                    "steps": entry.global_step,
                    "learning_rate": entry.lr,
                    "norm": float(np.median(norms[1:])),
                    "row0": float(norms[0]),
                }
            )
    return pd.DataFrame(rows)


def seed_similarity(folder: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Mean similarity of Ackermann & Ohmer's prompts of different seeds: model, metric, pairs, value, n.

    `pairs` is "same task" or "different task"; both are between different seeds, so that only the task
    differs.
    """
    path = reference_folder(folder)
    rows = []
    for model in ("roberta", "t5"):
        sets = [_read_arrays(file) for file in sorted(path.glob(f"ackermann_prompts_{model}_seed*.npz"))]
        prompts = [(seed, task, prompt) for seed, group in enumerate(sets) for task, prompt in group.items()]
        seeds, tasks = np.array([p[0] for p in prompts]), np.array([p[1] for p in prompts])
        other_seed = seeds[:, None] != seeds
        same = tasks[:, None] == tasks
        for metric, matrix in similarities([p[2] for p in prompts]).items():
            for label, mask in (("same task", same & other_seed), ("different task", ~same & other_seed)):
                chosen = matrix[mask]
                rows.append(
                    {
                        "model": model,
                        "metric": metric,
                        "pairs": label,
                        "value": chosen.mean(),
                        "n": chosen.size // 2,
                    }
                )
    return pd.DataFrame(rows)


def activation_history(folder: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """ON of T5-XXL activation patterns while two prompts (QQP, SNLI) were tuned.

    One row per step: activation ("final": gated product, "wi0": gate), step, pair ("QQP and SNLI", "QQP to
    its last", "SNLI to its last"), value.
    """
    path = reference_folder(folder) / "su_activated_neurons_t5xxl_training_steps.npz"
    with _open(path) as stored:
        patterns = {key: np.unpackbits(stored[key], axis=-1).astype(bool) for key in stored.files}
    rows = []
    for kind in ("final", "wi0"):
        first, second = patterns[f"{kind}_QQP"], patterns[f"{kind}_snli"]
        pairs = {
            "QQP and SNLI": list(zip(first, second, strict=False)),
            "QQP to its last": [(pattern, first[-1]) for pattern in first],
            "SNLI to its last": [(pattern, second[-1]) for pattern in second],
        }
        for pair, compared in pairs.items():
            for index, (one, other) in enumerate(compared):
                rows.append(
                    {
                        "activation": kind,
                        "step": 1000 * (index + 1),
                        "pair": pair,
                        "value": overlap_rate(one, other),
                    }
                )
    return pd.DataFrame(rows)


def dropped_examples(release: Release) -> pd.DataFrame:
    """Is every published accuracy on a task a multiple of 1 / (floor(N / 64) * 64), N its evaluation set's
    size?

    One row per task of EVALUATION_SIZES: task, examples (N), evaluated, share_dropped, results (how many
    accuracies), multiples (how many of them are multiples, within the 4 published decimals),
    multiples_of_all (the same for 1 / N).
    """
    rows = []
    for task, size in EVALUATION_SIZES.items():
        if task not in release.tasks:
            continue
        published = release.transfer[:, release.tasks.index(task)]
        published = published[~np.isnan(published)]
        evaluated = size // EVALUATION_BATCH * EVALUATION_BATCH
        rows.append(
            {
                "release": release.name,
                "task": task,
                "examples": size,
                "evaluated": evaluated,
                "share_dropped": 1 - evaluated / size,
                "results": len(published),
                "multiples": int(_multiples(published, evaluated).sum()),
                "multiples_of_all": int(_multiples(published, size).sum()),
            }
        )
    return pd.DataFrame(rows)


def own_accuracy(
    backbone: Backbone,
    release: Release,
    *,
    data: str | os.PathLike[str] | None = None,
    tasks: Sequence[str] | None = None,
    limit: int | None = None,
    batch_size: int = 32,
) -> pd.DataFrame:
    """Accuracy of each released prompt on its own task, read as Su et al. read it, beside the published one.

    Layout and label words are theirs (`su`), the examples the first floor(N / 64) * 64 of the split that
    they evaluated on, as `load_task(data=data)` gives it (so their examples only where the data is the
    official split, whole and in its order). `tasks` (their names) and `limit` (at most so many examples)
    make it shorter.

    One row per task: release, task, examples (N), published_examples (0: not known), n (evaluated), value,
    low, high (Wilson), published, note (why there is no value).
    """
    rows = []
    for task in release.tasks if tasks is None else tasks:
        index = release.tasks.index(task)
        row: dict[str, Any] = {
            "release": release.name,
            "task": task,
            "published_examples": EVALUATION_SIZES.get(task, 0),
            "published": release.transfer[index, index],
        }
        try:
            name, split = TASK_NAMES[task], "validation" if task == "MRPC" else "test"
            task_data = load_task(name, data=data)
            dataset = task_data.split(split)
            count = len(dataset) // EVALUATION_BATCH * EVALUATION_BATCH
            count = min(count, limit) if limit else count
            prompt = SoftPrompt(torch.tensor(release.prompts[index], dtype=torch.float32), _AS_SU)
            examples = dataset.select(range(count))
            logits = label_logits(backbone, prompt, examples, task_data.task, batch_size=batch_size)
            correct = int((logits.argmax(1) == torch.tensor(examples["label"])).sum())
            low, high = wilson(correct, count)
            row |= {"examples": len(dataset), "n": count, "value": correct / count, "low": low, "high": high}
        except (KeyError, SkillkitError) as error:
            row |= {
                "value": np.nan,
                "note": f"no such task here: {error}" if isinstance(error, KeyError) else str(error),
            }
        rows.append(row)
    columns = [
        "release",
        "task",
        "examples",
        "published_examples",
        "n",
        "value",
        "low",
        "high",
        "published",
        "note",
    ]
    return pd.DataFrame(rows).reindex(columns=columns)


def convert_repository(checkout: str | os.PathLike[str], folder: str | os.PathLike[str]) -> list[Path]:
    """Make the neutral files of Su et al.'s final prompts and transfer results from a checkout of their
    repository.

    Prompts lie in `task_prompt_emb/<TASK>Prompt<MODEL>/task_prompt` (a saved tensor; read without running
    any code from it), results in `result/<TARGET>Prompt<MODEL>/result_<SOURCE>Prompt<MODEL>.json` (a JSON
    string that holds JSON). Returns the files written. Raises FileNotFoundError when `checkout` has no such
    folders.
    """
    root = Path(checkout)
    root = root / "Prompt-Transferability-1.0" if (root / "Prompt-Transferability-1.0").is_dir() else root
    for needed in ("task_prompt_emb", "result"):
        if not (root / needed).is_dir():
            raise FileNotFoundError(
                f"{root} has no folder {needed}; give a checkout of thunlp/Prompt-Transferability."
            )
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for suffix, model in (("Roberta", "roberta_base"), ("RobertaLarge", "roberta_large"), ("T5", "t5_base")):
        prompts = _collect_prompts(root / "task_prompt_emb", suffix)
        results = _collect_results(root / "result", suffix)
        if prompts and results:
            np.savez_compressed(target / f"su_prompts_{model}.npz", **cast(dict[str, Any], prompts))
            pd.DataFrame(results).to_csv(target / f"su_transfer_{model}.csv", index=False)
            written += [target / f"su_prompts_{model}.npz", target / f"su_transfer_{model}.csv"]
    if not written:
        raise FileNotFoundError(
            f"{root} holds no prompts with results for RoBERTa or T5; is the checkout complete?"
        )
    return written


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `skillkit released`."""
    parser.add_argument(
        "folder", nargs="?", type=_absolute, help=f"folder of neutral files (default: ${VARIABLE})"
    )
    parser.add_argument(
        "--convert",
        metavar="CHECKOUT",
        type=_absolute,
        help="first make the files from a checkout of Su et al.'s repository",
    )
    parser.add_argument(
        "--backbone", type=_absolute_folder, help="also measure each prompt's own accuracy with this model"
    )
    parser.add_argument(
        "--release", help="the release that --backbone belongs to (default: its name, such as roberta_base)"
    )
    parser.add_argument(
        "--data",
        type=_absolute,
        help="folder of task data for --backbone (default: $SKILLKIT_DATA, else the Hub)",
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=_absolute,
        help="also write the correlations to this .csv or .parquet file",
    )
    parser.add_argument(
        "--resamples", type=int, default=1000, help="bootstrap resamples of the intervals (0: none)"
    )


def main(args: argparse.Namespace) -> int:
    """Print how well each similarity predicts the published transfer; `skillkit released`."""
    if args.convert:
        if not args.folder:
            raise SkillkitError(
                "Say where the files shall go: `skillkit released FOLDER --convert CHECKOUT`."
            )
        for path in convert_repository(args.convert, args.folder):
            print(f"wrote {path}")
    table = pd.concat([correlations(release, resamples=args.resamples) for release in releases(args.folder)])
    for (release, tasks), part in table.groupby(["release", "tasks"], sort=False):
        print(f"\n{release} ({tasks} tasks): Spearman correlation with transfer, x 100")
        print(_layout(part).to_string())
    if args.backbone:
        print(f"\nown-task accuracy with {args.backbone}")
        print(_accuracies(args).to_string(index=False))
    if args.out:
        out = Path(args.out)
        if out.suffix not in (".csv", ".parquet"):
            raise SkillkitError(f"--out {out}: expected a name that ends in .csv or .parquet.")
        table.to_parquet(out, index=False) if out.suffix == ".parquet" else table.to_csv(out, index=False)
    return 0


def _absolute(path: str) -> str:
    """A path as it is meant where the command is given: the command line changes the folder before it runs."""
    return str(Path(path).absolute())


def _absolute_folder(name: str) -> str:
    """The same for the name of a model, which need not be a folder."""
    return _absolute(name) if Path(name).is_dir() else name


def _accuracies(args: argparse.Namespace) -> pd.DataFrame:
    wanted = args.release or Path(args.backbone).name.replace("-", "_")
    found = {release.name: release for release in releases(args.folder)}
    if wanted not in found:
        raise SkillkitError(
            f"No release {wanted!r} in the folder; name one by --release: {', '.join(found)}."
        )
    return own_accuracy(load_backbone(args.backbone), found[wanted], data=args.data)


def _layout(part: pd.DataFrame) -> pd.DataFrame:
    """One line per metric, one column per aggregation, "value [low, high]" in hundredths."""
    text = (100 * part["value"]).map("{:.1f}".format)
    if part["low"].notna().any():
        text += (
            " ["
            + (100 * part["low"]).map("{:.0f}".format)
            + ", "
            + (100 * part["high"]).map("{:.0f}".format)
            + "]"
        )
    name = part["metric"] + part["rows"].map({"all": "", "without row 0": " without row 0"})
    wide = part.assign(text=text, name=name).pivot(index="name", columns="aggregation", values="text")
    return wide.loc[list(dict.fromkeys(name)), list(AGGREGATIONS)].rename_axis(index=None, columns=None)


def _release(name: str, prompts: dict[str, Array], table: pd.DataFrame) -> Release:
    """The tasks that have a type, a prompt and results, in the order of the prompts."""
    targets = set(table["target_task"])
    tasks = [task for task in prompts if _type_of(task, "") and task in targets]

    def matrix(column: str) -> Array:
        wide = table.pivot(index="source_task", columns="target_task", values=column)
        return cast(Array, wide.reindex(index=tasks, columns=tasks).to_numpy(dtype=np.float64))

    overlap = matrix("ON") if "ON" in table.columns else None
    return Release(name, tuple(tasks), np.stack([prompts[task] for task in tasks]), matrix("metric"), overlap)


def _type_of(task: str, default: str | None = None) -> str:
    for kind, members in TYPES.items():
        if task in members:
            return kind
    if default is None:
        raise SkillkitError(f"Task {task!r} has no type in skillkit.transfer.released.TYPES; add it there.")
    return default


def _multiples(values: Array, size: int) -> NDArray[np.bool_]:
    """Whether each value, known to 4 decimals, can be a multiple of 1 / size."""
    return cast(NDArray[np.bool_], np.abs(np.round(values * size) / size - values) <= 0.5e-4 + 1e-9)


def _read_table(path: Path) -> pd.DataFrame:
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing; see the head of skillkit/transfer/released.py for what the folder holds."
        )
    return pd.read_csv(path)


def _read_arrays(path: Path) -> dict[str, Array]:
    with _open(path) as stored:
        return {name: stored[name].astype(np.float64) for name in stored.files}


def _open(path: Path) -> Any:
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing; see the head of skillkit/transfer/released.py for what the folder holds."
        )
    try:
        return np.load(path)
    except (OSError, ValueError) as error:
        raise SkillkitError(f"{path} is no readable .npz file ({error}); copy it again.") from error


def _collect_prompts(folder: Path, suffix: str) -> dict[str, NDArray[np.float32]]:
    prompts = {}
    for path in sorted(folder.glob(f"*Prompt{suffix}/task_prompt")):
        tensor = torch.load(path, map_location="cpu", weights_only=True)
        task = path.parent.name.removesuffix(f"Prompt{suffix}")
        if isinstance(tensor, torch.Tensor) and _type_of(task, ""):
            prompts[task] = tensor.detach().float().numpy()
    order = [task for members in TYPES.values() for task in members]
    return dict(sorted(prompts.items(), key=lambda item: order.index(item[0])))


def _collect_results(folder: Path, suffix: str) -> list[dict[str, Any]]:
    results = []
    for path in sorted(folder.glob(f"*Prompt{suffix}/result_*.json")):
        source = path.stem.removeprefix("result_").removesuffix(f"Prompt{suffix}")
        if not (_type_of(source, "") or source == "random"):
            continue  # another model's prompt, or a projected one
        values: Any = path.read_text()
        while isinstance(values, str):
            values = json.loads(values)
        target = path.parent.name.removesuffix(f"Prompt{suffix}")
        results.append({"source_task": source, "target_task": target, "metric": next(iter(values.values()))})
    return results
