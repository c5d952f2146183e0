"""Peak memory of scoring, answering and tuning with 2,000 texts and with 20,000: it must stay within 10 %.

Each is measured in a process of its own, on texts of a bundled task, repeated as often as it takes.

python benchmarks/memory.py [--model mini-roberta] [--few 2000] [--many 20000]
"""

import argparse
import resource
import subprocess
import sys

from skillkit import (
    SoftPrompt,
    TaskData,
    TuningBudget,
    encode_task,
    load_backbone,
    load_task,
    score_neurons,
    tune_prompt,
)
from skillkit.models.evaluation import evaluate


def work(name: str, model: str, texts: int) -> float:
    """Do one thing with so many texts in each split, and return the peak resident memory in MB."""
    backbone, data = load_backbone(model), load_task("film_sentiment")
    rows = [row % len(data.train) for row in range(texts)]
    split = data.train.select(rows)
    repeated = TaskData(data.task, {"train": split, "validation": split, "test": split}, data.source)
    if name == "score":
        score_neurons(backbone, SoftPrompt.initial(backbone, 16, 0), repeated)
    elif name == "evaluate":
        evaluate(backbone, SoftPrompt.initial(backbone, 16, 0), repeated.test, data.task)
    else:
        encoded = encode_task(backbone, repeated)
        tune_prompt(backbone, encoded, TuningBudget(length=16, steps=5, evaluate_every=5), seed=0)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini-roberta")
    parser.add_argument("--few", type=int, default=2000)
    parser.add_argument("--many", type=int, default=20000)
    parser.add_argument("--what", nargs="*", default=["score", "evaluate", "tune"])
    parser.add_argument("--one", nargs=2, help="measure this in this process: what, and how many texts")
    options = parser.parse_args()
    if options.one:
        print(work(options.one[0], options.model, int(options.one[1])))
    else:
        for what in options.what:
            few, many = (
                float(
                    subprocess.check_output(
                        [sys.executable, __file__, "--model", options.model, "--one", what, str(texts)],
                        text=True,
                    ).split()[-1]
                )
                for texts in (options.few, options.many)
            )
            verdict = "within" if many <= 1.1 * few else "ABOVE"
            print(
                f"{what}: {few:.0f} MB with {options.few:,} texts, {many:.0f} MB with {options.many:,} "
                f"({many / few - 1:+.1%}, {verdict} the target of 10 %)",
                flush=True,
            )
