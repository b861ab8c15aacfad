"""`mindcv doctor`: what works on this device and how fast, as evidence for an issue.

Importing this package does not import MindSpore, which the checks import in processes of their own.
"""

from mindcv.cli.doctor.command import build_parser, main

__all__ = ["build_parser", "main"]
