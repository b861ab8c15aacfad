"""validate.py with a convit_tiny of two blocks."""

import sys

from model import run

sys.exit(run("validate"))
