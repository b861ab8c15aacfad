"""One step of every recipe, on a CPU, with a small folder of small images, one worker and a shallow convit_tiny."""

from pathlib import Path

import pytest

from mindcv.cli.scripts import run_script
from mindcv.config import resolve
from mindcv.models import create_model
from mindcv.weights import write
from tests.images import write_image_folder

RECIPES = sorted((Path(__file__).parents[2] / "configs").glob("*/*.yaml"))
LIGHT = {"convit_tiny_ascend", "convit_tiny_paper", "convit_tiny_digits", "convit_tiny_finetune"}
pytestmark = pytest.mark.usefixtures("shallow_tiny")
HERE = ["--device_target", "CPU", "--mode", "1", "--distribute", "False", "--batch_size", "2", "--steps", "1",
        "--num_parallel_workers", "1", "--log_gates", "False"]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder of two classes with six images in train and two in val."""
    classes = ["n01440764", "n01443537"]
    return write_image_folder(tmp_path_factory.mktemp("imagenet"), {"train": 3, "val": 1}, classes, ".JPEG")


@pytest.mark.parametrize(
    "recipe",
    [
        pytest.param(path, id=path.stem, marks=() if path.stem in LIGHT else pytest.mark.slow)
        for path in RECIPES
    ],
)  # fmt: skip
def test_recipe_makes_a_step(recipe, folder, tmp_path):
    config = resolve(["-c", str(recipe)])
    words = ["-c", str(recipe), *HERE, "--ckpt_save_dir", str(tmp_path / "run")]
    if config.dataset == "imagenet":
        side = 4 * config.patch_size
        words += ["--data_dir", str(folder), "--image_resize", str(side)]
    if config.lr_scale:
        words += ["--lr_base_batch", "2"]
    if config.pretrained:  # a local file of a model for 224 pixels instead of the download
        model = create_model(config.model, image_size=224)
        write(tmp_path / "published.ckpt", {p.name: p.asnumpy() for p in model.get_parameters()})
        words += ["--ckpt_path", str(tmp_path / "published.ckpt")]
    assert run_script("train", "Train.", words) == 0
    [checkpoint] = (tmp_path / "run").glob(f"{config.model}-1_1.ckpt")
    assert checkpoint.stat().st_size > 10e6
