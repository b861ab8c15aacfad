"""One command for many workers: MindSpore's `msrun` started, watched, and ended as a whole.

Run by itself, `train.py` with `distribute: True` becomes the launcher. Its workers are `train.py` again, told by
their environment who they are; `msrun` makes them, here they are listened to, signalled and buried.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from mindcv.config import Config, ConfigError
from mindcv.launch.claim import claim
from mindcv.launch.lineage import end_with_parent

LAUNCHED = "MINDCV_LAUNCHED"  # set for workers that this package's launcher made
BARS = "MINDCV_BARS"  # set where a terminal shows what the first worker writes to its log

_OTHERS = ("MS_ROLE", "OMPI_COMM_WORLD_RANK", "RANK_TABLE_FILE")  # msrun, mpirun, a rank table
_JOINING = 300  # seconds that the workers wait for each other at the start
_STOPPING = 600  # seconds for a step and a checkpoint, once a stop is asked for
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
        ConfigError: the port is taken.
        OSError: a run is going on in that folder.
    """
    prog = prog or f"{script}.py"
    port = _port(config)
    folder = Path(config.ckpt_save_dir) / "logs" if script == "train" else Path(tempfile.mkdtemp(prefix="mindcv-"))
    with claim(folder / f".lock-{config.node_rank}"), _signals_kept() as signals:
        words = list(argv)
        for attempt in range(config.max_restarts + 1):
            logs = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{attempt}"
            code = _Workers(config, prog, words, port, logs).run(signals)
            if code in (0, 2, 3) or signals or script != "train" or attempt == config.max_restarts:
                break
            if any(Path(config.ckpt_save_dir).glob(f"{config.model}-*_*.ckpt")):
                words = [*argv, "--resume", "True"]
            _say(prog, f"starting again, {attempt + 1} of {config.max_restarts}, from the last checkpoint")
            port = _port(config)
    if script != "train" and code == 0:
        shutil.rmtree(folder)
    return code


class _Workers:
    """One start of `msrun` and the workers that it makes here."""

    def __init__(self, config: Config, prog: str, argv: list[str], port: int, logs: Path):
        logs.mkdir(parents=True)
        self.prog, self.logs = prog, logs
        self.shown = 0
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
            **os.environ,
            LAUNCHED: "1",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
            "PYTHONUNBUFFERED": "1",
            "GLOG_v": "3",  # msrun tells of a worker's death at this level
        }
        if sys.stdout.isatty():
            environment |= {BARS: "1", "COLUMNS": str(shutil.get_terminal_size().columns)}
        with (logs / "msrun.log").open("w") as log:
            # A session of its own: Ctrl-C comes here alone, and msrun would kill its workers on it.
            self.msrun = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True,
                preexec_fn=end_with_parent,
            )  # fmt: skip

    def run(self, signals: list[int]) -> int:
        """Watch over the workers until the last has gone; a signal in `signals` is passed on to them."""
        passed_on, deadline, dead = 0, None, None
        try:
            while self.msrun.poll() is None:
                self._find()
                self._show()
                if dead is None and (dead := self._first_death()):
                    deadline = time.monotonic() + _GRACE
                if len(signals) > passed_on:
                    passed_on = len(signals)
                    if passed_on > 1:
                        break
                    _say(self.prog, f"{signal.Signals(signals[0]).name}: stopping the workers (again: at once)")
                    deadline = time.monotonic() + _STOPPING
                    self._signal(signals[0])
                if deadline is not None and time.monotonic() > deadline:
                    break
                time.sleep(0.1)
        finally:
            self._end()
        self._show()
        dead = dead or self._first_death()
        if signals:
            return 128 + signals[0]
        if dead is None:
            return self.msrun.returncode if self.msrun.returncode > 0 else 0
        return self._bury(*dead)

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
            self.shown += len(new)
            sys.stdout.buffer.write(_FRAMEWORK.sub(b"", new))
            sys.stdout.flush()

    def _first_death(self) -> tuple[int | None, int] | None:
        """Rank (None where it is not known) and exit code of the first worker that msrun saw fail."""
        found = _DIED.search((self.logs / "msrun.log").read_text(errors="replace"))
        return found and (self.ranks.get(int(found[1])), int(found[2]))

    def _signal(self, number: int):
        for pid in self.ranks:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _end(self):
        """End msrun and all that it started; those that have gone already are no trouble."""
        with suppress(psutil.Error):
            msrun = psutil.Process(self.msrun.pid)
            for process in [*msrun.children(recursive=True), msrun]:
                with suppress(psutil.Error):
                    process.kill()
        for pid in self.ranks:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.msrun.wait()

    def _bury(self, rank: int | None, code: int) -> int:
        """Say which worker failed, and how; the exit code that tells the same."""
        how = f"was killed by {_name(-code)}" if code < 0 else f"failed with exit code {code}"
        log = self.logs / f"worker_{rank}.log"
        last = [line for line in log.read_text(errors="replace").splitlines() if line.strip()] if log.exists() else []
        told = [line for line in last if line.startswith(f"{self.prog}: ")]
        if code > 0 and told:
            if rank != 0:
                print(f"{told[-1]} (rank {rank})", file=sys.stderr)
        else:
            who = "a worker" if rank is None else f"rank {rank}"
            _say(self.prog, f"{who} {how}; the others were ended. The end of its log, {log}:")
            for line in last[-10:]:
                print(f"    {line}", file=sys.stderr)
            if -code in _CRASHES:
                _say(
                    self.prog,
                    "a damaged image can do that to the decoder: python -m mindcv.data check finds it",
                )
        return 128 - code if code < 0 else code


def _port(config: Config) -> int:
    """The port at which workers find each other: the one asked for, or on one machine any that is free."""
    host = config.master_addr
    port = config.master_port or (0 if config.num_nodes == 1 else _DEFAULT_PORT)
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


@contextmanager
def _signals_kept():
    """The SIGINT and SIGTERM that come, in a list, in place of what they do."""
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in _ENDING}
    blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)  # a parent that blocks them hands that down
    try:
        yield came
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for number, handler in before.items():
            signal.signal(number, handler)


_CRASHES = (signal.SIGSEGV, signal.SIGFPE, signal.SIGABRT)
_ENDING = (signal.SIGINT, signal.SIGTERM)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _say(prog: str, message: str):
    print(f"{prog}: {message}", file=sys.stderr, flush=True)
