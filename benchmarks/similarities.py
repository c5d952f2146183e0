"""The similarities of all pairs of prompts at once against one pair after the other.

The prompts are as many and as large as those of Su et al. (2022) for RoBERTa-base: 17, of 100 rows, 768 wide.

python benchmarks/similarities.py [--rounds 5]
"""

from itertools import product

import numpy as np
from ratio import arguments, compare, report

from skillkit.transfer.similarities import similarities, similarity

if __name__ == "__main__":
    options = arguments(__doc__)
    prompts = list(np.random.default_rng(0).normal(size=(17, 100, 768)))

    def one_by_one() -> None:
        for first, second in product(prompts, repeat=2):
            similarity(first, second)

    ratio = compare(one_by_one, lambda: similarities(prompts), options.rounds, on_gpu=False)
    report("all pairs at once / one by one", ratio, 0.5)
