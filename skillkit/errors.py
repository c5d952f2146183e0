"""The one kind of error that skillkit raises on purpose.

Its message says what was wrong, what was expected and what to do next, so that a notebook's last line is
enough to go on.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class SkillkitError(ValueError):
    """Something that the reader of the message can put right."""


class MissingFile(SkillkitError, FileNotFoundError):
    """A file or folder that should be there is not; also a `FileNotFoundError`, for those who catch that."""


def unknown(kind: str, name: str, known: Iterable[str], hint: str = "") -> SkillkitError:
    """The error for a name that is not in a table, with the nearest known name."""
    known = sorted(known)
    near = []
    if isinstance(name, str):
        name = name if len(name) <= 200 else f"{name[:200]}…"
        near = get_close_matches(name, known, n=1)
    suggestion = f" Did you mean {near[0]!r}?" if near else ""
    listing = f" Known: {', '.join(known)}." if known else ""
    return SkillkitError(f"Unknown {kind} {name!r}.{suggestion}{listing}{' ' + hint if hint else ''}")
