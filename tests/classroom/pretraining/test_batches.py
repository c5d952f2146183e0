"""The token ids of the pretraining lines."""

import pytest
import torch

from skillkit.classroom.pretraining.batches import IGNORED, Batches
from skillkit.classroom.pretraining.corpus import tokenizer_words
from skillkit.classroom.pretraining.tokenizer import SENTINELS, build_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(tokenizer_words())


@pytest.mark.parametrize("family", ["masked-lm", "encoder-decoder"])
def test_batches_depend_on_seed_and_step_alone(tokenizer, family):
    one = Batches(tokenizer, family, seed=1, batch_size=4)
    two = Batches(tokenizer, family, seed=1, batch_size=4)
    other = Batches(tokenizer, family, seed=2, batch_size=4)
    two[40]
    for step in (3, 20):
        assert torch.equal(one[step].inputs, two[step].inputs)
        assert torch.equal(one[step].targets, two[step].targets)
    assert not torch.equal(one[3].inputs, other[3].inputs)


def test_masked_lm_batches_restore_the_text(tokenizer):
    batches = Batches(tokenizer, "masked-lm", seed=0, batch_size=32)
    hidden = answered = 0
    for step in range(22_000, 22_008):
        batch = batches[step]
        wanted = batch.targets != IGNORED
        kept = batch.inputs[wanted]
        assert ((kept == tokenizer.mask_token_id) | (kept == batch.targets[wanted])).all()
        assert not wanted[batch.attention == 0].any()
        assert (batch.inputs[:, 0] == tokenizer.mask_token_id).all()
        assert not wanted[:, 0].any()
        hidden += int(wanted.sum())
        answered += int((batch.answers >= 0).sum())
    assert hidden > 100
    assert answered > 100


def test_encoder_decoder_batches_restore_the_text(tokenizer):
    """Put every hidden span back in place of its sentinel: only words and templates are left."""
    batches = Batches(tokenizer, "encoder-decoder", seed=0, batch_size=32)
    sentinels = set(tokenizer.convert_tokens_to_ids(list(SENTINELS)))
    hidden = 0
    for step in range(22_000, 22_008):
        batch = batches[step]
        for row, target in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
            assert target[0] == IGNORED
            spans: dict[int, list[int]] = {}
            for token in target:
                if token in sentinels:
                    spans[token] = []
                elif token not in (IGNORED, tokenizer.eos_token_id):
                    spans[list(spans)[-1]].append(token)
            assert set(spans) == sentinels & set(row)
            whole = [token for place in row for token in spans.get(place, [place])]
            assert not sentinels & set(whole)
            assert all(1 <= len(span) <= 3 for span in spans.values())
            hidden += len(spans)
    assert hidden > 50
