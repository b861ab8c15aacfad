"""The checks that need MindSpore. Each takes the options of a run and returns a line of text and its figures.

A check that fails raises an error, and one that does not apply here raises `Skipped`.
"""

import json
import os
import platform
import re
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import mindspore as ms
import numpy as np
import psutil
from mindspore import Tensor, ops
from PIL import Image

from mindcv import device
from mindcv.cli.benchmark import measure, resolve_here, training_step
from mindcv.cli.doctor import golden
from mindcv.cli.doctor.result import OK, Skipped
from mindcv.config import Config
from mindcv.data import usable_workers
from mindcv.distributed.context import init_distributed
from mindcv.distributed.launcher import choose_port, run_workers
from mindcv.distributed.signals import SignalState
from mindcv.engine.dataloaders import open_training, training_loader
from mindcv.engine.words import counted
from mindcv.mindspore_hooks import ascend_soc_version
from mindcv.models import create_model

__all__ = ["resolve_here"]  # for the process that runs the checks

Found = tuple[str, dict]  # a line of text, and figures by name

PROGRAM = "mindcv.cli.doctor"
_TOLERANCE = {"CPU": 1e-5}  # of the golden logits
_TOLERANCE_OF_ACCELERATORS = 1e-2  # they may multiply in float16 or TF32
_BATCH_SIZE = {"CPU": 8}
_BATCH_SIZE_OF_ACCELERATORS = 64
_PHOTOS, _PHOTO_SIZE = 64, (500, 375)  # about the size of ImageNet's
_LOADER_SECONDS, _LOADER_EPOCHS = 1.0, 50  # how long the loader is timed
_REDUCED = 1 << 20  # float32 elements of an all-reduce
_REDUCTIONS = 5


def find_device(config: Config) -> Found:
    """Select the device, compute 1 + 1 on it, and return its name, number and memory.

    Raises:
        ValueError: MindSpore does not run on `config.device_target`.
        RuntimeError: The sum is wrong.
    """
    target = config.device_target
    device.set_up(target, ms.PYNATIVE_MODE, config.jit_level)
    if (total := ops.add(Tensor([1.0]), Tensor([1.0])).asnumpy()[0]) != 2:
        raise RuntimeError(f"1 + 1 is {total} on the device")
    found = {"device_target": target, "count": ms.hal.device_count(target), "cores": os.cpu_count()}
    if target == "CPU":
        memory = psutil.virtual_memory()
        found |= {"name": _cpu_name(), "total_memory": memory.total, "free_memory": memory.available}
    else:
        properties = ms.hal.get_device_properties(0, target)
        found |= {"name": properties.name, "total_memory": properties.total_memory}
        found |= {"free_memory": getattr(properties, "free_memory", None)}
    if target == "Ascend":
        found["soc_version"] = ascend_soc_version()
    count = counted(found["cores"], "core") if target == "CPU" else counted(found["count"], "device")
    return f"{target}: {found['name']}, {count}, {found['total_memory'] / 1e9:.1f} GB", found


def golden_graph(config: Config) -> Found:
    """Compare logits in graph mode; see `_golden`."""
    return _golden(config, ms.GRAPH_MODE)


def golden_pynative(config: Config) -> Found:
    """Compare logits in PyNative mode; see `_golden`."""
    return _golden(config, ms.PYNATIVE_MODE)


def train_graph(config: Config) -> Found:
    """Time training steps in graph mode; see `_train`."""
    speed, figures = _train(config, ms.GRAPH_MODE)
    return f"{speed}, compiled in {figures['compile_seconds']:.1f} s", figures


def train_pynative(config: Config) -> Found:
    """Time training steps in PyNative mode; see `_train`."""
    return _train(config, ms.PYNATIVE_MODE)


def _golden(config: Config, mode: int) -> Found:
    """Compare logits of convit_tiny with those of the authors' code.

    Raises:
        RuntimeError: The relative error is too large.
    """
    device.set_up(config.device_target, mode, config.jit_level)
    images, _labels = golden.inputs(golden.SALT)
    model = create_model(golden.MODEL)
    weights = golden.golden_weights({parameter.name: parameter.shape for parameter in model.get_parameters()})
    for parameter in model.get_parameters():
        parameter.set_data(Tensor(weights[parameter.name]))
    error = golden.logits_error(model(Tensor(images)).asnumpy())
    wanted = _TOLERANCE.get(config.device_target, _TOLERANCE_OF_ACCELERATORS)
    if not error < wanted:
        raise RuntimeError(f"the relative error is {error:.1e}, wanted below {wanted:.0e}")
    return f"relative error {error:.1e}", {"relative_error": error, "tolerance": wanted}


def _train(config: Config, mode: int) -> Found:
    """Time training steps of the model that the options name, on random images.

    Raises:
        RuntimeError: A loss is not finite, or a step fails.
    """
    device.set_up(config.device_target, mode, config.jit_level)
    step = training_step(config)
    losses = []

    def recorded(images: Tensor, labels: Tensor) -> Tensor:
        losses.append(step(images, labels))
        return losses[-1]

    speed = next(measure(config, recorded, [_batch_size(config)]))
    losses = [float(loss.asnumpy()) for loss in losses]
    if not np.isfinite(losses).all():
        raise RuntimeError(f"the losses of the steps are {losses}")
    text = f"{speed.images_per_second:,.1f} images/s, batch of {speed.batch_size}, loss {losses[0]:.3f}"
    return text, {**speed._asdict(), "losses": losses}


def loader(config: Config) -> Found:
    """Time the training batches of JPEG files of ImageNet's size, decoded and augmented as the options say."""
    with tempfile.TemporaryDirectory() as folder:
        _write_photos(Path(folder))
        config = config.replace(
            dataset="imagenet", data_dir=folder, train_split="train", num_classes=None, batch_size=_PHOTOS // 2
        )
        batches = training_loader(config, open_training(config), num_classes=2)
        epochs = batches.create_tuple_iterator(num_epochs=_LOADER_EPOCHS, output_numpy=True)
        sum(1 for _batch in epochs)  # the first epoch starts the threads
        began, images = time.perf_counter(), 0
        while (seconds := time.perf_counter() - began) < _LOADER_SECONDS and images < (_LOADER_EPOCHS - 1) * _PHOTOS:
            images += sum(len(batch[0]) for batch in epochs)
    speed, threads = images / seconds, usable_workers(config.num_parallel_workers)
    text = f"{speed:,.0f} images/s from JPEG files of {'x'.join(map(str, _PHOTO_SIZE))}, {threads} threads"
    return text, {"images_per_second": speed, "threads": threads}


def collective(config: Config) -> Found:
    """Add up numbers of two workers, each with a device of its own; see `all_reduce`.

    Raises:
        Skipped: There is one device, or this is Windows.
        RuntimeError: A worker failed.
    """
    if not hasattr(os, "fork"):
        raise Skipped("several workers are not available on Windows")
    if config.device_target != "CPU" and ms.hal.device_count(config.device_target) < 2:
        raise Skipped("there is one device")
    words = ["--distribute", "True", "--num_devices", "2", "--device_target", config.device_target]
    config = config.replace(distribute=True, num_devices=2, num_nodes=1, node_rank=0, master_addr="127.0.0.1")
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder, "results")
        code = run_workers(
            config, PROGRAM, [str(results), "all_reduce", *words], choose_port(config), Path(folder, "logs"),
            SignalState(),
        )  # fmt: skip
        ranks = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    failed = [rank for rank in ranks if rank["verdict"] != OK]
    if code or failed or len(ranks) < 2:
        raise RuntimeError(failed[0]["reason"] if failed else f"the two workers ended with exit code {code}")
    found = {**ranks[0]["figures"], "milliseconds": max(rank["figures"]["milliseconds"] for rank in ranks)}
    return f"2 workers added up {found['bytes'] / 1e6:.1f} MB in {found['milliseconds']:.1f} ms", found


def all_reduce(config: Config) -> Found:
    """Add up numbers with the other workers, and time it. All workers of `collective` run this.

    Raises:
        RuntimeError: The other worker did not start in time, or the sum is wrong.
    """
    device.set_up(config.device_target, ms.PYNATIVE_MODE)
    workers = init_distributed(config)
    own, add = Tensor(np.full(_REDUCED, 1.0 + workers.rank, np.float32)), ops.AllReduce()
    seconds = []
    for _ in range(1 + _REDUCTIONS):
        began = time.perf_counter()
        total = add(own).asnumpy()
        seconds.append(time.perf_counter() - began)
    wanted = workers.size * (workers.size + 1) / 2
    if not (total == wanted).all():
        raise RuntimeError(f"the sum of the workers' numbers is {total.min()} to {total.max()}, wanted {wanted}")
    return "", {"bytes": total.nbytes, "milliseconds": 1000 * float(np.median(seconds[1:]))}


def _batch_size(config: Config) -> int:
    """Return the batch size that the options give, or else a small one that fits the device."""
    if config.origin("batch_size") != "default":
        return config.batch_size
    return _BATCH_SIZE.get(config.device_target, _BATCH_SIZE_OF_ACCELERATORS)


def _write_photos(folder: Path) -> None:
    """Write JPEG files of two classes, noise over a smooth picture, to `folder`/train."""
    rng = np.random.default_rng(0)
    width, height = _PHOTO_SIZE
    for number in range(_PHOTOS):
        path = folder / "train" / f"class_{number % 2}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        smooth = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).resize(
            _PHOTO_SIZE, Image.Resampling.BICUBIC
        )
        noise = rng.normal(0, 12, (height, width, 3))
        Image.fromarray((np.asarray(smooth) + noise).clip(0, 255).astype(np.uint8)).save(path, quality=90)


def _cpu_name() -> str:
    """Return the processor's name, such as "AMD EPYC 7763 64-Core Processor", or its architecture."""
    with suppress(OSError):
        if match := re.search(r"^model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(), re.MULTILINE):
            return match[1]
    return platform.processor() or platform.machine()
