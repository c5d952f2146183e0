"""What pruning gains in time.

The full model is timed over itself too, which says how far to trust the other ratios.

python benchmarks/pruning.py [--model minilm] [--task film_sentiment]
"""

import torch
from ratio import arguments, load

from skillkit.models.prompts import SoftPrompt
from skillkit.neurons.pruning import prune_ffn, speed_up

KEPT = 10  # neurons that the pruned model keeps in each site

if __name__ == "__main__":
    options = arguments(__doc__)
    backbone, data = load(options)
    prompt = SoftPrompt.initial(backbone, options.length, 0)
    keep = torch.arange(backbone.width).expand(len(backbone.sites), -1) < KEPT
    pruned = prune_ffn(backbone, keep, torch.zeros(keep.shape))
    for batch_size in (1, 32):
        for name, other in (("itself", backbone), (f"{KEPT} neurons a site", pruned)):
            gain = speed_up(
                backbone,
                other,
                prompt,
                data.validation,
                data.task,
                batch_size=batch_size,
                rounds=options.rounds,
            )
            middle_half = f"middle half {gain.low:.2f} to {gain.high:.2f}"
            print(f"batches of {batch_size}: full model / {name}: {gain.value:.2f} ({middle_half})")
