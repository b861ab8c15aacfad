"""Train a model from a recipe: python train.py --config configs/convit/convit_tiny_digits.yaml"""

import sys

from mindcv.cli.scripts import DESCRIPTIONS, run_script

if __name__ == "__main__":
    sys.exit(run_script("train", DESCRIPTIONS["train"]))
