"""The two mini models, untrained, and the loss of a batch of pretraining lines.

Both are small enough for a laptop's processor, and their initial weights are chosen so that a few ten
thousand steps suffice: queries and keys start equal, so that a word looks at first for its like, which is
half of comparing two sentences. Its like is above all the word itself, so half of mini-t5's encoder heads
start blind to it: whether two word lists are the same, the model answered rightly in .60 of cases after 4,000
steps without this, and in .96 after 2,500 with it (one seed). The masked LM's position vectors start as sines
and cosines, so that near positions start alike.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
    T5Config,
    T5ForConditionalGeneration,
)

from skillkit.classroom.pretraining.batches import IGNORED, Batch

BLIND_HEADS = 2  # of the four heads of each encoder layer of mini-t5: they do not look at the word itself
BLIND = -8.0  # the bias that keeps them from it


FAMILIES = {"mini-roberta": "masked-lm", "mini-t5": "encoder-decoder"}
"""The models of the recipe, and how each reads its answer."""


def build_model(name: str, tokenizer: PreTrainedTokenizerFast) -> Any:
    """The untrained model. No dropout: a tiny model underfits before it overfits a generator."""
    ids: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    longest = tokenizer.model_max_length
    return _mini_roberta(ids, longest) if name == "mini-roberta" else _mini_t5(ids)


def _mini_roberta(ids: dict[str, Any], longest: int) -> Any:
    config = RobertaConfig(
        **ids,
        hidden_size=96,
        num_hidden_layers=6,
        num_attention_heads=4,
        intermediate_size=384,
        hidden_act="relu",
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        max_position_embeddings=longest + 2,
        type_vocab_size=1,
        initializer_range=0.08,  # at the usual 0.02 a model this small stays at chance on sentiment
    )
    model: Any = RobertaForMaskedLM(config)
    with torch.no_grad():
        positions = model.roberta.embeddings.position_embeddings.weight
        positions.copy_(_waves(*positions.shape) * math.sqrt(2) * config.initializer_range)
        for layer in model.roberta.encoder.layer:
            # The layer norms come after the residuals: six layers learn only if each adds little at first.
            layer.attention.output.dense.weight.mul_(0.2)
            layer.output.dense.weight.mul_(0.2)
            layer.attention.self.key.weight.copy_(layer.attention.self.query.weight)
    return model


def _waves(positions: int, width: int) -> Tensor:
    """Sines and cosines of the position, [positions, width] (Vaswani et al. 2017, section 3.5).

    Their wavelengths run from 2π to about 10,000 · 2π.
    """
    rates = torch.exp(-math.log(10_000) * torch.arange(0, width, 2) / width)
    angles = torch.arange(positions)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def _mini_t5(ids: dict[str, Any]) -> Any:
    sizes: dict[str, Any] = {
        **ids,
        "d_model": 96,
        "d_kv": 24,
        "d_ff": 384,
        "num_heads": 4,
        "num_layers": 4,
        "num_decoder_layers": 2,
        "relative_attention_max_distance": 64,
        "dropout_rate": 0.0,
        "feed_forward_proj": "relu",
        "decoder_start_token_id": ids["pad_token_id"],
        "tie_word_embeddings": True,
    }
    model: Any = T5ForConditionalGeneration(T5Config(**sizes))
    with torch.no_grad():
        for block in model.encoder.block:
            attention = block.layer[0].SelfAttention
            attention.q.weight.mul_(2.0)
            attention.k.weight.copy_(attention.q.weight)
        # The first bucket is distance 0. All layers of the encoder share the first one's biases.
        biases = model.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight
        biases[0, :BLIND_HEADS] = BLIND
    return model


def losses(model: Any, batch: Batch, label_ids: Tensor, doubt: float) -> tuple[Tensor, Tensor]:
    """The losses of a batch, in nats.

    Args:
        model: either mini model.
        batch: the token ids of a step.
        label_ids: [label words], the token ids of the tasks' label words.
        doubt: share of an answer's target that is spread over the label words (all, where nothing is asked).

    Returns:
        The loss of each hidden word, [hidden words], and of each answer slot, [lines].
    """
    wanted = batch.targets != IGNORED
    if isinstance(model, RobertaForMaskedLM):
        hidden = model.roberta(batch.inputs, attention_mask=batch.attention).last_hidden_state
        text_logits, slot_logits = model.lm_head(hidden[wanted]), model.lm_head(hidden[:, 0])
    else:
        start = batch.targets.new_full((len(batch.targets), 1), model.config.decoder_start_token_id)
        history = torch.cat([start, batch.answers[:, None], batch.targets[:, 1:-1]], dim=1)
        history = history.masked_fill(history == IGNORED, model.config.pad_token_id)
        logits = model(
            batch.inputs, attention_mask=batch.attention, decoder_input_ids=history, use_cache=False
        ).logits
        text_logits, slot_logits = logits[wanted], logits[:, 0]
    soft = _soft_answers(batch.answers, label_ids, slot_logits, doubt)
    text = nn.functional.cross_entropy(text_logits, batch.targets[wanted], reduction="none")
    return text, nn.functional.cross_entropy(slot_logits, soft, reduction="none")


def _soft_answers(wanted: Tensor, label_ids: Tensor, like: Tensor, doubt: float) -> Tensor:
    """Target distributions of the slots, [lines, vocabulary]."""
    certain = (wanted >= 0).to(like.dtype)[:, None] * (1 - doubt)
    target = torch.zeros_like(like)
    target[:, label_ids] = (1 - certain) / len(label_ids)
    target.scatter_add_(1, wanted.clamp(min=0)[:, None], certain)
    return target
