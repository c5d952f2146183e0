"""Causal patching: write what neurons did on one text into the run on another; does the answer follow?

Ackermann & Ohmer (2024) find that robustness and the consistency of skill neurons go together. That leaves
open whether the neurons *cause* anything. Here each adversarial text meets its clean original:

- `restore`: the run on the adversarial text, with the chosen neurons' activations from the clean text. How
  much of the lost margin comes back is the indirect effect of the attack, the part that passes through these
  neurons.
- `damage`: the run on the clean text, with the activations from the adversarial text.

The margin is the label's logit minus the highest other one. The *mediation share* is the summed change of the
margin divided by the summed drop of the margin from clean to adversarial text. Activations are written at the
answer slot and the prompt rows (`prompt`), or also at every text token that both texts share (`shared`).
A share is a statement about these positions and sites only, and the shares of two sets of neurons need not
add up: neurons of different layers act through one another.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from skillkit.checks import Seed, Size, check_arguments, known, need_columns, table_with
from skillkit.data.tasks import Task
from skillkit.errors import SkillkitError, unknown
from skillkit.models.activations import present_positions, watch
from skillkit.models.backbones import Backbone
from skillkit.models.evaluation import label_margin
from skillkit.models.finite import check_logits
from skillkit.models.inputs import Encoded, encode
from skillkit.models.interventions import intervene
from skillkit.models.passes import Batch, Pass
from skillkit.models.prompts import SoftPrompt, answer_hidden, label_token_ids, layout_of, scheme_of
from skillkit.robustness.pairs import Pairs
from skillkit.stats.measurement import mean_over_originals, ratio_over_originals

DIRECTIONS = ("restore", "damage")
WHERE = ("prompt", "shared")


Patched = Annotated[
    pd.DataFrame,
    table_with("pair", "group", "direction", "clean", "adversarial", "patched", made_by="patch_pairs"),
    known("clean", "adversarial", "patched"),
]
"""The table of `patch_pairs`."""


@dataclass(frozen=True)
class Patch:
    """A set of neurons to patch, `mask` [sites, width], and the words it has in tables."""

    mask: Tensor
    words: Mapping[str, Any]


@check_arguments
@torch.no_grad()
def patched_logits(
    backbone: Backbone,
    prompt: SoftPrompt | None,
    source: Encoded,
    target: Encoded,
    task: Task,
    masks: Sequence[Tensor],
    *,
    where: str = "prompt",
    batch_size: Size = 32,
) -> Tensor:
    """Label logits of the target texts with some neurons' activations from the source texts.

    Args:
        backbone: the model.
        prompt: the prompt, or None for the bare model.
        source: texts that the activations are taken from.
        target: as many texts that they are written into; the first goes with the first, and so on.
        task: that the texts belong to.
        masks: bool [sites, width] each; an empty one gives the target's own logits, bit by bit.
        where: `prompt` or `shared`.
        batch_size: pairs in one pass.

    Returns:
        Logits [masks, pairs, labels].

    Raises:
        SkillkitError: unequal numbers of texts, masks of another shape, or an unknown place.
    """
    if where not in WHERE:
        raise unknown("place", where, WHERE)
    if len(source) != len(target):
        raise SkillkitError(f"Patching pairs texts one to one; got {len(source)} and {len(target)} of them.")
    matrix = None if prompt is None else prompt.matrix.to(backbone.device)
    token_ids = label_token_ids(backbone, task, scheme_of(prompt)).to(backbone.device)
    found = torch.empty(len(masks), len(source), len(token_ids))
    for rows in _chunks(source, target, batch_size):
        given, taken = source.batch(rows, backbone.device), target.batch(rows, backbone.device)
        texts = [(source.ids[i], target.ids[i]) for i in rows] if where == "shared" else None
        transplant = Transplant(backbone, texts)
        with watch(backbone, transplant.keep):
            answer_hidden(backbone, matrix, given)
        for number, mask in enumerate(masks):
            with intervene(backbone, mask, transplant):
                hidden = answer_hidden(backbone, matrix, taken)
            found[number, rows] = backbone.answer_logits(hidden, token_ids).cpu()
    check_logits(backbone.name, found)
    return found


@check_arguments
def patch_pairs(
    backbone: Backbone,
    prompt: SoftPrompt,
    pairs: Pairs,
    patches: Sequence[Patch],
    *,
    directions: Sequence[str] = DIRECTIONS,
    where: Sequence[str] = ("prompt",),
    batch_size: Size = 32,
) -> pd.DataFrame:
    """Patch every pair with every set of neurons, in one or both directions.

    Args:
        backbone: the model.
        prompt: the prompt.
        pairs: at least two.
        patches: the sets of neurons.
        directions: of `DIRECTIONS`.
        where: places, of `WHERE`.
        batch_size: pairs in one pass.

    Returns:
        One row per pair, patch, direction and place: pair, group (number of the original), direction, where,
        the patch's words, and the margins clean, adversarial and patched. Feed it to `patching_table` or
        `share_gap`; rows of several prompts may be put below each other.

    Raises:
        SkillkitError: an unknown direction or place, or too few pairs.
    """
    pairs.need()
    if not (len(patches) and len(directions) and len(where)):
        raise SkillkitError("patch_pairs: name at least one patch, one direction and one place.")
    for direction in directions:
        if direction not in DIRECTIONS:
            raise unknown("direction", direction, DIRECTIONS)
    clean, attacked = (
        encode(backbone, d, pairs.task, layout_of(prompt)) for d in (pairs.clean, pairs.attacked)
    )
    nothing = torch.zeros(len(backbone.sites), backbone.width, dtype=torch.bool)
    masks = [nothing, *(patch.mask for patch in patches)]
    parts = []
    for place in where:
        margins, intact = {}, {}
        ways = {"restore": (clean, attacked), "damage": (attacked, clean)}
        for direction, (source, target) in ways.items():
            used = masks if direction in directions else masks[:1]
            logits = patched_logits(
                backbone, prompt, source, target, pairs.task, used, where=place, batch_size=batch_size
            )
            every = torch.stack([label_margin(each, target.labels) for each in logits]).double().numpy()
            intact[direction], margins[direction] = every[0], every[1:]
        for direction in directions:
            for patch, margin in zip(patches, margins[direction], strict=True):
                columns = {"clean": intact["damage"], "adversarial": intact["restore"], "patched": margin}
                names = {"direction": direction, "where": place, **patch.words}
                numbers = {"pair": np.arange(len(pairs)), "group": pairs.pair_groups}
                parts.append(pd.DataFrame({**numbers, **columns, **names}))
    return pd.concat(parts, ignore_index=True)


@check_arguments
def patching_table(rows: Patched, by: Sequence[str], *, seed: Seed = 0) -> pd.DataFrame:
    """What patching does, for each combination of some columns.

    Args:
        rows: from `patch_pairs`.
        by: the columns, such as direction, where, neurons, fraction.
        seed: fixes the resamples.

    Returns:
        The columns of a measurement (over originals), metric, and the columns `by`. Metrics:

        - drop: mean margin clean minus adversarial; where its interval covers 0 there is nothing to mediate
        - share: mediation share (1: all of the drop passes through these neurons)
        - accuracy: of the patched answers
        - changed: restore: share of the lost pairs (right on clean, wrong on adversarial text) answered right
          again; damage: share of the pairs that are right on clean text and become wrong

    Raises:
        SkillkitError: no rows, a margin that is not finite, or no column to group by.
    """
    need_columns(rows, by)
    found = []
    for names, part in rows.groupby(list(by), sort=False):
        named = dict(zip(by, names, strict=True))
        groups, pairs = part["group"].to_numpy(), part["pair"].nunique()
        total, effect = _effects(part)
        measured = {"drop": ratio_over_originals(total, groups, n=pairs, seed=seed)}
        if total.any():
            measured["share"] = ratio_over_originals(effect, groups, total, n=pairs, seed=seed)
        right = (part["patched"] > 0).to_numpy(dtype=float)
        measured["accuracy"] = mean_over_originals(right, groups, pairs, "pairs", seed=seed)
        restoring = (part["direction"] == "restore").to_numpy()
        lost = ((part["clean"] > 0) & ((part["adversarial"] <= 0) | ~restoring)).to_numpy()
        if lost.any():
            changed = np.where(restoring, right, 1 - right)[lost]
            count = part["pair"][lost].nunique()
            measured["changed"] = mean_over_originals(changed, groups[lost], count, "pairs", seed=seed)
        found += [each.row(metric, **named) for metric, each in measured.items()]
    return pd.DataFrame(found)


@check_arguments
def share_gap(
    rows: Patched, by: Sequence[str], *, control: str, neurons: str = "skill", seed: Seed = 0
) -> pd.DataFrame:
    """Mediation share of some neurons minus that of a control, over the same pairs.

    Returns:
        The columns of a measurement (over originals), metric ("share_gap"), neurons, and the columns `by`.

    Raises:
        SkillkitError: one of the two was not patched, no rows, or a margin that is not finite.
    """
    need_columns(rows, ("neurons", *by))
    found = []
    for names, part in rows.groupby(list(by), sort=False):
        own, other = (part[part["neurons"] == name] for name in (neurons, control))
        if len(own) == 0 or len(own) != len(other):
            raise SkillkitError(
                f"{neurons!r} and {control!r} were not patched on the same pairs; there are "
                f"{sorted(set(part['neurons']))}."
            )
        (total, effect), (_, control_effect) = _effects(own), _effects(other)
        gap = ratio_over_originals(
            effect - control_effect, own["group"], total, n=own["pair"].nunique(), seed=seed
        )
        named = {"neurons": f"{neurons} - {control}", **dict(zip(by, names, strict=True))}
        found.append(gap.row("share_gap", **named))
    return pd.DataFrame(found)


@check_arguments
def site_patches(backbone: Backbone, masks: Mapping[str, Tensor]) -> list[Patch]:
    """Each mask cut into its sites, one patch per site: where along the depth does the effect pass?"""
    patches = []
    for name, mask in masks.items():
        for index, site in enumerate(backbone.sites):
            only = torch.zeros_like(mask)
            only[index] = mask[index]
            patches.append(Patch(only, {"neurons": name, "stack": site.stack, "layer": site.layer}))
    return patches


@check_arguments
def shared_tokens(first: Sequence[int], second: Sequence[int]) -> list[tuple[int, int]]:
    """Places of the tokens that two texts share, in order: the matching blocks of the two sequences."""
    blocks = SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks()
    return [(block.a + i, block.b + i) for block in blocks for i in range(block.size)]


class Transplant:
    """An intervention that writes what the neurons did in one run, the source, into another, the target."""

    def __init__(self, backbone: Backbone, texts: list[tuple[list[int], list[int]]] | None = None) -> None:
        """Prepare for one batch of pairs.

        Args:
            backbone: the model.
            texts: each pair's token ids, source and target, where shared text tokens are written as well;
                None: only the answer slot and the prompt rows are.
        """
        self.backbone = backbone
        self.kept: dict[int, Tensor] = {}
        self.passes: dict[int, Pass] = {}
        self.tokens = None if texts is None else [shared_tokens(*pair) for pair in texts]
        self.lengths = None if texts is None else [(len(a), len(b)) for a, b in texts]
        self.places: dict[str, tuple[Tensor, Tensor, Tensor]] = {}

    def keep(self, site: int, activation: Tensor, current: Pass) -> None:
        """Watch the source run."""
        self.kept[site], self.passes[site] = activation, current

    def __call__(self, activation: Tensor, chosen: Tensor, site: int, current: Pass) -> Tensor:
        """The target's activations with those of the chosen neurons, bool [width], from the source."""
        columns = torch.nonzero(chosen).flatten()
        example, source, target = self._places_of(site, current)
        changed = activation.clone()
        given = self.kept[site][example, source]
        changed[example[:, None], target[:, None], columns] = given[:, columns]
        return changed

    def _places_of(self, site: int, current: Pass) -> tuple[Tensor, Tensor, Tensor]:
        """Example, source position and target position of all that is written at a site, [places] each."""
        stack = self.backbone.sites[site].stack
        if stack not in self.places:
            before, after = (
                present_positions(self.backbone, site, p)[1] for p in (self.passes[site], current)
            )
            written = [
                (i, a, b) for i in range(len(current.batch)) for a, b in zip(before, after, strict=True)
            ]
            written += self._text(stack, self.passes[site], current)
            columns = torch.tensor(written, dtype=torch.long, device=self.backbone.device).reshape(-1, 3)
            self.places[stack] = (columns[:, 0], columns[:, 1], columns[:, 2])
        return self.places[stack]

    def _text(self, stack: str, source: Pass, target: Pass) -> list[tuple[int, int, int]]:
        spans = source.text_span(stack), target.text_span(stack)
        if self.tokens is None or self.lengths is None or None in spans:
            return []
        found = []
        for example, (tokens, lengths) in enumerate(zip(self.tokens, self.lengths, strict=True)):
            first, second = (
                _first_token(self.backbone, span, batch, length)  # type: ignore[arg-type]
                for span, batch, length in zip(spans, (source.batch, target.batch), lengths, strict=True)
            )
            found += [(example, first + a, second + b) for a, b in tokens]
        return found


def _first_token(backbone: Backbone, span: slice, batch: Batch, length: int) -> int:
    """Where a text's first token lies: causal models' texts are padded on the left."""
    return span.stop - length if backbone.family == "causal-lm" else span.start


def _chunks(source: Encoded, target: Encoded, batch_size: int) -> Iterator[list[int]]:
    """Pairs in batches, those of like length together."""
    order = np.argsort(np.maximum(source.lengths, target.lengths), kind="stable").tolist()
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def _effects(part: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The drop of the margin, and how much of it patching undoes (or brings about: damage), [rows] each."""
    total = (part["clean"] - part["adversarial"]).to_numpy()
    restored, damaged = (
        (part["patched"] - part["adversarial"]).to_numpy(),
        (part["clean"] - part["patched"]).to_numpy(),
    )
    return total, np.where(part["direction"] == "restore", restored, damaged)
