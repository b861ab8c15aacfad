"""One command for many workers: MindSpore's `msrun` started, watched, and ended as a whole.

Run by itself, `train.py` with `distribute: True` becomes the launcher. Its workers are `train.py` again, told by
their environment who they are; `msrun` makes them, here they are listened to, signalled and buried.
"""

import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil

from mindcv.config import Config, ConfigError, uses_data_sink
from mindcv.distributed.process import exit_with_parent
from mindcv.distributed.signals import ENDING, SignalState
from mindcv.io.lock import file_lock

LAUNCHED = "MINDCV_LAUNCHED"  # the launcher's process, for workers that it made
BARS = "MINDCV_BARS"  # set where a terminal shows what the first worker writes to its log
# How often workers look for each other at the start, and for the others' end at theirs; by default every 3 to 5 s,
# of which a run of two workers lost 10 in all.
EVERY_SECOND = {"MS_RETRY_INTERVAL_LOWER": "1", "MS_RETRY_INTERVAL_UPPER": "1"}

_OTHERS = ("MS_ROLE", "OMPI_COMM_WORLD_RANK", "RANK_TABLE_FILE")  # msrun, mpirun, a rank table
_JOINING = 300  # seconds that the workers wait for each other at the start
_STOPPING = 600  # seconds for a step and a checkpoint, once a stop is asked for
_STOPPING_SINKING = 4 * 3600  # the same where the step is an epoch, sunk into the device
_FOR_GOOD = (0, 2, 3, *(128 + number for number in ENDING))  # exit codes that a restart would not mend
_GRACE = 3  # seconds between a worker's failure and the end of the others, for their last words
_DIED = re.compile(r"Worker process (\d+) exit with exception\. Error code: (-?\d+)")
_FRAMEWORK = re.compile(rb"^\[(?:INFO|WARNING)\] [A-Z_]+\(.*\n", re.MULTILINE)  # MindSpore on its own affairs
_DEFAULT_PORT = 8118


def is_due(config: Config, script: str) -> bool:
    """Whether this process has to start workers, rather than be one or work alone.

    A recipe's `distribute` is about training; `validate.py` starts workers only when its command line says so.
    """
    if not config.distribute or config.dry_run or any(name in os.environ for name in _OTHERS):
        return False
    if script != "train" and (script != "validate" or config.origin("distribute") != "command line"):
        return False
    return config.num_devices * config.num_nodes > 1 or bool(config.max_restarts)


def launch(config: Config, script: str, argv: list[str], prog: str = "") -> int:
    """Run `script` ("train" or "validate") with the words `argv` on `config.num_devices` workers of this machine.

    The first worker's output is shown as it comes; all of it is kept in `ckpt_save_dir/logs` (of a validation that
    went well, nothing). When a worker fails the others are ended, its rank and its last lines are named, and a
    training is started again from its last checkpoint, `config.max_restarts` times.

    Args:
        prog: What the user typed to run it, "mindcv train"; the script's name by default.

    Returns:
        The workers' exit code; 128 + the signal where one ended them.

    Raises:
        ConfigError: the port is taken, or the first machine's address is none.
        OSError: a run is going on in that folder.
    """
    prog = prog or f"{script}.py"
    port = _port(config)
    folder = Path(config.ckpt_save_dir) / "logs" if script == "train" else Path(tempfile.mkdtemp(prefix="mindcv-"))
    with file_lock(folder / f".lock-{config.node_rank}"), _signals_kept() as signals:
        words, before = list(argv), _checkpoints(config)
        for attempt in range(config.max_restarts + 1):
            logs = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{attempt}"
            code = _Workers(config, prog, words, port, logs).run(signals)
            if code in _FOR_GOOD or signals.first or script != "train" or attempt == config.max_restarts:
                break
            whence = "as before: there is no checkpoint since"
            if _checkpoints(config) - before:
                words = [*argv, "--resume", "True", "--ckpt_path", "", "--ckpt_save_dir", config.ckpt_save_dir]
                whence = "from the last checkpoint"
            _say(prog, f"starting again, {attempt + 1} of {config.max_restarts}, {whence}")
            port = _port(config, attempt + 1)
    if script != "train" and code == 0:
        shutil.rmtree(folder)
    return code


class _Workers:
    """One start of `msrun` and the workers that it makes here."""

    def __init__(self, config: Config, prog: str, argv: list[str], port: int, logs: Path):
        logs.mkdir(parents=True)
        self.prog, self.logs = prog, logs
        self.shown = 0
        self.patience = _STOPPING_SINKING if uses_data_sink(config) else _STOPPING
        self.first_rank = config.node_rank * config.num_devices
        self.ranks: dict[int, int] = {}  # by process
        program = [sys.argv[0]] if prog.endswith(".py") else ["-m", *prog.split()]
        workers = config.num_devices * config.num_nodes
        command = [
            sys.executable, "-m", "mindspore.parallel.cluster.run",
            f"--worker_num={workers}",
            f"--local_worker_num={config.num_devices}",
            f"--master_addr={config.master_addr}", f"--master_port={port}",
            f"--node_rank={config.node_rank}", f"--log_dir={logs}",
            f"--cluster_time_out={_JOINING}", "--join=True",
            f"--tail_worker_log={workers}",  # nobody's: its `tail -f` would outlive an msrun that is killed
            "python3", *program, *argv,
        ]  # fmt: skip
        environment = {
            **(EVERY_SECOND if EVERY_SECOND.keys().isdisjoint(os.environ) else {}),
            **os.environ,
            LAUNCHED: str(os.getpid()),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
            "PYTHONUNBUFFERED": "1",
            "GLOG_v": "3",  # msrun tells of a worker's death at this level
        }
        if sys.stdout.isatty():
            environment |= {BARS: "1", "COLUMNS": str(shutil.get_terminal_size().columns)}
        with (logs / "msrun.log").open("w") as log:
            # In a session of its own Ctrl-C does not reach it; a cluster's SIGTERM does, and would end it and so all.
            self.msrun = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True,
                preexec_fn=partial(_begin_msrun, os.getpid()),
            )  # fmt: skip

    def run(self, signals: SignalState) -> int:
        """Watch over the workers until the last has gone; what signals have asked for is passed on to them."""
        deadline, dead, told = math.inf, None, set()
        try:
            while self.msrun.poll() is None and time.monotonic() < deadline:
                self._find()
                self._show()
                if dead is None and (dead := self._first_death()):
                    deadline = time.monotonic() + _GRACE
                if self._is_at_once(signals):
                    if not self.ranks:
                        _say(self.prog, f"{_name(signals.first)}: stopped before a worker began")
                    break
                if signals.first:
                    if not told:
                        _say(self.prog, f"{_name(signals.first)}: stopping the workers (again: at once)")
                        deadline = min(deadline, time.monotonic() + self.patience)
                    self._signal(self.ranks.keys() - told, signals.first)
                    told |= self.ranks.keys()
                time.sleep(0.1)
            outlasts = self.msrun.poll() is None
        finally:
            self._end()
        self._show()
        stopped = 128 + signals.first if signals.first else None
        if self._is_at_once(signals):
            return stopped
        if dead := dead or self._first_death():
            return stopped if stopped in (dead[1], 128 - dead[1]) else self._bury(*dead)
        if outlasts:
            _say(self.prog, f"the workers did not stop in {self.patience} s, and were ended")
            return stopped
        if code := self.msrun.returncode:
            return self._report("msrun, which starts the workers,", code, self.logs / "msrun.log")
        return 0

    def _is_at_once(self, signals: SignalState) -> bool:
        """Whether nobody has to be waited for: a signal has come again, or the first before a worker began."""
        return signals.again or bool(signals.first and not self.ranks)

    def _find(self):
        with suppress(psutil.Error):
            for process in psutil.Process(self.msrun.pid).children():
                if process.pid in self.ranks:
                    continue
                with suppress(psutil.Error, ValueError):
                    environment = process.environ()
                    if environment.get("MS_ROLE") == "MS_WORKER":
                        self.ranks[process.pid] = int(environment["RANK_ID"])

    def _show(self):
        log = self.logs / f"worker_{self.first_rank}.log"
        if self.first_rank == 0 and log.exists():
            with log.open("rb") as file:
                file.seek(self.shown)
                new = file.read()
            ours = f"{self.prog}: ".encode()
            unfinished = new.rpartition(b"\n")[2]
            if unfinished.startswith(ours):
                new = new[: -len(unfinished)]
            self.shown += len(new)
            for line in _FRAMEWORK.sub(b"", new).splitlines(keepends=True):
                stream = sys.stderr if line.startswith(ours) else sys.stdout
                stream.buffer.write(line)
                stream.flush()

    def _first_death(self) -> tuple[int | None, int] | None:
        """Rank (None where it is not known) and exit code of the first worker that msrun saw fail."""
        found = _DIED.search((self.logs / "msrun.log").read_text(errors="replace"))
        return found and (self.ranks.get(int(found[1])), int(found[2]))

    @staticmethod
    def _signal(pids: Iterable[int], number: int):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _end(self):
        """End msrun and all that it started; those that have gone already are no trouble."""
        with suppress(psutil.Error):
            msrun = psutil.Process(self.msrun.pid)
            msrun.suspend()  # it starts no more
            for process in [*msrun.children(recursive=True), msrun]:
                with suppress(psutil.Error):
                    process.kill()
        self._signal(self.ranks, signal.SIGKILL)
        self.msrun.wait()

    def _bury(self, rank: int | None, code: int) -> int:
        """Say which worker failed, and how; the exit code that tells the same."""
        log = self.logs / f"worker_{rank}.log"
        told = [line for line in _lines(log) if line.startswith(f"{self.prog}: ")]
        if code > 0 and told:  # its own last words; those of the first worker were shown
            if rank != 0:
                print(f"{told[-1]} (rank {rank})", file=sys.stderr)
            return code
        return self._report("a worker" if rank is None else f"rank {rank}", code, log)

    def _report(self, who: str, code: int, log: Path) -> int:
        how = f"was killed by {_name(-code)}" if code < 0 else f"failed with exit code {code}"
        _say(self.prog, f"{who} {how}; the others were ended. The end of its log, {log}:")
        for line in _lines(log)[-10:]:
            print(f"    {line}", file=sys.stderr)
        if -code in _CRASHES:
            _say(self.prog, "a damaged image can do that to the decoder: python -m mindcv.data check finds it")
        return 128 - code if code < 0 else code


def _begin_msrun(launcher: int) -> None:
    """In msrun's process: what it starts does not outlive `launcher`, and hears signals only where it asks for them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    exit_with_parent(launcher)


def _lines(log: Path) -> list[str]:
    return [line for line in log.read_text(errors="replace").splitlines() if line.strip()] if log.exists() else []


def _checkpoints(config: Config) -> set[tuple[Path, int]]:
    """Those of the run's folder, each with its time, so that one written anew is another."""
    found = set()
    for path in Path(config.ckpt_save_dir).glob(f"{config.model}-*_*.ckpt"):
        with suppress(FileNotFoundError):  # another machine's run deletes it
            if path.is_file():
                found.add((path, path.stat().st_mtime_ns))
    return found


def _port(config: Config, attempt: int = 0) -> int:
    """The port at which workers find each other: the one asked for, or on one machine any that is free.

    Of several machines each attempt has the next one. Who is first to start again waits there for the others, and does
    not meet what is left of the attempt before.
    """
    host = config.master_addr
    port = config.master_port or (0 if config.num_nodes == 1 else _DEFAULT_PORT)
    if config.num_nodes > 1:
        port += attempt
    _resolve(host, patience=_JOINING if config.node_rank else 0)
    if config.node_rank:
        return port
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"master_addr {host}, master_port {port}: {error.strerror or error}; the first node "
                "listens there: name an address of it and a port that is free"
            ) from None
        return probe.getsockname()[1]


def _resolve(host: str, patience: float) -> None:
    """Wait until `host` has an address: the first machine's name may be published after the others have begun."""
    deadline = time.monotonic() + patience
    while True:
        try:
            socket.getaddrinfo(host, None)
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise ConfigError(f"master_addr {host}: {error.strerror}: give the first machine's address") from None
            time.sleep(1)


@contextmanager
def _signals_kept():
    """What SIGINT and SIGTERM ask for, in place of what they do."""
    signals = SignalState()
    before = {number: signal.signal(number, lambda number, _: signals.receive(number)) for number in ENDING}
    blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)  # a parent that blocks them hands that down
    try:
        yield signals
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for number, handler in before.items():
            signal.signal(number, handler)


_CRASHES = (signal.SIGSEGV, signal.SIGFPE, signal.SIGABRT)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _say(prog: str, message: str):
    print(f"{prog}: {message}", file=sys.stderr, flush=True)
