"""For each page that failed: its error, what to read, and the command that makes it again."""

from __future__ import annotations

import json
import math
import shlex
import sys
from pathlib import Path
from typing import Any, TextIO

import yaml

from skillkit.study.studies import OWN, Page, Study, read_requests


def report_failures(study: Study, out: TextIO = sys.stderr) -> int:
    """Say for each failed page its error, what to read and how to run it again; return how many there are."""
    failed = [page for page in study.pages if page.error.is_file()]
    for page in failed:
        error = read_error(page)
        first = error["message"].strip().splitlines()[0] if error["message"].strip() else ""
        out.write(f"\n  {page}\n    {error['error']}: {first}\n")
        out.write(f"    read   {page.executed}\n    again  {rerun_command(page)}\n")
    return len(failed)


def read_error(page: Page) -> dict[str, str]:
    """What went wrong in a page that failed."""
    try:
        content = json.loads(page.error.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        content = {}
    if not isinstance(content, dict):
        content = {}
    return {"error": str(content.get("error", "Error")), "message": str(content.get("message", ""))}


def rerun_command(page: Page) -> str:
    """The command that makes a page again; for a page of the reader's own, with the parameters they gave."""
    own = page.place.study == OWN
    request = read_requests(Path(), page.place.root).get(str(page), {}) if own else {}
    given = {"model": page.place.model, "task": page.place.task, **request.get("given", {})}
    words = [
        f"-p {shlex.quote(f'{name}={_as_yaml(value)}')}"
        for name, value in given.items()
        if value is not None or name not in ("model", "task")
    ]
    study = request.get("study", page.place.study)
    return " ".join(["skillkit page", page.notebook.number, *words, f"--study {shlex.quote(study)}"])


def _as_yaml(value: Any) -> str:
    """A parameter as `-p` reads it, on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=math.inf, allow_unicode=True)
    return str(text).removesuffix("\n").removesuffix("\n...")
