"""The metrics of an epoch besides loss and learning rate, with stand-ins."""

import pytest

from mindcv.engine import epoch_metrics
from mindcv.engine.epoch_metrics import DataWait, epoch_line, score_metrics


def test_data_wait_measures_the_time_until_each_batch_of_the_epoch(monkeypatch):
    clock = iter([0.0, 2.0, 10.0, 13.0, 20.0, 20.0])  # before and after each batch, and at the end of the data
    monkeypatch.setattr(epoch_metrics.time, "perf_counter", lambda: next(clock))
    wait = DataWait()
    assert wait.seconds is None
    assert list(wait.timed(["a", "b"])) == ["a", "b"]
    assert wait.seconds == 5.0


def test_score_metrics_name_the_scores_of_weights_and_averages():
    assert score_metrics({"loss": 1.0, "top_1": 50.0}) == {"val_loss": 1.0, "top_1": 50.0, "top_5": None}
    scores = {"loss": 1.0, "top_1": 50.0, "top_5": 90.0, "ema_loss": 2.0, "ema_top_1": 40.0, "ema_top_5": 80.0}
    assert score_metrics(scores) == {
        "val_loss": 1.0, "top_1": 50.0, "top_5": 90.0, "ema_val_loss": 2.0, "ema_top_1": 40.0, "ema_top_5": 80.0,
    }  # fmt: skip


METRICS = {
    "epoch": 2, "loss": 1.5, "lr": 0.01, "images_per_second": 20.0, "seconds": 3.0, "skipped": 0, "top_1": None,
    "top_5": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("more", "added"),
    [
        ({}, ""),
        ({"skipped": 2}, ", 2 steps skipped, not finite"),
        ({"overflows": 0, "loss_scale": 512.0}, ""),
        ({"data_wait": None}, ""),
        ({"data_wait": 0.75}, " (25% of it waiting for data)"),
        ({"overflows": 3, "loss_scale": 512.0}, ", 3 overflows so far, loss scale 512"),
        ({"top_1": 50.0, "val_loss": 1.0}, ", val loss 1.0000, top-1 50.00 %"),
        ({"top_1": 50.0, "val_loss": 1.0, "top_5": 90.0}, ", val loss 1.0000, top-1 50.00 %, top-5 90.00 %"),
    ],
)
def test_epoch_line_adds_what_the_epoch_has(more, added):
    line = f"epoch 2/9, loss 1.5000, lr 1.00e-02, 20.0 images/s, 3.0 s{added}"
    assert epoch_line({**METRICS, **more}, 9, is_best=False) == line
    assert epoch_line({**METRICS, **more}, 9, is_best=True) == f"{line} (best)"


def test_epoch_line_adds_the_time_left():
    assert epoch_line(METRICS, 9, is_best=False, time_left=", 01:05 left").endswith("3.0 s, 01:05 left")


def test_epoch_line_without_a_speed_leaves_it_out():
    line = epoch_line({**METRICS, "images_per_second": None}, 9, is_best=False)
    assert line == "epoch 2/9, loss 1.5000, lr 1.00e-02, 3.0 s"
