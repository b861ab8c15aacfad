"""The workers of one machine: starting them with MindSpore's `msrun`, watching, signalling and reporting on them."""

import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import psutil

from mindcv.config import Config
from mindcv.distributed.process import exit_with_parent, kill_tree
from mindcv.distributed.signals import STOP_SIGNALS, SignalState

LAUNCHED = "MINDCV_LAUNCHED"  # process id of the launcher, for the workers that it started
BARS = "MINDCV_BARS"  # set where a terminal shows the first worker's log, so that it draws progress bars
JOIN_TIMEOUT = 300  # seconds that the workers wait for each other at the start
LAST_WORDS = 3.0  # seconds between a worker's failure and the end of the others, in which they may log why

# How often workers look for each other at the start and at the end. MindSpore's default of 3 to 5 s costs a run of two
# workers 10 s.
RETRY_INTERVAL = {"MS_RETRY_INTERVAL_LOWER": "1", "MS_RETRY_INTERVAL_UPPER": "1"}
_CRASHES = (signal.SIGSEGV, signal.SIGFPE, signal.SIGABRT)
_FAILURE = re.compile(r"Worker process (\d+) exit with exception\. Error code: (-?\d+)")
_FRAMEWORK_LINE = re.compile(rb"^\[(?:INFO|WARNING)\] [A-Z_]+\(.*\n", re.MULTILINE)


class Failure(NamedTuple):
    """The first worker that failed: its rank, None where it is not known, and its exit code, -signal if killed."""

    rank: int | None
    code: int


class Outcome(NamedTuple):
    """How watching the workers ended: the first failure or None, and whether they still run and must be killed.

    They are left running when time is up after a failure or a signal, or when they must end at once.
    """

    failure: Failure | None
    timed_out: bool


@dataclass
class Workers:
    """One run of `msrun` and the worker processes that it started on this machine.

    Attributes:
        msrun: The process of `msrun`.
        logs: Folder of `msrun.log` and `worker_RANK.log`.
        ranks: Rank of each worker found so far, by process id.
    """

    msrun: subprocess.Popen
    logs: Path
    ranks: dict[int, int] = field(default_factory=dict)

    def is_running(self) -> bool:
        """Whether `msrun` is running; it ends after its workers."""
        return self.msrun.poll() is None

    def find(self) -> None:
        """Add the workers that `msrun` has started since the last call to `ranks`; those that have ended stay in it."""
        with suppress(psutil.Error):
            for process in psutil.Process(self.msrun.pid).children():
                if process.pid in self.ranks:
                    continue
                with suppress(psutil.Error, ValueError):
                    environment = process.environ()
                    if environment.get("MS_ROLE") == "MS_WORKER":
                        self.ranks[process.pid] = int(environment["RANK_ID"])

    def first_failure(self) -> Failure | None:
        """Return the first failure of a worker that `msrun` has logged so far, or None."""
        found = _FAILURE.search((self.logs / "msrun.log").read_text(encoding="utf-8", errors="replace"))
        return found and Failure(self.ranks.get(int(found[1])), int(found[2]))

    def signal(self, pids: Iterable[int], number: int) -> None:
        """Send the signal `number` to the processes `pids`; those that have ended already are skipped."""
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        """Kill `msrun` and every process that it started, and wait for `msrun` to end."""
        kill_tree(self.msrun.pid)
        self.signal(self.ranks, signal.SIGKILL)
        self.msrun.wait()


def start_workers(config: Config, prog: str, argv: list[str], port: int, logs: Path) -> Workers:
    """Start `msrun`, which starts `config.num_devices` workers on this machine, and return without waiting for them.

    On Linux `msrun` ends when this process ends. It does not receive Ctrl-C. The `ranks` of the result are empty; see
    `Workers.find`.

    Args:
        config: The options of the run.
        prog: What the workers run: "train.py" or "mindcv train".
        argv: The workers' command line, without `prog`.
        port: Port at which the workers find each other.
        logs: Folder for the logs; it is created.

    Raises:
        OSError: `logs` exists already (FileExistsError) or cannot be created.
    """
    logs.mkdir(parents=True)
    program = [sys.argv[0]] if prog.endswith(".py") else ["-m", *prog.split()]
    workers = config.num_devices * config.num_nodes
    command = [
        sys.executable, "-m", "mindspore.parallel.cluster.run",
        f"--worker_num={workers}",
        f"--local_worker_num={config.num_devices}",
        f"--master_addr={config.master_addr}", f"--master_port={port}",
        f"--node_rank={config.node_rank}", f"--log_dir={logs}",
        f"--cluster_time_out={JOIN_TIMEOUT}", "--join=True",
        f"--tail_worker_log={workers}",  # the log of no worker: its `tail -f` would outlive an msrun that is killed
        "python3", *program, *argv,
    ]  # fmt: skip
    environment = {
        **(RETRY_INTERVAL if RETRY_INTERVAL.keys().isdisjoint(os.environ) else {}),
        **os.environ,
        LAUNCHED: str(os.getpid()),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PYTHONUNBUFFERED": "1",
        "GLOG_v": "3",  # msrun reports a worker's failure at this level
    }
    if sys.stdout.isatty():
        environment |= {BARS: "1", "COLUMNS": str(shutil.get_terminal_size().columns)}
    with (logs / "msrun.log").open("wb") as log:
        # A session of its own keeps Ctrl-C from msrun. A cluster's SIGTERM reaches it all the same and would end all
        # workers unsaved, so it starts with the signals blocked.
        msrun = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True,
            preexec_fn=partial(_prepare_msrun, os.getpid()),
        )  # fmt: skip
    return Workers(msrun, logs)


def watch(
    workers: Workers,
    signals: SignalState,
    prog: str,
    patience: float,
    show: Callable[[], None] = lambda: None,
    clock=time,
) -> Outcome:
    """Wait until the workers have ended or must be ended, and pass signals on to them; ends none of them itself.

    After the first failure of a worker the others have 3 seconds (`LAST_WORDS`).

    Args:
        workers: The workers.
        signals: The signals that this process received; the first is passed on to each worker once.
        prog: What to call the program in messages.
        patience: Seconds that the workers have to stop after a signal.
        show: Called about ten times a second, to show the workers' output.
        clock: Has `monotonic` and `sleep`, as the module `time`.

    Returns:
        The first failure of a worker or None, and whether workers still run, which the caller must kill.
    """
    deadline, failure = math.inf, None
    signalled: set[int] = set()
    while workers.is_running() and clock.monotonic() < deadline:
        workers.find()
        show()
        if failure is None and (failure := workers.first_failure()):
            deadline = clock.monotonic() + LAST_WORDS
        if must_end_at_once(workers, signals):
            if not workers.ranks:
                say(prog, f"{signal_name(signals.first)}: stopped before a worker began")
            break
        if signals.first:
            if not signalled:
                say(prog, f"{signal_name(signals.first)}: stopping the workers (again: at once)")
                deadline = min(deadline, clock.monotonic() + patience)
            workers.signal(workers.ranks.keys() - signalled, signals.first)
            signalled |= workers.ranks.keys()
        clock.sleep(0.1)
    return Outcome(failure, timed_out=workers.is_running())


def must_end_at_once(workers: Workers, signals: SignalState) -> bool:
    """Whether the workers are ended without waiting: a signal came again, or the first before a worker began."""
    return signals.repeated or bool(signals.first and not workers.ranks)


def report(workers: Workers, outcome: Outcome, signals: SignalState, prog: str, patience: float) -> int:
    """Say on standard error what went wrong, if anything, and return the exit code of the workers together.

    Args:
        workers: The workers, which have ended.
        outcome: What `watch` returned.
        signals: The signals that this process received.
        prog: What to call the program in messages.
        patience: Seconds that the workers had to stop after a signal.

    Returns:
        0 if all went well; 128 + the signal's number if they ended by a signal that this process received; otherwise
        the exit code of the first worker that failed, or of `msrun`, 128 + the signal's number if it was killed.
    """
    stopped = 128 + (signals.first or 0)
    if must_end_at_once(workers, signals):
        return stopped
    if failure := outcome.failure or workers.first_failure():
        if signals.first and stopped in (failure.code, 128 - failure.code):
            return stopped
        return report_failure(workers.logs, failure, prog)
    if outcome.timed_out:
        say(prog, f"the workers did not stop in {patience} s, and were ended")
        return stopped
    if code := workers.msrun.returncode:
        return report_log("msrun, which starts the workers,", code, workers.logs / "msrun.log", prog)
    return 0


def report_failure(logs: Path, failure: Failure, prog: str) -> int:
    """Say on standard error which worker failed and how, and return its exit code, 128 + signal if it was killed.

    If the worker printed an error line of its own, that line is shown, unless it is worker 0's, which was shown before;
    otherwise the end of its log.

    Args:
        logs: Folder with the workers' logs.
        failure: The failure.
        prog: What begins an error line.
    """
    log = logs / f"worker_{failure.rank}.log"
    messages = [line for line in _lines(log) if line.startswith(f"{prog}: ")]
    if failure.code > 0 and messages:  # the worker printed its error; the first worker's output was shown
        if failure.rank != 0:
            print(f"{messages[-1]} (rank {failure.rank})", file=sys.stderr)
        return failure.code
    who = "a worker" if failure.rank is None else f"rank {failure.rank}"
    return report_log(who, failure.code, log, prog)


def report_log(who: str, code: int, log: Path, prog: str) -> int:
    """Print how `who` ended and the last ten lines of its log on standard error, and return its exit code.

    Args:
        who: Begins the message, such as "rank 1".
        code: Exit code, or -signal if a signal killed it.
        log: Its log, which may be missing.
        prog: What to call the program in messages.

    Returns:
        `code`, or 128 + signal.
    """
    how = f"was killed by {signal_name(-code)}" if code < 0 else f"failed with exit code {code}"
    say(prog, f"{who} {how}; the others were ended. The end of its log, {log}:")
    for line in _lines(log)[-10:]:
        print(f"    {line}", file=sys.stderr)
    if -code in _CRASHES:
        say(prog, "a damaged image can do that to the decoder: python -m mindcv.data check finds it")
    return 128 - code if code < 0 else code


class LogStream:
    """Shows what the first worker writes to its log: its error lines on standard error, the rest on standard output.

    Args:
        log: The log; it may not exist yet.
        prog: What begins an error line.
    """

    def __init__(self, log: Path, prog: str):
        self.log = log
        self.error_line = f"{prog}: ".encode()
        self.shown = 0  # bytes

    def show(self) -> None:
        """Show what was written since the last call, without MindSpore's own INFO and WARNING lines.

        Unfinished lines are shown too, except that an unfinished error line waits for a later call.
        """
        if not self.log.exists():
            return
        with self.log.open("rb") as file:
            file.seek(self.shown)
            new = file.read()
        unfinished = new.rpartition(b"\n")[2]
        if unfinished.startswith(self.error_line):
            new = new[: -len(unfinished)]
        self.shown += len(new)
        for line in _FRAMEWORK_LINE.sub(b"", new).splitlines(keepends=True):
            stream = sys.stderr if line.startswith(self.error_line) else sys.stdout
            stream.buffer.write(line)
            stream.flush()


def say(prog: str, message: str) -> None:
    """Print "PROG: MESSAGE" on standard error."""
    print(f"{prog}: {message}", file=sys.stderr, flush=True)


def signal_name(number: int) -> str:
    """Return the name of a signal, such as "SIGTERM"; "signal 99" for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _prepare_msrun(launcher: int) -> None:
    """In the new process: block the stop signals, and end with the launcher."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    exit_with_parent(launcher)


def _lines(log: Path) -> list[str]:
    """Return the lines of a log that are not blank; none where there is no log."""
    return (
        [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        if log.exists()
        else []
    )
