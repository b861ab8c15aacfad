"""A data set small enough to be held in memory."""

from collections.abc import Iterator, Sequence

import numpy as np

from mindcv.data.datasets.classes import check_labels, check_names


class ArraySource:
    """Images and labels as arrays.

    Args:
        images: uint8, (N, H, W) grey or (N, H, W, 3) RGB.
        labels: (N,) class indices, of an integer type.
        class_names: the name of each class index.
        splits: the splits that the data set has.
        origin: what error messages call the data.

    Raises:
        ValueError: images and labels differ in number, a label is not the index of a class, or two classes have one
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
        check_names(self.class_names, origin)
        check_labels(labels, len(self.class_names), self.path, "correct the labels")
        self.labels = labels.astype(np.int32)

    def path(self, i: int) -> str:
        """The name of image `i`: its index in the data."""
        return f"image {i} of {self.origin}"

    def __len__(self) -> int:
        return len(self.labels)

    def names(self) -> Iterator[bytes]:
        """The pixels of every image, which has no other name."""
        return (image.tobytes() for image in self.images)

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
