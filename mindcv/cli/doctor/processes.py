"""Checks in processes of their own, which may crash or hang."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from mindcv.cli.doctor.result import FAILED, SKIPPED, Result
from mindcv.cli.scripts import LOG_LEVEL
from mindcv.distributed import LAUNCHED
from mindcv.distributed.process import kill_tree
from mindcv.distributed.workers import signal_name

_PACKAGE = "mindcv.cli.doctor"
_SECONDS = {"CPU": 120.0}  # for all checks together
_SECONDS_OF_ACCELERATORS = 600.0
_LOG_LINES = 40


class Check(NamedTuple):
    """A check that needs MindSpore.

    Attributes:
        name: Its function in `checks.py`.
        title: What to call it.
        share: The share of the time of all checks that is kept for it; what others leave comes in addition.
        process: Checks of one number share a process as long as none fails.
        needs_device: Whether it is skipped where the device does not work.
    """

    name: str
    title: str
    share: float
    process: int
    needs_device: bool = True


CHECKS = (
    Check("find_device", "device", 0.05, process=1),
    Check("golden_graph", "golden logits, graph", 0.07, process=1),
    Check("train_graph", "training, graph", 0.25, process=1),
    Check("golden_pynative", "golden logits, PyNative", 0.05, process=2),
    Check("train_pynative", "training, PyNative", 0.12, process=2),
    Check("loader", "loader", 0.04, process=2, needs_device=False),
    Check("collective", "collective", 0.12, process=3),  # its workers need the memory of the devices
)
DEVICE = CHECKS[0]


def run_checks(
    options: Sequence[str], seconds: float | None = None, checks: Sequence[Check] = CHECKS
) -> Iterator[tuple[Check, Result]]:
    """Run checks one after another, and yield each with its result when it has ended.

    A check is ended, and has failed, when only the time that is kept for the next ones is left; one whose process
    crashes has failed too. After a failure the next checks run in a new process, without those that need the device if
    it was the device's.

    Args:
        options: Options of a run, such as ["--model", "convit_small"].
        seconds: Time for all checks together; None for two minutes on a CPU and ten minutes on another device.
        checks: The checks, the device first.
    """
    began, remaining = time.monotonic(), list(checks)
    total = seconds or _SECONDS_OF_ACCELERATORS
    while remaining:
        together = list(next(groupby(remaining, lambda check: check.process))[1])
        with tempfile.TemporaryDirectory(prefix="mindcv-") as folder:
            process = _Process([check.name for check in together], options, Path(folder))
            try:
                for check in together:
                    remaining.remove(check)
                    kept = total * sum(other.share for other in remaining)
                    result = process.next_result(began + total - kept - time.monotonic())
                    yield check, result
                    if result.verdict == FAILED:
                        break
                    if check is DEVICE and not seconds:
                        total = _SECONDS.get(result.figures["device_target"], _SECONDS_OF_ACCELERATORS)
            finally:
                process.kill()
        if check is DEVICE and result.verdict == FAILED:
            for other in filter(lambda other: other.needs_device, remaining):
                yield other, Result(SKIPPED, "the device failed")
            remaining = [other for other in remaining if not other.needs_device]


class _Process:
    """A process that runs checks in turn; see `mindcv/cli/doctor/__main__.py`.

    Args:
        names: Names of the checks.
        options: Options of a run.
        folder: An empty folder for its output.
    """

    def __init__(self, names: Sequence[str], options: Sequence[str], folder: Path):
        self.results, self.log = folder / "results", folder / "log"
        self.read = 0  # results read so far
        path = os.pathsep.join(filter(None, [str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "PYTHONPATH": path, LAUNCHED: str(os.getpid()), LOG_LEVEL: "3"}
        environment["MS_COMPILER_CACHE_ENABLE"] = "0"  # whether it compiles, and how fast, is to be checked
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", _PACKAGE, str(self.results), ",".join(names), *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
            )  # fmt: skip

    def next_result(self, seconds: float) -> Result:
        """Wait for the result of the next check; without one after `seconds`, or if the process ends, it has failed."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            running = self.process.poll() is None
            lines = self.results.read_text(encoding="utf-8").splitlines(True) if self.results.exists() else []
            if len(lines) > self.read and lines[self.read].endswith("\n"):
                self.read += 1
                result = Result(**json.loads(lines[self.read - 1]))
                return result._replace(log=self._last_lines()) if result.verdict == FAILED else result
            if not running:
                return Result(FAILED, f"its process {self._ending()}", log=self._last_lines())
            time.sleep(0.05)
        return Result(FAILED, f"no result after {seconds:.0f} s", log=self._last_lines())

    def kill(self) -> None:
        """Kill the process and all that it started, and wait for it."""
        kill_tree(self.process.pid)
        self.process.wait()

    def _ending(self) -> str:
        """Return how the process ended, such as "was killed by SIGSEGV"."""
        code = self.process.returncode
        return f"was killed by {signal_name(-code)}" if code < 0 else f"ended with exit code {code}"

    def _last_lines(self) -> list[str]:
        """Return the last lines that the process wrote, without blank ones."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return [line for line in lines if line.strip()][-_LOG_LINES:]
