"""Classify images: python infer.py --config configs/convit/convit_tiny_digits.yaml --ckpt_path CKPT --image FILE"""

import sys

from mindcv.command import command

if __name__ == "__main__":
    sys.exit(command("infer", "Classify images: files, folders, or what a pattern matches."))
