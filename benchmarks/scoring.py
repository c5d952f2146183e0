"""Scoring all neurons against bare forward passes over the same batches, and with 1,000 permutations.

python benchmarks/scoring.py [--model minilm] [--task film_sentiment]
"""

from ratio import arguments, compare, load, report

from skillkit.models.inputs import encode
from skillkit.models.prompts import SoftPrompt, run
from skillkit.neurons.scores import score_neurons
from skillkit.neurons.significance import score_with_null

if __name__ == "__main__":
    options = arguments(__doc__)
    backbone, data = load(options)
    prompt = SoftPrompt.initial(backbone, options.length, 0)
    splits = [encode(backbone, split, data.task) for split in (data.train, data.validation)]

    def bare() -> None:
        for encoded in (encode(backbone, split, data.task) for split in (data.train, data.validation)):
            for _ in run(backbone, prompt, encoded):
                pass

    def scored() -> None:
        score_neurons(backbone, prompt, data)

    def with_null() -> None:
        score_with_null(backbone, prompt, data, permutations=1000)

    tokens = sum(encoded.lengths.sum() for encoded in splits) / sum(map(len, splits))
    gpu = backbone.device.type == "cuda"
    sizes = [len(encoded) for encoded in splits]
    print(f"{backbone.name}, {data.task.name}: {sizes} examples, {tokens:.0f} text tokens each")
    report("score_neurons / bare forward passes", compare(bare, scored, options.rounds, gpu), 1.25)
    report(
        "score_neurons with 1,000 permutations / without",
        compare(scored, with_null, options.rounds, gpu),
        1.2,
    )
