"""`mindcv benchmark`: the speed and the memory of a model on this machine, without data."""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import mindspore as ms
import numpy as np
import psutil
from mindspore import Tensor

from mindcv import device
from mindcv.cli.parser import Parser, run_command
from mindcv.config import Config, resolve
from mindcv.engine.build import build_loss, build_loss_scale, build_model, build_optimizer, compute_in
from mindcv.engine.step import TrainStep
from mindcv.io.files import atomic_write_text, json_object, require_replaceable

_SECONDS, _MIN_STEPS, _MAX_STEPS = 2.0, 3, 50  # how long a batch size is timed
_LARGEST = 4096
_CLASSES = 1000


class Speed(NamedTuple):
    """What was measured at one batch size.

    Attributes:
        batch_size: Images a step.
        images_per_second: Images divided by the median time of a step.
        milliseconds: Median time of a step.
        peak_memory: Peak so far in bytes: the device's, or on a CPU the process's.
        compile_seconds: Time of the first step less that of a later one: compiling in graph mode, and first-time work.
    """

    batch_size: int
    images_per_second: float
    milliseconds: float
    peak_memory: int
    compile_seconds: float


def main(argv: list[str] | None = None) -> int:
    """Run `mindcv benchmark` and return its exit code, 0 or 2.

    Args:
        argv: The words after `mindcv benchmark`; None for those of this process. Missing or wrong ones, or --help,
            raise SystemExit.
    """
    words, options = build_parser().parse_known_args(argv)
    return run_command("benchmark", lambda: _benchmark(words, options))


def _benchmark(words: argparse.Namespace, options: list[str]) -> None:
    """Print a line for each batch size as it is measured, and write them all to the file `words.json`, if given.

    Args:
        words: What `build_parser` parses.
        options: Words that it does not know, which are options of a run, such as ["--amp_level", "O2"].

    Raises:
        ValueError, OSError: An option is wrong, no batch size fits into memory, or the file cannot be written.
    """
    out = Path(words.json) if words.json else None
    if out:
        require_replaceable(out, "figures of mindcv benchmark", lambda path: "benchmark" in json_object(path))
    config = resolve_here([*options, "--model", words.model])
    os.environ.setdefault("MS_COMPILER_CACHE_ENABLE", "0")  # the time to compile is to be measured
    device.set_up(config.device_target, config.mode, config.jit_level)
    step, kind = (training_step(config), "training") if words.train else (_forward(config), "inference")
    print(
        f"{config.model}, {kind} on {config.device_target}, {config.amp_level}, images of {_size(config)}", flush=True
    )
    print(f"{'batch size':>10} {'images/s':>10} {'ms a step':>10} {'peak MB':>10} {'compile s':>10}", flush=True)
    rows = []
    for speed in measure(config, step, words.batch_size):
        rows.append(speed)
        print(
            f"{speed.batch_size:>10} {speed.images_per_second:>10.1f} {speed.milliseconds:>10.1f} "
            f"{speed.peak_memory / 1e6:>10,.0f} {speed.compile_seconds:>10.1f}",
            flush=True,
        )
    if not rows:
        raise ValueError("no batch size fits into memory: pass a smaller --image_resize or another model")
    if out:
        about = {"benchmark": kind, "model": config.model, "device": config.device_target, "mode": config.mode}
        about |= {"amp_level": config.amp_level, "image_size": _size(config), "mindspore": ms.__version__}
        record = {**about, "rows": [speed._asdict() for speed in rows]}
        atomic_write_text(out, json.dumps(record, indent=2) + "\n")


def resolve_here(options: list[str]) -> Config:
    """Return the options of a run, on MindSpore's default device for this machine unless they name another.

    Raises:
        ConfigError: An option is wrong.
    """
    return resolve(["--device_target", ms.get_context("device_target"), *options])


def measure(config: Config, step: Callable, batch_sizes: list[int] | None) -> Iterator[Speed]:
    """Yield the speed at each batch size; without any, at 1, 2, 4, … until the memory ends.

    On a CPU, where running out of memory ends the process, a batch size is not tried if it would need more than is
    available, judging by those before.

    Args:
        config: Says the size and the channels of the images, and the number of classes.
        step: Makes a step with images (B, C, H, W) and labels (B,), and returns a tensor.
        batch_sizes: Images a step; None to double them.
    """
    sizes = batch_sizes or [2**n for n in range(_LARGEST.bit_length())]
    before = device.peak_memory()
    for size in sizes:
        try:
            speed = _time(config, step, size)
        except (RuntimeError, MemoryError) as error:
            if "memory" not in str(error).lower():
                raise
            return
        yield speed
        doubled = speed.peak_memory - before  # what twice as many images will need besides
        if config.device_target == "CPU" and not batch_sizes and doubled > psutil.virtual_memory().available:
            return


def _time(config: Config, step: Callable, batch_size: int) -> Speed:
    """Return the speed of `step` at one batch size, over at least three steps; the first is not counted."""
    rng = np.random.default_rng(0)
    height, width = np.broadcast_to(config.image_resize, 2).tolist()
    images = rng.standard_normal((batch_size, config.in_channels, height, width), np.float32)
    batch = Tensor(images), Tensor(rng.integers(0, config.num_classes or _CLASSES, batch_size), ms.int32)
    seconds: list[float] = []
    while len(seconds) <= _MIN_STEPS or (sum(seconds[1:]) < _SECONDS and len(seconds) <= _MAX_STEPS):
        began = time.perf_counter()
        step(*batch).asnumpy()
        seconds.append(time.perf_counter() - began)
    median = float(np.median(seconds[1:]))
    return Speed(batch_size, batch_size / median, 1000 * median, device.peak_memory(), max(seconds[0] - median, 0.0))


def _forward(config: Config) -> Callable:
    """Return a function that computes the logits of a new model in evaluation mode."""
    model = build_model(config, config.num_classes or _CLASSES)
    compute_in(config, model, config.amp_level)
    return lambda images, _labels: model(images)


def training_step(config: Config) -> Callable:
    """Return a training step of a new model, with the loss and the optimizer that the options name."""
    model = build_model(config, config.num_classes or _CLASSES)
    compute_in(config, model, config.amp_level)
    optimizer = build_optimizer(config, model, [config.lr] * _LARGEST)  # more than there are steps
    return TrainStep(model, build_loss(config), optimizer, loss_scale=build_loss_scale(config)).set_train()


def _size(config: Config) -> str:
    """Return the size of the images, such as "224x224"."""
    return "x".join(map(str, np.broadcast_to(config.image_resize, 2).tolist()))


def _count(text: str) -> int:
    """Return a whole number above 0; anything else is an ArgumentTypeError."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted a whole number above 0")
    return int(text)


def build_parser() -> Parser:
    """Return the parser of `mindcv benchmark`: MODEL, --train, --batch_size (a list of numbers, or None) and --json.

    The options of a run that may follow are unknown to it: call `parse_known_args`.
    """
    parser = Parser(
        "benchmark",
        description="Measure images per second, time and peak memory of a model on this machine, and how long it takes "
        "to compile, on random images.",
        usage="%(prog)s MODEL [--train] [--batch_size N …] [--json FILE] [--option …]",
        epilog="Any option of `mindcv train` may follow, such as --amp_level O2, --image_resize 384 or --mode 1.",
    )
    parser.add_argument("model", metavar="MODEL", help="a name that `mindcv list` prints")
    parser.add_argument("--train", action="store_true", help="measure training steps, not inference")
    parser.add_argument(
        "--batch_size",
        type=_count,
        nargs="+",
        metavar="N",
        help="images a step (default: 1, 2, 4, … until the memory ends)",
    )
    parser.add_argument("--json", metavar="FILE", help="also write the figures to this file")
    return parser
