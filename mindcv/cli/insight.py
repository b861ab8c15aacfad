"""Draw where a trained model's heads look: python -m mindcv.insight CKPT --image FILE --out DIR."""

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from mindcv.cli.parser import Parser
from mindcv.cli.scripts import USER_ERROR
from mindcv.config import Config, ConfigError, resolve
from mindcv.engine.metrics import read_metrics
from mindcv.io.files import require_writable
from mindcv.io.pictures import save_figures

_ABOUT = """Draw where a trained ConViT's heads look, as PNG files: attention.png, of every head from one patch over the
image; kernels.png, by position alone, before training and after it; gates.png and non_locality.png, by layer and, where
the run's metrics.jsonl lies beside the checkpoint, through training."""


def main(argv: list[str] | None = None, prog: str = "python -m mindcv.insight") -> int:
    """Run the command line; the exit code is 0, or 2 after an error, told in one line."""
    parser = _parser(prog)
    words, options = parser.parse_known_args(argv)
    try:
        if find_spec("matplotlib") is None:
            raise ConfigError("pictures need matplotlib: pip install matplotlib")
        for path in draw(_config(words.checkpoint, options), words.image, Path(words.out), words.patch):
            print(path)
    except (ValueError, TypeError, OSError, FloatingPointError) as error:
        print(f"{prog}: {str(error).splitlines()[0]}", file=sys.stderr)
        return USER_ERROR
    return 0


def draw(config: Config, image: str | None, out: Path, patch: tuple[int, int] | None = None) -> list[Path]:
    """Write the pictures of the model that `config` names, for the file `image`, to the folder `out`.

    Args:
        image: None for the first one that the run validates on.
        patch: Row and column, from 1, of the patch whose attention is shown; the middle one by default.

    Returns:
        The files.

    Raises:
        ValueError, OSError: the checkpoint or the image is at fault, or the patch is not on the grid.
        FloatingPointError: the attention is not finite.
    """
    from mindcv import insight
    from mindcv.cli.loading import load_model, preprocessor_of
    from mindcv.config import model_arguments
    from mindcv.insight import plots
    from mindcv.models import create_model

    require_writable(out)
    training = read_gate_history(Path(config.ckpt_path).with_name("metrics.jsonl"))
    model, _names = load_model(config)
    rows, cols = grid = insight.probe.require_convit(model).grid_size
    row, col = patch or (rows // 2 + 1, cols // 2 + 1)
    if not (1 <= row <= rows and 1 <= col <= cols):
        raise ValueError(f"patch: got {row} {col}, wanted a row from 1 to {rows} and a column from 1 to {cols}")
    preprocessor = preprocessor_of(config, model)
    view = preprocessor.crop(image or _first_image(config))
    images = preprocessor.batch([view])
    maps = insight.attention_maps(model, images)
    figures = {
        "attention": plots.attention_figure(view, maps, (row - 1, col - 1), grid),
        "non_locality": plots.non_locality_figure(insight.non_locality(model, images), training.get("non_locality")),
    }
    if model.local_up_to_layer:
        start = create_model(num_classes=model.num_classes, **{**model_arguments(config), "checkpoint_path": ""})
        kernels = [insight.effective_kernel(model, layer) for layer in range(model.local_up_to_layer)]
        figures["kernels"] = plots.kernels_figure(insight.effective_kernel(start, 0), kernels)
        figures["gates"] = plots.gates_figure(insight.gates(model), training.get("gates"))
    out.mkdir(parents=True, exist_ok=True)
    files = {out / f"{name}.png": figure for name, figure in figures.items()}
    save_figures(files, dpi=160)
    return list(files)


def _first_image(config: Config) -> str | np.ndarray:
    """The first image that the run validates on: its file, or its pixels."""
    from mindcv.data import default_val_split
    from mindcv.data.datasets import open_source

    split = config.val_split or default_val_split(config.dataset)
    source = open_source(config.dataset, config.data_dir, split)
    return str(source.path(0)) if source.encoded else source[0][0]


def read_gate_history(path: Path) -> dict[str, np.ndarray]:
    """Return the "gates" and "non_locality" of a run's `metrics.jsonl`, each (epochs, layers, heads), if it has them.

    Raises:
        ValueError: a line of the file is not a record, or the values are not one number for each layer and head.
    """
    records, found = read_metrics(path), {}
    for name in ("gates", "non_locality"):
        values = [record[name] for record in records if name in record]
        try:
            found |= {name: np.array(values, float)} if values else {}
            wrong = values and found[name].ndim != 3
        except (ValueError, TypeError):
            wrong = True
        if wrong:
            raise ValueError(f"{path}: {name} has other layers or heads in one epoch than in another: move it away")
    return found


def _config(checkpoint: str, options: list[str]) -> Config:
    """The options of the run that wrote `checkpoint`, from the config.yaml beside it, with `options` over them."""
    recipe = Path(checkpoint).with_name("config.yaml")
    if recipe.exists() and not {"-c", "--config"} & {*options}:
        options = ["--config", str(recipe), *options]
    return resolve([*options, "--ckpt_path", checkpoint, "--mode", "1"])


def _parser(prog: str) -> Parser:
    parser = Parser(
        prog=prog, description=_ABOUT, usage="%(prog)s CKPT [--image FILE] --out DIR [--patch ROW COL] [--option …]",
        epilog="Any option of `mindcv infer` may follow, such as --use_ema or --device_target CPU. The model's form is "
        "that of the config.yaml that a run leaves beside its checkpoints; without one, name the recipe: -c RECIPE.",
        allow_abbrev=False,
    )  # fmt: skip
    parser.add_argument("checkpoint", metavar="CKPT", help="a trained model's checkpoint")
    parser.add_argument(
        "--image", metavar="FILE", help="the image to look at (default: the first one that the run validates on)"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the pictures")
    parser.add_argument(
        "--patch",
        type=int,
        nargs=2,
        metavar=("ROW", "COL"),
        help="the patch that asks, from 1 (default: in the middle)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
