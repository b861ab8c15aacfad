"""What weights that know the digits are worth for other tasks, against a start from scratch with equal steps.

Two tasks: telling 3 from 8, as a folder of PNG files; and all ten digits at 48 pixels a side in place of 32. Both
starts have the same options, images and order of images; a row is top-1 on the held-out fifth, the mean over the seeds.

    python benchmarks/finetune.py [--ckpt_path runs/digits/best.ckpt] [--seeds 3] [--json FILE]

Without a checkpoint of `configs/convit/convit_tiny_digits.yaml` one is trained first, which takes some minutes.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "configs/convit/convit_tiny_digits.yaml"
PAIR = (3, 8)


def write_pair(folder: Path) -> None:
    """The digits of `PAIR` as `folder/split/digit/*.png`, in the splits that the data set has."""
    with np.load(ROOT / "mindcv/data/datasets/digits.npz") as digits:
        images, labels, held_out = (digits[key] for key in ("images", "labels", "held_out"))
    for i in np.flatnonzero(np.isin(labels, PAIR)):
        path = folder / ("val" if held_out[i] else "train") / str(labels[i]) / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.round(images[i] * (255 / 16)).astype(np.uint8)).save(path)


def train(out: Path, *words) -> float:
    """Train as the digits' recipe does, but for `words`; top-1 after the last epoch."""
    line = [sys.executable, ROOT / "train.py", "--config", RECIPE, "--ckpt_save_dir", out, *words]
    done = subprocess.run(list(map(str, line)), cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])["top_1"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ckpt_path", metavar="FILE", help="weights trained on the digits")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--json", metavar="FILE", help="write the rows to FILE too")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        here = Path(folder)
        checkpoint = options.ckpt_path
        if not checkpoint:
            print(f"the digits themselves: {train(here / 'digits'):.2f} %", flush=True)
            checkpoint = here / "digits/best.ckpt"
        write_pair(here / "pair")
        tasks = {
            "3 against 8": ["--dataset", "imagenet", "--data_dir", here / "pair", "--num_classes", "2"],
            "48 pixels": ["--image_resize", "48"],
        }
        schedule = ["--epoch_size", options.epochs, "--warmup_epochs", "0", "--decay_epochs", options.epochs]
        schedule += ["--scheduler", "cosine_decay", "--val_interval", "1"]
        rows = []
        for task, words in tasks.items():
            for start, weights in {"digits": ["--ckpt_path", checkpoint], "scratch": []}.items():
                scores = [
                    train(here / f"{task}-{start}-{seed}", *words, *schedule, *weights, "--seed", seed)
                    for seed in range(options.seeds)
                ]
                rows.append({"task": task, "start": start, "top_1": scores})
                print(
                    f"{task:12} from {start:8} {mean(scores):6.2f} %  ({min(scores):.2f} to {max(scores):.2f})",
                    flush=True,
                )
    if options.json:
        Path(options.json).write_text(json.dumps({"epochs": options.epochs, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
