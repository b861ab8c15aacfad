"""The handwritten digits that ship with the package (see DIGITS.md)."""

from pathlib import Path

import numpy as np

from mindcv.data.datasets.arrays import ArraySource, check_split

SPLITS = ("train", "val")


def open_digits(split: str) -> ArraySource:
    """Return the 1,438 `train` or 359 `val` images of 8×8 pixels, white on black, in 10 classes.

    Raises ValueError for another split.
    """
    check_split(split, SPLITS, "digits")
    with np.load(Path(__file__).with_name("digits.npz")) as digits:
        in_split = digits["held_out"] == (split == "val")
        images = np.round(digits["images"][in_split] * (255 / 16)).astype(np.uint8)
        return ArraySource(images, digits["labels"][in_split], [str(digit) for digit in range(10)], SPLITS)
