"""The model card's training command on several workers of this machine's CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("all_cores")


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    """Return a folder in ImageNet's layout: four classes, 32 images in train and 12 in val."""
    folder, rng = tmp_path_factory.mktemp("imagenet"), np.random.default_rng(0)
    for split, each in (("train", 8), ("val", 3)):
        for label in range(4):
            (folder / split / f"n0{label}").mkdir(parents=True)
            for i in range(each):
                pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / split / f"n0{label}" / f"{i}.JPEG")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["train.py", "msrun"])
def test_train_on_several_workers_ends_with_equal_weights(launcher, imagenet, tmp_path):
    """train.py starts 8 workers itself; the user's msrun starts 2, on a folder with a file that is not an image."""
    workers, line = 8, [sys.executable]
    if launcher == "msrun":
        workers = 2
        line += ["-m", "mindspore.parallel.cluster.run", "--worker_num=2", "--local_worker_num=2", "--join=True"]
        line += [f"--master_port={20000 + os.getpid() % 20000}", f"--log_dir={tmp_path}"]
        (imagenet / "train/n00/odd.JPEG").write_text("not an image")
    words = ["-c", "configs/convit/convit_tiny_ascend.yaml", "--data_dir", imagenet, "--val_while_train"]
    small = [
        "--device_target", "CPU", "--image_resize", "32", "--epoch_size", "2", "--batch_size", 16 // workers,
        "--num_classes", "4", "--num_parallel_workers", "1", "--on_bad_image", "skip", "--ckpt_save_dir", tmp_path,
    ]  # fmt: skip
    digests = tmp_path / "digests"
    digests.mkdir()
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DIGESTS": str(digests), "PATH": path}
    run = subprocess.run(
        [*line, str(Path(__file__).with_name("train_and_digest.py")), *map(str, [*words, *small])],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1200,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    assert len({file.read_text() for file in digests.iterdir()}) == 1
    assert len(list(digests.iterdir())) == workers

    *_, record = map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines())
    alone = ["--distribute", "False", "--ckpt_path", tmp_path / "convit_tiny-2_2.ckpt", "--batch_size", "5"]
    scored = subprocess.run(
        [sys.executable, "validate.py", *map(str, [*words[:-1], *small[:4], *alone, "--num_classes", "4"])],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert scored.returncode == 0, scored.stderr
    found = dict(part.split(": ") for part in scored.stdout.strip().splitlines()[-1].split(", "))
    assert float(found["Top_1_Accuracy"].strip("% ")) == pytest.approx(record["top_1"], abs=0.1), found
