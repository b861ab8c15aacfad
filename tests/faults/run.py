"""A small training run that tests kill and resume, over and over."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from mindcv import weights

ROOT = Path(__file__).parents[2]
SHALLOW = "tests/shallow/train.py"  # with a model of two blocks
TIMED = ("seconds", "images_per_second", "data_wait", "peak_memory")  # metrics that differ between equal runs
EPOCHS, STEPS = 3, 3
LAST = f"convit_tiny-{EPOCHS}_{STEPS}.ckpt"
OPTIONS = [
    "-c", "configs/convit/convit_tiny_digits.yaml", "--mode", "1", "--image_resize", "16", "--num_samples", "96",
    "--epoch_size", str(EPOCHS), "--drop_path_rate", "0.2", "--mixup", "0.2", "--re_prob", "0.5",
    "--ckpt_save_interval_steps", "1", "--keep_checkpoint_max", "3", "--num_parallel_workers", "1",
]  # fmt: skip


@dataclass
class Run:
    """Training into `folder` on `workers` CPU workers, with counts of what kills cost.

    Attributes:
        max_restarts: How often the launcher restarts failed workers.
        more: Options besides `OPTIONS`.
        script: The program that trains, below `ROOT`.
        kills: Number of kills so far.
        resumes: Number of starts with --resume so far.
        lost: Epochs that had a record in metrics.jsonl and had to be repeated.
        torn: Incomplete files under a checkpoint's name after a kill.
        restarts: Seconds from each start with --resume to its first step.
    """

    folder: Path
    workers: int = 1
    max_restarts: int = 0
    more: tuple[str, ...] = ()
    script: str = "train.py"
    kills: int = 0
    resumes: int = 0
    lost: int = 0
    torn: int = 0
    restarts: list[float] = field(default_factory=list)

    def start(self) -> subprocess.Popen:
        """Start to train, with --resume if there is a checkpoint."""
        resume = any(self.folder.glob("convit_tiny-*.ckpt"))
        self.resumes += resume
        return self.begin(*(["--resume"] if resume else []))

    def begin(self, *more: str) -> subprocess.Popen:
        """Start to train in a process."""
        words = [*OPTIONS, "--ckpt_save_dir", self.folder]
        if self.workers > 1 or self.max_restarts:
            words += ["--distribute", "True", "--num_devices", self.workers, "--batch_size", 32 // self.workers]
            words += ["--max_restarts", self.max_restarts]
        line = [sys.executable, self.script, *map(str, [*words, *self.more, *more])]
        log = (self.folder / "test.log").open("a")
        return subprocess.Popen(line, cwd=ROOT, stdout=log, stderr=log)

    def start_and_step(self) -> subprocess.Popen:
        """Start, wait for the first new checkpoint, and record how long a resumed run took to it."""
        began, before = time.monotonic(), self.newest()
        process = self.start()
        while process.poll() is None and self.newest() <= before:
            time.sleep(0.01)
        if 0 < before < self.newest():
            self.restarts.append(time.monotonic() - began)
        return process

    def finish(self) -> None:
        """Start, and wait for the end of the run."""
        assert self.start_and_step().wait() == 0, self.output[-3000:]

    def kill(self, chance: random.Random, seconds: float) -> None:
        """Start, and kill at a random moment: one of several workers, or their launcher.

        The moment is within `seconds` after the first new checkpoint; in every fifth kill, after the start.
        """
        epochs = len(self.lines())
        process = self.start() if self.kills % 5 == 4 else self.start_and_step()
        until = time.monotonic() + chance.uniform(0, seconds)
        while time.monotonic() < until and process.poll() is None:
            time.sleep(0.01)
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if process.poll() is None:
                os.kill(chance.choice([process, *workers_of(process)]).pid, signal.SIGKILL)
        self.wait(process)
        self.kills += process.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
        self.lost += max(0, epochs - len(self.lines()))
        self.torn += sum(not is_undamaged(path) for path in self.folder.glob("*.ckpt"))

    def wait(self, process: subprocess.Popen) -> None:
        """Wait until the killed processes have ended; only time in which this process runs counts."""
        for _ in range(6000):
            if process.poll() is not None:
                return
            time.sleep(0.1)
        still = [child.cmdline() for child in psutil.Process(process.pid).children(recursive=True)]
        process.kill()
        raise AssertionError(f"hangs, with {still}: {self.output[-3000:]}")

    def newest(self) -> float:
        """Return when the newest checkpoint was written, in seconds since the epoch; 0 if there is none."""
        times = [0.0]
        for path in self.folder.glob("convit_tiny-*.ckpt"):
            with suppress(FileNotFoundError):  # an old one that was deleted
                times.append(path.stat().st_mtime)
        return max(times)

    def lines(self) -> list[dict]:
        """Return the complete records of metrics.jsonl, without the metrics that differ between equal runs."""
        metrics_file = self.folder / "metrics.jsonl"
        found = []
        for line in metrics_file.read_text().splitlines() if metrics_file.exists() else []:
            try:
                record = json.loads(line)
            except ValueError:
                break
            found.append({key: record[key] for key in record if key not in TIMED})
        return found

    @property
    def output(self) -> str:
        """What all starts together have printed so far."""
        return (self.folder / "test.log").read_text()

    @property
    def training_seconds(self) -> float:
        """Seconds from the writing of the options, right before the first step, to the last epoch's record."""
        return (self.folder / "metrics.jsonl").stat().st_mtime - (self.folder / "config.yaml").stat().st_mtime

    @property
    def is_done(self) -> bool:
        """Whether every epoch has its record."""
        return len(self.lines()) == EPOCHS


def workers_of(launcher: subprocess.Popen) -> list[psutil.Process]:
    """Return the workers that train for `launcher`; none for a process that trains itself."""
    children = psutil.Process(launcher.pid).children(recursive=True)
    return [child for child in children if is_worker(child)]


def is_worker(process: psutil.Process) -> bool:
    """Whether a process is a worker that msrun started."""
    try:
        return process.environ().get("MS_ROLE") == "MS_WORKER"
    except psutil.Error:
        return False


def is_undamaged(path: Path) -> bool:
    """Whether a checkpoint can be read and has the digest that it carries."""
    try:
        weights.read(path)
    except weights.DamagedCheckpoint:
        return False
    return True


def killed_until_done(folder: Path, like: Run, kills: int, seed: int) -> list[Run]:
    """Make runs like `like`, one after the other, until `kills` kills are made; return them, each trained to its end.

    A run is killed at most five times, so that every run reaches its end.
    """
    chance, runs = random.Random(seed), []
    while (left := kills - sum(run.kills for run in runs)) > 0:
        run = Run(folder / str(len(runs)), like.workers, more=like.more, script=like.script)
        run.folder.mkdir(parents=True)
        while run.kills < min(left, 5) and not run.is_done:
            run.kill(chance, 0.3 * like.training_seconds)
        if not run.is_done:
            run.finish()
        runs.append(run)
    return runs


def assert_same_end(run: Run, uninterrupted: Run) -> None:
    """Assert that the last checkpoints are equal bit for bit, and the metrics of all epochs too."""
    assert_same_checkpoint(run.folder / LAST, uninterrupted.folder / LAST)
    assert run.lines() == uninterrupted.lines()


def assert_same_checkpoint(path: Path, other: Path, but: str = "") -> None:
    """Assert that two checkpoints are equal bit for bit, except for the entry named `but`."""
    one, two = weights.read(path), weights.read(other)
    assert one.keys() == two.keys()
    for name in one.keys() - {but}:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)
