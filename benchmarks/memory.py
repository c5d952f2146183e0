"""Peak memory of scoring for few examples and for eight times as many: it must not grow.

Each is measured in a process of its own.

python benchmarks/memory.py [--model minilm] [--examples 64]
"""

import resource
import subprocess
import sys

from datasets import Dataset, concatenate_datasets
from ratio import arguments, load

from skillkit.data.loading import TaskData
from skillkit.models.prompts import SoftPrompt
from skillkit.neurons.scores import score_neurons


def peak(times: int) -> tuple[float, float]:
    """Peak resident memory in MB before scoring and after it, with every example repeated so many times."""
    options = arguments(__doc__)
    backbone, data = load(options)

    def repeated(split: Dataset) -> Dataset:
        return concatenate_datasets([split] * times)

    splits = {name: repeated(split) for name, split in data.splits.items()}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    score_neurons(
        backbone, SoftPrompt.initial(backbone, options.length, 0), TaskData(data.task, splits, data.source)
    )
    return before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    times = next((int(a.split("=")[1]) for a in sys.argv if a.startswith("times=")), None)
    sys.argv = [a for a in sys.argv if not a.startswith("times=")]
    if times:
        print(*peak(times))
    else:
        added = {}
        for times in (1, 8):
            command = [sys.executable, __file__, *sys.argv[1:], f"times={times}"]
            before, after = map(float, subprocess.check_output(command, text=True).split()[-2:])
            added[times] = after - before
            print(f"{times} times the examples: {before:.0f} MB before scoring, {after:.0f} MB at its peak")
        print(
            f"scoring 8 times the examples takes {added[8] - added[1]:+.0f} MB more (target: 0, within 10 %)"
        )
