"""What the processes of a run have in common: environment variables, and what a machine may lack."""

import os
from pathlib import Path

SOCKET_VARIABLE = "SKILLKIT_WARM_SOCKET"
"""Names the socket of the warm process, where one is alive."""

RUNNER = "skillkit.study.snakemake"
"""Snakemake's command line with our logger plugin."""

WARM_VARIABLE = "SKILLKIT_WARM"
"""Set it to 0 to start every notebook in a fresh process instead of a fork of the warm one."""

EVENTS_VARIABLE = "SKILLKIT_EVENTS"
"""Names the open pipe into which Snakemake tells the engine what happens."""

PARENT_VARIABLE = "SKILLKIT_PARENT"
"""Holds the process id of the Snakemake that a page belongs to, and with which it ends."""

PEAK_VARIABLE = "SKILLKIT_PEAK"
"""Names a file for a forked kernel to write its peak memory to, in KiB.

It is no child of the process that runs the notebook, so that process cannot ask the system."""

QUIET = {
    "TQDM_DISABLE": "1",  # progress bars would fill the page
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    "JUPYTER_PLATFORM_DIRS": "1",
}


def processors() -> int:
    """How many processors this process may use; all of them where the system does not say (macOS)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def homeless() -> dict[str, str]:
    """Where libraries keep what belongs into the home folder, if that cannot be written; otherwise nothing.

    Models that the home folder has from the Hub are read all the same.
    """
    home = Path(os.path.expanduser("~"))
    if os.access(home, os.W_OK):
        return {}
    instead = Path(".snakemake", "home").absolute()
    variables = {
        "XDG_CACHE_HOME": instead / "cache",
        "HF_DATASETS_CACHE": instead / "datasets",
        "IPYTHONDIR": instead / "ipython",
        "JUPYTER_RUNTIME_DIR": instead / "jupyter",
    }
    if (hub := home / ".cache" / "huggingface").is_dir():
        variables["HF_HOME"] = hub
    return {name: str(path) for name, path in variables.items() if name not in os.environ}
