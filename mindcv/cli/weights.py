"""Look at checkpoints and convert them: python -m mindcv.weights inspect FILE, or convert IN OUT --to LAYOUT."""

import sys
from contextlib import suppress
from pathlib import Path

from mindcv.cli.parser import Parser
from mindcv.io.files import require_replaceable
from mindcv.weights import state_dict
from mindcv.weights.describe import describe
from mindcv.weights.parts import weights_of
from mindcv.weights.read import naming, read, read_contents
from mindcv.weights.write import write

_CONVERTERS = {state_dict.MINDCV: state_dict.to_mindcv, state_dict.PYTORCH: state_dict.to_pytorch}


def main(arguments: list[str] | None = None, prog: str = "python -m mindcv.weights") -> int:
    """Run the command line; the exit code is 0, or 2 after an error, told in one line."""
    options = _parser(prog).parse_args(arguments)
    try:
        if options.command == "inspect":
            for heading, said in describe(options.file).items():
                print(f"{heading:<11} {said}")
        else:
            convert(options.input, options.output, options.to, options.ema)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def convert(source: str, target: str, to: str, ema: bool = False) -> None:
    """Write the weights of the checkpoint `source` to `target` under the names of the layout `to`, values untouched.

    Raises:
        FileNotFoundError, ValueError: as `read` and `write`.
        OSError: `target` cannot be written, or holds anything but weights that this function wrote.
    """
    require_replaceable(Path(target), "a file of weights alone from convert", _holds_weights_alone)
    contents = read(source)
    with naming(source):
        weights = weights_of(contents, ema)
        converted = _CONVERTERS[to](weights)
    write(target, converted)
    beside = len(contents) - len(weights)
    left = f"; {beside} tensors of averages and training state were left out" if beside else ""
    print(f"{target}: {len(converted)} tensors under {to} names{left}")


def _holds_weights_alone(path: Path) -> bool:
    """Return whether this project wrote `path`, and nothing but weights to it: no averages, training state or names."""
    with suppress(ValueError, OSError):
        contents = read_contents(path)
        return bool(contents.digest) and len(weights_of(contents.arrays)) == len(contents.arrays)
    return False


def _parser(prog: str) -> Parser:
    parser = Parser(prog=prog, description="Look at checkpoints and convert them.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    about = "Say what a checkpoint holds: model, classes, image, and whether it is whole."
    inspect = commands.add_parser("inspect", help="say what a checkpoint holds", description=about)
    inspect.add_argument("file", metavar="FILE", help="a .ckpt, .safetensors or .pth file")
    about = "Write a checkpoint's weights under other names, as MindSpore's .ckpt or as .safetensors."
    conversion = commands.add_parser(
        "convert", help="write a checkpoint's weights under other names", description=about
    )
    conversion.add_argument("input", metavar="IN", help="a .ckpt, .safetensors or .pth file, under whichever names")
    conversion.add_argument("output", metavar="OUT", help="the file to write: .ckpt or .safetensors")
    conversion.add_argument(
        "--to", required=True, choices=list(_CONVERTERS), help="whose names: MindCV's, or the authors' and timm's"
    )
    conversion.add_argument("--ema", action="store_true", help="take the moving averages in place of the weights")
    return parser


if __name__ == "__main__":
    sys.exit(main())
