"""Measure what a CPU run loses when it is killed at random moments, and what saving checkpoints costs.

    python benchmarks/faults.py [--kills 70 30] [--out faults.json]

Train convit_tiny on 96 digits of 16 pixels for three epochs of three steps with a checkpoint per step, on one worker
and on two. Kill it with SIGKILL (with two workers, either worker or the launcher), resume it, and check that it ends
bit for bit like an uninterrupted run. Then train with the digits recipe and time its checkpoints, one per epoch.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from mindcv.cli.scripts import run_script
from mindcv.engine.training import Trainer
from tests.faults.bad_input import RECIPE
from tests.faults.run import Run, assert_same_end, killed_until_done


def kill(workers: int, kills: int, folder: Path) -> dict:
    """Kill runs on `workers` workers `kills` times in total, and return the figures."""
    unbroken = Run(folder / "unbroken", workers)
    unbroken.folder.mkdir(parents=True)
    unbroken.finish()
    runs = killed_until_done(folder, unbroken, kills, seed=workers)
    for run in runs:
        assert_same_end(run, unbroken)
    restarts = [seconds for run in runs for seconds in run.restarts]
    return {
        "workers": workers,
        "kills": sum(run.kills for run in runs),
        "resumes": sum(run.resumes for run in runs),
        "runs equal to the unbroken one": len(runs),
        "epochs lost": sum(run.lost for run in runs),
        "files torn": sum(run.torn for run in runs),
        "seconds from restart to first step": round(statistics.median(restarts), 1) if restarts else None,
    }


def cost_of_saving(folder: Path, epochs: int = 3) -> dict:
    """Train `epochs` epochs of the digits recipe in `folder`, and return the seconds per epoch and per checkpoint.

    A checkpoint holds the weights of convit_tiny and the state of its optimizer.
    """
    save, durations = Trainer.save_checkpoint, []

    def timed(trainer):
        start = time.monotonic()
        save(trainer)
        durations.append(time.monotonic() - start)

    Trainer.save_checkpoint = timed
    try:
        arguments = ["-c", RECIPE, "--epoch_size", str(epochs), "--val_while_train", "False"]
        if code := run_script("train", "", [*arguments, "--ckpt_save_dir", str(folder)]):
            sys.exit(code)
    finally:
        Trainer.save_checkpoint = save
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    epoch, checkpoint = statistics.median(json.loads(line)["seconds"] for line in lines), statistics.median(durations)
    return {
        "seconds an epoch of digits": round(epoch, 1),
        "seconds a checkpoint": round(checkpoint, 3),
        "share of training time (%)": round(100 * checkpoint / (epoch + checkpoint), 2),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--kills", type=int, nargs=2, default=(70, 30), metavar=("ONE", "TWO"), help="kills with one and two workers"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the figures to FILE as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table = []
        for workers, kills in enumerate(options.kills, 1):
            if not kills:
                continue
            table.append(kill(workers, kills, Path(folder) / str(workers)))
            print(json.dumps(table[-1]), flush=True)
        table.append(cost_of_saving(Path(folder) / "saving"))
        print(json.dumps(table[-1]), flush=True)
    if options.out:
        options.out.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
