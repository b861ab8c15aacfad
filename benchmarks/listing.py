"""Measure how long listing a folder of ImageNet's size takes, and whether memory grows from epoch to epoch.

Create 1,000 class folders with as many file names as ImageNet has training images; the names of a class are hard links
to one small image. List the folder twice, first from scratch and then from the index that the first listing wrote. Then
load some batches of a few epochs, with a new loader per epoch as in training.

Without MALLOC_ARENA_MAX=1, glibc keeps freed memory for each thread, which varies by 100 MiB from epoch to epoch; with
it, the resident memory is what the process uses.

    MALLOC_ARENA_MAX=1 python benchmarks/listing.py [--images 1281167] [--epochs 6] [--batches 100] [--json FILE]
"""

import argparse
import json
import os
import time
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from PIL import Image

from mindcv.data import create_dataset, create_loader, create_transforms
from mindcv.data.datasets import index, open_source

CLASSES = 1000
BATCH = 32


def make_folder(root: Path, images: int) -> None:
    """Create `images` file names under `root`/train, distributed evenly over the classes."""
    for label in range(CLASSES):
        folder = root / "train" / f"n{label:08}"
        folder.mkdir(parents=True)
        first = folder / "0.png"
        Image.new("RGB", (16, 16), (label % 256, 0, 0)).save(first)
        for number in range(1, images // CLASSES + (label < images % CLASSES)):
            os.link(first, folder / f"{folder.name}_{number}.png")


def memory() -> int:
    """Return the resident memory of this process in MiB."""
    return psutil.Process().memory_info().rss >> 20


def measure(root: Path, epochs: int, batches: int) -> dict:
    """List the folder `root` twice, then load `batches` batches of each of `epochs` epochs.

    Returns:
        images: Number of images listed.
        seconds: Of the listing from scratch and of the one from the index.
        list_mib: Growth of the resident memory by the listings, in MiB.
        held_mib: Resident memory after each epoch, in MiB.
    """
    before, seconds = memory(), []
    for _ in range(2):
        start = time.perf_counter()
        source = open_source("imagenet", str(root), "train")
        seconds.append(round(time.perf_counter() - start, 2))
    list_mib, held = memory() - before, []
    for epoch in range(epochs):
        dataset = create_dataset(source, shuffle=True, epoch=epoch)
        loader = create_loader(dataset, BATCH, True, is_training=True, transform=create_transforms("", 16, True))
        for _batch in islice(loader.create_tuple_iterator(num_epochs=1), batches):
            pass
        held.append(memory())
    return {"images": len(source), "seconds": seconds, "list_mib": list_mib, "held_mib": held}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--images", type=int, default=1_281_167, help="file names to create (default: as many as ImageNet has)"
    )
    parser.add_argument("--epochs", type=int, default=6, help="epochs to load from (default: 6)")
    parser.add_argument("--batches", type=int, default=100, help="batches per epoch (default: 100)")
    parser.add_argument("--json", metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        os.environ["MINDCV_HOME"] = folder
        make_folder(Path(folder), options.images)
        time.sleep(index.MIN_UNCHANGED_SECONDS)
        result = measure(Path(folder), options.epochs, options.batches)
    scratch, from_index = result["seconds"]
    print(f"{result['images']:,} images listed in {scratch} s, from the index in {from_index} s")
    print(f"MiB of the list: {result['list_mib']}; after each epoch: {' '.join(map(str, result['held_mib']))}")
    if options.json:
        Path(options.json).write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
