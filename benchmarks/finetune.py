"""Compare fine-tuning weights trained on the digits with training from scratch, for the same number of steps.

There are two tasks: 3 against 8, as a folder of PNG files, and all ten digits at 48 instead of 32 pixels. Both starts
use the same options, images and order of images. A row is top-1 on the held-out fifth, the mean over the seeds.

    python benchmarks/finetune.py [--ckpt_path runs/digits/best.ckpt] [--seeds 3] [--json FILE]

Without a checkpoint, `configs/convit/convit_tiny_digits.yaml` is trained first, which takes some minutes.
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
    """Write the digits of `PAIR` as `folder/split/digit/*.png`, with the splits of the data set."""
    with np.load(ROOT / "mindcv/data/datasets/digits.npz") as digits:
        images, labels, held_out = (digits[key] for key in ("images", "labels", "held_out"))
    for i in np.flatnonzero(np.isin(labels, PAIR)):
        path = folder / ("val" if held_out[i] else "train") / str(labels[i]) / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.round(images[i] * (255 / 16)).astype(np.uint8)).save(path)


def train(out: Path, *arguments) -> float:
    """Train in the folder `out` with the digits recipe and further `arguments`; return top-1 (%) of the last epoch."""
    command = [sys.executable, ROOT / "train.py", "--config", RECIPE, "--ckpt_save_dir", out, *arguments]
    result = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True)
    if result.returncode:
        sys.exit(result.stderr)
    return json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])["top_1"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ckpt_path", metavar="FILE", help="weights trained on the digits")
    parser.add_argument("--seeds", type=int, default=3, help="seeds per start (default: 3)")
    parser.add_argument("--epochs", type=int, default=1, help="epochs per run (default: 1)")
    parser.add_argument("--json", metavar="FILE", help="also write the rows to FILE")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        root = Path(folder)
        checkpoint = options.ckpt_path
        if not checkpoint:
            print(f"the digits: {train(root / 'digits'):.2f} %", flush=True)
            checkpoint = root / "digits/best.ckpt"
        write_pair(root / "pair")
        tasks = {
            "3 against 8": ["--dataset", "imagenet", "--data_dir", root / "pair", "--num_classes", "2"],
            "48 pixels": ["--image_resize", "48"],
        }
        schedule = ["--epoch_size", options.epochs, "--warmup_epochs", "0", "--decay_epochs", options.epochs]
        schedule += ["--scheduler", "cosine_decay", "--val_interval", "1"]
        rows = []
        for task, arguments in tasks.items():
            for start, weights in {"digits": ["--ckpt_path", checkpoint], "scratch": []}.items():
                scores = [
                    train(root / f"{task}-{start}-{seed}", *arguments, *schedule, *weights, "--seed", seed)
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
