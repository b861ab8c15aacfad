"""`mindcv clean`: write a checkpoint's weights alone, with a digest in the file's name, to publish them."""

from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from mindcv.cli.parser import Parser, run_command
from mindcv.io.files import require_writable
from mindcv.weights.classes import CLASS_NAMES
from mindcv.weights.parts import require_finite, weights_of
from mindcv.weights.read import naming, read
from mindcv.weights.state_dict import GRID, to_mindcv
from mindcv.weights.write import FORMATS, write

_DIGITS = 8  # of the digest, as in published files' names


def main(argv: list[str] | None = None) -> int:
    """Run `mindcv clean` and return its exit code, 0 or 2.

    Args:
        argv: The words after `mindcv clean`; None for those of this process. A mistake in them, or --help, raises
            SystemExit.
    """
    options = build_parser().parse_args(argv)
    return run_command("clean", lambda: print(clean(options.checkpoint, options.output, options.ema)))


def clean(source: str, target: str, ema: bool = False) -> Path:
    """Write the weights of a checkpoint without optimizer and run state, under MindCV's names; return the file's path.

    The first eight digits of the file's SHA-256 are appended to its name: model.ckpt becomes model-1b2c3d4e.ckpt. A
    .ckpt keeps the class names and the grid of patches too; a .safetensors holds weights alone.

    Args:
        source: Path of a .ckpt, .safetensors or .pth file.
        target: Path of the .ckpt or .safetensors file to write, without the digest; its folder must exist.
        ema: Whether to write the moving averages instead of the weights.

    Raises:
        FileNotFoundError: There is no file `source`, or no folder for `target`.
        ValueError: `source` is damaged, holds NaN or infinite weights or, with `ema`, has no moving averages; or
            `target` has another suffix.
        OSError: `target` cannot be written.
    """
    path = Path(target)
    if path.suffix not in FORMATS:
        raise ValueError(f"got {target!r}; wanted a name that ends in {' or '.join(FORMATS)}")
    require_writable(path.parent)
    contents = read(source)
    with naming(source):
        arrays = to_mindcv(weights_of(contents, ema))
        require_finite(arrays)
    if path.suffix == ".ckpt":
        arrays = {**arrays, **{name: contents[name] for name in (CLASS_NAMES, GRID) if name in contents}}
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} to write {path.name} to: make it first")
    with TemporaryDirectory(prefix=".mindcv-clean-", dir=path.parent) as folder:
        unnamed = Path(folder, path.name)
        write(unnamed, arrays)
        digest = sha256(unnamed.read_bytes()).hexdigest()[:_DIGITS]
        return unnamed.replace(path.with_name(f"{path.stem}-{digest}{path.suffix}"))


def build_parser() -> Parser:
    """Return the parser of `mindcv clean CKPT OUT [--ema]`."""
    parser = Parser(
        "clean",
        description="Write the weights of a checkpoint without the state of its training, as a file to publish. The "
        f"first {_DIGITS} digits of its SHA-256 are appended to the name.",
    )
    parser.add_argument("checkpoint", metavar="CKPT", help="a .ckpt, .safetensors or .pth file")
    parser.add_argument("output", metavar="OUT", help="the file to write, .ckpt or .safetensors, without the digest")
    parser.add_argument("--ema", action="store_true", help="write the moving averages instead of the weights")
    return parser
