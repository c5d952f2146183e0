"""What the warm process buys: the time of a small study's pages without it, over the time with it.

    python benchmarks/warm_kernels.py [--pages 12] [--cores 2]

A page of this study imports what every notebook does and measures nothing, so the ratio is the most that a
study of quick pages can gain; the seconds saved for each page are what any study gains.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from project import TUNING, make_project, notebook  # noqa: E402

IMPORTS = "from skillkit import charts, load_backbone, load_task, tune_prompt\nload_task(task)\n"
TASKS = (
    "film_sentiment",
    "food_sentiment",
    "gadget_sentiment",
    "daily_topic",
    "park_entailment",
    "chore_excuse",
)


def seconds(folder: Path, cores: int, warm: bool) -> float:
    """How long all pages of the study take."""
    environment = {**os.environ, "SKILLKIT_WARM": str(int(warm))}
    began = time.perf_counter()
    command = [sys.executable, "-m", "skillkit", "run", "tiny", "--force", "--cores", str(cores)]
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    """Print the ratio of both times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=int, default=12)
    parser.add_argument("--cores", type=int, default=2)
    args = parser.parse_args()
    models = ["mini-roberta", "mini-t5"][: max(1, args.pages // len(TASKS))]
    tasks = list(TASKS[: max(1, args.pages // len(models))])
    with tempfile.TemporaryDirectory() as place:
        folder = make_project(Path(place), models=models, tasks=tasks, notebooks=["01_prompt_tuning"])
        (folder / "notebooks" / "01_prompt_tuning.ipynb").write_text(notebook(IMPORTS + TUNING))
        warm, cold = (seconds(folder, args.cores, warm) for warm in (True, False))
    pages = len(models) * len(tasks)
    print(
        f"{pages} pages, {args.cores} at a time: {cold:.0f} s without the warm process, {warm:.0f} s with it"
    )
    print(f"ratio {cold / warm:.2f}; {(cold - warm) / pages:.1f} s saved for each page")


if __name__ == "__main__":
    main()
