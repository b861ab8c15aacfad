"""Curves and a table of one or several runs: python -m mindcv.engine.report RUN_DIR … [--out FOLDER]."""

import argparse
import sys
from pathlib import Path

from mindcv.engine.metrics import read_metrics
from mindcv.io.files import archive_foreign, atomic_write_text, first_bytes, require_writable
from mindcv.io.pictures import is_picture, save_figures

_COLUMNS = {
    "epochs": "epoch", "loss": "loss", "val loss": "val_loss", "top-1 (%)": "top_1", "top-5 (%)": "top_5",
    "images/s": "images_per_second",
}  # fmt: skip
_HEADING = "| run | best epoch |"
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito's


def main(argv: list[str] | None = None, prog: str = "python -m mindcv.engine.report") -> int:
    """Run the command line; the exit code is 0, or 2 after an error, told in one line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Draw loss and accuracy of runs to report.png, and print and write a table of them, report.md.",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN_DIR", help="folders that runs wrote to")
    parser.add_argument("--out", default=".", metavar="FOLDER", help="where the two files go (default: here)")
    options = parser.parse_args(argv)
    out = Path(options.out)
    try:
        require_writable(out)
        runs = {run: records_of(Path(run)) for run in options.runs}
        figure = curves(runs)
        text = table(runs)
        archive_foreign({out / "report.md": _is_table, out / "report.png": is_picture})
        atomic_write_text(out / "report.md", text)
        save_figures({out / "report.png": figure}, dpi=150)
    except (ValueError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    print(text, end="")
    print(f"curves: {out / 'report.png'}", file=sys.stderr)
    return 0


def records_of(folder: Path) -> list[dict]:
    """The epochs of a run, from its `metrics.jsonl`.

    Raises:
        ValueError: it has none, or a line of the file is not a record.
    """
    metrics_file = folder / "metrics.jsonl"
    if not metrics_file.is_file():
        raise ValueError(f"{folder}: no metrics.jsonl, wanted the folder of a run (its --ckpt_save_dir)")
    records = read_metrics(metrics_file)
    if not records:
        raise ValueError(f"{metrics_file}: holds no epoch so far")
    return records


def table(runs: dict[str, list[dict]]) -> str:
    """A Markdown table: what each run's best epoch by top-1 reached, or its last where nothing was validated."""
    lines = [f"{_HEADING} {' | '.join(_COLUMNS)} |", f"| --- |{' ---: |' * (len(_COLUMNS) + 1)}"]
    for name, records in runs.items():
        scored = [record for record in records if record.get("top_1") is not None]
        best = max(scored, key=lambda record: record["top_1"]) if scored else records[-1]
        shown = {**best, "epoch": records[-1]["epoch"]}
        lines.append(f"| {name} | {best['epoch']} | {' | '.join(_cell(shown.get(key)) for key in _COLUMNS.values())} |")
    return "\n".join(lines) + "\n"


def curves(runs: dict[str, list[dict]]):
    """A matplotlib figure: loss on the left, in training and validation, and top-1 and top-5 on the right.

    Raises:
        ValueError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ValueError("curves need matplotlib: pip install matplotlib") from None
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    for number, (name, records) in enumerate(runs.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        for axes, key, style, what in (
            (loss, "loss", "-", "training"), (loss, "val_loss", "--", "validation"),
            (accuracy, "top_1", "-", "top-1"), (accuracy, "top_5", "--", "top-5"),
        ):  # fmt: skip
            points = [(record["epoch"], record[key]) for record in records if record.get(key) is not None]
            if points:
                axes.plot(*zip(*points, strict=True), style, marker=".", color=colour, label=f"{name}: {what}")
    for axes, title, unit in ((loss, "Loss", "loss"), (accuracy, "Accuracy in validation", "%")):
        axes.set(title=title, xlabel="epoch", ylabel=unit)
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
        if axes.lines:
            axes.legend(fontsize=8)
        else:
            axes.text(0.5, 0.5, "not validated", transform=axes.transAxes, ha="center", color="gray")
    return figure


def _is_table(path: Path) -> bool:
    return first_bytes(path).startswith(_HEADING.encode())


def _cell(value) -> str:
    return "" if value is None else f"{value:,.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
