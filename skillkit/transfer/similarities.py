"""How alike soft prompts are, by embeddings or by the neurons they activate (Su et al. 2022, section 6.1).

With prompts P, Q [length, hidden]:

    E_concat  = 1 / (1 + |vec P - vec Q|)                   C_concat  = cos(vec P, vec Q)
    E_average = 1 / (1 + mean over i, j of |P_i - Q_j|)     C_average = mean over i, j of cos(P_i, Q_j)
    ON        = cos(1[a_P > 0], 1[a_Q > 0]) = |A and B| / sqrt(|A| |B|)

a_P are the activations at the answer slot when the model reads prompt P and no text. Su et al. call ON an
overlap *rate*; it is a cosine, so two unrelated patterns in which a share p of the neurons is active score
about p, not 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import pdist, squareform
from torch import Tensor

from skillkit.checks import Count, Size, check_arguments
from skillkit.errors import SkillkitError
from skillkit.models.activations import watch
from skillkit.models.backbones import Backbone, FFNSite
from skillkit.models.inputs import Encoded
from skillkit.models.passes import Pass
from skillkit.models.prompts import SoftPrompt, layout_of, run
from skillkit.models.ragged import Ragged

Matrix = NDArray[np.float64]

METRICS = ("E_concat", "E_average", "C_concat", "C_average")
"""The metrics that look at the prompts' embeddings alone."""


@check_arguments
def similarity(first: SoftPrompt | ArrayLike, second: SoftPrompt | ArrayLike) -> dict[str, float]:
    """The four embedding metrics of two prompts [length, hidden], by name.

    Raises:
        SkillkitError: the shapes differ.
    """
    return {name: float(values[0, 1]) for name, values in similarities([first, second]).items()}


@check_arguments
def similarities(
    prompts: Sequence[SoftPrompt | ArrayLike] | Mapping[str, Any], *, skip_rows: Count = 0
) -> dict[str, Matrix]:
    """The four embedding metrics of every pair of T prompts, each [T, T], symmetric.

    The cosine with a row of zeros counts as 0.

    Args:
        prompts: each [length, hidden], all of one shape.
        skip_rows: leaves out that many first rows. In Su et al.'s RoBERTa prompts, row 0 never reaches the
            model.

    Raises:
        SkillkitError: prompts of different shapes, no rows left, or values that are not finite.
    """
    given = list(prompts.values()) if isinstance(prompts, Mapping) else list(prompts)
    stacked = _stack(given)[:, skip_rows:]
    count, length, hidden = stacked.shape
    if length == 0:
        raise SkillkitError(
            f"similarities: skip_rows={skip_rows} leaves no row; the prompts have {_stack(given).shape[1]}."
        )
    flat, rows = stacked.reshape(count, -1), stacked.reshape(-1, hidden)
    between_rows = squareform(pdist(rows)).reshape(count, length, count, length)
    # the mean over i, j of u_i . v_j is the product of the mean unit rows: no [rows, rows] matrix needed
    mean_rows = _unit(rows).reshape(count, length, hidden).mean(axis=1)
    cosines = _symmetric(_unit(flat) @ _unit(flat).T)
    np.fill_diagonal(cosines, np.where(flat.any(axis=1), 1.0, 0.0))
    return {
        "E_concat": 1 / (1 + squareform(pdist(flat))),
        "E_average": _symmetric(1 / (1 + between_rows.mean(axis=(1, 3)))),
        "C_concat": cosines,
        "C_average": _symmetric(mean_rows @ mean_rows.T),
    }


@check_arguments
def activated(backbone: Backbone, prompt: SoftPrompt) -> Tensor:
    """Which neurons are above 0 at the answer slot when the backbone reads the prompt and no text.

    No text means an empty string in the tokenizer's own form; in layout "su" it means what Su et al. fed:
    `<s>` for RoBERTa, `<extra_id_0>` for T5. An encoder-decoder's answer slot is in the decoder, so its
    encoder's neurons are all False.

    Returns:
        bool [sites, width]
    """
    # a causal model answers at the last prompt row
    slot = prompt.length if backbone.family == "causal-lm" else 0
    active = torch.zeros(len(backbone.sites), backbone.width, dtype=torch.bool)

    def keep(site: int, activation: Tensor, current: Pass) -> None:
        place = current.positions(backbone.sites[site].stack)[slot]
        if place is not None:
            active[site] = (activation[0, place] > 0).cpu()

    with watch(backbone, keep):
        for _ in run(backbone, prompt, _no_text(backbone, layout_of(prompt)), batch_size=1):
            pass
    return active


@check_arguments
def overlap_rate(first: ArrayLike, second: ArrayLike, *, neurons: ArrayLike | None = None) -> float:
    """ON of two activation patterns: the cosine of the two 0/1 vectors (Su et al. 2022, section 6.1).

    Args:
        first: bool [sites, width]
        second: of the same backbone, so of the same shape.
        neurons: bool [sites, width]: those to look at, as Wang et al. (2022, section 6.2) do with skill
            neurons.

    Returns:
        The overlap, NaN when a pattern has no active neuron to look at.

    Raises:
        SkillkitError: the shapes differ, or the patterns are not boolean.
    """
    return float(overlap_rates([first, second], neurons=neurons)[0, 1])


@check_arguments
def overlap_rates(
    patterns: Sequence[ArrayLike] | Mapping[str, ArrayLike],
    *,
    neurons: ArrayLike | None = None,
    sites: Sequence[int] | None = None,
) -> Matrix:
    """ON of every pair of T activation patterns, [T, T].

    Args:
        patterns: bool [sites, width] each.
        neurons: bool [sites, width]: those to look at.
        sites: those to look at, such as one of `layer_groups`.

    Returns:
        The overlaps, NaN for a pattern with no active neuron.

    Raises:
        SkillkitError: the shapes differ, or the patterns are not boolean.
    """
    given = [
        np.asarray(pattern) for pattern in (patterns.values() if isinstance(patterns, Mapping) else patterns)
    ]
    shapes = {pattern.shape for pattern in given}
    if len(shapes) != 1 or any(pattern.ndim != 2 for pattern in given):
        raise SkillkitError(
            f"overlap_rate: patterns of shapes {sorted(shapes)}; expected the same [sites, width] "
            "for all, so the patterns of one backbone."
        )
    if any(pattern.dtype != bool for pattern in given):
        raise SkillkitError(
            "overlap_rate: expected boolean patterns, such as `activated(backbone, prompt)` gives them."
        )
    active = np.stack(given)
    if neurons is not None:
        mask = np.asarray(neurons).astype(bool)
        if mask.shape != active.shape[1:]:
            raise SkillkitError(
                f"overlap_rate: the neurons' mask is {mask.shape}, the patterns are {active.shape[1:]}."
            )
        active = active & mask
    if sites is not None:
        active = active[:, list(sites)]
    flat = active.reshape(len(active), -1).astype(np.float64)
    shared, size = flat @ flat.T, flat.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return cast(Matrix, shared / np.sqrt(np.outer(size, size)))


@check_arguments
def layer_groups(sites: Sequence[FFNSite], size: Size = 3) -> dict[str, list[int]]:
    """Neighbouring sites of one stack in groups of `size`, by name: {"encoder 0-2": [0, 1, 2], …}.

    The last group of a stack may be smaller.
    """
    groups: dict[str, list[int]] = {}
    for stack in dict.fromkeys(site.stack for site in sites):
        indices = [index for index, site in enumerate(sites) if site.stack == stack]
        for start in range(0, len(indices), size):
            group = indices[start : start + size]
            first, last = sites[group[0]].layer, sites[group[-1]].layer
            groups[f"{stack} {first}-{last}" if first != last else f"{stack} {first}"] = group
    return groups


@check_arguments
def same_type(types: Sequence[str]) -> Matrix:
    """1 where two tasks have the same type, else 0, [T, T]: the baseline for every similarity metric."""
    names = np.asarray(types)
    return cast(Matrix, (names[:, None] == names).astype(np.float64))


def _no_text(backbone: Backbone, layout: str) -> Encoded:
    """One example without text, for `activated`."""
    tokenizer = backbone.tokenizer
    if layout == "su":
        ids = [
            tokenizer.cls_token_id
            if backbone.family == "masked-lm"
            else tokenizer.convert_tokens_to_ids("<extra_id_0>")
        ]
    else:
        ids = list(tokenizer("")["input_ids"])  # type: ignore[arg-type]
    types = [[0] * len(ids)] if getattr(backbone.model.config, "type_vocab_size", 0) > 1 else None
    return Encoded(
        Ragged.of([ids]),  # type: ignore[list-item]
        None if types is None else Ragged.of(types),
        torch.zeros(1, dtype=torch.long),
        layout,
        pad=int(tokenizer.pad_token_id or 0),  # type: ignore[call-overload]
        pad_left=backbone.family == "causal-lm",
    )


def _stack(prompts: Sequence[Any]) -> Matrix:
    """The prompts as one float64 array [T, length, hidden]."""
    matrices = []
    for prompt in prompts:
        matrix = getattr(prompt, "matrix", prompt)
        matrix = matrix.detach().cpu().double().numpy() if hasattr(matrix, "detach") else matrix
        matrices.append(np.asarray(matrix, dtype=np.float64))
    shapes = {matrix.shape for matrix in matrices}
    if len(shapes) != 1 or any(matrix.ndim != 2 for matrix in matrices):
        raise SkillkitError(
            f"similarity: prompts of shapes {sorted(shapes)}; expected one shape [length, hidden] for all. "
            "Prompts of different lengths or backbones cannot be compared by their embeddings."
        )
    stacked = np.stack(matrices)
    if not np.isfinite(stacked).all():
        raise SkillkitError(
            "similarity: a prompt holds NaN or infinite values; its tuning diverged, so tune it again."
        )
    return stacked


def _symmetric(values: Matrix) -> Matrix:
    """Both halves exactly equal: a rank correlation must see (P, Q) and (Q, P) as tied despite rounding."""
    return cast(Matrix, (values + values.T) / 2)


def _unit(vectors: Matrix) -> Matrix:
    """Rows scaled to length 1; rows of zeros stay zeros."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return cast(Matrix, np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0))
