"""What every test starts from: a quiet machine, no network, and the fixtures `backbone` and `data`."""

import os

os.environ.setdefault("TQDM_DISABLE", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
from tiny import FAMILIES, tiny_backbone, toy_data

from skillkit.data.loading import TaskData
from skillkit.models.backbones import Backbone


@pytest.fixture(params=FAMILIES)
def backbone(request) -> Backbone:
    """Each of the six families in turn."""
    return tiny_backbone(request.param)


@pytest.fixture
def data() -> TaskData:
    return toy_data()
