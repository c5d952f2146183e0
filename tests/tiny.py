"""Tiny random backbones of all six families, and a small task, for every test."""

import hashlib

import numpy as np
import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
    T5Config,
    T5ForConditionalGeneration,
)

from skillkit.data.loading import TaskData
from skillkit.data.tasks import Task
from skillkit.models.backbones import Backbone, make_backbone

torch.set_num_threads(1)

WORDS = [f"word{i}" for i in range(40)] + ["bad", "good", "middling"]
SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]

IDS = dict(pad_token_id=1, bos_token_id=0, eos_token_id=2)
BERT = dict(
    hidden_size=12,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=20,
    max_position_embeddings=80,
    initializer_range=0.3,
)
T5 = dict(
    d_model=12,
    d_kv=6,
    d_ff=20,
    num_layers=2,
    num_heads=2,
    pad_token_id=1,
    eos_token_id=2,
    decoder_start_token_id=1,
    initializer_factor=1.0,
)
GATED = dict(feed_forward_proj="gated-gelu", tie_word_embeddings=False)
GPT2 = dict(n_embd=12, n_layer=2, n_head=2, n_inner=20, n_positions=80, initializer_range=0.3)

MODELS: dict[str, tuple[type, type, dict[str, object]]] = {
    "roberta": (RobertaConfig, RobertaForMaskedLM, {**BERT, **IDS, "type_vocab_size": 1}),
    "bert": (BertConfig, BertForMaskedLM, {**BERT, "pad_token_id": 1}),
    "t5": (T5Config, T5ForConditionalGeneration, T5),
    "t5-gated": (T5Config, T5ForConditionalGeneration, {**T5, **GATED}),
    "gpt2": (GPT2Config, GPT2LMHeadModel, {**GPT2, **IDS}),
    "llama": (LlamaConfig, LlamaForCausalLM, {**BERT, **IDS, "num_key_value_heads": 1}),
}
"""Family -> the classes of its configuration and its model, and the sizes."""

FAMILIES = tuple(MODELS)


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Whole words, `<s> a </s>` and `<s> a </s> b </s>`."""
    vocabulary = {word: i for i, word in enumerate(SPECIALS + WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
    )


def tiny_model(family: str, seed: int = 0) -> PreTrainedModel:
    """A random model of a real class: hidden 12, 2 (+2) layers, 20 FFN neurons."""
    config_class, model_class, sizes = MODELS[family]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return model_class(config_class(vocab_size=len(SPECIALS) + len(WORDS), **sizes))


def fresh_backbone(family: str, seed: int = 0) -> Backbone:
    """A random backbone of the test's own, which it may change."""
    return make_backbone(f"tiny-{family}", tiny_model(family, seed), tiny_tokenizer(), device="cpu")


SHARED: dict[tuple[str, int], tuple[Backbone, str]] = {}
"""The backbones that tests share, each made once in a session, with its fingerprint at that time."""


def tiny_backbone(family: str, seed: int = 0) -> Backbone:
    """A random backbone that all tests share: whoever changes it asks for a `fresh_backbone` instead."""
    if (family, seed) not in SHARED:
        backbone = fresh_backbone(family, seed)
        SHARED[family, seed] = backbone, fingerprint(backbone)
    return SHARED[family, seed][0]


def fingerprint(backbone: Backbone) -> str:
    """A digest of all weights, of which of them are trained, and of which modules are in training mode."""
    digest = hashlib.blake2b()
    for name, weight in backbone.model.state_dict(keep_vars=True).items():
        digest.update(f"{name} {weight.requires_grad} {list(weight.shape)}".encode())
        digest.update(weight.detach().numpy().tobytes())
    modes = [name for name, module in backbone.model.named_modules() if module.training]
    return digest.hexdigest() + " ".join(modes)


def forget_changed_backbones() -> list[str]:
    """The shared backbones that are not as they were made. They are made anew when next asked for."""
    changed = [key for key, (backbone, made) in SHARED.items() if fingerprint(backbone) != made]
    return [SHARED.pop(key)[0].name for key in changed]


TASK = Task("toy", "sentiment", ("text",), ("bad", "good"), ("bad", "good"))
PAIR_TASK = Task("toy_pair", "inference", ("first", "second"), ("no", "yes"), ("bad", "good"))


def toy_dataset(examples: int, seed: int, classes: int = 2, low: int = 1, high: int = 12) -> Dataset:
    """Random sentences of varied length.

    Texts of label k consist of the words 10k to 10k + 9, so there is something to learn; one in ten has the
    words 0 to 9 whatever its label.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(examples) % classes
    texts = []
    for label in labels:
        length = int(rng.integers(low, high))
        start = 10 * label if rng.random() < 0.9 else 0
        texts.append(" ".join(f"word{start + rng.integers(0, 10)}" for _ in range(length)))
    return Dataset.from_dict({"text": texts, "label": labels.tolist()})


def toy_data(train: int = 40, scored: int = 33, seed: int = 0, task: Task = TASK) -> TaskData:
    splits = {
        s: toy_dataset(n, seed + i)
        for i, (s, n) in enumerate(zip(("train", "validation", "test"), (train, scored, scored), strict=True))
    }
    return TaskData(task, splits, "the test")
