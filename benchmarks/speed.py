"""Measure speed, seconds to the first step and memory of this project and its peers on this machine, in float32.

Each contestant runs in its own process (peers.py). They take turns of half a second, at least two steps, so that other
load on the machine affects all alike. The output has the median and the quartiles of the images per second, the median
ratio to this project within the same turn, and the peak resident memory of the process. "bare products" runs only the
model's matrix products.

    python benchmarks/speed.py [CASE …] --mindcv DIR --timm PYTHON [--turns 9] [--json FILE]

DIR is a folder with MindCV's unpacked wheel, and PYTHON the interpreter of an environment with torch, timm and Pillow;
a peer without its option is reported as absent. Without CASE, all cases run; other cases in FILE are kept.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median, quantiles
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
OURS = "this project"
ALL = (OURS, "MindCV", "timm eager", "timm compiled", "ONNX Runtime", "bare products")
TURN = 0.5  # seconds
TIMM_MODELS = ("convit_tiny", "convit_small", "convit_base")


class Case(NamedTuple):
    """What is measured.

    Attributes:
        model: Name of the model.
        image: Side of the images in pixels.
        batch: Images per step.
        train: Whether a step trains, or only computes the logits.
        arguments: Further arguments of the model's constructor, which timm has too.
        contestants: Names of those that are measured.
    """

    model: str
    image: int = 224
    batch: int = 8
    train: bool = False
    arguments: dict[str, int] = {}
    contestants: tuple[str, ...] = ALL

    @property
    def title(self) -> str:
        kind = "training step (AdamW)" if self.train else "forward"
        changes = "".join(f", {name} {value}" for name, value in self.arguments.items())
        return f"{self.model}, {kind}, {self.image} px, batch {self.batch}{changes}"

    def includes(self, name: str) -> bool:
        """Whether `name` can run this case: timm has three of the models, and ONNX Runtime does not train."""
        has_model = self.model in TIMM_MODELS or not name.startswith("timm")
        return name in self.contestants and has_model and not (self.train and name == "ONNX Runtime")


_TRAINING_BATCH = {"convit_small_plus": 4, "convit_base": 4, "convit_base_plus": 2}
_MODELS = [f"convit_{size}{plus}" for size in ("tiny", "small", "base") for plus in ("", "_plus")]
_WITHOUT_PRODUCTS = (OURS, "MindCV", "timm eager")
CASES = {
    **{f"{model}-forward": Case(model) for model in _MODELS},
    **{f"{model}-train": Case(model, batch=_TRAINING_BATCH.get(model, 8), train=True) for model in _MODELS},
    "convit_tiny-one": Case("convit_tiny", batch=1, contestants=(OURS, "ONNX Runtime", "timm eager")),
    "convit_tiny-224": Case("convit_tiny", batch=2, contestants=(OURS, "timm eager")),
    "convit_tiny-448": Case("convit_tiny", image=448, batch=2, contestants=(OURS, "timm eager")),
    "convit_tiny-memory": Case("convit_tiny", batch=32, train=True, contestants=_WITHOUT_PRODUCTS),
}


def start(name: str, case: Case, options: argparse.Namespace, **variables: str) -> subprocess.Popen | None:
    """Start the process of a contestant with more environment `variables`; return None if it is absent."""
    python = options.timm if name.startswith("timm") else sys.executable
    path = options.mindcv if name == "MindCV" else ROOT
    if not (python and path):
        return None
    command = [python, str(HERE / "peers.py"), name, json.dumps(case[:5])]
    inherited = {name: value for name, value in os.environ.items() if name != "MS_COMPILER_CACHE_ENABLE"}
    environment = {**inherited, "PYTHONPATH": str(path), "GLOG_v": "4", **variables}
    return subprocess.Popen(
        command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )


def turn(process: subprocess.Popen) -> float:
    """Run one turn, and return the mean seconds of its steps without the first, which finds the caches cold."""
    seconds = []
    while sum(seconds[1:]) < TURN:
        print(file=process.stdin, flush=True)
        seconds.append(float(process.stdout.readline()))
    return mean(seconds[1:])


def compare(case: Case, options: argparse.Namespace) -> list[dict]:
    """Measure the contestants of `case`.

    Returns:
        A row per contestant: its name and either "absent" with the reason, or images_per_second (median) and their
        quartiles, ours_over_it (the median ratio of its time to this project's in the same turn), seconds_to_first_step
        and peak_mib.
    """
    running, rows = {}, []
    for name in filter(case.includes, ALL):
        process = start(name, case, options, MS_COMPILER_CACHE_ENABLE="0")
        first = process.stdout.readline() if process else ""
        if first:
            running[name] = (process, float(first), [])
        else:
            rows.append({"name": name, "absent": "failed to start" if process else "not given"})
    for _ in range(options.turns):
        for process, _, seconds in running.values():
            seconds.append(turn(process))
    ours = running[OURS][2]
    for name, (process, first, seconds) in running.items():
        process.stdin.close()
        low, _, high = quantiles([case.batch / s for s in seconds], n=4)
        rows.append(
            {
                "name": name,
                "images_per_second": case.batch / median(seconds),
                "quartiles": [low, high],
                "ours_over_it": median(s / o for s, o in zip(seconds, ours, strict=True)),
                "seconds_to_first_step": first,
                "peak_mib": float(process.stdout.readline()),
            }
        )
        process.wait()
    return rows


def show(case: Case, rows: list[dict]) -> None:
    """Print the rows of `case`."""
    print(case.title)
    for row in rows:
        if "absent" in row:
            print(f"  {row['name']:14} absent: {row['absent']}")
            continue
        low, high = row["quartiles"]
        print(
            f"  {row['name']:14} {row['images_per_second']:6.2f} images/s ({low:.2f} to {high:.2f}), "
            f"this project is {row['ours_over_it']:.2f} times as fast; "
            f"first step {row['seconds_to_first_step']:.0f} s, {row['peak_mib']:.0f} MiB",
            flush=True,
        )


def measure(
    cases: dict[str, Case],
    description: str,
    compare: Callable[[Case, argparse.Namespace], list[dict]] = compare,
    show: Callable[[Case, list[dict]], None] = show,
) -> dict[str, dict]:
    """Measure the cases that the command line names, print their rows, and write them to the file that it names.

    Args:
        cases: The cases by name.
        description: Of the program, for `--help`.
        compare: Measures the contestants of a case and returns a row for each.
        show: Prints these rows.

    Returns:
        title, date and rows by case: those of the file, if one is named, with those measured now.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="*", metavar="CASE", help=f"one of {', '.join(cases)} (default: all)")
    parser.add_argument("--mindcv", metavar="DIR", help="folder with MindCV's unpacked wheel")
    parser.add_argument("--timm", metavar="PYTHON", help="interpreter of an environment with torch, timm and Pillow")
    parser.add_argument("--turns", type=int, default=9, help="turns of each contestant (default: 9)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to FILE")
    options = parser.parse_args()
    if unknown := [name for name in options.case if name not in cases]:
        parser.error(f"unknown case {unknown[0]!r}; choose from {', '.join(cases)}")
    known = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    print(f"{os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}")
    for name in options.case or cases:
        rows = compare(cases[name], options)
        show(cases[name], rows)
        known[name] = {"title": cases[name].title, "date": time.strftime("%Y-%m-%d"), "rows": rows}
        if options.json:
            options.json.write_text(json.dumps(known, indent=2) + "\n")
    return known


if __name__ == "__main__":
    measure(CASES, __doc__)
