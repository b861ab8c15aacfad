"""Measure the seconds to the first training step of each ConViT, beside MindCV, in graph mode and float32.

The seconds include the model's creation and the step itself. "second start" is another process, which finds the graph
that the first start kept. The programs take turns; the output has the medians, and each turn's seconds in FILE.

    python benchmarks/first_step.py [MODEL …] [--mindcv DIR] [--turns 3] [--json FILE]

DIR is a folder with MindCV's unpacked wheel; without it MindCV is left out. Without MODEL, all six are measured; other
models in FILE are kept.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from speed import CASES, HERE, OURS, ROOT, Case

MODELS = {case.model: case for case in CASES.values() if case.train and case.batch <= 8}


def seconds_to_first_step(name: str, case: Case, path: Path, home: str) -> float:
    """Return the seconds that a new process of the contestant `name` takes to its first step.

    Args:
        name: Name of a contestant of peers.py.
        case: The model and its batch.
        path: Folder of the contestant's package.
        home: Folder for compiled graphs.
    """
    command = [sys.executable, str(HERE / "peers.py"), name, json.dumps(case[:5])]
    environment = {**os.environ, "PYTHONPATH": str(path), "MINDCV_HOME": home, "GLOG_v": "4"}
    environment.pop("MS_COMPILER_CACHE_ENABLE", None)
    done = subprocess.run(command, env=environment, input="", capture_output=True, text=True, check=True)
    return float(done.stdout.split()[0])


def measure(case: Case, mindcv: Path | None, turns: int) -> dict[str, list[float]]:
    """Return the seconds of each turn, by "first start", "second start" and, with its folder `mindcv`, "MindCV"."""
    seconds: dict[str, list[float]] = {"first start": [], "second start": [], **({"MindCV": []} if mindcv else {})}
    for _ in range(turns):
        with tempfile.TemporaryDirectory() as home:
            for name, found in seconds.items():
                contestant, path = ("MindCV", mindcv) if name == "MindCV" else (OURS, ROOT)
                found.append(seconds_to_first_step(contestant, case, path, home))
    return seconds


def table(record: dict[str, dict]) -> list[str]:
    """Return the lines of a Markdown table of the medians in `record`, which has `measure`'s seconds of each model."""
    lines = ["| | first start | second start | MindCV |", "| --- | ---: | ---: | ---: |"]
    for model, found in record.items():
        medians = [f"{median(seconds):.1f}" for seconds in found["seconds"].values()]
        lines.append(" | ".join([f"| `{model}`, batch {found['batch']}", *medians]) + " |")
    return lines


def main() -> None:
    """Measure the models that the command line names, print a line for each, and write them to the file it names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="*", metavar="MODEL", help=f"one of {', '.join(MODELS)} (default: all)")
    parser.add_argument("--mindcv", type=Path, metavar="DIR", help="folder with MindCV's unpacked wheel")
    parser.add_argument("--turns", type=int, default=3, help="processes of each program (default: 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the seconds to FILE")
    options = parser.parse_args()
    if unknown := [name for name in options.model if name not in MODELS]:
        parser.error(f"unknown model {unknown[0]!r}; choose from {', '.join(MODELS)}")
    known = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    print(f"{os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}: seconds to the first training step")
    for name in options.model or MODELS:
        seconds = measure(MODELS[name], options.mindcv, options.turns)
        print(f"{name:18}", ", ".join(f"{kind} {median(found):.1f}" for kind, found in seconds.items()), flush=True)
        known[name] = {"batch": MODELS[name].batch, "date": time.strftime("%Y-%m-%d"), "seconds": seconds}
        if options.json:
            options.json.write_text(json.dumps(known, indent=2) + "\n")


if __name__ == "__main__":
    main()
