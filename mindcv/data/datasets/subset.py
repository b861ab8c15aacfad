"""Some of the images of a source."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mindcv.data.datasets import Source


class Subset:
    """The images `chosen`, in that order, of a source, whose classes and labels they keep.

    Args:
        source: the whole.
        chosen: (n,) indices into it.
        left_out: what was wrong with those that are not chosen, a line each, where that is why.
    """

    def __init__(self, source: "Source", chosen: np.ndarray, left_out: tuple[str, ...] = ()):
        self.source, self.chosen = source, np.asarray(chosen)
        self.labels = source.labels[self.chosen]
        self.class_names, self.splits, self.encoded = source.class_names, source.splits, source.encoded
        self.left_out = (*getattr(source, "left_out", ()), *left_out)

    def __len__(self) -> int:
        return len(self.chosen)

    def names(self) -> Iterator[bytes]:
        """The names of the chosen images, as their source gives them."""
        names = list(self.source.names())
        return (names[i] for i in self.chosen.tolist())

    def path(self, i: int) -> str:
        """Where image number `i` of the chosen is."""
        return self.source.path(int(self.chosen[i]))

    def fingerprint(self, *more: str) -> bytes:
        """Changes with the files of the whole, and with what is chosen of them."""
        return self.source.fingerprint(*more) + self.chosen.tobytes()

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.int32]:
        """Image and label number `i` of the chosen."""
        return self.source[int(self.chosen[i])]


def class_balanced(source: "Source", ratio: float, seed: int) -> Subset:
    """The share `ratio` of every class, drawn by `seed`, in the source's order.

    ConViT's sample efficiency is measured so (d'Ascoli et al. 2021, section 4). A class of n images keeps
    round(ratio · n), at least one.

    Raises:
        ValueError: `ratio` is not above 0 and at most 1.
    """
    if not 0 < ratio <= 1:
        raise ValueError(f"sampling_ratio must be above 0 and at most 1, got {ratio}")
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(source))
    by_class = shuffled[np.argsort(source.labels[shuffled], kind="stable")]
    counts = np.bincount(source.labels)
    starts = np.cumsum(counts) - counts
    kept = np.maximum(np.round(ratio * counts), counts > 0).astype(int)
    return Subset(source, np.sort(np.concatenate([by_class[s : s + k] for s, k in zip(starts, kept, strict=True)])))
