"""Images for tests."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def write_image_folder(
    root: Path,
    counts: Mapping[str, int],
    classes: Sequence[str],
    suffix: str = ".jpg",
    size: tuple[int, int] = (40, 50),
) -> Path:
    """Write so many random images of each class as `counts` says for each split, to root/split/class; return `root`."""
    rng = np.random.default_rng(0)
    for split, count in counts.items():
        for name in classes:
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{i}{suffix}")
    return root
