"""Images per second, first step and memory of this project and its peers, side by side on this machine, in float32.

Each contestant runs in a process of its own (peers.py), and all take turns of half a second or one step, so that
whatever else the machine does falls on all alike, and that waking up counts little. Printed are medians, the quartiles,
the median of the ratios to this project within the same turn, and the peak resident memory of the process. "bare
products" are the model's products of matrices alone.

    python benchmarks/speed.py [CASE …] --mindcv DIR --timm PYTHON [--turns 9] [--json FILE]

DIR is a folder with MindCV's unpacked wheel, and PYTHON the interpreter of an environment with torch, timm and
Pillow; a peer that is not named is reported as absent. Without CASE all are run; rows of other cases in FILE are kept.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean, median, quantiles
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
OURS = "this project"
ALL = (OURS, "MindCV", "timm eager", "timm compiled", "ONNX Runtime", "bare products")
TURN = 0.5  # seconds
TIMM_HAS = ("convit_tiny", "convit_small", "convit_base")


class Case(NamedTuple):
    """What is measured: a model, pixels, images a step, whether it trains, and by whom."""

    model: str
    image: int = 224
    batch: int = 8
    train: bool = False
    contestants: tuple[str, ...] = ALL

    @property
    def title(self) -> str:
        kind = "training step (AdamW)" if self.train else "forward"
        return f"{self.model}, {kind}, {self.image} px, batch {self.batch}"

    def takes(self, name: str) -> bool:
        """Whether the contestant can be asked at all: timm has three of the models, ONNX Runtime does not train."""
        has = self.model in TIMM_HAS or not name.startswith("timm")
        return name in self.contestants and has and not (self.train and name == "ONNX Runtime")


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


def start(name: str, case: Case, options: argparse.Namespace) -> subprocess.Popen | None:
    """The process of a contestant, None if it is absent."""
    timm = name.startswith("timm")
    python = options.timm if timm else sys.executable
    path = options.mindcv if name == "MindCV" else ROOT
    if not (python and path):
        return None
    words = [python, str(HERE / "peers.py"), name, json.dumps(case[:4])]
    environment = {**os.environ, "PYTHONPATH": str(path), "GLOG_v": "4"}
    return subprocess.Popen(
        words, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )


def turn(process: subprocess.Popen) -> float:
    """Seconds of a step, the mean of a turn but for its first, which finds the caches full of another's data."""
    steps = []
    while sum(steps[1:]) < TURN:
        print(file=process.stdin, flush=True)
        steps.append(float(process.stdout.readline()))
    return mean(steps[1:])


def compare(case: Case, options: argparse.Namespace) -> list[dict]:
    """A row for each contestant: images per second, quartiles, ratio, seconds to the first step, peak memory in MiB."""
    running, rows = {}, []
    for name in filter(case.takes, ALL):
        process = start(name, case, options)
        first = process.stdout.readline() if process else ""
        if first:
            running[name] = (process, float(first), [])
        else:
            rows.append({"name": name, "absent": "it could not run" if process else "not named"})
    for _turn in range(options.turns):
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
    print(case.title)
    for row in rows:
        if "absent" in row:
            print(f"  {row['name']:14} absent: {row['absent']}")
            continue
        low, high = row["quartiles"]
        print(
            f"  {row['name']:14} {row['images_per_second']:6.2f} images/s ({low:.2f} to {high:.2f}), "
            f"ours is {row['ours_over_it']:.2f} times that; "
            f"first step {row['seconds_to_first_step']:.0f} s, {row['peak_mib']:.0f} MiB",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}")
    parser.add_argument("--mindcv", metavar="DIR")
    parser.add_argument("--timm", metavar="PYTHON")
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to FILE too")
    options = parser.parse_args()
    if unknown := [name for name in options.case if name not in CASES]:
        parser.error(f"no case {unknown[0]!r}; there are {', '.join(CASES)}")
    print(f"{os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}")
    for name in options.case or CASES:
        rows = compare(CASES[name], options)
        show(CASES[name], rows)
        if options.json:
            known = json.loads(options.json.read_text()) if options.json.exists() else {}
            known[name] = {"title": CASES[name].title, "date": time.strftime("%Y-%m-%d"), "rows": rows}
            options.json.write_text(json.dumps(known, indent=2) + "\n")


if __name__ == "__main__":
    main()
