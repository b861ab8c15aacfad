"""Score a checkpoint: python validate.py --config configs/convit/convit_tiny_digits.yaml --ckpt_path CKPT"""

import sys

from mindcv.command import ABOUT, command

if __name__ == "__main__":
    sys.exit(command("validate", ABOUT["validate"]))
