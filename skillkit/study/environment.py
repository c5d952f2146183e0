"""What the processes of a run have in common: environment variables, and the kernel that notebooks run in."""

import os
import socket

#: Names the socket of the warm process, where one is alive.
VARIABLE = "SKILLKIT_WARM"

EVENTS_VARIABLE = "SKILLKIT_EVENTS"
"""Names the open pipe into which Snakemake tells the engine what happens."""

QUIET = {
    "TQDM_DISABLE": "1",  # progress bars would fill the page
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    "JUPYTER_PLATFORM_DIRS": "1",
}


KERNEL = "skillkit-warm"


#: Names a file for a forked kernel to write its peak memory to, in KiB: it is no child of the process that runs the notebook.
PEAK = "SKILLKIT_PEAK"


def kernel_name() -> str:
    """The kernel to run a notebook in: a fork of the warm process where there is one."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(os.environ.get(VARIABLE, ""))
    except OSError:
        return "python3"
    return KERNEL
