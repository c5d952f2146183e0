"""Numbers that are NaN or infinite end a computation, with the layer where they begin.

A model in float16 whose activations grow too large would otherwise answer NaN everywhere, which ``argmax``
reads as the first label. Looking costs next to nothing: flags stay on the device until a computation ends,
and only then, if one is down, a batch is run once more to find the layer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from skillkit.errors import SkillkitError


def check_hidden(name: str, finite: Sequence[Tensor], again: Callable[[int], Any]) -> None:
    """Refuse hidden states that are not finite.

    Args:
        name: of the backbone.
        finite: a bool of each batch, on the device.
        again: runs a batch, by its number, once more.

    Raises:
        SkillkitError: a batch is not finite; names the layer where that begins.
    """
    if not finite or bool(torch.stack(list(finite)).all()):
        return
    number = next(i for i, each in enumerate(finite) if not each)
    began = first_not_finite(lambda: again(number)) or "no layer, when the batch was run once more"
    raise SkillkitError(f"{name!r} answers with NaN or infinite values, which begin in {began}. {REMEDY}")


def check_logits(name: str, logits: Tensor) -> None:
    """Refuse logits (on the CPU) that are not finite although the hidden states are.

    Raises:
        SkillkitError: names the vocabulary projection.
    """
    if not torch.isfinite(logits).all():
        raise SkillkitError(
            f"The label-word logits of {name!r} are NaN or infinite. The hidden states are not, so this "
            f"begins in the vocabulary projection. {REMEDY}"
        )


REMEDY = (
    "float16 reaches to 65504 only: load the model with dtype='float32'. In float32, check the weights, "
    "the prompt, and what is done to the activations."
)


@dataclass(frozen=True)
class Beginning:
    """Where numbers stop being finite.

    Attributes:
        module: its path in the outermost module that was called, and the dtype of what it puts out.
        by_weights: whether its own weights are not finite.
    """

    module: str
    by_weights: bool

    def __str__(self) -> str:
        return f"{self.module}, whose weights are not finite" if self.by_weights else self.module


class SiteCheck:
    """Remembers, without moving anything off the device, whether the activations of each site are finite."""

    def __init__(self) -> None:
        self._sums: dict[int, Tensor] = {}
        self._dtypes: dict[int, torch.dtype] = {}

    def look(self, site: int, activation: Tensor) -> None:
        """Add up the activations of a site: the sum is finite if they all are."""
        total = activation.detach().sum(dtype=torch.float32)
        self._sums[site] = self._sums[site] + total if site in self._sums else total
        self._dtypes[site] = activation.dtype

    def check(self, name: str, sites: Sequence[Any]) -> None:
        """Refuse a computation in which a site was not finite.

        Raises:
            SkillkitError: names the first such site.
        """
        if not self._sums:
            return
        order = sorted(self._sums)
        broken = ~torch.isfinite(torch.stack([self._sums[site] for site in order]))
        for place in torch.nonzero(broken).flatten().tolist():
            site = order[place]
            raise SkillkitError(
                f"The activations of {name!r} are NaN or infinite, first at FFN site {sites[site]} "
                f"({_short(self._dtypes[site])}). {REMEDY}"
            )


def first_not_finite(compute: Callable[[], Any]) -> Beginning | None:
    """The first module that puts out a number that is not finite while something is computed, if any does."""
    outermost: list[nn.Module] = []
    found: list[tuple[nn.Module, torch.dtype]] = []
    depth = 0

    def enter(module: nn.Module, inputs: Any) -> None:
        nonlocal depth
        if depth == 0:
            outermost.append(module)
        depth += 1

    def leave(module: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal depth
        depth -= 1
        tensor = _floats(output)
        if not found and tensor is not None and not torch.isfinite(tensor).all():
            found.append((module, tensor.dtype))

    hooks = register_module_forward_pre_hook(enter), register_module_forward_hook(leave)
    try:
        with torch.no_grad():
            compute()
    finally:
        for hook in hooks:
            hook.remove()
    if not found:
        return None
    module, dtype = found[0]
    paths = chain.from_iterable(root.named_modules() for root in outermost)
    path = next((path for path, each in paths if each is module), "") or type(module).__name__
    sound = all(bool(torch.isfinite(weight).all()) for weight in module.parameters(recurse=False))
    return Beginning(f"{path} ({_short(dtype)})", not sound)


def _floats(output: Any) -> Tensor | None:
    """The first tensor of floating numbers in what a module returned."""
    if isinstance(output, Tensor):
        return output if output.is_floating_point() else None
    parts = (
        output.values() if isinstance(output, dict) else output if isinstance(output, tuple | list) else ()
    )
    return next((found for part in parts if (found := _floats(part)) is not None), None)


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
