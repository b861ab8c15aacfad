"""What a run loses when it is killed, SIGKILL at random moments, one worker and two, and what saving costs; on a CPU.

    python benchmarks/faults.py [--kills 70 30] [--out faults.json]

Trains convit_tiny on 96 digits of 16 pixels for three epochs of three steps, a checkpoint a step, kills it (of several
workers any one, or their launcher), resumes, and holds each end to the uninterrupted run's, bit for bit. Then trains by
the digits recipe and times the checkpoints, one an epoch.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from mindcv.engine.callbacks import Saving

from mindcv.cli.scripts import run_script
from tests.faults.bad_input import RECIPE
from tests.faults.run import Run, assert_same_end, killed_until_done


def kill(workers: int, kills: int, folder: Path) -> dict:
    """The figures of `kills` kills."""
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
        "is_resuming": sum(run.is_resuming for run in runs),
        "runs equal to the unbroken one": len(runs),
        "epochs lost": sum(run.lost for run in runs),
        "files torn": sum(run.torn for run in runs),
        "seconds from restart to first step": round(statistics.median(restarts), 1) if restarts else None,
    }


def cost_of_saving(folder: Path, epochs: int = 3) -> dict:
    """Seconds of a checkpoint of convit_tiny with its optimizer, and of an epoch of the digits recipe."""
    save, spent = Saving.save, []

    def timed(saving):
        began = time.monotonic()
        save(saving)
        spent.append(time.monotonic() - began)

    Saving.save = timed
    try:
        words = ["-c", RECIPE, "--epoch_size", str(epochs), "--val_while_train", "False"]
        if code := run_script("train", "", [*words, "--ckpt_save_dir", str(folder)]):
            sys.exit(code)
    finally:
        Saving.save = save
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    epoch, checkpoint = statistics.median(json.loads(line)["seconds"] for line in lines), statistics.median(spent)
    return {
        "seconds an epoch of digits": round(epoch, 1),
        "seconds a checkpoint": round(checkpoint, 3),
        "share of training time (%)": round(100 * checkpoint / (epoch + checkpoint), 2),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, nargs=2, default=(70, 30), metavar=("ALONE", "TOGETHER"))
    parser.add_argument("--out", type=Path)
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table = []
        for workers, kills in enumerate(words.kills, 1):
            if not kills:
                continue
            table.append(kill(workers, kills, Path(folder) / str(workers)))
            print(json.dumps(table[-1]), flush=True)
        table.append(cost_of_saving(Path(folder) / "saving"))
        print(json.dumps(table[-1]), flush=True)
    if words.out:
        words.out.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
