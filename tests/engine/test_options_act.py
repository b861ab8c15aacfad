"""Each option changes the result that it is meant to change, and without a change the result is reproducible."""

import os
from functools import cache

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindcv import weights
from mindcv.config import Config, uses_data_sink
from mindcv.engine import build
from mindcv.engine.build import build_loss, build_model, build_optimizer, build_schedule, peak_rate
from mindcv.engine.dataloaders import open_training, open_validation, training_loader, validation_loader
from mindcv.engine.validation import validate


@pytest.fixture(autouse=True)
def pynative():
    ms.set_context(mode=ms.PYNATIVE_MODE)


@cache
def probed(probe, config):
    """Return `probe(config)`, after checking that it is reproducible."""
    one, again = probe(config), probe(config)
    for first, second in zip(one, again, strict=True):
        np.testing.assert_array_equal(first, second)
    return one


def assert_acts(probe, base, change):
    """Assert that `probe(config)`, a list of arrays, is reproducible and differs after `change`."""
    one, other = probed(probe, base), probe(base.replace(**change))
    same = len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert not same, f"{change} changes nothing"


def parametrize(*cases):
    """Parametrize a test by cases (base, change): the options before the change, and the changed ones."""
    return pytest.mark.parametrize("base, change", cases, ids=lambda options: "-".join(options))


@parametrize(
    ({}, {"lr": 0.01}),
    ({}, {"min_lr": 1e-4}),
    ({}, {"epoch_size": 5}),
    ({}, {"scheduler": "one_cycle"}),
    ({}, {"warmup_epochs": 0}),
    ({}, {"warmup_factor": 0.5}),
    ({}, {"decay_epochs": 2}),
    ({}, {"lr_epoch_stair": True}),
    ({}, {"gradient_accumulation_steps": 2}),
    ({}, {"lr_scale": "linear", "lr_base_batch": 512}),
    ({"lr_scale": "linear", "lr_base_batch": 512}, {"lr_base_batch": 256}),
    ({"scheduler": "exponential_decay"}, {"decay_rate": 0.5}),
    ({"scheduler": "multi_step_decay"}, {"multi_step_decay_milestones": (2, 3)}),
    ({"decay_epochs": 1}, {"num_cycles": 2}),
    ({"decay_epochs": 1, "num_cycles": 2}, {"cycle_decay": 0.5}),
)
def test_option_changes_learning_rates(base, change):
    def rates(config):
        return build_schedule(config, 6, peak_rate(config, 64))

    assert_acts(
        rates, Config(**{"epoch_size": 4, "decay_epochs": 3, "warmup_epochs": 1, "warmup_factor": 0.1, **base}), change
    )


@parametrize(
    ({}, {"opt": "lion"}),
    ({}, {"weight_decay": 0.1}),
    ({"weight_decay": 0.1}, {"weight_decay_filter": "auto"}),
    ({"opt": "momentum"}, {"momentum": 0.5}),
    ({"opt": "momentum"}, {"use_nesterov": True}),
    ({"opt": "adamw"}, {"eps": 0.1}),
    ({}, {"layer_decay": 0.5}),
    ({}, {"head_lr_multiple": 5}),
    ({}, {"freeze": ("stem",)}),
)
def test_option_changes_updates(base, change, small_model):
    def two_updates(config):
        model = small_model()
        optimizer = build_optimizer(config, model, [0.1, 0.1])
        for size in (1.0, 0.1):
            optimizer(tuple(ms.ops.full_like(parameter, size) for parameter in optimizer.parameters))
        return [parameter.asnumpy() for parameter in model.get_parameters()]

    assert_acts(two_updates, Config(**base), change)


@parametrize(({}, {"loss": "BCE"}), ({}, {"label_smoothing": 0.1}), ({}, {"reduction": "sum"}), ({}, {"aux_factor": 1}))
def test_option_changes_loss(base, change):
    draw = np.random.default_rng(0).standard_normal
    logits, more = Tensor(draw((4, 3)), ms.float32), Tensor(draw((4, 3)), ms.float32)
    labels = Tensor(np.eye(3, dtype=np.float32)[[0, 1, 2, 0]])

    def loss(config):
        return [build_loss(config)((logits, more) if config.aux_factor else logits, labels).asnumpy()]

    assert_acts(loss, Config(**base), change)


DIGITS = Config(dataset="digits", image_resize=16, patch_size=8, batch_size=16, num_samples=40, num_parallel_workers=1,
                mode=1, device_target="CPU", color_jitter=None)  # fmt: skip


@parametrize(
    ({}, {"batch_size": 8}),
    ({}, {"shuffle": False}),
    ({}, {"num_samples": 20}),
    ({}, {"sampling_ratio": 0.1, "num_samples": None}),
    ({}, {"drop_remainder": False}),
    ({}, {"seed": 1}),
    ({}, {"image_resize": 24}),
    ({}, {"scale": (0.5, 0.6)}),
    ({}, {"ratio": (2.0, 2.1)}),
    ({}, {"hflip": 1}),
    ({}, {"vflip": 1}),
    ({}, {"color_jitter": 0.8}),
    ({}, {"interpolation": "nearest"}),
    ({}, {"auto_augment": "randaug-m9"}),
    ({}, {"aug_repeats": 2}),
    ({"auto_augment": "augmix-m9"}, {"aug_splits": 2}),
    ({}, {"re_prob": 1}),
    ({"re_prob": 1}, {"re_scale": (0.5, 0.6)}),
    ({"re_prob": 1}, {"re_ratio": (3.0, 3.1)}),
    ({"re_prob": 1}, {"re_value": 2}),
    ({"re_prob": 1}, {"re_value": (-1.5, 0, 0.5)}),
    ({"re_prob": 1, "re_scale": (0.9, 1), "re_ratio": (0.1, 10)}, {"re_max_attempts": 200}),
    ({}, {"mixup": 0.8}),
    ({}, {"cutmix": 1}),
    ({"cutmix": 1}, {"cutmix_prob": 0.1}),
    ({"mixup": 0.8, "cutmix": 1}, {"mixup_switch_prob": 0}),
    ({}, {"mean": (0, 0, 0)}),
    ({}, {"std": (1, 1, 1)}),
    ({}, {"in_channels": 1, "mean": (119,), "std": (58,)}),
)
def test_option_changes_training_batches(base, change):
    def batches(config):
        loader = training_loader(config, open_training(config), 10)
        return [array for batch in loader.create_tuple_iterator(num_epochs=1, output_numpy=True) for array in batch]

    assert_acts(batches, DIGITS.replace(**base), change)


@parametrize(
    ({}, {"batch_size": 8}),
    ({}, {"image_resize": 24}),
    ({}, {"crop_pct": 0.5}),
    ({}, {"interpolation": "nearest"}),
    ({}, {"mean": (0, 0, 0)}),
    ({}, {"std": (1, 1, 1)}),
    ({}, {"eval_shuffle": True}),
    ({}, {"val_split": "train"}),
)
def test_option_changes_validation_batches(base, change):
    def first_batch(config):
        loader = validation_loader(config, open_validation(config))
        return next(loader.create_tuple_iterator(num_epochs=1, output_numpy=True))

    assert_acts(first_batch, DIGITS.replace(**base), change)


@pytest.mark.parametrize(
    "build_loader, source", [(training_loader, open_training), (validation_loader, open_validation)]
)
def test_loaders_read_with_num_parallel_workers(build_loader, source, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)

    def workers(dataset):
        return max([dataset.num_parallel_workers, *map(workers, dataset.children)])

    for number in (1, 2):
        config = DIGITS.replace(num_parallel_workers=number)
        dataset = build_loader(config, source(config), *[10] * (source is open_training))
        assert workers(dataset) == number
        while dataset.children:
            [dataset] = dataset.children
        assert dataset.readers == number


@parametrize(
    ({}, {"seed": 1}),
    ({}, {"model": "convit_tiny_plus"}),
    ({}, {"image_resize": 24}),
    ({}, {"in_channels": 1, "mean": (119,), "std": (58,)}),
    ({}, {"patch_size": 4}),
    ({}, {"drop_rate": 0.5}),
    ({}, {"attn_drop_rate": 0.5}),
    ({}, {"drop_path_rate": 0.9}),
    ({}, {"act": "gelu_tanh"}),
    ({}, {"norm_eps": 0.1}),
)
def test_option_changes_model(base, change):
    assert_acts(logits_in_training, DIGITS.replace(**base), change)


def logits_in_training(config):
    np.random.seed(0)
    model = build_model(config, 10).set_train()
    shape = 2, config.in_channels, config.image_resize, config.image_resize
    return [model(Tensor(np.random.default_rng(0).standard_normal(shape), ms.float32)).asnumpy()]


def test_build_model_passes_pretrained_on(monkeypatch):
    received = {}
    monkeypatch.setattr(build, "create_model", lambda **arguments: received.update(arguments) or nn.Identity())
    build_model(DIGITS.replace(pretrained="fb"), 10)
    assert received["pretrained"] == "fb"


def test_validate_computes_in_val_amp_level(small_model, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "create_model", lambda **_: small_model(num_classes=10))
    model = build_model(DIGITS, 10)
    weights.write(tmp_path / "a.ckpt", {p.name: p.asnumpy() for p in model.get_parameters()})
    config = DIGITS.replace(ckpt_path=str(tmp_path / "a.ckpt"), batch_size=64)
    in_float32, in_float16 = (validate(config.replace(val_amp_level=level))["loss"] for level in ("O0", "O2"))
    assert in_float32 != in_float16 == pytest.approx(in_float32, rel=1e-2)


@pytest.mark.parametrize("device, sinks", [("Ascend", True), ("CPU", False)])
def test_uses_data_sink_on_an_ascend_unless_steps_must_be_seen(device, sinks):
    config = Config(device_target=device)
    assert uses_data_sink(config) == sinks
    assert not uses_data_sink(config.replace(dataset_sink_mode=False))
    assert not uses_data_sink(config.replace(ckpt_save_interval_steps=5))
