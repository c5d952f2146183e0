"""Pooled text positions and exciting words, against loops over single examples, and planted detectors."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from tiny import TASK, fresh_backbone, tiny_backbone, toy_data, toy_dataset

from skillkit.data.loading import TaskData
from skillkit.errors import SkillkitError
from skillkit.models.inputs import encode
from skillkit.models.prompts import SoftPrompt, answer_hidden
from skillkit.neurons.scores import score_neurons
from skillkit.neurons.text import AT_PROMPT, exciting_words, over_text, predictive_where, text_accuracy

FAMILIES = ("roberta", "bert", "t5", "t5-gated", "gpt2", "llama")


def text_activations(backbone, prompt, dataset):
    """For each example, {site: [tokens, width]}, one example at a time without padding."""
    encoded, result = encode(backbone, dataset, TASK), []
    for row in range(len(encoded)):
        seen, hooks = {}, []
        for index, site in enumerate(backbone.sites):

            def keep(module, inputs, index=index, seen=seen):
                seen[index] = inputs[0][0]

            hooks.append(backbone.down(site).register_forward_pre_hook(keep))
        with torch.no_grad():
            answer_hidden(backbone, prompt.matrix, encoded.batch([row], backbone.device))
        for hook in hooks:
            hook.remove()
        count = len(encoded.ids[row])
        first = {"masked-lm": 1 + prompt.length, "encoder-decoder": prompt.length, "causal-lm": 0}[
            backbone.family
        ]
        result.append({i: a[first : first + count] for i, a in seen.items()})
    return result


@pytest.mark.parametrize("pool", ["mean", "max"])
@pytest.mark.parametrize("family", FAMILIES)
def test_pooled_accuracy_equals_a_loop(family, pool):
    backbone, data = tiny_backbone(family), toy_data(train=9, scored=8)
    prompt = SoftPrompt.initial(backbone, 2, 0)
    ours = text_accuracy(backbone, prompt, data, pool=pool, batch_size=4)

    def pooled(split, site):
        parts = [example[site] for example in text_activations(backbone, prompt, split)]
        return torch.stack([part.mean(0) if pool == "mean" else part.amax(0) for part in parts])

    labels = torch.tensor(data.validation["label"])[:, None].bool()
    for index, site in enumerate(backbone.sites):
        if family.startswith("t5") and site.stack == "decoder":
            assert torch.isnan(ours[index]).all()
            continue
        accuracy = (
            ((pooled(data.validation, index) > pooled(data.train, index).mean(0)) == labels).float().mean(0)
        )
        torch.testing.assert_close(ours[index], accuracy, atol=1e-6, rtol=0)


def test_a_planted_word_detector_predicts_and_lists_its_word():
    """Neuron 5 of layer 0 reads the embedding of one word, which occurs under label 1 alone."""
    backbone = fresh_backbone("roberta")
    word = backbone.tokenizer.convert_tokens_to_ids("word7")
    with torch.no_grad():
        up = backbone.up(backbone.sites[0])[0]
        embeddings, attention = (
            backbone.model.roberta.embeddings,
            backbone.layer(backbone.sites[0]).attention.output,
        )
        for other in (embeddings.position_embeddings.weight, attention.dense.weight, attention.dense.bias):
            other.zero_()  # so that the word alone reaches the FFN
        hidden = embeddings.LayerNorm(backbone.embeddings.weight + embeddings.token_type_embeddings.weight[0])
        up.weight[5], up.bias[5] = 5 * (hidden[word] - hidden.mean(0)), 0.0
    rng = np.random.default_rng(0)
    splits = {}
    for name in ("train", "validation"):
        labels = np.arange(40) % 2
        texts = [" ".join([f"word{rng.integers(10, 30)}" for _ in range(4)] + ["word7"] * y) for y in labels]
        splits[name] = Dataset.from_dict({"text": texts, "label": labels.tolist()})
    data, prompt = TaskData(TASK, splits, "the test"), SoftPrompt.initial(backbone, 2, 0)
    assert text_accuracy(backbone, prompt, data, pool="max")[0, 5] > 0.9
    table = exciting_words(backbone, prompt, data.validation, TASK, [(0, 5), (1, 3)])
    assert table[table["site"] == 0]["token"].iloc[0] == "word7"
    assert table[table["site"] == 0]["count"].iloc[0] == 20


def test_exciting_words_equal_a_loop(backbone):
    dataset, prompt = toy_dataset(12, 0), SoftPrompt.initial(backbone, 2, 0)
    table = exciting_words(
        backbone, prompt, dataset, TASK, [(1, 4), (0, 2), (1, 9)], top=3, at_least=2, batch_size=5
    )
    encoded, activations = encode(backbone, dataset, TASK), text_activations(backbone, prompt, dataset)
    for (site, neuron), rows in table.groupby(["site", "neuron"]):
        sums = {}
        for ids, example in zip(encoded.ids, activations, strict=True):
            for token, value in zip(ids, example[site][:, neuron].tolist(), strict=True):
                sums.setdefault(token, []).append(value)
        means = {token: np.mean(values) for token, values in sums.items() if len(values) >= 2}
        expected = sorted(means, key=means.get, reverse=True)[:3]
        assert rows["token"].tolist() == [backbone.tokenizer.decode([t]) for t in expected]
        assert rows["value"].to_numpy() == pytest.approx([means[t] for t in expected], abs=1e-5)
        assert rows["count"].tolist() == [len(sums[t]) for t in expected]


def test_what_has_no_text_is_refused():
    t5, data = tiny_backbone("t5"), toy_data()
    with pytest.raises(SkillkitError, match="sees no text"):
        exciting_words(t5, None, data.test, TASK, [(3, 0)])
    with pytest.raises(SkillkitError, match="Unknown pool"):
        text_accuracy(t5, None, data, pool="sum")
    with pytest.raises(SkillkitError, match="No token occurs 1000 times"):
        exciting_words(t5, None, data.test, TASK, [(0, 0)], at_least=1000)


def test_where_neurons_are_predictive_is_told_on_test_by_what_was_chosen_on_validation():
    backbone, data = tiny_backbone("t5"), toy_data(40, 30)
    prompt = SoftPrompt.initial(backbone, 2, 0)
    scores = score_neurons(backbone, prompt, data)
    table = predictive_where(backbone, prompt, data, scores, fraction=0.1)
    assert set(table["unit"]) == {"texts"} and set(table["n"]) == {30}
    assert table.groupby("where").size().to_dict() == {
        AT_PROMPT: 4,
        over_text("mean"): 2,
        over_text("max"): 2,
    }
    chosen, there = (
        text_accuracy(backbone, prompt, data, pool="max", split=split)[1].numpy()
        for split in ("validation", "test")
    )
    best = np.argsort(-np.maximum(chosen, 1 - chosen), kind="stable")[:2]
    expected = np.mean([there[n] if chosen[n] >= 0.5 else 1 - there[n] for n in best])
    found = table[(table["where"] == over_text("max")) & (table["layer"] == 1)]["value"]
    assert found.tolist() == pytest.approx([expected])
    tested = score_neurons(backbone, prompt, data, split="test")
    last, values = scores.predictivity[3].numpy(), []
    for n in np.argsort(-last, kind="stable")[:2]:
        share = scores.accuracy[3, 0, n].item()
        right = tested.accuracy[3, 0, n].item()
        values.append(right if share >= 0.5 else 1 - right)
    rows = table[(table["where"] == AT_PROMPT) & (table["stack"] == "decoder") & (table["layer"] == 1)]
    assert rows["value"].tolist() == pytest.approx([np.mean(values)])
