"""How names are shown, kept in folders and written into Markdown: models above all, which may be folders.

A local model is shown by the last part of its path. Where two folders of one study would be shown alike, a
digest of its full path is added to each name: `/a/roberta@3fa2c1`. Nothing here looks at the disk, so the
results of a model keep their place when its folder disappears.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from pathlib import Path

_DIGITS = 6
_TOLD_APART = re.compile(rf"(.+)@([0-9a-f]{{{_DIGITS}}})", re.DOTALL)
_MARKUP = re.compile(r"[\\`*{}\[\]<>$|#~&]|(?<![^\W_])_|_(?![^\W_])")
"""Signs that mean something within a line of Markdown; an underscore does at the edge of a word."""


def is_folder_name(name: str) -> bool:
    """Whether the name of a model is a path; a Hub id (`owner/name`) is none."""
    return name.startswith((".", "/", "~")) or name.count("/") > 1 or Path(name).is_absolute()


def shown_name(name: str) -> str:
    """A model's name as readers see it: the last part of a path, any other name as it is."""
    return Path(name).name or name if is_folder_name(name) else name


def told_apart(path: str) -> str:
    """The name of a model folder whose shown name another one has, too: with a digest of its full path."""
    return f"{path}@{_digest(path)}"


def source_of(name: str) -> str:
    """The path or Hub id behind a model's name: without the digest of `told_apart`, if it is that one."""
    found = _TOLD_APART.fullmatch(name)
    return found[1] if found and found[2] == _digest(found[1]) else name


def look(name: str) -> str:
    """What two names have in common that some file system, or a reader, takes for one."""
    return unicodedata.normalize("NFC", shown_name(name)).casefold()


def slug(name: str) -> str:
    """A name as one folder name: `google/t5-v1_1-base` is kept in `google--t5-v1_1-base`.

    Letters and digits of every script stay. Where other signs are left out, which could make two names alike,
    a digest of the name is added after a `~`, which no name keeps.
    """
    name = unicodedata.normalize("NFC", name)
    kept = "".join(sign if _is_kept(sign) else "/" for sign in name).strip("/")
    folder = re.sub("/+", "--", kept)
    is_told = "--" not in name and folder.replace("--", "/") == name
    return folder if is_told and folder.strip(".") else f"{folder.strip('.')}~{_digest(name)}"


def is_plain_word(name: str) -> bool:
    """Whether a name has a letter first, and after it letters, digits, `.`, `_` and `-` alone."""
    is_word = all(_is_kept(sign) and sign != "@" for sign in name)
    return is_word and unicodedata.category(name[:1] or " ")[0] == "L"


def has_hidden_signs(name: str) -> bool:
    """Whether a name holds signs that no line can show: line breaks, control signs, broken UTF-8."""
    return any(unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") for sign in name)


def markdown_text(text: object) -> str:
    """Text for Markdown (MyST) that is shown sign by sign: no emphasis, formula, link, table cell or role.

    Line breaks become spaces.
    """
    return _MARKUP.sub(r"\\\g<0>", " ".join(str(text).split()))


def markdown_code(text: object) -> str:
    """Text as code within a line of Markdown, also inside a table; backticks may be in it."""
    line = " ".join(str(text).split())
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{space}{line}{space}{fence}"


def _is_kept(sign: str) -> bool:
    return sign in "._-@" or unicodedata.category(sign)[0] in "LNM"


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
