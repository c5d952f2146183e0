"""What a page says about how its data were read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from skillkit.data.splits import Splits

if TYPE_CHECKING:
    from IPython.display import Markdown

_SIGNS = re.compile(r"([\\`*_{}\[\]<>#$|~])")
"""Signs that Markdown would take for something else; labels and names of columns may hold them."""


def reading_notes(task_data: Splits[Any]) -> Markdown | None:
    """What was left out of the files or read in another way than it is written, as a list.

    For clean data it is None, and a cell that ends in it shows nothing.
    """
    from IPython.display import Markdown

    if not task_data.notes:
        return None
    lines = ["- " + _SIGNS.sub(r"\\\1", note) for note in task_data.notes]
    return Markdown("\n".join(["How the data were read:", "", *lines]))
