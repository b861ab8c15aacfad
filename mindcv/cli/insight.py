"""`mindcv insight`: draw where a trained model's heads attend."""

import argparse
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mindcv.cli.parser import Parser, run_command
from mindcv.config import Config, ConfigError, resolve
from mindcv.engine.metrics import gate_history, read_metrics
from mindcv.io.files import require_writable
from mindcv.io.pictures import save_figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mindspore import nn

OPTIONS_THAT_FOLLOW = """Any option of `mindcv infer` may follow, such as --use_ema or --device_target CPU. The model's
shape comes from the config.yaml that a run writes beside its checkpoints; without one, name the recipe: -c RECIPE."""
_DESCRIPTION = """Draw where a trained model's heads attend, as PNG files. attention.png: the attention of every head
from one patch over the image; kernels.png: positional attention before and after training; gates.png and
non_locality.png: values by layer and, if the run's metrics.jsonl lies beside the checkpoint, over the epochs;
comparison.png: how they moved from another checkpoint."""


def main(argv: list[str] | None = None) -> int:
    """Run `mindcv insight` and return its exit code, 0 or 2.

    Args:
        argv: The words after `mindcv insight`; None for those of this process. Missing or wrong ones, or --help, raise
            SystemExit.
    """
    words, options = build_parser().parse_known_args(argv)
    return run_command("insight", lambda: _draw_and_print(words, options))


def _draw_and_print(words: argparse.Namespace, options: list[str]) -> None:
    """Draw what `words` asks for, and print the paths of the files.

    Args:
        words: What `build_parser` parses: `checkpoint`, `image`, `out`, `patch` and `compare`.
        options: Words that it does not know, which are options of the run, such as ["--use_ema"].

    Raises:
        ConfigError: matplotlib is missing, or an option is wrong.
        ValueError, OSError, TypeError, FloatingPointError: the pictures cannot be drawn or written; see `draw`.
    """
    if find_spec("matplotlib") is None:
        raise ConfigError("pictures need matplotlib: pip install matplotlib")
    config = run_config(words.checkpoint, options)
    other = run_config(words.compare, options) if words.compare else None
    for path in draw(config, words.image, Path(words.out), words.patch, other):
        print(path)


def draw(
    config: Config,
    image: str | None,
    out: Path,
    patch: tuple[int, int] | None = None,
    other: Config | None = None,
) -> list[Path]:
    """Write the pictures of a trained model as PNG files.

    Sets MindSpore's device and mode. Gates and non-locality are drawn over the epochs too if metrics.jsonl lies beside
    the checkpoint.

    Args:
        config: Names the model and its checkpoint, `ckpt_path`.
        image: Path of the image whose attention is shown; None for the first validation image of the run.
        out: Folder to write to, created if it is missing. Other files of these names are moved to `out`/earlier-N.
        patch: Row and column, from 1, of the query patch; None for the middle one.
        other: Names another checkpoint, of a model with as many layers and heads, to compare with.

    Returns:
        The paths of attention.png and non_locality.png and, for a model with positional attention, kernels.png and
        gates.png; with `other`, of comparison.png too.

    Raises:
        ValueError, OSError: The checkpoint or the image cannot be used, `patch` is outside the grid, or `out` cannot
            be written to.
        TypeError: The model has no attention.
        FloatingPointError: The attention is not finite.
    """
    from mindcv import insight
    from mindcv.cli.loading import load_model, preprocessor_of
    from mindcv.engine.build import create_configured, with_recorded_model_args
    from mindcv.insight import plots
    from mindcv.insight.kernel import positional_layers

    require_writable(out)
    history = read_gate_history(Path(config.ckpt_path).with_name("metrics.jsonl"))
    config = with_recorded_model_args(config)
    model, _names = load_model(config)
    rows, cols = grid = insight.probe.AttentionProbe(model).model.grid_size
    row, col = patch or (rows // 2 + 1, cols // 2 + 1)
    if not (1 <= row <= rows and 1 <= col <= cols):
        raise ValueError(f"patch: got {row} {col}, wanted a row from 1 to {rows} and a column from 1 to {cols}")
    preprocessor = preprocessor_of(config, model)
    view = preprocessor.crop(image or _first_image(config))
    images = preprocessor.batch([view])
    maps = insight.attention_maps(model, images)
    figures = {
        "attention": plots.attention_figure(view, maps, (row - 1, col - 1), grid),
        "non_locality": plots.non_locality_figure(insight.non_locality(model, images), history.get("non_locality")),
    }
    if other:
        figures["comparison"] = _compare(config, other, model, view)
    if layers := positional_layers(model):
        untrained = create_configured(config, model.num_classes, checkpoint_path="")
        kernels = [insight.effective_kernel(model, layer) for layer in layers]
        figures["kernels"] = plots.kernels_figure(insight.effective_kernel(untrained, layers[0]), kernels)
    if len(insight.gates(model)):
        figures["gates"] = plots.gates_figure(insight.gates(model), history.get("gates"))
    out.mkdir(parents=True, exist_ok=True)
    files = {out / f"{name}.png": figure for name, figure in figures.items()}
    save_figures(files, dpi=160)
    return list(files)


def _compare(config: Config, other: Config, model: "nn.Cell", view: np.ndarray) -> "Figure":
    """Return a figure of how gates and distances moved from the checkpoint of `other` to that of `config`.

    Args:
        config, other: Name the two models and their checkpoints.
        model: The model of `config`, with its weights.
        view: Pixels of an image, as the models see it, (H, W, 3) uint8.

    Raises:
        ValueError, OSError: The checkpoint of `other` cannot be loaded, or the models differ in their numbers of layers
            or heads.
    """
    from mindcv import insight
    from mindcv.cli.loading import load_model, preprocessor_of
    from mindcv.insight import plots

    measured = []
    for options, compared in ((other, load_model(other)[0]), (config, model)):
        images = preprocessor_of(options, compared).batch([view])
        values = {"gates": insight.gates(compared), "non_locality": insight.non_locality(compared, images)}
        measured.append({name: value for name, value in values.items() if value.size})
    shapes = [{name: value.shape for name, value in values.items()} for values in measured]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"compare: {other.ckpt_path} has other layers or heads than {config.ckpt_path}: name a checkpoint of the "
            "same architecture"
        )
    paths = [Path(options.ckpt_path) for options in (other, config)]
    same_name = paths[0].name == paths[1].name
    names = [str(path) if same_name else path.name for path in paths]
    return plots.comparison_figure(measured[0], measured[1], names)


def _first_image(config: Config) -> str | np.ndarray:
    """Return the first validation image of the run: its path, or if the dataset holds pixels, these, (H, W, C) uint8.

    Raises ValueError or FileNotFoundError if the dataset cannot be opened.
    """
    from mindcv.data import default_val_split
    from mindcv.data.datasets import open_source

    split = config.val_split or default_val_split(config.dataset)
    source = open_source(config.dataset, config.data_dir, split)
    return str(source.path(0)) if source.encoded else source[0][0]


def read_gate_history(path: Path) -> dict[str, np.ndarray]:
    """Return "gates" and "non_locality" from a run's `metrics.jsonl`, each (epochs, layers, heads).

    Epochs are in the file's order; those without such values are left out, and so is a name that no epoch has. {} if
    there is no file.

    Raises:
        ValueError: A line of the file is not a record, or its values are not one number for each layer and head.
    """
    return gate_history(read_metrics(path), path)


def run_config(checkpoint: str, options: list[str]) -> Config:
    """Return the options of the run that wrote a checkpoint, its config.yaml, overridden by `options`.

    `ckpt_path` is `checkpoint` and the mode is PyNative. A `-c` or `--config` among `options` takes the place of
    config.yaml; without either, the defaults hold.

    Raises:
        ConfigError: An option or the recipe is wrong, or there is no file `checkpoint`.
    """
    recipe = Path(checkpoint).with_name("config.yaml")
    if recipe.exists() and not {"-c", "--config"} & {*options}:
        options = ["--config", str(recipe), *options]
    return resolve([*options, "--ckpt_path", checkpoint, "--mode", "1"])


def build_parser() -> Parser:
    """Return the parser of `mindcv insight`: CKPT, --image, --out, --compare and --patch (a list of two, or None).

    The options of a run that may follow are unknown to it: call `parse_known_args`.
    """
    parser = Parser(
        "insight",
        description=_DESCRIPTION,
        usage="%(prog)s CKPT [--image FILE] --out DIR [--patch ROW COL] [--compare CKPT] [--option …]",
        epilog=OPTIONS_THAT_FOLLOW,
    )
    parser.add_argument("checkpoint", metavar="CKPT", help="a trained model's checkpoint")
    parser.add_argument(
        "--image", metavar="FILE", help="the image to show (default: the first validation image of the run)"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the pictures")
    parser.add_argument(
        "--compare", metavar="CKPT", help="an earlier checkpoint: draw how gates and distances moved from it"
    )
    parser.add_argument(
        "--patch",
        type=int,
        nargs=2,
        metavar=("ROW", "COL"),
        help="the query patch, from 1 (default: in the middle)",
    )
    return parser
