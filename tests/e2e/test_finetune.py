"""Fine-tuning from a checkpoint of other classes and another image size, with frozen parts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mindcv
from mindcv import weights
from mindcv.cli.scripts import USER_ERROR
from mindcv.weights.classes import CLASS_NAMES
from tests.images import write_image_folder

ROOT = Path(__file__).parents[2]
WORDS = ["-c", ROOT / "configs/convit/convit_tiny_finetune.yaml", "--device_target", "CPU", "--mode", "1"]
pytestmark = pytest.mark.usefixtures("shallow_tiny")
WORDS += [
    "--image_resize",
    "48",
    "32",
    "--patch_size",
    "16",
    "--batch_size",
    "4",
    "--pretrained",
    "False",
    "--log_gates",
    "False",
]


def run(script, *words):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    line = [sys.executable, str(ROOT / "tests/shallow" / script), *map(str, words)]
    return subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder of two classes with four images each, in train and in val."""
    counts = {"train": 4, "val": 4}
    return write_image_folder(tmp_path_factory.mktemp("pets"), counts, ["cat", "dog"], ".png", size=(40, 40))


@pytest.fixture(scope="module")
def tuned(folder, tmp_path_factory):
    """Train from a checkpoint of five classes at 32 pixels, with the stem and the first block frozen."""
    out = tmp_path_factory.mktemp("tuned")
    model = mindcv.create_model("convit_tiny", num_classes=5, image_size=32)
    arrays = {parameter.name: parameter.asnumpy() for parameter in model.get_parameters()}
    weights.write(out / "start.ckpt", {**arrays, CLASS_NAMES: np.array(json.dumps(list("abcde")))})
    words = ["--data_dir", folder, "--ckpt_path", out / "start.ckpt", "--ckpt_save_dir", out / "run"]
    return run("train.py", *WORDS, *words, "--epoch_size", "2", "--freeze", "stem,blocks:0"), out, arrays


def test_train_from_another_models_checkpoint_logs_what_it_adapts(tuned):
    done, _, _ = tuned
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert sum("num_classes is 5 in the file and 2 in the model: the classifier starts afresh" in x for x in lines) == 1
    assert sum("image_size is 2x2 patches in the file and 3x2 patches in the model" in x for x in lines) == 1


def test_train_with_freeze_keeps_frozen_parameters_bit_for_bit(tuned):
    _, out, before = tuned
    after = weights.read(out / "run" / "best.ckpt")
    frozen = ("cls_token", "patch_embed", "blocks.0.")
    for name, array in before.items():
        if name.startswith(("pos_embed", "classifier")):
            continue  # resampled or newly initialised
        assert np.array_equal(after[name], array) == name.startswith(frozen), name
    assert after["classifier.weight"].shape == (2, 192)
    optimizer_state = {name for name in after if name.startswith("optimizer.")}
    assert any("blocks.1." in name for name in optimizer_state)
    assert not [name for name in optimizer_state if "blocks.0." in name or "patch_embed" in name]


def test_checkpoint_class_names_are_used_by_infer_and_checked_by_validate(tuned, folder, tmp_path, run_in_process):
    _, out, _ = tuned
    words = ["-c", out / "run" / "config.yaml", "--ckpt_path", out / "run" / "best.ckpt"]
    done = run_in_process("infer", *words, "--image", folder / "val" / "cat" / "0.png")
    assert done.returncode == 0, done.stderr
    assert {line.split()[-1] for line in done.stdout.splitlines()[1:]} == {"cat", "dog"}
    (tmp_path / "val").mkdir()
    for name, source in (("cow", "cat"), ("dog", "dog")):
        (tmp_path / "val" / name).symlink_to(folder / "val" / source)
    done = run_in_process("validate", *words, "--data_dir", tmp_path)
    assert done.returncode == USER_ERROR
    assert done.stderr.count("validate.py: ") == 1
    assert "cow not among the 2 known classes" in done.stderr


def test_validate_with_use_ema_scores_the_averages(tuned, folder, tmp_path, run_in_process):
    _, out, _ = tuned
    trained = weights.weights_of(weights.read(out / "run" / "best.ckpt"))
    averages = {f"ema.{name}": 0.9 * array for name, array in trained.items()}
    weights.write(tmp_path / "both.ckpt", {**trained, **averages})
    weights.write(tmp_path / "averages.ckpt", {name[4:]: array for name, array in averages.items()})
    words = [*WORDS, "--data_dir", folder]
    losses = {}
    for name, more in {"both": ["--use_ema"], "averages": []}.items():
        more = ["--ckpt_path", tmp_path / f"{name}.ckpt", "--results_file", tmp_path / f"{name}.json", *more]
        assert run_in_process("validate", *words, *more).returncode == 0
        losses[name] = json.loads((tmp_path / f"{name}.json").read_text())["loss"]
    assert losses["both"] == losses["averages"]
    done = run_in_process("validate", *words, "--ckpt_path", tmp_path / "averages.ckpt", "--use_ema")
    assert done.returncode == USER_ERROR


def test_train_with_an_unknown_block_to_freeze_fails(folder, tmp_path, run_in_process):
    words = ["--data_dir", folder, "--ckpt_save_dir", tmp_path / "run", "--freeze", "blocks:0-2"]
    done = run_in_process("train", *WORDS, *words)
    assert done.returncode == USER_ERROR
    assert done.stderr.splitlines()[-1] == (
        "train.py: freeze: got 'blocks:0-2', wanted blocks from 0 to 1, the lower number first"
    )
