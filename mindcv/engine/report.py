"""Compare runs: `python -m mindcv.engine.report`, the same as `mindcv report`."""

import sys

from mindcv.cli.report import main

if __name__ == "__main__":
    sys.exit(main())
