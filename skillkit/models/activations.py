"""Watch and change the activations at the FFN sites.

The positions axis has 1 + length entries: 0 is the answer slot, 1..length the prompt rows. Entries that a
stack does not have are NaN when recorded (T5 encoder: the slot; T5 decoder: the prompt rows; causal LM: the
slot, because it is the last prompt row).
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor

from skillkit.checks import Size, check_arguments
from skillkit.data.tasks import Task
from skillkit.models.backbones import Backbone
from skillkit.models.finite import SiteCheck
from skillkit.models.inputs import Encoded, encode
from skillkit.models.passes import Pass, current_pass
from skillkit.models.prompts import SoftPrompt, layout_of, run

#: Called with the site's index, the activations [examples, sequence, width], and what lies where.
Watcher = Callable[[int, Tensor, Pass], None]

#: Called like a watcher; returns the activations to go on with, or None to leave them as they are.
Rewriter = Callable[[int, Tensor, Pass], Tensor | None]


@contextmanager
def rewrite(backbone: Backbone, rewriter: Rewriter) -> Iterator[None]:
    """Replace every site's activations by what ``rewriter`` returns, in forward passes inside the block."""

    def hook(site: int) -> Callable[[Any, tuple[Any, ...]], tuple[Any, ...] | None]:
        def replace(module: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
            current = current_pass()
            new = None if current is None else rewriter(site, inputs[0], current)
            return None if new is None else (new, *inputs[1:])

        return replace

    with ExitStack() as hooks:
        for index, site in enumerate(backbone.sites):
            hooks.enter_context(backbone.down(site).register_forward_pre_hook(hook(index)))
        yield


@contextmanager
def watch(backbone: Backbone, watcher: Watcher) -> Iterator[None]:
    """Show every site's activations to ``watcher`` during the forward passes inside the block.

    Raises:
        SkillkitError: at the end of the block, if an activation at the slot or a prompt row was not finite.
            (Where gradients are taken, as in tuning, it is the loss that is looked at.)
    """
    seen = SiteCheck()

    def show(site: int, activation: Tensor, current: Pass) -> None:
        if not torch.is_grad_enabled() and (places := present_positions(backbone, site, current)[1]):
            seen.look(site, take(activation, places))
        watcher(site, activation, current)

    with rewrite(backbone, show):
        yield
    seen.check(backbone.name, backbone.sites)


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


@check_arguments
def record(
    backbone: Backbone,
    prompt: SoftPrompt | None,
    dataset: Dataset | Encoded,
    task: Task,
    *,
    batch_size: Size = 32,
) -> Tensor:
    """All activations [examples, sites, positions, width], float32 on the CPU, in the order of the data set.

    Everything is held in memory: this is for small inputs, tests and plots. ``neurons.score_neurons`` streams
    instead.

    Raises:
        SkillkitError: as ``label_logits``, or an activation that is not finite.
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
