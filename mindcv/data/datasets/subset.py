"""Data sets that show some of another data set's images."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mindcv.errors import require_in_range

if TYPE_CHECKING:
    from mindcv.data.datasets import Source


class Subset:
    """The images of `source` at `indices`, in that order, with its classes and labels.

    Args:
        source: The full data set.
        indices: (n,) indices into `source`.
        excluded: For each image left out because it cannot be read, a line that names it and the reason.

    Attributes:
        labels: (n,) int32 class indices.
        class_names, splits, encoded: Those of `source`.
        excluded: The lines given, after those of `source`.
    """

    labels: np.ndarray
    class_names: list[str]
    splits: list[str]
    encoded: bool

    def __init__(self, source: "Source", indices: np.ndarray, excluded: tuple[str, ...] = ()):
        self.source, self.indices = source, np.asarray(indices)
        self.labels = source.labels[self.indices]
        self.class_names, self.splits, self.encoded = source.class_names, source.splits, source.encoded
        self.excluded = (*getattr(source, "excluded", ()), *excluded)

    def __len__(self) -> int:
        return len(self.indices)

    def names(self) -> Iterator[bytes]:
        """Iterate over the images' names, as `source` names them, in the order of `labels`."""
        names = list(self.source.names())
        return (names[i] for i in self.indices.tolist())

    def path(self, i: int) -> str | Path:
        """Return what `source.path` returns for image `i` of the subset."""
        return self.source.path(int(self.indices[i]))

    def fingerprint(self, *stat_fields: str) -> bytes:
        """Return bytes that change with the files of `source`, which must be encoded, and with the selection.

        Args:
            stat_fields: Further attributes of `os.stat_result` that count as a change, such as "st_mode".
        """
        source: Any = self.source  # an encoded one, so that it has a fingerprint
        return source.fingerprint(*stat_fields) + self.indices.tobytes()

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.int32]:
        """Return image `i` of the subset as `source` does, and its label."""
        return self.source[int(self.indices[i])]


def stratified_subset(source: "Source", fraction: float, seed: int) -> Subset:
    """Return a random fraction of every class, in the order of `source`.

    ConViT's sample efficiency is measured this way (d'Ascoli et al. 2021, section 4). A class of n images keeps
    round(fraction · n) of them, at least one.

    Args:
        source: The full data set.
        fraction: Above 0, at most 1.
        seed: Determines which images are drawn.

    Raises:
        ValueError: `fraction` is out of range.
    """
    require_in_range("sampling_ratio", fraction, above=0, at_most=1)
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(source))
    by_class = shuffled[np.argsort(source.labels[shuffled], kind="stable")]
    counts = np.bincount(source.labels)
    starts = np.cumsum(counts) - counts
    kept = np.maximum(np.round(fraction * counts), counts > 0).astype(int)
    drawn = [by_class[start : start + count] for start, count in zip(starts, kept, strict=True)]
    return Subset(source, np.sort(np.concatenate(drawn)))
