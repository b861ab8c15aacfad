"""Describe and convert checkpoints: `python -m mindcv.weights`, the same as `mindcv inspect` and `mindcv convert`."""

import sys

from mindcv.cli.weights import main

if __name__ == "__main__":
    sys.exit(main())
