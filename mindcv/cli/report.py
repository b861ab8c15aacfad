"""`mindcv report`: loss, accuracy, gates and non-locality of one or several runs, as curves and as a table."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mindcv.cli.parser import Parser, run_command
from mindcv.config import OPTIONS, RUN_CONFIG, read_recipe
from mindcv.engine.metrics import gate_history, read_metrics
from mindcv.io.files import archive_foreign, atomic_write_text, first_bytes, require_writable
from mindcv.io.pictures import as_label, is_picture, save_figures
from mindcv.io.tables import markdown_table

_COLUMNS = {
    "epochs": "epoch", "loss": "loss", "val loss": "val_loss", "top-1 (%)": "top_1", "top-5 (%)": "top_5",
    "images/s": "images_per_second", "gate": "gates", "non-locality": "non_locality",
}  # fmt: skip
_LAYERS = {"gates": "gate σ(λ)", "non_locality": "non-locality, in patches"}
_FIRST_COLUMNS = "run", "best epoch"
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito's


def main(argv: list[str] | None = None) -> int:
    """Run `mindcv report` and return its exit code, 0 or 2.

    Args:
        argv: The words after `mindcv report`; None for those of this process. A mistake in them, or --help, raises
            SystemExit.
    """
    options = build_parser().parse_args(argv)
    return run_command("report", lambda: write_report(options.runs, Path(options.out)))


def write_report(folders: list[str], out: Path) -> None:
    """Write report.png and report.md to the folder `out`, and print the table.

    Older files that it wrote are replaced, each atomically; others of these names are moved to `out`/earlier-N.

    Args:
        folders: The runs' folders, each with a metrics.jsonl.
        out: Created if it is missing.

    Raises:
        ValueError: A run has no readable metrics, or matplotlib is not installed; nothing is written.
        OSError: `out` cannot be written to.
    """
    require_writable(out)
    runs = {folder: read_run(Path(folder)) for folder in folders}
    figure = plot_curves(runs)
    table = as_table(runs, runs_of_seeds(folders))
    archive_foreign({out / "report.md": _is_table, out / "report.png": is_picture})
    atomic_write_text(out / "report.md", table)
    save_figures({out / "report.png": figure}, dpi=150)
    print(table, end="")
    print(f"curves: {out / 'report.png'}", file=sys.stderr)


def read_run(folder: Path) -> list[dict]:
    """Return the records of a run's epochs, at least one, from `folder`/metrics.jsonl in its order.

    Raises:
        ValueError: The file is missing or empty, a line of it is not a record, or its gates are not numbers.
        OSError: It cannot be read.
    """
    metrics_file = folder / "metrics.jsonl"
    if not metrics_file.is_file():
        raise ValueError(f"{folder}: no metrics.jsonl, wanted the folder of a run, its --ckpt_save_dir")
    records = read_metrics(metrics_file)
    if not records:
        raise ValueError(f"{metrics_file}: no epoch is complete yet")
    gate_history(records, metrics_file)  # checks their form
    return records


def runs_of_seeds(folders: list[str]) -> list[list[str]]:
    """Return those of the runs' folders, two or more at a time, whose options differ in the seed alone.

    Options without effect on the results, such as paths, do not count; a folder without config.yaml is left out.

    Raises:
        ValueError: A config.yaml is not valid.
    """
    groups: dict[tuple, list[str]] = {}
    for folder in folders:
        if (Path(folder) / RUN_CONFIG).is_file():
            options, _origins = read_recipe(Path(folder) / RUN_CONFIG)
            same = {name: value for name, value in options.items() if OPTIONS[name].on_resume != "free"}
            same.pop("seed", None)
            groups.setdefault(tuple(sorted((name, str(value)) for name, value in same.items())), []).append(folder)
    return [group for group in groups.values() if len(group) > 1]


def as_table(runs: dict[str, list[dict]], groups: Sequence[list[str]] = ()) -> str:
    """Return a Markdown table with a row for each run: its best epoch by top-1, and the metrics of that epoch.

    The columns are run, best epoch, epochs (the number of the last one), training and validation loss, top-1 and top-5
    in per cent, images/s, and gates and non-locality as means over layers and heads; a missing value is empty. The last
    epoch stands for a run without validation. A row for each group follows, with means ± sample standard
    deviations, empty where a run has no value.

    Args:
        runs: The records of each run's epochs, at least one, as `read_run` returns them, by the run's name to show.
        groups: Names of runs to average, two or more in a group.
    """
    best = {name: _best(records) for name, records in runs.items()}
    rows = [[name, *map(_cell, row.values())] for name, row in best.items()]
    for group in groups:
        columns = zip(*(best[name].values() for name in group), strict=True)
        rows.append([f"mean of {', '.join(group)}", *map(_mean_cell, columns)])
    return markdown_table([*_FIRST_COLUMNS, *_COLUMNS], rows)


def _best(records: list[dict]) -> dict:
    """Return the columns of a run's row, by the keys of its records; those of gates are means, and None is missing."""
    scored = [record for record in records if record.get("top_1") is not None]
    best = max(scored, key=lambda record: record["top_1"]) if scored else records[-1]
    row = {"best": best["epoch"], **{key: best.get(key) for key in _COLUMNS.values()}, "epoch": records[-1]["epoch"]}
    for key in _LAYERS:
        row[key] = float(np.mean(row[key])) if row[key] else None
    return row


def _mean_cell(values: tuple) -> str:
    """Return mean ± standard deviation with four significant digits of the mean; empty if a value is None."""
    if None in values:
        return ""
    return f"{np.mean(values):,.4g} ± {np.std(values, ddof=1):.2g}"


def plot_curves(runs: dict[str, list[dict]]):
    """Return a matplotlib figure over epochs: training and validation loss on the left, top-1 and top-5 on the right.

    If a run has them, a second row shows gates and non-locality of the last epoch by layer, as means over the heads. It
    is not one of pyplot's, so it need not be closed.

    Args:
        runs: The records of each run's epochs, with "epoch", "loss", "val_loss", "top_1" and "top_5", by the run's name
            in the legend. Values that a record lacks are left out.

    Raises:
        ValueError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ValueError("curves need matplotlib: pip install matplotlib") from None
    runs = {as_label(name): records for name, records in runs.items()}
    by_layer = {key: {name: _last(records, key) for name, records in runs.items()} for key in _LAYERS}
    rows = 1 + any(any(values.values()) for values in by_layer.values())
    figure = Figure(figsize=(11, 4.2 * rows), layout="constrained")
    (loss, accuracy), *layer_axes = figure.subplots(rows, 2, squeeze=False)
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
    for axes, (key, label) in zip(np.ravel(layer_axes), _LAYERS.items(), strict=False):
        for number, (name, layers) in enumerate(by_layer[key].items()):
            if layers:
                means = np.mean(layers, 1)
                x = range(1, len(means) + 1)
                axes.plot(x, means, "o-", color=_COLOURS[number % len(_COLOURS)], label=name)
        axes.set(title="After the last epoch, mean of the heads", xlabel="layer", ylabel=label)
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
        if axes.lines:
            axes.legend(fontsize=8)
    return figure


def _last(records: list[dict], key: str) -> list | None:
    """Return the value that the last record with `key` has for it; None if no record has one."""
    return next((record[key] for record in reversed(records) if record.get(key)), None)


def _is_table(path: Path) -> bool:
    """Return whether `path` was written by `write_report`, as its first line says; False if it cannot be read."""
    return first_bytes(path).startswith(f"| {' | '.join(_FIRST_COLUMNS)} |".encode())


def _cell(value) -> str:
    """Return a float with four significant digits, an int as it is; empty for None."""
    return "" if value is None else f"{value:,.4g}" if isinstance(value, float) else str(value)


def build_parser() -> Parser:
    """Return the parser of `mindcv report`: one or more folders as `runs`, and `--out` ("." by default)."""
    parser = Parser(
        "report",
        description="Draw the loss, accuracy, gates and non-locality of runs to report.png, and print a table and "
        "write it to report.md. Runs that differ in their seed alone get a row with their means.",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN_DIR", help="folders that runs wrote to")
    parser.add_argument("--out", default=".", metavar="FOLDER", help="folder for the two files (default: .)")
    return parser
