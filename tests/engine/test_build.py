import json

import numpy as np
import pytest

from mindcv import weights
from mindcv.config import Config, ConfigError
from mindcv.engine.build import build_model, build_schedule, peak_rate, with_recorded_model_args
from mindcv.weights.classes import CLASS_NAMES
from mindcv.weights.recorded import RECORDED


@pytest.mark.parametrize(("given", "approximate"), [({}, True), ({"act": "gelu"}, False)])
def test_build_model_when_resuming_downloads_nothing_and_keeps_the_pretrained_architecture(
    given, approximate, monkeypatch
):
    monkeypatch.setattr(weights, "fetch_published", lambda source: pytest.fail("fetched"))
    model = build_model(Config(pretrained="mindcv", resume=True, image_resize=32, patch_size=8, **given), 10)
    assert model.blocks[0].mlp.act.approximate is approximate
    assert model.blocks[0].norm1.epsilon == 1e-7


@pytest.fixture
def checkpoint(small_model, tmp_path):
    """Return a function that writes a checkpoint of classes `names`, with averages, and returns options and weights."""

    def write(names):
        arrays = {p.name: p.asnumpy() + 5 for p in small_model(num_classes=len(names)).get_parameters()}
        averages = {f"ema.{name}": array + 1 for name, array in arrays.items()}
        weights.write(tmp_path / "a.ckpt", {**arrays, **averages, CLASS_NAMES: np.array(json.dumps(names))})
        return Config(ckpt_path=str(tmp_path / "a.ckpt")), arrays

    return write


def classifier(monkeypatch, small_model, config, names):
    """Return the classifier's weights and bias in the model that `build_model` returns for classes `names`."""
    monkeypatch.setattr(
        "mindcv.models.factory.model_entrypoint",
        lambda _: lambda _, num_classes, *__, **___: small_model(num_classes=num_classes),
    )
    head = build_model(config, len(names), class_names=names).classifier
    return head.weight.asnumpy(), head.bias.asnumpy()


def test_build_model_with_reordered_class_names_reorders_the_classifier(checkpoint, small_model, monkeypatch, caplog):
    config, arrays = checkpoint(["cat", "dog", "eel"])
    rows, bias = classifier(monkeypatch, small_model, config, ["cat", "eel", "dog"])
    np.testing.assert_array_equal(rows, arrays["classifier.weight"][[0, 2, 1]])
    np.testing.assert_array_equal(bias, arrays["classifier.bias"][[0, 2, 1]])
    message = (
        "a.ckpt: num_classes is 3 (dog, eel) in the file and 3 (eel, dog) in the model: the classifier's rows follow"
    )
    assert message in caplog.text


@pytest.mark.parametrize("keep", [False, True])
def test_build_model_with_other_classes_keeps_the_classifier_only_with_keep_classifier(
    keep, checkpoint, small_model, monkeypatch, caplog
):
    config, arrays = checkpoint(["cat", "dog", "eel"])
    rows, _ = classifier(monkeypatch, small_model, config.replace(keep_classifier=keep), ["cat", "zebra", "eel"])
    assert np.array_equal(rows, arrays["classifier.weight"]) == keep
    assert (np.abs(rows).max() < 1) != keep  # newly initialised
    message = "num_classes is 3 (dog) in the file and 3 (zebra) in the model: the classifier starts afresh"
    assert (message in caplog.text) != keep


def test_build_model_with_another_number_of_classes_initialises_the_classifier_or_fails(
    checkpoint, small_model, monkeypatch
):
    config, _ = checkpoint(["cat", "dog", "eel"])
    rows, _ = classifier(monkeypatch, small_model, config, ["cat", "dog"])
    assert len(rows) == 2
    with pytest.raises(ValueError, match="num_classes is 3 in the file and 2 in the model"):
        classifier(monkeypatch, small_model, config.replace(keep_classifier=True), ["cat", "dog"])


def test_build_model_with_use_ema_loads_the_averages(checkpoint, small_model, monkeypatch):
    config, arrays = checkpoint(["cat", "dog"])
    for ema in (False, True):
        rows, _ = classifier(monkeypatch, small_model, config.replace(use_ema=ema), ["cat", "dog"])
        np.testing.assert_array_equal(rows, arrays["classifier.weight"] + ema)


def test_peak_rate_with_linear_scaling_is_proportional_to_the_images_of_an_update():
    config = Config(lr=5e-4, lr_scale="linear", lr_base_batch=512)
    assert peak_rate(config, 1024) == pytest.approx(1e-3)
    assert peak_rate(config, 256) == pytest.approx(2.5e-4)
    assert peak_rate(Config(lr=5e-4), 1024) == 5e-4


def test_build_schedule_reaches_the_peak_rate():
    config = Config(lr=5e-4, scheduler="cosine_decay", epoch_size=10, decay_epochs=10, warmup_epochs=0)
    assert max(build_schedule(config, 5, 1e-3)) == pytest.approx(1e-3)


def test_build_schedule_with_a_peak_below_min_lr_fails():
    with pytest.raises(ConfigError, match="min_lr 1e-05 is above the scaled learning rate 5e-06"):
        build_schedule(Config(lr=5e-4, min_lr=1e-5), 5, 5e-6)


def test_build_schedule_gives_an_update_across_epochs_the_rate_of_the_first():
    config = Config(
        lr=1, scheduler="multi_step_decay", multi_step_decay_milestones=(1, 2), decay_rate=0.1, warmup_epochs=0,
        epoch_size=3, gradient_accumulation_steps=2,
    )  # fmt: skip
    first_batches = range(0, 3 * 7 - 1, 2)  # the last batch of 21 is left without an update
    assert build_schedule(config, 7, 1.0) == pytest.approx([0.1 ** (batch // 7) for batch in first_batches])


@pytest.fixture
def recorded(tmp_path):
    """Return the path of a checkpoint that records the options of a run with `model_args`."""
    options = {"model": "convit_tiny", "model_args": {"depth": 3, "sizes": [1, 2]}}
    weights.write(tmp_path / "a.ckpt", {"norm.gamma": np.ones(1, np.float32), RECORDED: np.array(json.dumps(options))})
    return str(tmp_path / "a.ckpt")


def test_with_recorded_model_args_takes_those_of_the_checkpoint(recorded):
    config = with_recorded_model_args(Config(ckpt_path=recorded))
    assert config.model_args == {"depth": 3, "sizes": (1, 2)}


@pytest.mark.parametrize(
    "given", [{"model_args": None}, {"model_args": "depth=5"}, {"model": "convit_small"}, {"resume": True}]
)
def test_with_recorded_model_args_keeps_what_is_given_and_other_models(given, recorded):
    config = Config(ckpt_path=recorded, **given)
    assert with_recorded_model_args(config) == config


def test_build_model_draws_weights_unless_the_run_is_resumed():
    drawn, undrawn = (
        build_model(Config(image_resize=32, patch_size=8, resume=resume), 10).blocks[0].mlp.fc1.weight.asnumpy()
        for resume in (False, True)
    )
    assert drawn.all()
    assert not undrawn.any()
