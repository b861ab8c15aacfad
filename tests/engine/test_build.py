import pytest

from mindcv import weights
from mindcv.config import Config, ConfigError
from mindcv.engine.build import build_model, build_schedule, peak_rate


@pytest.mark.parametrize(("given", "approximate"), [({}, True), ({"act": "gelu"}, False)])
def test_a_run_that_is_resumed_fetches_no_weights_and_is_the_same_model(given, approximate, monkeypatch):
    monkeypatch.setattr(weights, "fetch_published", lambda source: pytest.fail("fetched"))
    model = build_model(Config(pretrained="mindcv", resume=True, image_resize=32, patch_size=8, **given), 10)
    assert model.blocks[0].mlp.act.approximate is approximate
    assert model.blocks[0].norm1.eps == 1e-7


def test_the_rate_grows_with_the_images_of_an_update():
    config = Config(lr=5e-4, lr_scale="linear", lr_base_batch=512)
    assert peak_rate(config, 1024) == pytest.approx(1e-3)
    assert peak_rate(config, 256) == pytest.approx(2.5e-4)
    assert peak_rate(Config(lr=5e-4), 1024) == 5e-4


def test_the_schedule_peaks_at_the_scaled_rate():
    config = Config(lr=5e-4, scheduler="cosine_decay", epoch_size=10, decay_epochs=10, warmup_epochs=0)
    assert max(build_schedule(config, 5, 1e-3)) == pytest.approx(1e-3)


def test_a_scaled_rate_below_min_lr():
    with pytest.raises(ConfigError, match="min_lr 1e-05 is above the scaled learning rate 5e-06"):
        build_schedule(Config(lr=5e-4, min_lr=1e-5), 5, 5e-6)


def test_updates_that_do_not_divide_an_epoch_have_the_rate_of_the_epoch_that_they_begin_in():
    config = Config(
        lr=1, scheduler="multi_step_decay", multi_step_decay_milestones=(1, 2), decay_rate=0.1, warmup_epochs=0,
        epoch_size=3, gradient_accumulation_steps=2,
    )  # fmt: skip
    first_batches = range(0, 3 * 7 - 1, 2)  # the last batch of 21 has no other to make an update with
    assert build_schedule(config, 7, 1.0) == pytest.approx([0.1 ** (batch // 7) for batch in first_batches])
