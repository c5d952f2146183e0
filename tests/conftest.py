"""What every test starts from: a quiet machine, no network, and the fixtures `backbone` and `data`."""

import os
from collections.abc import Iterator

os.environ.setdefault("TQDM_DISABLE", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
import torch
from tiny import FAMILIES, forget_changed_backbones, fresh_backbone, tiny_backbone, toy_data

from skillkit.data.loading import TaskData
from skillkit.models.backbones import Backbone


@pytest.fixture(autouse=True)
def order_does_not_matter() -> Iterator[None]:
    """Every test draws the same random numbers, and leaves the shared models as it found them."""
    torch.manual_seed(0)
    yield
    if changed := forget_changed_backbones():
        names = ", ".join(changed)
        pytest.fail(f"{names} was changed, which other tests use: take a fresh_backbone", pytrace=False)


@pytest.fixture(params=FAMILIES)
def backbone(request) -> Backbone:
    """Each of the six families in turn; other tests use the same model."""
    return tiny_backbone(request.param)


@pytest.fixture(params=FAMILIES)
def own_backbone(request) -> Backbone:
    """Each of the six families in turn, to be changed at will."""
    return fresh_backbone(request.param)


@pytest.fixture
def data() -> TaskData:
    return toy_data()
