"""Export a model: python export.py --config configs/convit/convit_tiny_digits.yaml --ckpt_path CKPT --format onnx"""

import sys

from mindcv.command import ABOUT, command

if __name__ == "__main__":
    sys.exit(command("export", ABOUT["export"]))
