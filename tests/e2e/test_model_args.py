"""Arguments of the model's constructor in a run, and in what is done with its checkpoint."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mindcv.cli.weights import main as weights_main

RECIPE = Path(__file__).parents[2] / "configs/convit/convit_tiny_digits.yaml"
WORDS = ["-c", RECIPE, "--mode", "1", "--image_resize", "16", "--epoch_size", "1", "--num_parallel_workers", "1",
         "--num_samples", "4", "--batch_size", "2"]  # fmt: skip
SHAPE = ["depth=2", "embed_dim=32", "local_up_to_layer=1", "num_heads=2"]


@pytest.fixture
def run(run_in_process, tmp_path):
    """Return a function that runs a script with options, after a run whose model has arguments of its own."""
    folder = ["--ckpt_save_dir", tmp_path / "run"]
    done = run_in_process("train", *WORDS, *folder, "--model_args", *SHAPE)
    assert done.returncode == 0, done.stderr
    return lambda name, *words: run_in_process(name, *WORDS, *(folder if name == "train" else ()), *words)


def test_model_args_of_a_run_are_recorded_and_used_with_its_checkpoint(run, tmp_path, capfd):
    checkpoint = tmp_path / "run/best.ckpt"
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / "digit.png")
    assert "model_args: {depth: 2, embed_dim: 32" in (tmp_path / "run/config.yaml").read_text()

    done = run("validate", "--ckpt_path", checkpoint)
    assert (done.returncode, "Top_1_Accuracy" in done.stdout) == (0, True), done.stderr
    done = run("infer", "--ckpt_path", checkpoint, "--image", tmp_path / "digit.png")
    assert (done.returncode, "digit.png" in done.stdout) == (0, True), done.stderr
    assert weights_main(["inspect", str(checkpoint)]) == 0
    assert f"model_args  {' '.join(SHAPE)}\n" in capfd.readouterr().out

    done = run("validate", "--ckpt_path", checkpoint, "--model_args", "none")
    assert (done.returncode, "does not fit the model" in done.stderr) == (2, True), done.stderr

    done = run("train", "--resume", "--epoch_size", "2", "--model_args", *SHAPE, "qkv_bias=True")
    assert done.returncode == 2
    assert f"model_args was {' '.join(SHAPE)} and is {' '.join([*SHAPE, 'qkv_bias=True'])} now" in done.stderr
