"""How long a run on a folder of ImageNet's size takes to find its images, and whether memory grows with the epochs.

1,000 folders of classes are made, with as many names as ImageNet has training images; behind the names of a class is
one small image. The folder is listed twice: anew, and from the index that is kept then. After that the loader, rebuilt
every epoch as training does, gives some batches of each of a few epochs.

glibc keeps back for each thread what it once had, 100 MiB more or less from epoch to epoch; with MALLOC_ARENA_MAX=1
what is held is what is used.

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
    """`images` names, shared out among the classes."""
    for label in range(CLASSES):
        folder = root / "train" / f"n{label:08}"
        folder.mkdir(parents=True)
        first = folder / "0.png"
        Image.new("RGB", (16, 16), (label % 256, 0, 0)).save(first)
        for number in range(1, images // CLASSES + (label < images % CLASSES)):
            os.link(first, folder / f"{folder.name}_{number}.png")


def memory() -> int:
    """MiB that this process holds."""
    return psutil.Process().memory_info().rss >> 20


def measure(root: Path, epochs: int, batches: int) -> dict:
    """Images, seconds of two listings, MiB that the list takes, and MiB held after each of `epochs`."""
    before, seconds = memory(), []
    for _ in range(2):
        began = time.perf_counter()
        source = open_source("imagenet", str(root), "train")
        seconds.append(round(time.perf_counter() - began, 2))
    listed, held = memory() - before, []
    for epoch in range(epochs):
        dataset = create_dataset(source, shuffle=True, epoch=epoch)
        loader = create_loader(dataset, BATCH, True, is_training=True, transform=create_transforms("", 16, True))
        for _batch in islice(loader.create_tuple_iterator(num_epochs=1), batches):
            pass
        held.append(memory())
    return {"images": len(source), "seconds": seconds, "list_mib": listed, "held_mib": held}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1_281_167, help="names to list (default: ImageNet's)")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batches", type=int, default=100, help="of an epoch (default: 100)")
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE too")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        os.environ["MINDCV_HOME"] = folder
        make_folder(Path(folder), options.images)
        time.sleep(index.SETTLED)
        found = measure(Path(folder), options.epochs, options.batches)
    first, again = found["seconds"]
    listed = f"{found['images']:,} images listed in {first} s, from the index in {again} s"
    print(f"{listed}; the list holds {found['list_mib']} MiB")
    print(f"MiB held after each epoch: {' '.join(map(str, found['held_mib']))}")
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
