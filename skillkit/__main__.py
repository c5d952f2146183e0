"""`python -m skillkit` does what the command `skillkit` does."""

import sys

from skillkit.cli import main

sys.exit(main())
