"""The recipes against the values of the model card, written here a second time."""

import math
import re
from pathlib import Path

import pytest

from mindcv.config import resolve
from mindcv.engine.build import build_schedule

CONFIGS = Path(__file__).parents[2] / "configs"
RECIPES = CONFIGS / "convit"

SHARED = {
    "mode": 0,
    "distribute": True,
    "num_parallel_workers": 8,
    "dataset": "imagenet",
    "num_classes": 1000,
    "image_resize": 224,
    "patch_size": 16,
    "scale": (0.08, 1.0),
    "ratio": (0.75, 1.333),
    "hflip": 0.5,
    "vflip": 0.0,
    "interpolation": "bicubic",
    "mixup": 0.2,
    "cutmix": 1.0,
    "cutmix_prob": 1.0,
    "color_jitter": 0.4,
    "epoch_size": 300,
    "dataset_sink_mode": True,
    "amp_level": "O2",
    "loss": "CE",
    "label_smoothing": 0.1,
    "opt": "adamw",
    "loss_scale": 1024.0,
    "loss_scale_type": "fixed",
    "min_lr": 0.000001,
    "device_target": "Ascend",
}

# batch a device, lr, warm-up and decay epochs, weight decay, policy, erasing, crop, top-1, top-5
CARD = {
    "convit_tiny": (256, 0.00072, 5, 295, 0.0001, None, 0.25, 0.875, 73.66, 91.72),
    "convit_tiny_plus": (256, 0.00072, 40, 260, 0.0001, None, 0.25, 0.87, 77.00, 93.60),
    "convit_small": (192, 0.0007, 40, 260, 0.05, "autoaug-mstd0.5", 0.1, 0.915, 81.63, 95.59),
    "convit_small_plus": (192, 0.0007, 40, 260, 0.05, "autoaug-mstd0.5", 0.1, 0.93, 81.80, 95.42),
    "convit_base": (128, 0.0007, 40, 260, 0.1, "autoaug-mstd0.5", 0.1, 0.93, 82.10, 95.52),
    "convit_base_plus": (128, 0.0007, 40, 260, 0.1, "autoaug-mstd0.5", 0.1, 0.925, 81.96, 95.04),
}
COLUMNS = (
    "batch_size",
    "lr",
    "warmup_epochs",
    "decay_epochs",
    "weight_decay",
    "auto_augment",
    "re_prob",
    "crop_pct",
)


@pytest.mark.parametrize("model", CARD)
def test_recipe_states_what_the_model_card_says(model):
    path = RECIPES / f"{model}_ascend.yaml"
    config = resolve(["-c", str(path)])
    *own, top_1, top_5 = CARD[model]
    expected = {**SHARED, **dict(zip(COLUMNS, own, strict=True)), "model": model}
    assert {name: getattr(config, name) for name in expected} == expected
    opening = path.read_text().split("\n\n")[0]
    assert f"{top_1:.2f} % top-1" in opening
    assert f"{top_5:.2f} % top-5" in opening


def test_every_recipe_is_tested():
    names = {path.stem for path in RECIPES.glob("*.yaml")}
    papers = {f"convit_{size}_paper" for size in ("tiny", "small", "base")}
    own = {"convit_tiny_digits", "convit_tiny_finetune", "convit_base_384"}
    assert names == {f"{model}_ascend" for model in CARD} | papers | own
    assert {path.stem for path in CONFIGS.glob("deit/*.yaml")} == {"deit_tiny", "deit_small", "deit_base"}


@pytest.mark.parametrize(
    ("path", "batch", "top_1"),
    [
        ("convit/convit_tiny_paper", 512, 73.1),
        ("convit/convit_small_paper", 512, 81.3),
        ("convit/convit_base_paper", 512, 82.4),
        ("deit/deit_tiny", 1024, 72.2),
        ("deit/deit_small", 1024, 79.9),
        ("deit/deit_base", 1024, 81.8),
    ],
)
def test_recipe_of_the_paper_states_its_settings_and_learning_rates(path, batch, top_1):
    """DeiT's images a step, and so its learning rate, are twice ConViT's; all else is the same."""
    path = CONFIGS / f"{path}.yaml"
    config = resolve(["-c", str(path)])
    expected = {
        "model": path.stem.removesuffix("_paper"),
        "opt": "adamw", "lr": 5e-4, "lr_scale": "linear", "lr_base_batch": 512,
        "weight_decay": 0.05, "epoch_size": 300, "warmup_epochs": 5, "decay_epochs": 300, "mixup": 0.8, "cutmix": 1.0,
        "auto_augment": "rand-m9-mstd0.5-inc1", "label_smoothing": 0.1, "re_prob": 0.25, "re_value": "random",
        "drop_path_rate": 0.1, "aug_repeats": 3, "image_resize": 224,
    }  # fmt: skip
    assert {name: getattr(config, name) for name in expected} == expected
    assert config.batch_size * config.num_devices == batch
    peak = 5e-4 * batch / 512
    rates = build_schedule(config, 4, peak)
    for epoch in (0, 3, 5, 150, 299):  # timm's scheduler, which changes the rate once an epoch
        cosine = 1e-5 + (peak - 1e-5) * (1 + math.cos(math.pi * epoch / 300)) / 2
        wanted = 1e-6 + epoch * (peak - 1e-6) / 5 if epoch < 5 else cosine
        assert rates[4 * epoch : 4 * epoch + 4] == pytest.approx([wanted] * 4, rel=1e-12)
    assert f"{top_1} % top-1" in path.read_text().split("\n\n")[0]


def test_recipe_for_384_pixels_starts_from_published_weights():
    config = resolve(["-c", str(RECIPES / "convit_base_384.yaml")])
    assert (config.model, config.pretrained, config.image_resize, config.crop_pct) == ("convit_base", "mindcv", 384, 1)
    assert (config.act, config.norm_eps) == (None, None), "those of the weights"
    assert (config.lr, config.scheduler, config.warmup_epochs) == (5e-6, "constant", 5)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*/*.yaml")), ids=lambda path: path.stem)
def test_recipe_opens_with_commands_that_parse(path):
    opening = path.read_text().split("\n\n")[0]
    assert all(line.startswith("#") for line in opening.splitlines())
    commands = re.findall(r"python (train|validate)\.py (.*)", opening)
    assert [script for script, _ in commands] == ["train", "validate"]
    for _, words in commands:
        words = re.sub(r"--ckpt_path \S+", "", words)
        config = resolve(words.replace("configs/", f"{CONFIGS}/").split())
        assert Path(config.config) == path


def test_recipe_for_fine_tuning_starts_from_published_weights():
    config = resolve(["-c", str(RECIPES / "convit_tiny_finetune.yaml")])
    assert (config.model, config.pretrained, config.num_classes) == ("convit_tiny", "mindcv", None)
    assert (config.act, config.norm_eps) == (None, None), "those of the weights"
    assert (config.image_resize, config.interpolation, config.crop_pct) == (224, "bicubic", 0.875), "MindCV's card"
    assert config.layer_decay < 1 < config.head_lr_multiple
    assert config.warmup_epochs + config.decay_epochs == config.epoch_size


def test_recipe_for_digits_runs_on_a_cpu():
    config = resolve(["-c", str(RECIPES / "convit_tiny_digits.yaml")])
    assert (config.model, config.dataset, config.num_classes) == ("convit_tiny", "digits", 10)
    assert (config.device_target, config.mode, config.image_resize, config.patch_size) == ("CPU", 0, 32, 8)
    assert config.hflip == 0
    assert config.warmup_epochs + config.decay_epochs == config.epoch_size
