"""Soft prompts, the prompted forward pass, and the label-word logits it ends in.

Input order, so that prompt positions can see the text:

- masked LM: ``[MASK] prompt text``, answer read at ``[MASK]``
- encoder-decoder: encoder ``prompt text``, answer read at the first decoder position
- causal LM: ``text prompt`` (text padded on the left), answer read at the last prompt row

Layout ``su`` (Su et al. 2022) instead puts ``[MASK]`` in the place of prompt row 0, which so never reaches
the model, and takes the position embeddings off the prompt. Layout ``wang`` (Wang et al. 2022) is the
standard order; its "prompt size" counts the [MASK].
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor

from skillkit.checks import Seed, Size, check_arguments, check_fields
from skillkit.data.tasks import Task
from skillkit.errors import SkillkitError, unknown
from skillkit.models.artifacts import PROMPT, load_artifact, save_artifact
from skillkit.models.backbones import Backbone
from skillkit.models.finite import check_hidden, check_logits
from skillkit.models.inputs import Encoded, encode
from skillkit.models.passes import Batch, Pass, in_progress


@dataclass(frozen=True)
class SoftPrompt:
    """Trained (or untrained) rows that go in front of a text: ``matrix`` [length, hidden], float32.

    ``meta`` says where it comes from (task, backbone, seed, ...) and how it wants to be read (``layout``,
    ``label_words``). A prompt that was made for a model carries the marks of it (``marks_of``), and other
    models refuse it.
    """

    matrix: Tensor
    meta: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.matrix.ndim != 2 or 0 in self.matrix.shape:
            raise SkillkitError(
                f"A soft prompt is a matrix [length, hidden]; got shape {list(self.matrix.shape)}."
            )
        if not torch.isfinite(self.matrix).all():
            raise SkillkitError(
                "The soft prompt holds NaN or infinite values: its tuning diverged. "
                "Tune with a lower learning rate."
            )

    @property
    def length(self) -> int:
        """Number of rows."""
        return self.matrix.shape[0]

    def unbound(self) -> "SoftPrompt":
        """The same prompt without the marks of its model, so that any other of its width accepts it."""
        return SoftPrompt(self.matrix, {key: said for key, said in self.meta.items() if key not in MARKS})

    @property
    def digest(self) -> str:
        """A name for this matrix: another one if any of its numbers changes, or its place."""
        content = self.matrix.detach().float().cpu().contiguous().numpy().tobytes()
        return hashlib.sha256(content).hexdigest()

    @classmethod
    @check_arguments
    def initial(
        cls,
        backbone: Backbone,
        length: Size,
        seed: Seed,
        method: str = "vocabulary",
        *,
        layout: str = "standard",
        label_words: str = "own",
    ) -> "SoftPrompt":
        """An untuned prompt: rows drawn from the word embeddings, or normal with their standard deviation.

        Args:
            method: ``vocabulary`` or ``normal``.
            layout: how texts are written for it (``skillkit.models.inputs``).
            label_words: a scheme of ``skillkit.data.tasks``.

        Raises:
            SkillkitError: length below 1 or unknown method.
        """
        generator = torch.Generator().manual_seed(seed)
        embeddings = backbone.embeddings.weight.detach().float().cpu()
        if method == "vocabulary":
            special = set(backbone.tokenizer.all_special_ids)
            words = torch.tensor(
                [i for i in range(min(len(backbone.tokenizer), len(embeddings))) if i not in special]
            )
            chosen = words[torch.randint(len(words), (length,), generator=generator)]
            matrix = embeddings[chosen].clone()
        elif method == "normal":
            matrix = torch.randn(length, embeddings.shape[1], generator=generator) * embeddings.std()
        else:
            raise unknown("initialisation", method, ("vocabulary", "normal"))
        meta = {**marks_of(backbone), "seed": seed, "initialisation": method}
        return cls(matrix, {**meta, "layout": layout, "label_words": label_words})

    def save(self, path: str | Path) -> Path:
        """Write a safetensors file, whole or not at all."""
        meta = json.dumps(self.meta, sort_keys=True)
        return save_artifact(path, PROMPT, {"prompt": self.matrix.float()}, {"meta": meta})

    @classmethod
    def load(cls, path: str | Path) -> "SoftPrompt":
        """Read what ``save`` wrote.

        Raises:
            SkillkitError: no such file, a truncated file, or a file that holds something else.
        """
        tensors, metadata = load_artifact(path, PROMPT)
        try:
            meta = json.loads(metadata.get("meta", "{}"))
        except ValueError as error:
            raise SkillkitError(
                f"The metadata of the soft prompt {path} cannot be read ({error}). "
                f"Delete it and run {PROMPT.notebook} again."
            ) from error
        return cls(tensors["prompt"].float(), meta)


MARKS = ("backbone", "family", "hidden_size", "weights")
"""What a prompt's ``meta`` says of the model that it was made for."""


def marks_of(backbone: Backbone) -> dict[str, Any]:
    """The model's name, family, width, and the digest of its weights."""
    said = (backbone.name, backbone.family, backbone.hidden_size, backbone.digest)
    return dict(zip(MARKS, said, strict=True))


def check_prompt(backbone: Backbone, prompt: SoftPrompt | None) -> None:
    """Refuse a prompt that was made for another model. One without marks need only be as wide.

    Raises:
        SkillkitError: another family, or other weights, unless the backbone was made from them on purpose.
    """
    said = {} if prompt is None else prompt.meta
    if "weights" not in said and said.get("family", backbone.family) == backbone.family:
        return
    if said.get("weights") in (backbone.digest, *backbone.made_from):
        return
    raise SkillkitError(
        f"The prompt was made for {said.get('backbone', 'another model')!r} ({said.get('family')}), and the "
        f"weights of {backbone.name!r} ({backbone.family}) are others. Tune it anew for this model, or give "
        "prompt.unbound() if it is meant to be read by another one."
    )


def answer_hidden(backbone: Backbone, matrix: Tensor | None, batch: Batch) -> Tensor:
    """Hidden states at the answer slot, [examples, hidden].

    They are differentiable with respect to ``matrix`` [length, hidden], the prompt (None: no prompt).

    Raises:
        SkillkitError: the prompt has another width than the backbone, or prompt and text are longer than the
            model can take.
    """
    current = Pass(batch, 0 if matrix is None else matrix.shape[0], backbone.family)
    _check_fit(backbone, matrix, current)
    forward = {"masked-lm": _masked_lm, "encoder-decoder": _encoder_decoder, "causal-lm": _causal_lm}[
        backbone.family
    ]
    with in_progress(current):
        return forward(backbone, _prompt_rows(backbone, matrix, len(batch)), batch)


@check_arguments
def label_logits(
    backbone: Backbone,
    prompt: SoftPrompt | None,
    dataset: Dataset | Encoded,
    task: Task,
    *,
    batch_size: Size = 32,
    label_words: str | None = None,
) -> Tensor:
    """Logits of the label words at the answer slot [examples, labels], in the order of the data set.

    They are float32 on the CPU.

    Args:
        prompt: None for the bare model; the prompt's own layout and label-word scheme are used.
        dataset: a split, or what ``encode`` made of it.
        label_words: a scheme of ``skillkit.data.tasks``, instead of the prompt's own.

    Raises:
        SkillkitError: empty data set, missing column, label words without a token, a prompt of another model,
            or an answer that is NaN or infinite.
    """
    encoded = encode(backbone, dataset, task, layout_of(prompt))
    token_ids = label_token_ids(backbone, task, label_words or scheme_of(prompt)).to(backbone.device)
    logits = torch.empty(len(encoded), len(token_ids))
    for batch, hidden in run(backbone, prompt, encoded, batch_size=batch_size):
        logits[batch.rows] = backbone.answer_logits(hidden, token_ids).cpu()
    check_logits(backbone.name, logits)
    return logits


@check_arguments
@torch.no_grad()
def run(
    backbone: Backbone, prompt: SoftPrompt | None, encoded: Encoded, *, batch_size: Size = 32
) -> Iterator[tuple[Batch, Tensor]]:
    """Every batch with its hidden states at the answer slot [examples, hidden], without gradients.

    Raises:
        SkillkitError: after the last batch, if any hidden state was not finite; as ``answer_hidden`` besides.
    """
    check_prompt(backbone, prompt)
    matrix = None if prompt is None else prompt.matrix.to(backbone.device)
    finite = []
    for batch in encoded.batches(batch_size, backbone.device):
        hidden = answer_hidden(backbone, matrix, batch)
        finite.append(torch.isfinite(hidden).all())
        yield batch, hidden

    def again(number: int) -> Tensor:
        batches = encoded.batches(batch_size, backbone.device)
        return answer_hidden(backbone, matrix, next(islice(batches, number, None)))

    check_hidden(backbone.name, finite, again)


def layout_of(prompt: SoftPrompt | None) -> str:
    """The layout that a prompt was tuned for."""
    return "standard" if prompt is None else prompt.meta.get("layout", "standard")


def scheme_of(prompt: SoftPrompt | None) -> str:
    """The label-word scheme that a prompt was tuned for."""
    return "own" if prompt is None else prompt.meta.get("label_words", "own")


def label_token_ids(backbone: Backbone, task: Task, scheme: str = "own") -> Tensor:
    """The token that stands for each label, [labels]: the first sub-token of its label word.

    Our own words are written as they stand inside a sentence (RoBERTa's and GPT-2's leading space); the
    papers' without.

    Raises:
        SkillkitError: a word unknown to the tokenizer, or two labels with the same first sub-token.
    """
    words = task.label_words(scheme, backbone.family)
    ids = [
        word if isinstance(word, int) else _first_token(backbone, word, space=scheme == "own")
        for word in words
    ]
    if len(set(ids)) != len(ids):
        raise SkillkitError(
            f"The label words {words} of task {task.name!r} share a first sub-token in {backbone.name!r}. "
            "Choose others."
        )
    if max(ids) >= backbone.embeddings.weight.shape[0]:
        raise SkillkitError(
            f"The label-word ids {ids} do not fit the vocabulary of {backbone.name!r}. Use label_words='own'."
        )
    return torch.tensor(ids, dtype=torch.long)


def _first_token(backbone: Backbone, word: str, *, space: bool) -> int:
    tokenizer = backbone.tokenizer
    ids = tokenizer(f" {word}" if space else word, add_special_tokens=False)["input_ids"]
    # A lone word mark ("▁") says nothing.
    ids = [i for i in ids if tokenizer.decode([i]).strip()]  # type: ignore[union-attr]
    if not ids or ids[0] == tokenizer.unk_token_id:
        raise SkillkitError(
            f"The label word {word!r} is unknown to the tokenizer of {backbone.name!r}. "
            "Choose another in skillkit/data/tasks.py."
        )
    return ids[0]


def _check_fit(backbone: Backbone, matrix: Tensor | None, current: Pass) -> None:
    if matrix is not None and matrix.shape[1] != backbone.hidden_size:
        raise SkillkitError(
            f"The prompt is {matrix.shape[1]} wide, {backbone.name!r} is {backbone.hidden_size} wide. "
            "Tune a prompt for this backbone, or project this one (skillkit.transfer.projection)."
        )
    total, limit = current.input_length, backbone.max_positions
    if limit is not None and total > limit:
        raise SkillkitError(
            f"Prompt and text take {total} positions, {backbone.name!r} has {limit}. "
            "Use a shorter prompt or a smaller max_text_tokens."
        )


def _prompt_rows(backbone: Backbone, matrix: Tensor | None, examples: int) -> Tensor:
    weight = backbone.embeddings.weight
    rows = weight.new_empty(0, weight.shape[1]) if matrix is None else matrix.to(weight.dtype)
    return rows.expand(examples, -1, -1)


def _ones(rows: Tensor) -> Tensor:
    return torch.ones(rows.shape[:2], dtype=torch.long, device=rows.device)


def _masked_lm(backbone: Backbone, rows: Tensor, batch: Batch) -> Tensor:
    mask: int = backbone.tokenizer.mask_token_id  # type: ignore[assignment]
    slot = backbone.embeddings.weight[mask].expand(len(batch), 1, -1)
    if batch.layout == "su":
        rows = rows[:, 1:]
    front = torch.cat([slot, rows], 1)
    if batch.layout == "su":
        front = front - _position_embeddings(backbone, front.shape[1])
    extra = (
        {}
        if batch.types is None
        else {"token_type_ids": torch.cat([torch.zeros_like(_ones(front)), batch.types], 1)}
    )
    output = backbone.body(
        inputs_embeds=torch.cat([front, backbone.embeddings(batch.ids)], 1),
        attention_mask=torch.cat([_ones(front), batch.mask], 1),
        **extra,
    )
    return output.last_hidden_state[:, 0]


def _position_embeddings(backbone: Backbone, count: int) -> Tensor:
    """The first position embeddings [count, hidden].

    Taking them off beforehand zeroes them in the embedding layer's sum.
    """
    first = backbone.model.config.pad_token_id + 1 if backbone.architecture.name == "roberta" else 0
    table: Any = backbone.body.get_submodule("embeddings.position_embeddings")
    return table.weight[first : first + count]


def _encoder_decoder(backbone: Backbone, rows: Tensor, batch: Batch) -> Tensor:
    model: Any = backbone.model
    mask = torch.cat([_ones(rows), batch.mask], 1)
    encoded = model.encoder(
        inputs_embeds=torch.cat([rows, backbone.embeddings(batch.ids)], 1), attention_mask=mask
    )
    start = torch.full(
        (len(batch), 1), model.config.decoder_start_token_id, dtype=torch.long, device=mask.device
    )
    decoded = model.decoder(
        input_ids=start,
        encoder_hidden_states=encoded.last_hidden_state,
        encoder_attention_mask=mask,
        use_cache=False,
    )
    return decoded.last_hidden_state[:, 0]


def _causal_lm(backbone: Backbone, rows: Tensor, batch: Batch) -> Tensor:
    mask = torch.cat([batch.mask, _ones(rows)], 1)
    output = backbone.body(
        inputs_embeds=torch.cat([backbone.embeddings(batch.ids), rows], 1),
        attention_mask=mask,
        position_ids=(mask.cumsum(1) - 1).clamp(min=0),
        use_cache=False,
    )
    return output.last_hidden_state[:, -1]
