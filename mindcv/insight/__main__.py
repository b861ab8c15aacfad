"""Draw where a trained model's heads attend: `python -m mindcv.insight`, the same as `mindcv insight`."""

import sys

from mindcv.cli.insight import main

if __name__ == "__main__":
    sys.exit(main())
