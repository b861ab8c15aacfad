"""Measure the seconds to the first training step of each ConViT, beside MindCV, in graph mode and float32.

The seconds include the model's creation and the step itself. "second start" is another process, which finds the graph
that the first start kept. The programs take turns; the output has the medians, and each turn's seconds in FILE.

    python benchmarks/first_step.py [MODEL …] [--mindcv DIR] [--turns 9] [--json FILE]

DIR is a folder with MindCV's unpacked wheel; without it MindCV is left out. Without MODEL, all six are measured; other
models in FILE are kept.
"""

import argparse
import tempfile
from statistics import median

from speed import CASES, OURS, Case, measure, start

MODELS = {case.model: case for case in CASES.values() if case.train and case.batch <= 8}
PROGRAMS = {"first start": OURS, "second start": OURS, "MindCV": "MindCV"}


def compare(case: Case, options: argparse.Namespace) -> list[dict]:
    """Return a row for each of `PROGRAMS` that is given: its name, and the seconds to the first step in each turn."""
    seconds: dict[str, list[float]] = {}
    for _ in range(options.turns):
        with tempfile.TemporaryDirectory() as home:
            for name, contestant in PROGRAMS.items():
                if process := start(contestant, case, options, MINDCV_HOME=home):
                    output, _ = process.communicate("")
                    if process.returncode:
                        raise SystemExit(f"{name} of {case.model} failed")
                    seconds.setdefault(name, []).append(float(output.split()[0]))
    return [{"name": name, "seconds": found} for name, found in seconds.items()]


def show(case: Case, rows: list[dict]) -> None:
    """Print the medians of the rows of `case` in a line."""
    print(f"{case.model:18}", ", ".join(f"{row['name']} {median(row['seconds']):.1f}" for row in rows), flush=True)


def table(record: dict[str, dict]) -> list[str]:
    """Return the lines of a Markdown table of the medians in `record`, which is what `measure` returns."""
    lines = ["| | first start | second start | MindCV |", "| --- | ---: | ---: | ---: |"]
    for model, found in record.items():
        medians = [f"{median(row['seconds']):.1f}" for row in found["rows"]]
        lines.append(" | ".join([f"| `{model}`, batch {MODELS[model].batch}", *medians]) + " |")
    return lines


if __name__ == "__main__":
    measure(MODELS, __doc__, compare, show)
