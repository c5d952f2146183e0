"""Watch and change the activations at the FFN sites.

The positions axis has 1 + length entries: 0 is the answer slot, 1..length the prompt rows. Entries that a stack does not have are NaN
when recorded (T5 encoder: the slot; T5 decoder: the prompt rows; causal LM: the slot, because it is the last prompt row).
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor

from skillkit.data.tasks import Task
from skillkit.errors import SkillkitError, unknown
from skillkit.models.backbones import Backbone
from skillkit.models.inputs import Encoded, encode
from skillkit.models.passes import Pass
from skillkit.models.prompts import SoftPrompt, layout_of, run

MODES = ("noise", "zero", "mean", "patch")
WHERE = ("all", "prompt")

#: Called with the site's index, the activations [examples, sequence, width], and what lies where.
Watcher = Callable[[int, Tensor, Pass], None]


@contextmanager
def watch(backbone: Backbone, watcher: Watcher) -> Iterator[None]:
    """Show every site's activations to ``watcher`` during the forward passes inside the block."""

    def hook(index: int) -> Callable[[Any, tuple[Any, ...]], None]:
        def show(module: Any, inputs: tuple[Any, ...]) -> None:
            if backbone.current is not None:
                watcher(index, inputs[0], backbone.current)

        return show

    with ExitStack() as hooks:
        for index, site in enumerate(backbone.sites):
            hooks.enter_context(backbone.down(site).register_forward_pre_hook(hook(index)))
        yield


#: Called like a watcher; returns the activations to go on with, or None to leave them as they are.
Rewriter = Callable[[int, Tensor, Pass], Tensor | None]


@contextmanager
def rewrite(backbone: Backbone, rewriter: Rewriter) -> Iterator[None]:
    """Replace every site's activations by what ``rewriter`` returns, during the forward passes inside the block."""

    def hook(index: int) -> Callable[[Any, tuple[Any, ...]], tuple[Any, ...] | None]:
        def replace(module: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
            new = None if backbone.current is None else rewriter(index, inputs[0], backbone.current)
            return None if new is None else (new, *inputs[1:])

        return replace

    with ExitStack() as hooks:
        for index, site in enumerate(backbone.sites):
            hooks.enter_context(backbone.down(site).register_forward_pre_hook(hook(index)))
        yield


def present_positions(backbone: Backbone, site: int, current: Pass) -> tuple[list[int], list[int]]:
    """Which entries of the positions axis a site has, and where they lie in its sequence."""
    places = current.positions(backbone.sites[site].stack)
    present = [entry for entry, place in enumerate(places) if place is not None]
    return present, [place for place in places if place is not None]


def take(activation: Tensor, places: list[int]) -> Tensor:
    """Some positions of [examples, sequence, width]. Neighbouring ones are a view, not a copy."""
    if places and places == list(range(places[0], places[0] + len(places))):
        return activation[:, places[0] : places[0] + len(places)]
    return activation[:, places]


def record(
    backbone: Backbone,
    prompt: SoftPrompt | None,
    dataset: Dataset | Encoded,
    task: Task,
    *,
    batch_size: int = 32,
) -> Tensor:
    """All activations, [examples, sites, positions, width] in float32 on the CPU, in the order of the data set.

    Holds everything in memory: for small inputs, tests and plots. ``neurons.score_neurons`` streams instead.
    """
    encoded = encode(backbone, dataset, task, layout_of(prompt))
    length = 0 if prompt is None else prompt.length
    recorded = torch.full((len(encoded), len(backbone.sites), 1 + length, backbone.width), torch.nan)

    def keep(site: int, activation: Tensor, current: Pass) -> None:
        present, places = present_positions(backbone, site, current)
        values = take(activation, places).float().cpu()
        recorded[current.batch.rows[:, None], site, torch.tensor(present, dtype=torch.long)[None]] = values

    with watch(backbone, keep):
        for _ in run(backbone, prompt, encoded, batch_size=batch_size):
            pass
    return recorded


@contextmanager
def intervene(
    backbone: Backbone,
    neurons: Tensor,
    mode: str,
    *,
    scale: float = 0.1,
    unit: Tensor | None = None,
    values: Tensor | None = None,
    where: str = "all",
    seed: int = 0,
) -> Iterator[None]:
    """Change some neurons in every forward pass inside the block.

    - ``noise``: add ``scale`` * N(0, 1), one draw per (example, site, neuron), shared over positions (Wang et al. 2022).
      The draw of an example depends on its row and ``seed`` alone: not on the batch, nor on which other neurons are chosen.
    - ``zero``: suppress (Ackermann & Ohmer 2024).
    - ``mean``: replace by ``values`` [sites, width].
    - ``patch``: write ``values`` [examples, sites, positions, width] (as ``record`` gives them) at the answer slot and the
      prompt rows.

    Args:
        neurons: bool [sites, width].
        scale: standard deviation of the noise, in units of ``unit``.
        unit: [sites, width], for instance each neuron's own standard deviation (``NeuronScores.deviation``); None: absolute.
        where: ``all`` positions (as the papers do), or ``prompt``: the answer slot and the prompt rows only. Patching is always there.

    Raises:
        SkillkitError: unknown mode, wrong shapes, or missing values.
    """
    _check(backbone, neurons, mode, unit, values, where)
    chosen = neurons.to(backbone.device)
    noise = _Noise(backbone, scale, unit, seed)

    def change(site: int, activation: Tensor, current: Pass) -> Tensor:
        changed = chosen[site]
        if mode == "patch" or where == "prompt":
            present, places = present_positions(backbone, site, current)
            rows = torch.tensor(places, dtype=torch.long, device=activation.device)
        if mode == "patch":
            columns = torch.nonzero(changed).flatten()
            new = values[current.batch.rows][:, site, present].to(activation)  # type: ignore[index]
            patched = activation.clone()
            patched[:, rows[:, None], columns] = new[..., columns]
            return patched
        if where == "prompt":
            at = torch.zeros(activation.shape[1], 1, dtype=torch.bool, device=activation.device)
            changed = changed & at.index_fill(0, rows, True)
        if mode == "noise":  # adding nothing to the other neurons is faster than choosing
            return activation + noise(site, current)[:, None].to(activation) * changed
        new = values[site] if mode == "mean" else torch.zeros(())  # type: ignore[index]
        return torch.where(changed, new.to(activation), activation)

    def hook(site: int) -> Callable[[Any, tuple[Any, ...]], tuple[Any, ...] | None]:
        def replace(module: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
            return (
                None if backbone.current is None else (change(site, inputs[0], backbone.current), *inputs[1:])
            )

        return replace

    with ExitStack() as hooks:
        for index, site in enumerate(backbone.sites):
            if chosen[index].any():
                hooks.enter_context(backbone.down(site).register_forward_pre_hook(hook(index)))
        yield


class _Noise:
    """Draws [examples, width] for a site. One generator per example, so batches and masks do not change the draws."""

    def __init__(self, backbone: Backbone, scale: float, unit: Tensor | None, seed: int) -> None:
        self.shape = (len(backbone.sites), backbone.width)
        self.scale = scale * (torch.ones(self.shape) if unit is None else unit.float().cpu())
        self.seed = seed
        self.rows: list[int] = []
        self.draws = torch.empty(0)

    def __call__(self, site: int, current: Pass) -> Tensor:
        rows = current.batch.rows.tolist()
        if rows != self.rows:
            generators = [torch.Generator().manual_seed(self.seed * 1_000_003 + row) for row in rows]
            self.draws = torch.stack([torch.randn(self.shape, generator=g) for g in generators]) * self.scale
            self.rows = rows
        return self.draws[:, site].to(current.batch.ids.device)


def _check(
    backbone: Backbone, neurons: Tensor, mode: str, unit: Tensor | None, values: Tensor | None, where: str
) -> None:
    shape = [len(backbone.sites), backbone.width]
    if mode not in MODES:
        raise unknown("intervention", mode, MODES)
    if where not in WHERE:
        raise unknown("place", where, WHERE)
    if neurons.dtype != torch.bool or list(neurons.shape) != shape:
        raise SkillkitError(
            f"The neurons of {backbone.name!r} are a bool mask [sites, width] = {shape}; got {neurons.dtype} {list(neurons.shape)}."
        )
    if unit is not None and list(unit.shape) != shape:
        raise SkillkitError(f"unit must be [sites, width] = {shape}; got {list(unit.shape)}.")
    if mode in ("mean", "patch") and values is None:
        raise SkillkitError(
            f"Mode {mode!r} needs values: the mean activations [sites, width], or recorded ones for 'patch'."
        )
    if mode == "mean" and values is not None and list(values.shape) != shape:
        raise SkillkitError(
            f"The values for 'mean' must be [sites, width] = {shape}; got {list(values.shape)}."
        )
    if (
        mode == "patch"
        and values is not None
        and (values.ndim != 4 or [values.shape[1], values.shape[3]] != shape)
    ):
        raise SkillkitError(
            f"The values for 'patch' must be [examples, sites, positions, width]; got {list(values.shape)}."
        )
