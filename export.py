"""Export a model: python export.py --config configs/convit/convit_tiny_digits.yaml --ckpt_path CKPT --format onnx"""

import sys

from mindcv.command import command

if __name__ == "__main__":
    sys.exit(command("export", "Export a trained model as MindIR or ONNX, verified."))
