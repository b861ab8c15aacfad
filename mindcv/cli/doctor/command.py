"""The command line of `mindcv doctor`: its lines, its report and its exit code."""

import argparse
import getpass
import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mindcv.cli.doctor.processes import CHECKS, DEVICE, Check, run_checks
from mindcv.cli.doctor.result import FAILED, OK, SKIPPED, Result
from mindcv.cli.doctor.versions import accelerator_versions, complaint, package_versions
from mindcv.cli.models import model_names
from mindcv.cli.parser import Parser, run_command
from mindcv.cli.scripts import FAILURE
from mindcv.config import resolve
from mindcv.errors import did_you_mean
from mindcv.io.files import atomic_write_text, json_object, require_replaceable

_REMEDIES = {  # what a device needs, and what to do where it is not found
    "Ascend": ("CANN", "source the set_env.sh of its folder, which sets ASCEND_HOME_PATH"),
    "GPU": ("CUDA", "set CUDA_HOME to its folder"),
}


def main(argv: list[str] | None = None) -> int:
    """Run `mindcv doctor` and return its exit code: 0, 1 if a check failed, or 2 for a mistake in the command line.

    Args:
        argv: The words after `mindcv doctor`; None for those of this process. Wrong ones, or --help, raise SystemExit.
    """
    words, options = build_parser().parse_known_args(argv)
    return run_command("doctor", lambda: _examine(words, options))


def _examine(words: argparse.Namespace, options: list[str]) -> int:
    """Print a line for each check as it ends, write the report to the file `words.json`, if given, and return the code.

    Args:
        words: What `build_parser` parses.
        options: Words that it does not know, which are options of a run, such as ["--amp_level", "O2"].

    Raises:
        ValueError, OSError: An option is wrong, or the file cannot be written.
    """
    out = Path(words.json) if words.json else None
    if out:
        require_replaceable(out, "a report of mindcv doctor", lambda path: "doctor" in json_object(path))
    options = [*options, *(["--device_target", words.device_target] if words.device_target else [])]
    config = resolve([*options, "--model", words.model])
    if not config.model_module and config.model not in model_names():
        raise ValueError(f"no model is called {config.model!r}{did_you_mean(config.model, model_names())}")
    began, records = time.monotonic(), []
    for title, result in _results([*options, "--model", words.model], words):
        print(_line(title, result), flush=True)
        records.append({"check": title, **result._asdict(), "seconds_so_far": round(time.monotonic() - began, 1)})
    failed = sum(record["verdict"] == FAILED for record in records)
    print(f"{failed} of {len(records)} checks failed" if failed else "no check failed")
    if out:
        report = {"doctor": 1, "model": config.model, "options": options, "checks": records}
        atomic_write_text(out, without_private_names(json.dumps(report, indent=2, ensure_ascii=False)) + "\n")
        print(f"report: {out}")
    return FAILURE if failed else 0


def _results(options: list[str], words: argparse.Namespace) -> Iterator[tuple[str, Result]]:
    """Yield the title and the result of each check as it ends, with the `options` of a run."""
    yield "versions", _packages()
    yield "CANN or CUDA", _accelerator(words.device_target)
    for check, result in run_checks(options, words.timeout, _chosen(words.only)):
        yield check.title, result


def _packages() -> Result:
    """Return the versions of Python and the packages; it has failed if MindSpore does not work with them."""
    versions = package_versions()
    text = f"Python {versions['python']}, MindSpore {versions['mindspore']}, NumPy {versions['numpy']}"
    wrong = complaint(versions)
    return Result(FAILED if wrong else OK, wrong, text, versions)


def _accelerator(target: str | None) -> Result:
    """Return the versions of CANN and CUDA; it has failed if the one that the device `target` needs is missing."""
    found = accelerator_versions()
    text = ", ".join(f"{name} {version}" for name, version in found.items())
    if target in _REMEDIES and _REMEDIES[target][0] not in found:
        return Result(FAILED, "{} is not found: {}".format(*_REMEDIES[target]), text, found)
    return Result(OK, "", text, found) if found else Result(SKIPPED, "neither is found")


def _chosen(names: list[str] | None) -> list[Check]:
    """Return the checks of these names and that of the device; None for all."""
    return [check for check in CHECKS if names is None or check is DEVICE or check.name in names]


def _line(title: str, result: Result) -> str:
    """Return the line of a check: its title, what it found, and the verdict with its reason."""
    verdict = f"{result.verdict}: {result.reason}" if result.reason else result.verdict
    return f"{title:<23}  {result.text:<60}  {verdict}"


def without_private_names(text: str) -> str:
    """Return `text` without the paths of the home folder, the user's name in other paths, and this machine's name.

    Args:
        text: JSON.
    """
    text = text.replace(json.dumps(str(Path.home()))[1:-1], "~")
    with suppress(OSError, KeyError, ImportError):  # a user without a name
        text = re.sub(rf"(?<=[/\\]){re.escape(getpass.getuser())}(?=[/\\\"])", "USER", text)
    return re.sub(rf"(?<![\w.-]){re.escape(socket.gethostname())}(?![\w-])", "HOST", text)


def _seconds(text: str) -> float:
    """Return a number of seconds above 0; anything else is an ArgumentTypeError."""
    with suppress(ValueError):
        if 0 < (seconds := float(text)) < float("inf"):
            return seconds
    raise argparse.ArgumentTypeError(f"got {text!r}, wanted a number of seconds above 0")


def build_parser() -> Parser:
    """Return the parser of `mindcv doctor`: --device_target, --model, --only, --timeout and --json.

    The options of a run that may follow are unknown to it: call `parse_known_args`.
    """
    parser = Parser(
        "doctor",
        description="Check what works on this device and how fast: versions, memory, logits against the authors' code, "
        "training steps in graph and PyNative mode, loading of images, and two workers. The exit code is 1 if a check "
        "fails.",
        usage="%(prog)s [--device_target NAME] [--model NAME] [--only CHECK …] [--timeout SECONDS] [--json FILE] "
        "[--option …]",
        epilog="Any option of `mindcv train` may follow, such as --batch_size 32 or --amp_level O2.",
    )
    parser.add_argument("--device_target", metavar="NAME", help="Ascend, GPU or CPU (default: as MindSpore selects)")
    parser.add_argument(
        "--model", default="convit_tiny", metavar="NAME", help="the model that is trained (default: convit_tiny)"
    )
    names = [check.name for check in CHECKS if check is not DEVICE]
    parser.add_argument(
        "--only",
        nargs="+",
        choices=names,
        metavar="CHECK",
        help=f"the checks to run besides versions and device: {', '.join(names)} (default: all)",
    )
    parser.add_argument(
        "--timeout",
        type=_seconds,
        metavar="SECONDS",
        help="time for all checks together (default: 120 on a CPU, else 600)",
    )
    parser.add_argument("--json", metavar="FILE", help="also write a report to this file, to attach to an issue")
    return parser
