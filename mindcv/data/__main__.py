"""Check and pack data sets: `python -m mindcv.data`, the same as `mindcv data`."""

import sys

from mindcv.cli.data import main

if __name__ == "__main__":
    sys.exit(main())
