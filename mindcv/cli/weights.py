"""`mindcv inspect` and `mindcv convert`: describe a checkpoint, or write its weights under other names."""

from contextlib import suppress
from pathlib import Path

from mindcv.cli.parser import Parser, run_command
from mindcv.io.files import require_replaceable
from mindcv.models.family import families
from mindcv.weights import state_dict
from mindcv.weights.classes import CLASS_NAMES
from mindcv.weights.describe import describe
from mindcv.weights.parts import weights_of
from mindcv.weights.read import naming, read, read_contents
from mindcv.weights.recorded import RECORDED, model_entry
from mindcv.weights.write import write

_DESCRIPTIVE = {
    CLASS_NAMES: "class names",
    state_dict.GRID: "rows and columns of patches",
    RECORDED: "arguments of the model",
}
_CONVERTERS = {state_dict.MINDCV: state_dict.to_mindcv, state_dict.PYTORCH: state_dict.to_pytorch}


def main(argv: list[str] | None = None) -> int:
    """Run `mindcv inspect` or `mindcv convert`, the first word of `argv`, and return its exit code, 0 or 2.

    Args:
        argv: Words such as ["inspect", "best.ckpt"]; None for those of this process. A mistake in them, or --help,
            raises SystemExit.
    """
    options = build_parser().parse_args(argv)
    if options.command == "inspect":
        return run_command("inspect", lambda: inspect(options.file))
    return run_command("convert", lambda: convert(options.input, options.output, options.to, options.ema))


def inspect(path: str) -> None:
    """Print what `mindcv.weights.describe` returns for the checkpoint `path`, one line per heading.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: It is damaged or not a checkpoint.
    """
    for heading, text in describe(path, [family.checkpoints for family in families()]).items():
        print(f"{heading:<11} {text}")


def convert(source: str, target: str, to: str, ema: bool = False) -> None:
    """Write the weights of a checkpoint under other names, with their values unchanged, and print what was written.

    A .ckpt keeps the class names, the grid of patches and a run's `model_args` too; a .safetensors holds weights alone.
    An older output of this function is replaced atomically.

    Args:
        source: Path of a .ckpt, .safetensors or .pth file.
        target: Path of the .ckpt or .safetensors file to write.
        to: "mindcv" for the names of MindCV, "pytorch" for those of the authors and timm.
        ema: Whether to write the moving averages instead of the weights.

    Raises:
        FileNotFoundError: There is no file `source`.
        ValueError: `source` is damaged, has other contents or, with `ema`, no moving averages; or `target` has another
            suffix.
        OSError: `target` cannot be written, or exists and was not written by this function.
    """
    require_replaceable(Path(target), "a file of weights alone from convert", _holds_weights_alone)
    contents = read(source)
    with naming(source):
        weights = weights_of(contents, ema)
        converted = _CONVERTERS[to](weights)
    described = {name: contents[name] for name in (CLASS_NAMES, state_dict.GRID) if name in contents}
    described |= model_entry(contents)
    kept = described if Path(target).suffix == ".ckpt" else {}
    write(target, {**converted, **kept})
    omitted = len(contents) - len(weights) - len(described)
    notes = [f"; {_DESCRIPTIVE[name]} were kept" for name in kept]
    notes += [f"; {_DESCRIPTIVE[name]} were left out, which a .ckpt keeps" for name in described if name not in kept]
    notes += [f"; {omitted} tensors of averages and training state were left out"] * bool(omitted)
    print(f"{target}: {len(converted)} tensors under {to} names{''.join(notes)}")


def _holds_weights_alone(path: Path) -> bool:
    """Return whether this project wrote `path` and it contains no averages and no training state.

    False if it cannot be read.
    """
    with suppress(ValueError, OSError):
        contents = read_contents(path)
        weights = contents.arrays.keys() - _DESCRIPTIVE.keys()
        return bool(contents.digest) and len(weights_of(contents.arrays)) == len(weights)
    return False


def build_parser() -> Parser:
    """Return the parser of `mindcv inspect FILE` and `mindcv convert IN OUT --to NAMES [--ema]`.

    What it parses has `command`, "inspect" or "convert", and `file`, or `input`, `output`, `to` and `ema`.
    """
    parser = Parser(description="Describe and convert checkpoints.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = commands.add_parser(
        "inspect",
        help="describe the contents of a checkpoint",
        description="Describe the contents of a checkpoint: model, classes, image size, and whether it is undamaged.",
    )
    command.add_argument("file", metavar="FILE", help="a .ckpt, .safetensors or .pth file")
    command = commands.add_parser(
        "convert",
        help="write a checkpoint's weights under other names",
        description="Write a checkpoint's weights under other names, as MindSpore's .ckpt or as .safetensors.",
    )
    command.add_argument("input", metavar="IN", help="a .ckpt, .safetensors or .pth file, under any of the names")
    command.add_argument("output", metavar="OUT", help="the file to write: .ckpt or .safetensors")
    command.add_argument(
        "--to", required=True, choices=list(_CONVERTERS), help="whose names: MindCV's, or the authors' and timm's"
    )
    command.add_argument("--ema", action="store_true", help="write the moving averages instead of the weights")
    return parser
