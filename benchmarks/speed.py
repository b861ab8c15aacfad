"""Images per second of this project and its peers, side by side on this machine.

Each contestant runs in a process of its own, and all take turns, one step each, so that whatever else the machine does
falls on all alike. Printed are medians, the spread between the quartiles, and the peak resident memory of the process.

    python benchmarks/speed.py --mindcv DIR --timm PYTHON [--model convit_tiny] [--train] [--image 224] [--batch 8]

DIR is a folder with MindCV's unpacked wheel, and PYTHON the interpreter of an environment with torch and timm. A peer
that is not named is reported as absent.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).resolve().parents[1]


def mindspore_step(model: str, image: int, batch: int, train: bool, ours: bool):
    """A function that makes one step, forward or training with AdamW, in graph mode."""
    import mindspore as ms
    import numpy as np

    import mindcv

    ms.set_context(mode=ms.GRAPH_MODE)
    network = mindcv.create_model(model, **({"image_size": image} if ours else {}))
    rng = np.random.default_rng(0)
    images = ms.Tensor(rng.standard_normal((batch, 3, image, image)), ms.float32)
    labels = ms.Tensor(rng.integers(0, 1000, batch), ms.int32)
    if not train:
        network.set_train(False)
        return lambda: network(images).asnumpy()
    loss = mindcv.loss.create_loss("CE")
    if ours:
        from mindcv.engine.step import TrainStep

        step = TrainStep(network, loss, mindcv.create_optimizer(network, "adamw", lr=1e-4, eps=1e-8))
    else:
        optimizer = mindcv.optim.create_optimizer(network.trainable_params(), "adamw", lr=1e-4, eps=1e-8)
        step = ms.nn.TrainOneStepCell(ms.nn.WithLossCell(network, loss), optimizer)
    step.set_train()
    return lambda: step(images, labels).asnumpy()


def timm_step(model: str, image: int, batch: int, train: bool, compiled: bool):
    """The same step with timm's ConViT on PyTorch."""
    import timm
    import torch

    network = timm.create_model(model, img_size=image)
    images, labels = torch.randn(batch, 3, image, image), torch.randint(0, 1000, (batch,))
    run = torch.compile(network) if compiled else network
    if not train:
        network.eval()
        return torch.no_grad()(lambda: run(images))
    optimizer = torch.optim.AdamW(network.train().parameters(), lr=1e-4)

    def step():
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(run(images), labels).backward()
        optimizer.step()

    return step


def contestant(name: str, options: argparse.Namespace) -> None:
    """The life of a process: compile, then a step for every line on standard input; its seconds on standard output."""
    talk, sys.stdout = sys.stdout, sys.stderr
    shape = (options.model, options.image, options.batch, options.train)
    started = time.perf_counter()
    if name.startswith("timm"):
        step = timm_step(*shape, compiled=name == "timm compiled")
    else:
        step = mindspore_step(*shape, ours=name == "this project")
    step()
    print(time.perf_counter() - started, file=talk, flush=True)
    step()
    for _turn in sys.stdin:
        started = time.perf_counter()
        step()
        print(time.perf_counter() - started, file=talk, flush=True)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, file=talk, flush=True)


def start(name: str, options: argparse.Namespace) -> subprocess.Popen | None:
    """The process of a contestant, None if it is absent."""
    python, path = {
        "this project": (sys.executable, ROOT),
        "MindCV": (sys.executable, options.mindcv),
        "timm eager": (options.timm, ROOT),
        "timm compiled": (options.timm, ROOT),
    }[name]
    if not (python and path):
        return None
    words = [python, str(Path(__file__).resolve()), "--contestant", name, "--model", options.model]
    words += ["--image", str(options.image), "--batch", str(options.batch), *["--train"] * options.train]
    environment = {**os.environ, "PYTHONPATH": str(path), "GLOG_v": "4"}
    return subprocess.Popen(
        words, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )


def compare(options: argparse.Namespace) -> list[dict]:
    """A row for each contestant: images per second, quartiles, seconds to the first step, peak memory in MiB."""
    running, rows = {}, []
    for name in ("this project", "MindCV", "timm eager", "timm compiled"):
        process = start(name, options)
        first = process.stdout.readline() if process else ""
        if first:
            running[name] = (process, float(first), [])
        else:
            rows.append({"name": name, "absent": "it could not run" if process else "not named"})
    for _turn in range(options.steps):
        for process, _, seconds in running.values():
            print(file=process.stdin, flush=True)
            seconds.append(float(process.stdout.readline()))
    for name, (process, first, seconds) in running.items():
        process.stdin.close()
        low, _, high = quantiles([options.batch / s for s in seconds], n=4)
        rows.append(
            {
                "name": name,
                "images_per_second": options.batch / median(seconds),
                "quartiles": [low, high],
                "seconds_to_first_step": first,
                "peak_mib": float(process.stdout.readline()),
            }
        )
        process.wait()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mindcv", metavar="DIR")
    parser.add_argument("--timm", metavar="PYTHON")
    parser.add_argument("--model", default="convit_tiny")
    parser.add_argument("--image", type=int, default=224)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=11)
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--json", metavar="FILE", help="write the rows to FILE too")
    parser.add_argument("--contestant", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contestant:
        return contestant(options.contestant, options)
    rows = compare(options)
    kind = "training step (AdamW)" if options.train else "forward"
    print(f"{options.model}, {kind}, {options.image} px, batch {options.batch}, float32, {os.cpu_count()} cores")
    ours = next(row for row in rows if row["name"] == "this project")
    for row in rows:
        if "absent" in row:
            print(f"{row['name']:14} absent: {row['absent']}")
            continue
        low, high = row["quartiles"]
        print(
            f"{row['name']:14} {row['images_per_second']:6.2f} images/s ({low:.2f} to {high:.2f}), "
            f"ours is {ours['images_per_second'] / row['images_per_second']:.2f} times that; "
            f"first step {row['seconds_to_first_step']:.0f} s, {row['peak_mib']:.0f} MiB"
        )
    if options.json:
        Path(options.json).write_text(json.dumps({**vars(options), "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
