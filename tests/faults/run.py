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
TIMED = ("seconds", "images_per_second", "data_wait", "peak_memory")  # what no two runs share of a record
EPOCHS, STEPS = 3, 3
LAST = f"convit_tiny-{EPOCHS}_{STEPS}.ckpt"
OPTIONS = [
    "-c", "configs/convit/convit_tiny_digits.yaml", "--mode", "1", "--image_resize", "16", "--num_samples", "96",
    "--epoch_size", str(EPOCHS), "--drop_path_rate", "0.2", "--mixup", "0.2", "--re_prob", "0.5",
    "--ckpt_save_interval_steps", "1", "--keep_checkpoint_max", "3", "--num_parallel_workers", "1",
]  # fmt: skip


@dataclass
class Run:
    """Training into `folder` on `workers` CPU workers; what killing it cost is counted.

    Attributes:
        max_restarts: How often the launcher is to start failed workers again.
        more: Options beside `OPTIONS`.
        kills, resumes: So many there were.
        lost: Epochs that had their line in metrics.jsonl and had to be made again.
        torn: Files that a kill left half written under a checkpoint's name.
        restarts: Seconds from a resumption to its first step.
    """

    folder: Path
    workers: int = 1
    max_restarts: int = 0
    more: tuple[str, ...] = ()
    kills: int = 0
    resumes: int = 0
    lost: int = 0
    torn: int = 0
    restarts: list[float] = field(default_factory=list)

    def start(self) -> subprocess.Popen:
        """Begin, or go on from the newest checkpoint if there is one."""
        resume = any(self.folder.glob("convit_tiny-*.ckpt"))
        self.resumes += resume
        return self.begin(*(["--resume"] if resume else []))

    def begin(self, *more: str) -> subprocess.Popen:
        """train.py, as a process of its own."""
        words = [*OPTIONS, "--ckpt_save_dir", self.folder]
        if self.workers > 1 or self.max_restarts:
            words += ["--distribute", "True", "--num_devices", self.workers, "--batch_size", 32 // self.workers]
            words += ["--max_restarts", self.max_restarts]
        line = [sys.executable, "train.py", *map(str, [*words, *self.more, *more])]
        log = (self.folder / "test.log").open("a")
        return subprocess.Popen(line, cwd=ROOT, stdout=log, stderr=log)

    def start_and_step(self) -> subprocess.Popen:
        """Start, and wait for the first checkpoint that this leads to; how long a resumption took to it is noted."""
        began, before = time.monotonic(), self.newest()
        process = self.start()
        while process.poll() is None and self.newest() <= before:
            time.sleep(0.01)
        if 0 < before < self.newest():
            self.restarts.append(time.monotonic() - began)
        return process

    def finish(self) -> None:
        assert self.start_and_step().wait() == 0, self.said[-3000:]

    def kill(self, chance: random.Random, seconds: float) -> None:
        """Start, and kill: of several workers any one, or their launcher.

        Every fifth time in so many `seconds` from the start on, else in those from a checkpoint on.
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
        self.torn += sum(not is_whole(path) for path in self.folder.glob("*.ckpt"))

    def wait(self, process: subprocess.Popen) -> None:
        """Until what was killed has ended. What counts is time in which this process ran: both may be paused."""
        for _ in range(6000):
            if process.poll() is not None:
                return
            time.sleep(0.1)
        still = [child.cmdline() for child in psutil.Process(process.pid).children(recursive=True)]
        process.kill()
        raise AssertionError(f"hangs, with {still}: {self.said[-3000:]}")

    def newest(self) -> float:
        """When the newest checkpoint was written; 0 where there is none."""
        times = [0.0]
        for path in self.folder.glob("convit_tiny-*.ckpt"):
            with suppress(FileNotFoundError):  # it was an old one
                times.append(path.stat().st_mtime)
        return max(times)

    def lines(self) -> list[dict]:
        """The whole lines of metrics.jsonl, without what no two runs share."""
        journal = self.folder / "metrics.jsonl"
        found = []
        for line in journal.read_text().splitlines() if journal.exists() else []:
            try:
                record = json.loads(line)
            except ValueError:
                break
            found.append({key: record[key] for key in record if key not in TIMED})
        return found

    @property
    def said(self) -> str:
        """What it has printed so far, all starts of it."""
        return (self.folder / "test.log").read_text()

    @property
    def training_seconds(self) -> float:
        """From when the options were written, right before the first step, to the last epoch's line."""
        return (self.folder / "metrics.jsonl").stat().st_mtime - (self.folder / "config.yaml").stat().st_mtime

    @property
    def is_done(self) -> bool:
        return len(self.lines()) == EPOCHS


def workers_of(launcher: subprocess.Popen) -> list[psutil.Process]:
    """The workers that train for `launcher`; none of one that trains itself."""
    children = psutil.Process(launcher.pid).children(recursive=True)
    return [child for child in children if is_worker(child)]


def is_worker(process: psutil.Process) -> bool:
    try:
        return process.environ().get("MS_ROLE") == "MS_WORKER"
    except psutil.Error:
        return False


def is_whole(path: Path) -> bool:
    try:
        weights.read(path)
    except weights.DamagedCheckpoint:
        return False
    return True


def killed_until_done(folder: Path, whole: Run, kills: int, seed: int) -> list[Run]:
    """As many runs like `whole`, one after the other, as it takes to kill `kills` times; each goes on to its end.

    A run is killed five times at most, so that ends are reached too.
    """
    chance, runs = random.Random(seed), []
    while (left := kills - sum(run.kills for run in runs)) > 0:
        run = Run(folder / str(len(runs)), whole.workers, more=whole.more)
        run.folder.mkdir(parents=True)
        while run.kills < min(left, 5) and not run.is_done:
            run.kill(chance, 0.3 * whole.training_seconds)
        if not run.is_done:
            run.finish()
        runs.append(run)
    return runs


def assert_same_end(run: Run, unbroken: Run) -> None:
    """The last checkpoint is equal bit for bit, and so are the figures of all epochs."""
    assert_same_checkpoint(run.folder / LAST, unbroken.folder / LAST)
    assert run.lines() == unbroken.lines()


def assert_same_checkpoint(path: Path, other: Path, but: str = "") -> None:
    """Equal bit for bit, `but` for the entry of that name."""
    one, two = weights.read(path), weights.read(other)
    assert one.keys() == two.keys()
    for name in one.keys() - {but}:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)
