"""Measure images per second from JPEG files to classes, of this project's engines and of timm, on this machine.

Photo-like JPEG files of 500×375 pixels, made as for loader.py, are read, resized, cropped, normalised and classified in
float32. This project runs `mindcv.deploy.predict`, whose loop is that of infer.py, in graph mode; timm runs a loop
over a PyTorch DataLoader with a worker for every core. Each contestant runs in its own process and gets all the files
once before the first turn; they take turns, and the waiting ones are stopped. The output has medians over the turns and
quartiles, and the seconds from the start of the process to its first image's class.

    python benchmarks/inference.py [MODEL …] --timm PYTHON [--turns 7] [--batch 32] [--images 256] [--json FILE]

PYTHON is the interpreter of an environment with torch, timm and Pillow; without it, timm is reported as absent.
"""

import argparse
import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from loader import FILES, ROOT, make_images
from peers import TorchvisionStub

MODELS = ("convit_tiny", "convit_small")
TIMM, ENGINES = "timm", {"ONNX Runtime": "onnxruntime", "MindSpore": "mindspore"}
BASE = "ONNX Runtime"


def this_project(engine: str, model: str, batch: int) -> Callable[[list[str]], None]:
    """Return a function that classifies files with an engine of this project."""
    import mindspore as ms

    import mindcv

    ms.set_context(mode=ms.GRAPH_MODE)
    network = mindcv.create_model(model)
    return lambda paths: mindcv.deploy.predict(network, paths, batch_size=batch, engine=engine)


def timm(model: str, batch: int) -> Callable[[list[str]], None]:
    """Return a function that classifies files with timm, preprocessed by Pillow as torchvision does it."""
    sys.meta_path.insert(0, TorchvisionStub())
    import numpy as np
    import timm
    import torch
    from PIL import Image

    network = timm.create_model(model).eval()
    mean, std = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])

    class Files(torch.utils.data.Dataset):
        def __init__(self, paths: tuple[str, ...]):
            self.paths = paths

        def __len__(self) -> int:
            return len(self.paths)

        def __getitem__(self, i: int) -> torch.Tensor:
            image = Image.open(self.paths[i]).convert("RGB")
            scale = 256 / min(image.size)
            image = image.resize([round(side * scale) for side in image.size], Image.BILINEAR)
            left, top = ((side - 224) // 2 for side in image.size)
            pixels = torch.from_numpy(np.array(image.crop((left, top, left + 224, top + 224))))
            return ((pixels - mean) / std).permute(2, 0, 1).contiguous()

    @functools.cache
    def loader_of(paths: tuple[str, ...]):
        return torch.utils.data.DataLoader(Files(paths), batch, num_workers=os.cpu_count(), persistent_workers=True)

    @torch.inference_mode()
    def classify(paths: list[str]) -> None:
        for images in loader_of(tuple(paths)):
            network(images).softmax(-1).topk(5)

    return classify


def contestant(name: str, options: argparse.Namespace) -> None:
    """Classify the files for every line on standard input and print the seconds that it took.

    This is what a contestant's process runs. Its first line of output, after a warm-up, is the seconds from its start
    to the class of its first image.
    """
    output, sys.stdout = sys.stdout, sys.stderr
    paths = sorted(map(str, Path(options.folder).rglob("*.jpg")))[: options.images]
    [model] = options.model
    classify = timm(model, options.batch) if name == TIMM else this_project(ENGINES[name], model, options.batch)
    classify(paths[:1])
    first = time.time() - options.started
    classify(paths)
    print(first, file=output, flush=True)
    for _turn in sys.stdin:
        start = time.perf_counter()
        classify(paths)
        print(time.perf_counter() - start, file=output, flush=True)


def start(name: str, model: str, folder: str, options: argparse.Namespace) -> tuple[subprocess.Popen, float] | None:
    """Start the process of a contestant, warmed up and stopped, and return it with its first line; None if absent."""
    python = options.timm if name == TIMM else sys.executable
    if not python:
        return None
    command = [python, Path(__file__).resolve(), model, "--contestant", name, "--folder", folder]
    command += ["--batch", options.batch, "--images", options.images, "--started", time.time()]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "GLOG_v": "4", "MINDCV_HOME": f"{folder}/home"}
    process = subprocess.Popen(
        list(map(str, command)), env=environment, text=True, start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    if not (line := process.stdout.readline()):
        raise SystemExit(f"{name} failed to start; run it to see why: {' '.join(map(str, command))}")
    os.killpg(process.pid, signal.SIGSTOP)
    return process, float(line)


def turn(process: subprocess.Popen) -> float:
    """Let `process` classify the files once; return its seconds."""
    os.killpg(process.pid, signal.SIGCONT)
    print(file=process.stdin, flush=True)
    seconds = float(process.stdout.readline())
    os.killpg(process.pid, signal.SIGSTOP)
    return seconds


def compare(model: str, folder: str, options: argparse.Namespace) -> list[dict]:
    """Measure the contestants on one model.

    Returns:
        A row per contestant with model and name and, if it is present, images_per_second (median) and their quartiles,
        seconds_to_first_image, and onnxruntime_is_times, the median ratio of its time to ONNX Runtime's in a turn.
    """
    started = {name: start(name, model, folder, options) for name in (*ENGINES, TIMM)}
    running = {name: found[0] for name, found in started.items() if found}
    try:
        turns = [{name: turn(process) for name, process in running.items()} for _turn in range(options.turns)]
    finally:
        for process in running.values():
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    rows = []
    for name, found in started.items():
        row = {"model": model, "name": name}
        if found:
            low, middle, high = quantiles([options.images / times[name] for times in turns], n=4)
            row |= {
                "images_per_second": middle,
                "quartiles": [low, high],
                "seconds_to_first_image": found[1],
                "onnxruntime_is_times": median(times[name] / times[BASE] for times in turns),
            }
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="*", metavar="MODEL", help=f"models (default: {' '.join(MODELS)})")
    parser.add_argument("--timm", metavar="PYTHON", help="interpreter of an environment with torch, timm and Pillow")
    parser.add_argument("--turns", type=int, default=7, help="turns of each contestant (default: 7)")
    parser.add_argument("--batch", type=int, default=32, help="images per batch (default: 32)")
    parser.add_argument("--images", type=int, default=FILES, help=f"files (default: {FILES})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to FILE")
    parser.add_argument("--contestant", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    parser.add_argument("--started", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contestant:
        return contestant(options.contestant, options)
    print(f"{options.images} JPEG 500×375, batch {options.batch}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}")
    rows = []
    with TemporaryDirectory() as folder:
        make_images(Path(folder))
        for model in options.model or MODELS:
            for row in compare(model, folder, options):
                rows.append(row)
                print(f"{model:14} {row['name']:13}", end=" ")
                if "quartiles" not in row:
                    print("absent")
                    continue
                print(
                    "{images_per_second:5.1f} images/s ({quartiles[0]:.1f} to {quartiles[1]:.1f}); ONNX Runtime is "
                    "{onnxruntime_is_times:.2f} times as fast; first image after {seconds_to_first_image:.1f} s"
                    .format_map(row), flush=True,
                )  # fmt: skip
    if options.json:
        settings = {name: getattr(options, name) for name in ("turns", "batch", "images")}
        record = {"date": time.strftime("%Y-%m-%d"), "cores": os.cpu_count(), **settings, "rows": rows}
        options.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
