"""Break neurons on purpose, and see what the model still does.

An intervention is a small class that says what becomes of the chosen neurons of one site. ``intervene``
checks the call and applies one during the forward passes inside a block.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor

from skillkit.checks import Finite, Seed, check_arguments
from skillkit.errors import SkillkitError, unknown
from skillkit.models.activations import present_positions, rewrite
from skillkit.models.backbones import Backbone
from skillkit.models.passes import Pass

MODES = ("noise", "zero", "mean")
WHERE = ("all", "prompt")


class Intervention(Protocol):
    """What becomes of the chosen neurons of a site."""

    def __call__(self, activation: Tensor, chosen: Tensor, site: int, current: Pass) -> Tensor:
        """The activations [examples, sequence, width], changed where ``chosen`` says so.

        ``chosen`` is bool, [width] or [sequence, width].
        """


class Zero:
    """Suppress the neurons (Ackermann & Ohmer 2024)."""

    def __call__(self, activation: Tensor, chosen: Tensor, site: int, current: Pass) -> Tensor:
        """As ``Intervention``."""
        return torch.where(chosen, torch.zeros((), device=activation.device).to(activation), activation)


class Mean:
    """Replace each neuron by a value of its own, such as its mean activation: ``values`` [sites, width]."""

    def __init__(self, values: Tensor) -> None:
        self.values = values

    def __call__(self, activation: Tensor, chosen: Tensor, site: int, current: Pass) -> Tensor:
        """As ``Intervention``."""
        return torch.where(chosen, self.values[site].to(activation), activation)


class Noise:
    """Add ``spread`` [sites, width] times N(0, 1) (Wang et al. 2022).

    There is one draw per (example, site, neuron), shared over positions. It depends on the example's row and
    ``seed`` alone, not on the batch, nor on which other neurons are chosen: every example has a generator of
    its own.
    """

    def __init__(self, spread: Tensor, seed: int = 0) -> None:
        self.spread = spread.float().cpu()
        self.seed = seed
        self._rows: list[int] = []  # of the batch that the draws are for: all sites of a pass share them
        self._draws = torch.empty(0)

    def __call__(self, activation: Tensor, chosen: Tensor, site: int, current: Pass) -> Tensor:
        """As ``Intervention``."""
        added = self.draws(current)[:, site].to(activation.device)
        return activation + added[:, None].to(activation) * chosen  # faster than choosing where to add

    def draws(self, current: Pass) -> Tensor:
        """The noise of a batch, [examples, sites, width]."""
        rows = current.batch.rows.tolist()
        if rows != self._rows:
            generators = [torch.Generator().manual_seed(self.seed * 1_000_003 + row) for row in rows]
            normal = torch.stack([torch.randn(self.spread.shape, generator=each) for each in generators])
            self._rows, self._draws = rows, normal * self.spread
        return self._draws


@check_arguments
@contextmanager
def intervene(
    backbone: Backbone,
    neurons: Tensor,
    mode: str | Intervention,
    *,
    scale: Finite = 0.1,
    unit: Tensor | None = None,
    values: Tensor | None = None,
    where: str = "all",
    seed: Seed = 0,
) -> Iterator[None]:
    """Change some neurons in every forward pass inside the block.

    Args:
        neurons: bool [sites, width].
        mode: ``noise``, ``zero`` or ``mean``, as the classes of this module do it, or an intervention of your
            own.
        scale: standard deviation of the noise, in units of ``unit``.
        unit: [sites, width], for instance each neuron's own standard deviation (``NeuronScores.deviation``);
            None: absolute.
        values: what ``mean`` writes, [sites, width].
        where: ``all`` positions (as the papers do), or ``prompt``: the answer slot and the prompt rows only.
        seed: of the noise.

    Raises:
        SkillkitError: unknown mode, wrong shapes, or missing values.
    """
    shape = (len(backbone.sites), backbone.width)
    if where not in WHERE:
        raise unknown("place", where, WHERE)
    if neurons.dtype != torch.bool or list(neurons.shape) != list(shape):
        raise SkillkitError(
            f"The neurons of {backbone.name!r} are a bool mask [sites, width] = {list(shape)}; "
            f"got {neurons.dtype} {list(neurons.shape)}."
        )
    intervention = _named(mode, shape, scale, unit, values, seed) if isinstance(mode, str) else mode
    chosen, touched = neurons.to(backbone.device), neurons.any(1).tolist()

    def change(site: int, activation: Tensor, current: Pass) -> Tensor | None:
        if not touched[site]:
            return None
        changed = chosen[site]
        if where == "prompt":
            changed = changed & _prompt_rows(backbone, site, activation, current)
        return intervention(activation, changed, site, current)

    with rewrite(backbone, change):
        yield


def _named(
    mode: str, shape: tuple[int, int], scale: float, unit: Tensor | None, values: Tensor | None, seed: int
) -> Intervention:
    """The intervention that a mode stands for, on sites of this shape [sites, width]."""
    if mode not in MODES:
        raise unknown("intervention", mode, MODES)
    for name, given in (("unit", unit), ("values", values)):
        if given is not None and given.shape != shape:
            raise SkillkitError(f"{name} must be [sites, width] = {list(shape)}; got {list(given.shape)}.")
    if mode == "zero":
        return Zero()
    if mode == "noise":
        return Noise(scale * (torch.ones(shape) if unit is None else unit.float().cpu()), seed)
    if values is None:
        raise SkillkitError("Mode 'mean' needs values: the mean activations [sites, width].")
    return Mean(values)


def _prompt_rows(backbone: Backbone, site: int, activation: Tensor, current: Pass) -> Tensor:
    """Where a site's sequence holds the answer slot or a prompt row, bool [sequence, 1]."""
    rows = torch.tensor(
        present_positions(backbone, site, current)[1], dtype=torch.long, device=activation.device
    )
    return torch.zeros(activation.shape[1], 1, dtype=torch.bool, device=activation.device).index_fill(
        0, rows, True
    )
