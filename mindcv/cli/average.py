"""`mindcv average`: write the mean of the weights of several checkpoints."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mindcv.cli.parser import Parser, run_command
from mindcv.engine.checkpoints import CHECKPOINT
from mindcv.engine.metrics import read_metrics
from mindcv.io.files import require_replaceable
from mindcv.weights.classes import CLASS_NAMES
from mindcv.weights.parts import require_finite, weights_of
from mindcv.weights.read import naming, read, read_contents
from mindcv.weights.recorded import model_entry
from mindcv.weights.state_dict import GRID, RUN, to_mindcv
from mindcv.weights.write import write

_Arrays = dict[str, np.ndarray]
_AVERAGED = RUN + "averaged_checkpoints"  # how many checkpoints the file is the mean of


def main(argv: list[str] | None = None) -> int:
    """Run `mindcv average` and return its exit code, 0 or 2.

    Args:
        argv: The words after `mindcv average`; None for those of this process. A mistake in them, or --help, raises
            SystemExit.
    """
    options = build_parser().parse_args(argv)
    return run_command("average", lambda: average(options.checkpoints, options.output, options.best, options.ema))


def average(sources: Sequence[str], target: str, best: int | None = None, ema: bool = False) -> None:
    """Write the mean of the weights of checkpoints, under MindCV's names, and print which they are.

    Args:
        sources: Paths of two or more checkpoints; or one, the folder of a run, with `best`.
        target: Path of the .ckpt to write; only an older output of this function is replaced.
        best: Take so many checkpoints of the run's epochs with the highest top-1, of those that it kept.
        ema: Whether to take the moving averages instead of the weights.

    Raises:
        FileNotFoundError: A checkpoint does not exist.
        ValueError: A checkpoint is damaged, holds NaN or infinite weights, or other weights or classes than the first;
            there are too few; or `target` is no .ckpt.
        OSError: `target` cannot be written, or exists and was not written by this function.
    """
    if Path(target).suffix != ".ckpt":
        raise ValueError(f"got {target!r}; wanted a name that ends in .ckpt")
    require_replaceable(Path(target), "a mean of checkpoints", _is_average)
    if best is not None:
        sources = [str(path) for path in best_checkpoints(sources, best)]
    if len(sources) < 2:
        raise ValueError(f"got {len(sources)} checkpoint; wanted two or more, or the folder of a run with --best K")
    described: _Arrays = {}
    sums: _Arrays = {}
    for source in sources:
        contents = read(source)
        with naming(source):
            weights = to_mindcv(weights_of(contents, ema))
            require_finite(weights)
        descriptions = {name: contents[name] for name in (CLASS_NAMES, GRID) if name in contents}
        if not sums:
            described, types = descriptions, {name: array.dtype for name, array in weights.items()}
            sums = {name: np.zeros(array.shape) for name, array in weights.items()}
        _require_same(source, sources[0], sums, weights, described, descriptions)
        for name, array in weights.items():
            sums[name] += array
    means = {name: (total / len(sources)).astype(types[name]) for name, total in sums.items()}
    write(target, {**means, **described, **model_entry(contents), _AVERAGED: np.array([len(sources)], np.int32)})
    print(f"{target}: the mean of {len(means)} tensors of {', '.join(sources)}")


def best_checkpoints(folders: Sequence[str], count: int) -> list[Path]:
    """Return the `count` checkpoints of a run's whole epochs with the highest top-1, the highest first.

    Args:
        folders: One folder, with the run's metrics.jsonl.
        count: At least 2.

    Raises:
        ValueError: There are fewer such checkpoints, several folders, or a line of metrics.jsonl is not a record.
    """
    if len(folders) != 1 or not Path(folders[0]).is_dir():
        raise ValueError("--best takes the folder of one run, its --ckpt_save_dir")
    folder = Path(folders[0])
    steps = {record["epoch"]: record for record in read_metrics(folder / "metrics.jsonl")}
    scored = {}
    for path in folder.iterdir():
        if not (match := CHECKPOINT.fullmatch(path.name)):
            continue
        record = steps.get(int(match[2]))
        if record and record["top_1"] is not None and record.get("step", 0) == int(match[2]) * int(match[3]):
            scored[path] = record["top_1"]
    if not 2 <= count <= len(scored):
        raise ValueError(
            f"--best {count}: {folder} has {len(scored)} checkpoints of validated epochs, wanted 2 to as many; "
            "--keep_checkpoint_max and --ckpt_save_policy top_k say which a run keeps"
        )
    return sorted(scored, key=lambda path: (-scored[path], path))[:count]


def _require_same(
    source: str, first: str, sums: _Arrays, weights: _Arrays, described: _Arrays, descriptions: _Arrays
) -> None:
    """Raise a ValueError unless a checkpoint has the same weights, by name and shape, and classes as the first."""
    differing = sums.keys() ^ weights.keys() or {n for n in sums if sums[n].shape != weights[n].shape}
    if differing:
        raise ValueError(f"{source} has other weights than {first}, such as {min(differing)}: average one model's only")
    for name in described.keys() | descriptions.keys():
        if not (name in described and name in descriptions and np.array_equal(described[name], descriptions[name])):
            what = "classes" if name == CLASS_NAMES else "patches"
            raise ValueError(f"{source} has other {what} than {first}: average one model's checkpoints only")


def _is_average(path: Path) -> bool:
    """Return whether `average` wrote the file `path`; False if it cannot be read."""
    try:
        return _AVERAGED in read_contents(path).arrays
    except (ValueError, OSError):
        return False


def build_parser() -> Parser:
    """Return the parser of `mindcv average CKPT … OUT [--best K] [--ema]`."""
    parser = Parser("average", description="Write the mean of the weights of several checkpoints of one model.")
    parser.add_argument(
        "checkpoints", nargs="+", metavar="CKPT", help="checkpoints; or the folder of a run, with --best"
    )
    parser.add_argument("output", metavar="OUT", help="the .ckpt to write")
    parser.add_argument(
        "--best", type=int, metavar="K", help="the K checkpoints of the run's folder with the highest top-1"
    )
    parser.add_argument("--ema", action="store_true", help="take the moving averages instead of the weights")
    return parser
