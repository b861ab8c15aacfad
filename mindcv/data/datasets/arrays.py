"""Data sets that are held in memory."""

from collections.abc import Iterator, Sequence

import numpy as np

from mindcv.data.datasets.classes import check_labels, check_unique_names


class ArraySource:
    """A data set of images and labels in arrays.

    Args:
        images: uint8, (N, H, W) grey or (N, H, W, 3) RGB.
        labels: (N,) class indices of any integer type; kept as int32.
        class_names: Name of each class index.
        splits: Splits that the data set has.
        origin: Name of the data in error messages.

    Raises:
        ValueError: The numbers of images and labels differ, a label is not a class index, or two classes have the same
            name.
    """

    encoded = False

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        class_names: Sequence[str],
        splits: Sequence[str],
        origin: str = "the data",
    ):
        if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
            raise ValueError(
                f"{origin}: {len(images)} images, but labels of shape {labels.shape} and type {labels.dtype}: "
                "one integer for each image is wanted"
            )
        self.images = images
        self.class_names = list(class_names)
        self.splits = list(splits)
        self.origin = origin
        check_unique_names(self.class_names, origin)
        check_labels(labels, len(self.class_names), self.path, "correct the labels")
        self.labels = labels.astype(np.int32)

    def path(self, i: int) -> str:
        """Return the name of image `i`, "image I of ORIGIN"."""
        return f"image {i} of {self.origin}"

    def __len__(self) -> int:
        return len(self.labels)

    def names(self) -> Iterator[bytes]:
        """Iterate over the images' pixels as bytes, in order, since they have no other name."""
        return (image.tobytes() for image in self.images)

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.int32]:
        """Return image `i` as RGB pixels, (H, W, 3) uint8, and its label."""
        image = self.images[i]
        if image.ndim == 2:
            image = np.repeat(image[..., None], 3, axis=2)
        return np.ascontiguousarray(image), self.labels[i]


def check_split(split: str, splits: Sequence[str], origin: str) -> None:
    """Raise ValueError, with the existing splits, if `split` is not one of `splits`."""
    if split not in splits:
        raise ValueError(f"no split {split!r} in {origin}; it has {', '.join(splits)}")
