from pathlib import Path

import pytest

from skillkit.study.parameters import FROM_STUDY, KINDS
from skillkit.study.table import notebook_parameters

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_parameter_of_every_notebook_has_a_row_that_takes_its_default(path):
    for name, default in notebook_parameters(path).items():
        if name not in FROM_STUDY:
            assert KINDS[name].fits(default), f"{name} = {default!r}: expected {KINDS[name].expected}"


def test_no_row_is_left_over():
    declared = set().union(*map(notebook_parameters, NOTEBOOKS))
    assert set(KINDS) <= declared
