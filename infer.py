"""Classify images: python infer.py --config configs/convit/convit_tiny_digits.yaml --ckpt_path CKPT --image FILE"""

import sys

from mindcv.command import command

_ABOUT = """Classify images: files, folders, or what a pattern matches. Images that cannot be read are named and make
the exit code 2; the others are classified."""

if __name__ == "__main__":
    sys.exit(command("infer", _ABOUT))
