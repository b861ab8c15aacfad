"""Create `mindcv/data/datasets/digits.npz`, the 1,797 handwritten digits that the package includes.

It needs scikit-learn, which redistributes the test set of the UCI data set (`mindcv/data/datasets/DIGITS.md`):

    pip install scikit-learn && python tools/make_digits.py

The split is fixed: a fifth of each class (rounded), drawn with seed 0, is held out as `val`.
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

OUT = Path(__file__).parents[1] / "mindcv" / "data" / "datasets" / "digits.npz"


def main() -> None:
    digits = load_digits()
    images, labels = digits.images.astype(np.uint8), digits.target.astype(np.uint8)
    held_out = np.zeros(len(labels), bool)
    rng = np.random.default_rng(0)
    for digit in range(10):
        members = rng.permutation(np.flatnonzero(labels == digit))
        held_out[members[: round(len(members) / 5)]] = True
    np.savez_compressed(OUT, images=images, labels=labels, held_out=held_out)
    print(f"{OUT}: {len(labels)} images {images.shape[1:]}, values 0..{images.max()}, {held_out.sum()} held out")


if __name__ == "__main__":
    main()
