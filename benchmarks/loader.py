"""Measure images per second of this project's input pipeline and of its peers on this machine.

Photo-like JPEG files of 500×375 pixels, generated here, become batches of 224×224 with random crop, flip, colour jitter
or an augmentation policy, random erasing and mixup. The bare MindSpore pipeline only decodes, crops, flips, normalises
and batches. Each contestant runs in processes of its own; they take turns, and the waiting ones are stopped by SIGSTOP.
The output has medians over the turns, quartiles, and the processor time per image. A further contestant is this project
with one worker on one core.

    python benchmarks/loader.py --mindcv DIR [--baseline DIR] [--turns 9] [--batches 8] [--batch 128] [--json FILE]

DIR is a folder with MindCV's unpacked wheel; without it, MindCV is reported as absent. That of --baseline has another
version of this project.

At the end comes the serial part: the processor time that the Python code of one process takes per image, with images of
15×20 pixels, because work on pixels does not hold Python's lock. It includes system calls, which do not hold it either,
but not what it takes to hand the lock from core to core: the process runs on one.
Its inverse is the most that one process can load: n workers reach at most the smaller of this ceiling and n times the
speed on one core.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
POLICIES = {
    "jitter": {},
    "randaug": {"auto_augment": "randaug-m9-mstd0.5"},
    "autoaug": {"auto_augment": "autoaug-mstd0.5"},
    "trivial": {"auto_augment": "trivialaugwide"},
    "augmix": {"auto_augment": "augmix-m3-w3"},
    "3a": {"auto_augment": "3a-mstd0.5", "color_jitter": None},  # MindCV omits the jitter that belongs to it
}
RECIPE = {"color_jitter": 0.4, "re_prob": 0.25, "hflip": 0.5}
MIXING = {"mixup": 0.2, "cutmix_prob": 1.0, "num_classes": 1000}
FILES, COPIES = 256, 8  # distinct images, and names of each
CONTESTANTS = ("this project", "this project, one core", "baseline", "MindCV", "bare MindSpore")
WORKERS = (4, 8, 24, 48, 96)  # for which the ceiling is printed


def make_images(root: Path, height: int = 375, width: int = 500) -> None:
    """Write `FILES` random images, noise at several scales, each under `COPIES` names, in 8 folders of `root`/train."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for number in range(FILES):
        pixels = np.full((height, width, 3), 128.0)
        for columns, contrast in ((6, 60), (24, 30), (96, 15), (500, 8)):
            grain = rng.normal(128, contrast, (columns * 3 // 4, columns, 3)).clip(0, 255).astype(np.uint8)
            pixels += np.asarray(Image.fromarray(grain).resize((width, height), Image.BICUBIC)) - 128.0
        folder = root / "train" / str(number % 8)
        folder.mkdir(parents=True, exist_ok=True)
        first = folder / f"{number}.jpg"
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(first, quality=90)
        for copy in range(1, COPIES):
            os.link(first, folder / f"{number}_{copy}.jpg")


def zoo_pipeline(root: str, batch: int, policy: dict, workers: int, side: int = 224):
    """Return a loader built with the functions that MindCV and this project have in common."""
    from mindcv.data import create_dataset, create_loader, create_transforms

    dataset = create_dataset(name="", root=root, split="train", shuffle=True, num_parallel_workers=workers)
    transform = create_transforms("", side, is_training=True, **{**RECIPE, **policy})
    return create_loader(
        dataset, batch, True, is_training=True, transform=transform, num_parallel_workers=workers, **MIXING
    )


def bare_pipeline(root: str, batch: int, _policy: dict, workers: int):
    """Return a loader of MindSpore's operations only."""
    from mindspore import dataset as ds
    from mindspore.dataset import vision

    data = ds.ImageFolderDataset(f"{root}/train", num_parallel_workers=workers, shuffle=True)
    mean, std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    crop = vision.RandomCropDecodeResize(224, (0.08, 1.0), (0.75, 1.333))
    operations = [crop, vision.RandomHorizontalFlip(), vision.Normalize(mean, std), vision.HWC2CHW()]
    return data.map(operations, "image", num_parallel_workers=workers).batch(batch, drop_remainder=True)


def forever(loader):
    """Yield batches as NumPy arrays, epoch after epoch."""
    epochs = loader.create_tuple_iterator(num_epochs=2**31 - 1, output_numpy=True)
    while True:
        yield from epochs


def processor_seconds() -> float:
    """Return the processor time of this process and of those that it started, in seconds."""
    import psutil  # not in the environment of timm, which imports this module for its images

    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def use_one_core() -> None:
    """Let this process, and those that it starts, run on one core only."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def contestant(name: str, options: argparse.Namespace) -> None:
    """Load `options.batches` batches for every line on standard input, and print their wall and processor seconds.

    This is what a contestant's process runs. Its first line of output, after a warm-up, is "ready".
    """
    output, sys.stdout = sys.stdout, sys.stderr
    if name == "this project, one core":
        use_one_core()
        options.workers = 1
    make = bare_pipeline if name == "bare MindSpore" else zoo_pipeline
    batches = forever(make(options.images, options.batch, POLICIES[options.policy[0]], options.workers))
    for _ in range(options.batches):
        next(batches)
    print("ready", file=output, flush=True)
    for _turn in sys.stdin:
        next(batches)
        wall, processor = time.perf_counter(), processor_seconds()
        for _ in range(options.batches):
            next(batches)
        print(time.perf_counter() - wall, processor_seconds() - processor, file=output, flush=True)


def command(name: str, policy: str, images: str, options: argparse.Namespace, path: Path | str = ROOT) -> dict:
    """Return the arguments of `subprocess` for the process of a contestant, which imports `mindcv` from `path`."""
    args = [sys.executable, Path(__file__).resolve(), "--contestant", name, "--policy", policy, "--images", images]
    args += ["--batch", options.batch, "--batches", options.batches, "--workers", options.workers]
    environment = {**os.environ, "PYTHONPATH": str(path), "GLOG_v": "4"}
    return {"args": list(map(str, args)), "env": environment, "text": True, "stderr": subprocess.DEVNULL}


def start(name: str, policy: str, images: str, options: argparse.Namespace) -> subprocess.Popen | None:
    """Start the process of a contestant, warmed up and stopped; return None if it is absent."""
    path = {"MindCV": options.mindcv, "baseline": options.baseline}.get(name, ROOT)
    if not path:
        return None
    arguments = command(name, policy, images, options, path)
    process = subprocess.Popen(**arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    if not process.stdout.readline():
        raise SystemExit(f"{name} failed to start; run it to see why: PYTHONPATH={path} {' '.join(arguments['args'])}")
    os.killpg(process.pid, signal.SIGSTOP)
    return process


def turn(process: subprocess.Popen) -> list[float]:
    """Let `process` load the batches of one turn; return its wall and processor seconds."""
    os.killpg(process.pid, signal.SIGCONT)
    print(file=process.stdin, flush=True)
    seconds = [float(word) for word in process.stdout.readline().split()]
    os.killpg(process.pid, signal.SIGSTOP)
    return seconds


def compare(policy: str, images: str, options: argparse.Namespace) -> list[dict]:
    """Measure the contestants on one policy.

    Returns:
        A row per contestant with policy and name and, if it is present, images_per_second (median) and their quartiles,
        processor_ms per image, and ours_is_times, the median ratio of its time to this project's in the same turn.
    """
    running = {name: start(name, policy, images, options) for name in CONTESTANTS}
    running = {name: process for name, process in running.items() if process}
    try:
        turns = [{name: turn(process) for name, process in running.items()} for _turn in range(options.turns)]
    finally:
        for process in running.values():
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    images_per_turn, rows = options.batches * options.batch, []
    for name in CONTESTANTS:
        row = {"policy": policy, "name": name}
        if name in running:
            rates = [images_per_turn / times[name][0] for times in turns]
            low, middle, high = quantiles(rates, n=4)
            row |= {
                "images_per_second": middle,
                "quartiles": [low, high],
                "processor_ms": median(times[name][1] for times in turns) / images_per_turn * 1e3,
                "ours_is_times": median(times[name][0] / times[CONTESTANTS[0]][0] for times in turns),
            }
        rows.append(row)
    return rows


def measure_serial_part(options: argparse.Namespace) -> None:
    """Print the milliseconds per image that Python code takes in this process, to read images and pass batches on."""
    import mindcv.data.dataset as dataset_module
    from mindcv.data.datasets.files import FileSource
    from mindcv.data.loader import _BatchStage

    spent = [0.0]

    def timed(function):
        def call(*args):
            start = time.thread_time()
            try:
                return function(*args)
            finally:
                spent[0] += time.thread_time() - start

        return call

    def timed_rows(*args):
        row = timed(read_ahead(*args).__next__)
        with suppress(StopIteration):
            while True:
                yield row()

    read_ahead, dataset_module.read_ahead = dataset_module.read_ahead, timed_rows
    FileSource.__getitem__ = timed(FileSource.__getitem__)
    _BatchStage.__call__ = timed(_BatchStage.__call__)
    use_one_core()
    policy = POLICIES[options.policy[0]]
    batches = forever(zoo_pipeline(options.images, options.batch, policy, options.workers, side=16))
    for _ in range(32):
        next(batches)
    spent[0] = 0.0
    for _ in range(64):
        next(batches)
    print(spent[0] / (64 * options.batch) * 1e3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mindcv", metavar="DIR", help="folder with MindCV's unpacked wheel")
    parser.add_argument("--turns", type=int, default=9, help="turns of each contestant (default: 9)")
    parser.add_argument("--batches", type=int, default=8, help="batches per turn (default: 8)")
    parser.add_argument("--batch", type=int, default=128, help="images per batch (default: 128)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="parallel workers (default: one per core)")
    parser.add_argument("--policy", choices=POLICIES, action="append", help="measure only this policy, or these")
    parser.add_argument("--baseline", metavar="DIR", help="folder with another version of this project")
    parser.add_argument("--json", metavar="FILE", help="also write the rows to FILE")
    parser.add_argument("--contestant", help=argparse.SUPPRESS)
    parser.add_argument("--images", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contestant == "serial part":
        return measure_serial_part(options)
    if options.contestant:
        return contestant(options.contestant, options)
    print(f"JPEG 500×375 to 224×224, batch {options.batch}, {options.workers} workers, {os.cpu_count()} cores")
    rows, policies = [], options.policy or list(POLICIES)
    with TemporaryDirectory() as folder:
        make_images(Path(folder))
        for policy in policies:
            for row in compare(policy, folder, options):
                print(f"{row['policy']:8} {row['name']:14}", end=" ")
                if "quartiles" in row:
                    print(
                        "{images_per_second:5.0f} images/s ({quartiles[0]:.0f} to {quartiles[1]:.0f}), "
                        "{processor_ms:.2f} processor ms per image; this project is {ours_is_times:.2f} times as fast"
                        .format_map(row), flush=True,
                    )  # fmt: skip
                else:
                    print("absent")
                rows.append(row)
    with TemporaryDirectory() as folder:
        make_images(Path(folder), 15, 20)
        for policy in policies:
            serial = float(subprocess.check_output(**command("serial part", policy, folder, options)))
            one_core = next(row for row in rows if row["policy"] == policy and row["name"] == CONTESTANTS[1])
            ceilings = {n: min(n * one_core["images_per_second"], 1e3 / serial) for n in WORKERS}
            print(f"{policy:8} serial part {serial:.3f} ms per image: at most", end=" ")
            print(", ".join(f"{speed:,.0f} images/s at {n} workers" for n, speed in ceilings.items()), flush=True)
            rows.append({"policy": policy, "name": "serial part", "serial_ms": serial, "ceilings": ceilings})
    if options.json:
        settings = {name: getattr(options, name) for name in ("turns", "batches", "batch", "workers")}
        Path(options.json).write_text(json.dumps({**settings, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
