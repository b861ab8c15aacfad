"""A data set small enough to be held in memory."""

from collections.abc import Sequence

import numpy as np


class ArraySource:
    """Images and labels as arrays.

    Args:
        images: uint8, (N, H, W) grey or (N, H, W, 3) RGB.
        labels: (N,) class indices.
        class_names: the name of each class index.
        splits: the splits that the data set has.
    """

    encoded = False

    def __init__(self, images: np.ndarray, labels: np.ndarray, class_names: Sequence[str], splits: Sequence[str]):
        self.images = images
        self.labels = labels.astype(np.int32)
        self.class_names = list(class_names)
        self.splits = list(splits)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.int32]:
        """Image `i` as (H, W, 3) uint8, and its label."""
        image = self.images[i]
        if image.ndim == 2:
            image = np.repeat(image[..., None], 3, axis=2)
        return np.ascontiguousarray(image), self.labels[i]


def check_split(split: str, splits: Sequence[str], where: str) -> None:
    """Raises ValueError, naming the splits there are, if `split` is none of them."""
    if split not in splits:
        raise ValueError(f"no split {split!r} in {where}; it has {', '.join(splits)}")
