"""From a checkout of Su et al.'s repository to the neutral files that this package reads."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from skillkit.checks import check_arguments
from skillkit.errors import MissingFile
from skillkit.transfer.released.releases import TYPES, type_of


@check_arguments
def convert_repository(checkout: str | os.PathLike[str], folder: str | os.PathLike[str]) -> list[Path]:
    """Make the neutral files of Su et al.'s final prompts and transfer results from a checkout of their code.

    Prompts lie in `task_prompt_emb/<TASK>Prompt<MODEL>/task_prompt` (a saved tensor, read without running any
    code from it), results in `result/<TARGET>Prompt<MODEL>/result_<SOURCE>Prompt<MODEL>.json` (a JSON string
    that holds JSON).

    Args:
        checkout: of github.com/thunlp/Prompt-Transferability.
        folder: where the neutral files go.

    Returns:
        The files written.

    Raises:
        FileNotFoundError: `checkout` does not hold such folders, or none of the prompts in them has results.
    """
    root = Path(checkout)
    root = root / "Prompt-Transferability-1.0" if (root / "Prompt-Transferability-1.0").is_dir() else root
    for needed in ("task_prompt_emb", "result"):
        if not (root / needed).is_dir():
            raise MissingFile(
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
        raise MissingFile(
            f"{root} holds no prompts with results for RoBERTa or T5; is the checkout complete?"
        )
    return written


def _collect_prompts(folder: Path, suffix: str) -> dict[str, NDArray[np.float32]]:
    prompts = {}
    for path in sorted(folder.glob(f"*Prompt{suffix}/task_prompt")):
        tensor = torch.load(path, map_location="cpu", weights_only=True)
        task = path.parent.name.removesuffix(f"Prompt{suffix}")
        if isinstance(tensor, torch.Tensor) and type_of(task, ""):
            prompts[task] = tensor.detach().float().numpy()
    order = [task for members in TYPES.values() for task in members]
    return dict(sorted(prompts.items(), key=lambda item: order.index(item[0])))


def _collect_results(folder: Path, suffix: str) -> list[dict[str, Any]]:
    results = []
    for path in sorted(folder.glob(f"*Prompt{suffix}/result_*.json")):
        source = path.stem.removeprefix("result_").removesuffix(f"Prompt{suffix}")
        if not (type_of(source, "") or source == "random"):
            continue  # another model's prompt, or a projected one
        values: Any = path.read_text(encoding="utf-8")
        while isinstance(values, str):
            values = json.loads(values)
        target = path.parent.name.removesuffix(f"Prompt{suffix}")
        results.append({"source_task": source, "target_task": target, "metric": next(iter(values.values()))})
    return results
