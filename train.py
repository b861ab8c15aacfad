"""Train a model from a recipe: python train.py --config configs/convit/convit_tiny_digits.yaml"""

import sys

from mindcv.command import ABOUT, command

if __name__ == "__main__":
    sys.exit(command("train", ABOUT["train"]))
