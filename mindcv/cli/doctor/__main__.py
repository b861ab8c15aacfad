"""Run checks in this process: python -m mindcv.cli.doctor FILE NAMES [--option …], which `mindcv doctor` starts.

A line of JSON for each check is appended to FILE when it has ended. NAMES are names of functions in `checks.py`, with
commas between them; after one that fails, the others are left out and the exit code is 1.
"""

import json
import os
import sys
import traceback
from importlib import import_module
from pathlib import Path

from mindcv.cli.doctor.result import FAILED, OK, SKIPPED, Result, Skipped
from mindcv.cli.scripts import first_line
from mindcv.distributed import LAUNCHED, exit_with_parent


def main(file: str, names: str, *options: str) -> int:
    """Run the checks `names` with the `options` of a run, and return the exit code."""
    exit_with_parent(int(os.environ[LAUNCHED]))
    for name in names.split(","):
        result = _run(name, list(options))
        with Path(file).open("a", encoding="utf-8") as results:
            results.write(json.dumps(result._asdict()) + "\n")
        if result.verdict == FAILED:
            return 1
    return 0


def _run(name: str, options: list[str]) -> Result:
    """Run a check and return its result; print the traceback of an error."""
    try:
        checks = import_module("mindcv.cli.doctor.checks")  # it imports MindSpore, which may fail
        text, figures = getattr(checks, name)(checks.resolve_here(options))
    except Skipped as error:
        return Result(SKIPPED, str(error))
    except Exception as error:
        traceback.print_exc()
        return Result(FAILED, first_line(error))
    return Result(OK, text=text, figures=figures)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
