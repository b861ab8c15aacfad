"""Measure images per second of packing a folder into MindRecord, and of reading image files from folder and records.

The images are those of benchmarks/loader.py, photo-like JPEG files of 500×375 pixels. Packing writes each image, reads
it back, compares it, and flushes it to the disk. Reading takes the images in random order; the folder and the records
take turns, and the figures are medians.

    python benchmarks/packing.py [--shards 8] [--turns 9] [--json FILE]
"""

import argparse
import json
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
from loader import COPIES, FILES, make_images

from mindcv.data.datasets import open_source
from mindcv.data.pack import pack


def read(source, order: np.ndarray) -> float:
    """Read the images `order` of `source` without decoding them; return images per second."""
    start = time.perf_counter()
    for i in order:
        source[i]
    return len(order) / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=8, help="files to pack into (default: 8)")
    parser.add_argument("--turns", type=int, default=9, help="readings of each (default: 9)")
    parser.add_argument("--json", metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args()
    with TemporaryDirectory() as root:
        make_images(Path(root))
        folder = open_source("folder", root, "train")
        start = time.perf_counter()
        records = pack(folder, Path(root, "packed", "train"), options.shards)
        rates = {"pack": FILES * COPIES / (time.perf_counter() - start)}
        rng = np.random.default_rng(0)
        turns = [
            [read(source, rng.permutation(len(folder))) for source in (folder, records)] for _ in range(options.turns)
        ]
    rates |= {name: median(turn[i] for turn in turns) for i, name in enumerate(("read folder", "read records"))}
    for name, rate in rates.items():
        print(f"{name:13} {rate:8,.0f} images/s")
    if options.json:
        Path(options.json).write_text(json.dumps({name: round(rate) for name, rate in rates.items()}, indent=2) + "\n")


if __name__ == "__main__":
    main()
