"""One command for many workers.

Run by itself, `train.py` with `distribute: True` becomes the launcher: it starts the workers, which run `train.py`
again, streams their logs, forwards signals to them, and cleans up and restarts them when one fails.

MindSpore's `msrun` starts the workers, but does not do the rest. It ends its workers on SIGINT and leaves them alone on
SIGTERM; after a worker's death it waits 25 s for its scheduler; and it does not restart them. MindSpore's callback
`OnRequestExit` saves on a signal only in the worker that received it, at a step of its own, and each data pipeline
installs signal handlers over it that end the process, at times with exit code 0.
"""

import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mindcv.config import Config, ConfigError, uses_data_sink
from mindcv.distributed.signals import STOP_SIGNALS, SignalState
from mindcv.distributed.workers import JOIN_TIMEOUT, LogStream, report, say, start_workers, watch
from mindcv.io.lock import file_lock

_OTHER_LAUNCHERS = ("MS_ROLE", "OMPI_COMM_WORLD_RANK", "RANK_TABLE_FILE")  # set by msrun, mpirun, a rank table
_STOP_TIMEOUT = 600  # seconds for a step and a checkpoint after a signal
_STOP_TIMEOUT_SINKING = 4 * 3600  # the same where a step is a whole epoch, sunk into the device
_FINAL_CODES = (0, 2, 3, *(128 + number for number in STOP_SIGNALS))  # exit codes after which nothing is restarted
_DEFAULT_PORT = 8118


def is_due(config: Config, script: str) -> bool:
    """Whether this process has to start workers, instead of being one or working alone.

    A recipe's `distribute` is about training; `validate.py` starts workers only if its command line says so. A single
    worker is started only to be restarted, if `config.max_restarts` is above 0. A dry run starts none.

    Args:
        config: The options of the run.
        script: Name of the script without ".py"; False for any but "train" and "validate".
    """
    if not config.distribute or config.dry_run or any(name in os.environ for name in _OTHER_LAUNCHERS):
        return False
    if script != "train" and (script != "validate" or config.origin("distribute") != "command line"):
        return False
    return config.num_devices * config.num_nodes > 1 or bool(config.max_restarts)


def launch(config: Config, script: str, argv: list[str], prog: str = "") -> int:
    """Run `script` on `config.num_devices` workers of this machine and wait for them.

    The output of worker 0 is shown as it comes, on the machine that has it. All output is kept in `ckpt_save_dir/logs`,
    in a new folder for each start; that of a validation is in a temporary folder, kept only if it failed. When a worker
    fails the others are ended, its rank and its last lines are printed, and a training is restarted from its last
    checkpoint, up to `config.max_restarts` times; not after exit code 2 or 3, an error that would come again, nor after
    SIGINT or SIGTERM.

    Args:
        config: The options of the run.
        script: "train" or "validate".
        argv: The command line of the script, without its name.
        prog: What the user typed to run it, such as "mindcv train"; "" for the script's name, such as "train.py".

    Returns:
        The exit code of the last start: 0, that of the worker that failed first, or 128 + the signal's number if a
        signal ended it.

    Raises:
        ConfigError: the port is taken, the first machine's address is unknown, or this is Windows.
        OSError: another run is using the folder.
    """
    if not hasattr(signal, "pthread_sigmask"):
        raise ConfigError("distribute: several workers are not available on Windows: pass --distribute False")
    prog = prog or f"{script}.py"
    port = choose_port(config)
    folder = Path(config.ckpt_save_dir) / "logs" if script == "train" else Path(tempfile.mkdtemp(prefix="mindcv-"))
    with file_lock(folder / f".lock-{config.node_rank}"), _signals_recorded() as signals:
        words, checkpoints_before = list(argv), _checkpoints(config)
        for attempt in range(config.max_restarts + 1):
            logs = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{attempt}"
            code = run_workers(config, prog, words, port, logs, signals)
            if code in _FINAL_CODES or signals.first or script != "train" or attempt == config.max_restarts:
                break
            start = "as before: there is no checkpoint since"
            if _checkpoints(config) - checkpoints_before:
                words = [*argv, "--resume", "True", "--ckpt_path", "", "--ckpt_save_dir", config.ckpt_save_dir]
                start = "from the last checkpoint"
            say(prog, f"starting again, {attempt + 1} of {config.max_restarts}, {start}")
            port = choose_port(config, attempt + 1)
    if script != "train" and code == 0:
        shutil.rmtree(folder)
    return code


def run_workers(config: Config, prog: str, argv: list[str], port: int, logs: Path, signals: SignalState) -> int:
    """Start the workers once, wait for them, report how they ended, and return their exit code.

    That is 0, the code of the first that failed, or 128 + the number of a signal that ended them. None of them is left
    running, whatever happens. An OSError is raised if `logs` cannot be created.

    Args:
        config: The options of the run.
        prog: What the workers run: "train.py" or "mindcv train".
        argv: The workers' command line, without `prog`.
        port: Port at which the workers find each other.
        logs: Folder for the logs of this start; it must not exist yet.
        signals: The signals that this process receives meanwhile.
    """
    patience = _STOP_TIMEOUT_SINKING if uses_data_sink(config) else _STOP_TIMEOUT
    workers = start_workers(config, prog, argv, port, logs)
    show = LogStream(logs / "worker_0.log", prog).show  # only the first machine has this worker
    try:
        outcome = watch(workers, signals, prog, patience, show)
    finally:
        workers.kill()
    show()
    return report(workers, outcome, signals, prog, patience)


def choose_port(config: Config, attempt: int = 0, patience: float = JOIN_TIMEOUT) -> int:
    """Return the port at which the workers find each other: `config.master_port`, or on one machine any free port.

    With several machines each attempt has the next port: the machine that restarts first waits there for the others,
    and does not meet what is left of the attempt before. Only the first machine checks that the port is free, and does
    not reserve it. Without `config.master_port`, several machines begin at 8118.

    Args:
        config: The options of the run.
        attempt: Number of restarts so far.
        patience: Seconds that the other machines wait for the first machine's name to get an address.

    Raises:
        ConfigError: the port is taken, or the first machine's address is unknown.
    """
    host = config.master_addr
    port = config.master_port or (0 if config.num_nodes == 1 else _DEFAULT_PORT)
    if config.num_nodes > 1:
        port += attempt
    wait_for_address(host, patience if config.node_rank else 0)
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


def wait_for_address(host: str, patience: float) -> None:
    """Wait until `host` has an address: the first machine's name may be published after the others have started.

    Raises:
        ConfigError: it has none after `patience` seconds; with 0 it is looked up once.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            socket.getaddrinfo(host, None)
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise ConfigError(f"master_addr {host}: {error.strerror}: give the first machine's address") from None
            time.sleep(1)


def _checkpoints(config: Config) -> set[tuple[Path, int]]:
    """Return path and time of change, in ns, of each checkpoint in the run's folder: a rewritten one counts as new."""
    found = set()
    for path in Path(config.ckpt_save_dir).glob(f"{config.model}-*_*.ckpt"):
        with suppress(FileNotFoundError):  # another machine's run may delete it
            if path.is_file():
                found.add((path, path.stat().st_mtime_ns))
    return found


@contextmanager
def _signals_recorded() -> Iterator[SignalState]:
    """Record SIGINT and SIGTERM inside the context instead of letting them act; restore their handlers afterwards.

    For the main thread only.
    """
    signals = SignalState()
    before = {number: signal.signal(number, lambda number, _: signals.receive(number)) for number in STOP_SIGNALS}
    blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)  # a parent may have blocked them
    try:
        yield signals
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for number, handler in before.items():
            signal.signal(number, handler)
