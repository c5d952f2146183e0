"""Patching: exactness, a slow reference, and a planted model whose mediation shares are known."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import PAIR_TASK, TASK, tiny_backbone, tiny_tokenizer, toy_dataset
from transformers import LlamaConfig, LlamaForCausalLM

from skillkit.errors import SkillkitError
from skillkit.models.activations import rewrite
from skillkit.models.backbones import make_backbone
from skillkit.models.evaluation import label_margin
from skillkit.models.inputs import encode
from skillkit.models.prompts import SoftPrompt, label_logits
from skillkit.robustness.pairs import pair_up
from skillkit.robustness.patching import (
    Patch,
    patch_pairs,
    patched_logits,
    patching_table,
    share_gap,
    shared_tokens,
    site_patches,
)


def everything(backbone):
    return torch.ones(len(backbone.sites), backbone.width, dtype=torch.bool)


def nothing(backbone):
    return ~everything(backbone)


def some(backbone, seed=0):
    return (
        torch.rand(len(backbone.sites), backbone.width, generator=torch.Generator().manual_seed(seed)) < 0.4
    )


def attacked(dataset, seed=0):
    """A word or two inserted, one replaced: lengths differ."""
    rng, texts = np.random.default_rng(seed), []
    for text in dataset["text"]:
        words = text.split()
        words[rng.integers(len(words))] = f"word{rng.integers(20, 30)}"
        words.insert(int(rng.integers(len(words) + 1)), "middling")
        texts.append(" ".join(words))
    return dataset.remove_columns("text").add_column("text", texts)


def toy_pairs(examples=9, seed=0, task=TASK):
    clean = toy_dataset(examples, seed)
    return pair_up(attacked(clean).add_column("original_text", list(clean["text"])), task)


@pytest.mark.parametrize("where", ["prompt", "shared"])
def test_patching_everything_from_the_same_text_gives_its_logits(backbone, where):
    prompt, dataset = SoftPrompt.initial(backbone, 3, 0), toy_dataset(7, 0)
    encoded = encode(backbone, dataset, TASK)
    every = patched_logits(
        backbone, prompt, encoded, encoded, TASK, [everything(backbone)], where=where, batch_size=4
    )
    torch.testing.assert_close(every[0], label_logits(backbone, prompt, encoded, TASK), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("where", ["prompt", "shared"])
def test_patching_nothing_changes_no_bit(backbone, where):
    pairs, prompt = toy_pairs(), SoftPrompt.initial(backbone, 3, 0)
    source, target = (encode(backbone, d, TASK) for d in (pairs.clean, pairs.attacked))
    found = patched_logits(
        backbone, prompt, source, target, TASK, [nothing(backbone)], where=where, batch_size=9
    )
    # The same batches, so that padding cannot change the last bit.
    same = target.select(np.argsort(np.maximum(source.lengths, target.lengths), kind="stable").tolist())
    order = np.argsort(np.maximum(source.lengths, target.lengths), kind="stable")
    own = torch.empty_like(found[0])
    own[order] = label_logits(backbone, prompt, same, TASK, batch_size=9)[:]
    assert np.all(np.diff(same.lengths) >= 0), "the toy attack lengthens every text alike"
    assert torch.equal(found[0], own)


def by_hand(backbone, prompt, clean, target, mask, where):
    """One pair, unpadded: the slots and prompt rows (and shared tokens), one place at a time."""
    length, stacks = prompt.length, {}
    a, b = encode(backbone, clean, TASK).ids[0], encode(backbone, target, TASK).ids[0]
    for stack in {site.stack for site in backbone.sites}:
        if backbone.family == "masked-lm":
            front, first, second = range(1 + length), 1 + length, 1 + length
            places = [(i, i) for i in front]
        elif backbone.family == "causal-lm":
            first = second = 0
            places = [(len(a) + i, len(b) + i) for i in range(length)]
        elif stack == "encoder":
            first = second = length
            places = [(i, i) for i in range(length)]
        else:
            places, first, second = [(0, 0)], None, None
        if where == "shared" and first is not None:
            places += [(first + i, second + j) for i, j in shared_tokens(a, b)]
        stacks[stack] = places
    seen = []
    hooks = [
        backbone.down(s).register_forward_pre_hook(lambda m, x: seen.append(x[0].clone()))
        for s in backbone.sites
    ]
    label_logits(backbone, prompt, clean, TASK)
    for hook in hooks:
        hook.remove()

    def write(site, activation, current):
        changed = activation.clone()
        for source, place in stacks[backbone.sites[site].stack]:
            for neuron in torch.nonzero(mask[site]).flatten().tolist():
                changed[0, place, neuron] = seen[site][0, source, neuron]
        return changed

    with rewrite(backbone, write):
        return label_logits(backbone, prompt, target, TASK)[0]


@pytest.mark.parametrize("where", ["prompt", "shared"])
@pytest.mark.parametrize("family", ["roberta", "t5", "llama"])
def test_patched_logits_agree_with_writing_one_place_at_a_time(family, where):
    backbone, pairs = tiny_backbone(family), toy_pairs(6)
    prompt, mask = SoftPrompt.initial(backbone, 3, 0), some(backbone)
    source, target = (encode(backbone, d, TASK) for d in (pairs.clean, pairs.attacked))
    found = patched_logits(backbone, prompt, source, target, TASK, [mask], where=where, batch_size=4)[0]
    for row in range(len(pairs)):
        expected = by_hand(
            backbone, prompt, pairs.clean.select([row]), pairs.attacked.select([row]), mask, where
        )
        torch.testing.assert_close(found[row], expected, atol=1e-5, rtol=1e-5)


SHARES = {"first": 0.5, "second": 0.3}  # the rest goes along the residual stream
FIRST, SECOND = range(0, 5), range(5, 10)


def two_paths():
    """A LLaMA of one layer that averages a word feature into the last row, and reads the label along two
    groups of neurons and directly.

    Coordinate 0 is a large constant, so that normalisation divides by a constant and all is linear; 1 is the
    words' feature (word0-9: +1, word10-19: -1), 2 its mean at the slot, 3 what the neurons write. Neuron n
    gives gate · 2-coordinate · u(n), and w(n) of it is written.
    """
    tokenizer = tiny_tokenizer()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=12,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=20,
        max_position_embeddings=80,
        tie_word_embeddings=False,
        pad_token_id=1,
    )
    model = LlamaForCausalLM(config)
    scale = 100 / 12**0.5  # what normalisation divides by
    up, write = torch.rand(20) + 0.5, torch.zeros(20)
    gate = torch.nn.functional.silu(torch.tensor(2.0))
    for group, share in ((FIRST, SHARES["first"]), (SECOND, SHARES["second"])):
        write[list(group)] = share / len(group) / (gate * up[list(group)])
    ids = tokenizer.get_vocab()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.zero_()
        embeddings = model.model.embed_tokens.weight
        embeddings[:, 0] = 100.0
        for i in range(20):
            embeddings[ids[f"word{i}"], 1] = 1.0 if i < 10 else -1.0
        layer = model.model.layers[0]
        layer.self_attn.v_proj.weight[0, 1] = scale
        layer.self_attn.o_proj.weight[2, 0] = 1.0
        layer.mlp.gate_proj.weight[:, 0] = 2.0 * scale / 100
        layer.mlp.up_proj.weight[:, 2] = up * scale
        layer.mlp.down_proj.weight[3] = write
        model.lm_head.weight[ids["good"], 2] = scale * (1 - sum(SHARES.values()))
        model.lm_head.weight[ids["good"], 3] = scale
    return make_backbone("two-paths", model, tokenizer, device="cpu")


def planted_pairs(examples=40):
    """Some words of each text turned to the other sentiment."""
    rng, clean, target = np.random.default_rng(0), [], []
    for row in range(examples):
        label, count = row % 2, int(rng.integers(3, 9))
        words = [f"word{int(rng.integers(10)) + (0 if label else 10)}" for _ in range(count)]
        clean.append(" ".join(words))
        for place in rng.permutation(count)[: rng.integers(1, count)]:
            words[place] = f"word{int(rng.integers(10)) + (10 if label else 0)}"
        target.append(" ".join(words))
    labels = [row % 2 for row in range(examples)]
    return pair_up(Dataset.from_dict({"text": target, "original_text": clean, "label": labels}), TASK)


def test_planted_mediation_shares_are_recovered():
    backbone, pairs = two_paths(), planted_pairs()
    prompt = SoftPrompt.initial(backbone, 2, 0)
    masks = {name: nothing(backbone) for name in ("first", "second", "both", "idle")}
    masks["first"][0, list(FIRST)] = masks["second"][0, list(SECOND)] = True
    masks["both"] = masks["first"] | masks["second"]
    masks["idle"] = ~masks["both"]
    patches = [Patch(mask, {"neurons": name}) for name, mask in masks.items()]
    rows = patch_pairs(backbone, prompt, pairs, patches)
    table = patching_table(rows, ["direction", "neurons"])
    shares = table[table["metric"] == "share"].set_index(["direction", "neurons"])["value"]
    drop = table[(table["metric"] == "drop")]
    assert (drop["low"] > 0).all()
    for direction in ("restore", "damage"):
        assert shares[direction, "first"] == pytest.approx(0.5, abs=0.02)
        assert shares[direction, "second"] == pytest.approx(0.3, abs=0.02)
        assert shares[direction, "both"] == pytest.approx(0.8, abs=0.02)
        assert shares[direction, "idle"] == pytest.approx(0.0, abs=0.02)
    gap = share_gap(rows, ["direction"], neurons="first", control="second")
    np.testing.assert_allclose(gap["value"], 0.2, atol=0.02)
    assert (gap["low"] > 0).all()


def test_a_planted_share_lies_in_the_interval_when_pairs_differ():
    """Margins with noise around a share of .4; the interval from resampled originals covers it about as often
    as it says.
    """
    covered = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        clean, adversarial = rng.normal(3, 1, 80), rng.normal(1, 1, 80)
        patched = adversarial + 0.4 * (clean - adversarial) + rng.normal(0, 0.5, 80)
        rows = pd.DataFrame(
            {
                "pair": range(80),
                "group": range(80),
                "clean": clean,
                "adversarial": adversarial,
                "patched": patched,
            }
        )
        table = patching_table(rows.assign(direction="restore"), ["direction"], seed=seed).set_index("metric")
        covered.append(table.loc["share", "low"] <= 0.4 <= table.loc["share", "high"])
    assert 0.85 <= np.mean(covered) <= 1.0


def test_table_counts_turned_answers():
    rows = pd.DataFrame(
        {
            "pair": [0, 1, 2, 3],
            "group": [0, 1, 2, 3],
            "clean": [2.0, 2.0, 2.0, -1.0],
            "adversarial": [-2.0, -2.0, 1.0, -1.0],
            "patched": [1.0, -1.0, 1.5, 1.0],
        }
    )
    restore = patching_table(rows.assign(direction="restore"), ["direction"]).set_index("metric")
    assert restore.loc["changed", "value"] == 0.5 and restore.loc["changed", "n"] == 2
    assert restore.loc["accuracy", "value"] == 0.75
    assert restore.loc["share", "value"] == pytest.approx((3 + 1 + 0.5 + 2) / (4 + 4 + 1 + 0))
    damage = patching_table(rows.assign(direction="damage"), ["direction"]).set_index("metric")
    assert damage.loc["changed", "value"] == pytest.approx(1 / 3) and damage.loc["changed", "n"] == 3


def test_site_patches_cut_a_mask_into_its_sites():
    backbone = tiny_backbone("t5")
    mask = some(backbone)
    patches = site_patches(backbone, {"skill": mask})
    assert torch.equal(sum(patch.mask.int() for patch in patches).bool(), mask)
    assert [patch.words["stack"] for patch in patches] == [site.stack for site in backbone.sites]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=12), st.lists(st.integers(0, 5), max_size=12))
def test_shared_tokens_are_equal_and_in_order(first, second):
    pairs = shared_tokens(first, second)
    assert all(first[i] == second[j] for i, j in pairs)
    assert all(a < c and b < d for (a, b), (c, d) in itertools.pairwise(pairs))
    assert len(shared_tokens(first, first)) == len(first)


def test_pair_tasks_are_patched_too():
    backbone = tiny_backbone("roberta")
    rows = Dataset.from_dict(
        {
            "first": ["word1 word2", "word3 word4"],
            "second": ["word5 middling", "word6"],
            "original_first": [None, "word3"],
            "original_second": ["word5 word7", None],
            "label": [0, 1],
        }
    )
    pairs = pair_up(rows, PAIR_TASK)
    patches = [Patch(everything(backbone), {"neurons": "all"})]
    table = patch_pairs(
        backbone, SoftPrompt.initial(backbone, 2, 0), pairs, patches, where=("prompt", "shared")
    )
    assert len(table) == 2 * 2 * 2 and np.isfinite(table["patched"]).all()


def test_margin_is_above_zero_where_the_answer_is_right():
    logits = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(50) % 3
    assert torch.equal(label_margin(logits, labels) > 0, logits.argmax(1) == labels)


def test_bad_input_is_refused():
    backbone = tiny_backbone("roberta")
    pairs = toy_pairs(4)
    prompt = SoftPrompt.initial(backbone, 2, 0)
    source, target = (encode(backbone, d, TASK) for d in (pairs.clean, pairs.attacked))
    with pytest.raises(SkillkitError, match="one to one"):
        patched_logits(backbone, prompt, source, target.select([0]), TASK, [nothing(backbone)])
    with pytest.raises(SkillkitError, match="bool mask"):
        patched_logits(backbone, prompt, source, target, TASK, [torch.ones(3, 3)])
    with pytest.raises(SkillkitError, match="place"):
        patched_logits(backbone, prompt, source, target, TASK, [nothing(backbone)], where="everywhere")
    with pytest.raises(SkillkitError, match="direction"):
        patch_pairs(backbone, prompt, pairs, [], directions=("up",))
    rows = patch_pairs(backbone, prompt, pairs, [Patch(everything(backbone), {"neurons": "skill"})])
    with pytest.raises(SkillkitError, match="same pairs"):
        share_gap(rows, ["direction"], control="random")
