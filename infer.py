"""Classify images: python infer.py --config configs/convit/convit_tiny_digits.yaml --ckpt_path CKPT --image FILE"""

import sys

from mindcv.command import ABOUT, command

if __name__ == "__main__":
    sys.exit(command("infer", ABOUT["infer"]))
