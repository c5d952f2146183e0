"""A step of prompt tuning against forward and backward passes of the bare backbone on the same tokens.

Only the prompt rows are trained; the bare passes ask for the gradient of their input embeddings.

python benchmarks/tuning_step.py [--model minilm] [--task film_sentiment]
"""

from itertools import chain, count, islice

import numpy as np
import torch
from ratio import arguments, compare, load, report

from skillkit.models.inputs import encode
from skillkit.tuning.prompt import tune_prompt

STEPS = 40  # enough that tokenising the training split once, which is no part of a step, does not show

if __name__ == "__main__":
    options = arguments(__doc__)
    backbone, data = load(options)
    train = encode(backbone, data.train, data.task)
    # One example is enough to evaluate on: the end of a run is not what is measured.
    data.splits["validation"] = data.validation.select([0])
    slot = 1 if backbone.family == "masked-lm" else 0

    def bare() -> None:
        epochs = (train.shuffled(32, np.random.default_rng((0, epoch)), backbone.device) for epoch in count())
        for batch in islice(chain.from_iterable(epochs), STEPS):
            shape = (len(batch), slot + options.length + batch.ids.shape[1], backbone.hidden_size)
            embeddings = torch.randn(shape, device=backbone.device, requires_grad=True)
            if backbone.family == "encoder-decoder":
                start = torch.zeros(len(batch), 1, dtype=torch.long, device=backbone.device)
                hidden = backbone.model.encoder(inputs_embeds=embeddings).last_hidden_state
                output = backbone.model.decoder(
                    input_ids=start, encoder_hidden_states=hidden, use_cache=False
                )
            else:
                output = backbone.body(inputs_embeds=embeddings)
            output.last_hidden_state[:, 0].square().sum().backward()

    def tuned() -> None:
        tune_prompt(backbone, data, length=options.length, steps=STEPS, evaluate_every=STEPS, seed=0)

    ratio = compare(bare, tuned, options.rounds, backbone.device.type == "cuda")
    report(f"{backbone.name}: {STEPS} steps of prompt tuning / bare forward and backward", ratio, 1.15)
