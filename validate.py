"""Evaluate a checkpoint: python validate.py --config configs/convit/convit_tiny_digits.yaml --ckpt_path CKPT"""

import sys

from mindcv.cli.scripts import DESCRIPTIONS, run_script

if __name__ == "__main__":
    sys.exit(run_script("validate", DESCRIPTIONS["validate"]))
