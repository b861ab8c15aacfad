"""The cost of a run before it begins, its early end, and its metrics, event files and checkpoints."""

import json
import re
import struct
from pathlib import Path

import numpy as np
import pytest

from mindcv import weights
from mindcv.cli.scripts import USER_ERROR, run_script
from mindcv.engine import training

ROOT = Path(__file__).parents[2]
WORDS = [
    "-c", str(ROOT / "configs/convit/convit_tiny_digits.yaml"), "--mode", "1", "--image_resize", "16",
    "--num_samples", "96", "--epoch_size", "2", "--num_parallel_workers", "2", "--val_while_train", "False",
]  # fmt: skip

pytestmark = pytest.mark.usefixtures("shallow_tiny")
OWN_RECIPE = f"# a recipe of the user\n{Path(WORDS[1]).read_text()}"


def train(out, *more):
    return run_script("train", "Train.", [*WORDS, "--ckpt_save_dir", str(out), *map(str, more)])


def records_in(out):
    """Return the records of metrics.jsonl."""
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def same_contents(one, other):
    """Whether two checkpoints are equal bit for bit."""
    one, other = weights.read(one), weights.read(other)
    return all((value == other[name]).all() for name, value in one.items())


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train two epochs of three steps with moving averages and event files, by a recipe in the run's own folder."""
    out = tmp_path_factory.mktemp("trained")
    (out / "config.yaml").write_text(OWN_RECIPE)
    assert train(out, "-c", out / "config.yaml", "--ema", "--tensorboard", "--log_interval", "2") == 0
    return out


def test_dry_run_prints_the_cost_and_writes_nothing(tmp_path, capsys):
    more = ["--dry_run", "--freeze", "stem", "--ema", "--distribute", "True", "--num_devices", "3", "--steps", "1"]
    more += ["--auto_augment", "augmix-m3-w3", "--aug_splits", "3", "--recompute", "--mixup", "0", "--cutmix", "0"]
    assert train(tmp_path / "run", *more, "--batch_size", "16", "--image_resize", "96") == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert list(lines) == ["model", "arithmetic", "memory", "data", "run", "speed", "time"]
    parameters = int(re.search(r"([\d,]+) parameters", lines["model"])[1].replace(",", ""))
    frozen = int(re.search(r"([\d,]+) of them frozen", lines["model"])[1].replace(",", ""))
    assert parameters > 900_000 > frozen == 3 * 8 * 8 * 192 + 192 + 144 * 192 + 192
    assert (
        f"weights {4 * parameters / 1e6:.0f} MB, gradients {4 * (parameters - frozen) / 1e6:.0f} MB" in lines["memory"]
    )
    assert f"averages {4 * parameters / 1e6:.0f} MB" in lines["memory"]
    assert int(re.search(r"at the peak ([\d,]+) MB", lines["memory"])[1].replace(",", "")) > 16 * parameters / 1e6
    assert "96 images in 10 classes, 2 steps an epoch" in lines["data"]
    assert lines["run"] == "1 epoch, 1 step of 48 images on 3 devices, 1 update"
    speed, seconds = map(
        float, re.search(r"([\d.]+) images/s on one device, ([\d.]+) s a step", lines["speed"]).groups()
    )
    assert speed == pytest.approx(16 / seconds, rel=0.05)
    assert "0 h 0 min" in lines["time"]
    flops = float(re.match(r"[\d.]+", lines["arithmetic"])[0])
    step = int(re.search(r"at most ([\d,]+) a step of 48 images", lines["arithmetic"])[1].replace(",", ""))
    assert step == pytest.approx(
        4 * 48 * flops, rel=0.05
    )  # three views of 16 images; each block has two forward passes
    assert not (tmp_path / "run").exists()


def test_train_by_a_recipe_in_the_runs_folder_archives_the_recipe(trained):
    assert (trained / "earlier-1/config.yaml").read_text() == OWN_RECIPE
    assert (trained / "config.yaml").read_text().startswith("# the resolved options of a run of ")


def test_steps_end_a_run_early_and_resume_completes_it(trained, tmp_path, capsys):
    assert train(tmp_path, "--ema", "--steps", "2") == 0
    assert [path.name for path in tmp_path.glob("*.ckpt")] == ["convit_tiny-1_2.ckpt"]
    assert not (tmp_path / "metrics.jsonl").exists()
    assert train(tmp_path, "--ema", "--steps", "2", "--resume") == USER_ERROR
    assert "has the 2 updates of steps already; nothing is left" in capsys.readouterr().err
    assert train(tmp_path, "--ema", "--steps", "3", "--resume") == 0
    assert [record["step"] for record in records_in(tmp_path)] == [3]
    without_recipe = ["--resume", "--ckpt_save_dir", str(tmp_path), "--steps", "none"]
    assert run_script("train", "Train.", without_recipe) == 0
    assert same_contents(tmp_path / "convit_tiny-2_3.ckpt", trained / "convit_tiny-2_3.ckpt")


def test_steps_with_accumulation_count_updates(tmp_path):
    assert train(tmp_path, "--steps", "2", "--gradient_accumulation_steps", "2", "--log_gates", "False") == 0
    assert sorted(path.name for path in tmp_path.glob("*.ckpt")) == ["convit_tiny-1_3.ckpt", "convit_tiny-2_1.ckpt"]


def test_metrics_of_an_epoch_are_those_of_its_checkpoint(trained):
    arrays = weights.read(trained / "convit_tiny-2_3.ckpt")
    parameters = weights.weights_of(arrays)
    averages = {name: arrays[f"ema.{name}"] for name in parameters}
    for record in records_in(trained):
        assert record["grad_norm"] > 0
        assert 0 < record["data_wait"] < record["seconds"]
        assert record["peak_memory"] > 1e8
        assert np.shape(record["gates"]) == (1, 4)
        assert np.shape(record["non_locality"]) == (2, 4)
        assert 0.5 < np.mean(record["gates"]) < 0.9
    norm = np.sqrt(sum(np.square(value, dtype=np.float64).sum() for value in parameters.values()))
    distance = np.sqrt(sum(np.square(parameters[n] - averages[n], dtype=np.float64).sum() for n in parameters)) / norm
    assert record["param_norm"] == pytest.approx(norm, rel=1e-6)
    assert record["ema_gap"] == pytest.approx(distance, rel=1e-4)
    gate = 1 / (1 + np.exp(-parameters["blocks.0.attn.gating_param"].astype(np.float64)))
    assert record["gates"][0] == pytest.approx(gate, abs=1e-5)


def scalars_in(folder):
    """Return the curves of the event files, {name: {step: value}}; of the writer only its message type is used."""
    from tensorboardX.proto.event_pb2 import Event

    curves = {}
    for path in folder.iterdir():
        data, at = path.read_bytes(), 0
        while at < len(data):
            [length] = struct.unpack_from("<Q", data, at)
            event = Event.FromString(data[at + 12 : at + 12 + length])
            at += 16 + length
            for value in event.summary.value:
                curves.setdefault(value.tag, {})[event.step] = value.simple_value
    return curves


def test_event_files_hold_the_metrics_of_epochs_and_of_log_intervals(trained):
    curves = scalars_in(trained / "tensorboard")
    assert set(curves["loss"]) == {2, 3, 5, 6}, "every second step of an epoch and its last"
    for record in records_in(trained):
        for name in ("loss", "lr", "grad_norm", "param_norm", "ema_gap", "data_wait", "peak_memory"):
            assert curves[name][record["step"]] == pytest.approx(record[name], rel=1e-5), name
        for layer in (0, 1):
            mean = np.mean(record["non_locality"][layer])
            assert curves[f"non_locality/layer_{layer}"][record["step"]] == pytest.approx(mean, rel=1e-5)
    assert "gates/layer_0" in curves and "gates/layer_1" not in curves


def test_tensorboard_without_tensorboardx_fails_and_names_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "tensorboardX", None)
    assert train(tmp_path / "run", "--tensorboard") == USER_ERROR
    assert "pip install tensorboardX" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("interval, kept, epochs", [(1, 2, [2, 3]), (2, 10, [2, 3])])
def test_keep_checkpoint_max_and_save_interval_decide_which_checkpoints_are_left(interval, kept, epochs, tmp_path):
    words = ["--epoch_size", "3", "--num_samples", "32", "--log_gates", "False"]
    assert train(tmp_path, *words, "--ckpt_save_interval", interval, "--keep_checkpoint_max", kept) == 0
    assert sorted(path.name for path in tmp_path.glob("*.ckpt")) == [f"convit_tiny-{n}_1.ckpt" for n in epochs]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Train an epoch without averages, event files and gates, with a checkpoint every second step."""
    out = tmp_path_factory.mktemp("plain")
    assert train(out, "--epoch_size", "1", "--ckpt_save_interval_steps", "2", "--log_gates", "False") == 0
    return out


def test_ckpt_save_interval_steps_saves_inside_an_epoch(plain):
    assert sorted(path.name for path in plain.glob("*.ckpt")) == ["convit_tiny-1_2.ckpt", "convit_tiny-1_3.ckpt"]


def test_metrics_leave_out_what_is_switched_off(plain):
    [record] = records_in(plain)
    assert "gates" not in record and "non_locality" not in record and "ema_gap" not in record
    assert not (plain / "tensorboard").exists()


def test_ckpt_save_policy_top_k_keeps_the_best(tmp_path, monkeypatch):
    """The scores are replaced: each epoch is worse than the one before."""
    scores = iter([3.0, 2.0, 1.0])
    monkeypatch.setattr(training.Evaluator, "__call__", lambda *_: {"loss": 1.0, "top_1": next(scores)})
    words = ["--epoch_size", "3", "--num_samples", "32", "--log_gates", "False"]
    words += ["--val_while_train", "True", "--val_interval", "1"]
    assert train(tmp_path, *words, "--ckpt_save_policy", "top_k", "--keep_checkpoint_max", "2") == 0
    assert {path.name for path in tmp_path.glob("convit_tiny-*")} == {"convit_tiny-1_1.ckpt", "convit_tiny-3_1.ckpt"}


def test_debug_raises_the_error(tmp_path):
    words = ["--config", WORDS[1], "--data_dir", str(tmp_path), "--dataset", "imagenet"]
    assert run_script("train", "Train.", words) == USER_ERROR
    with pytest.raises(FileNotFoundError):
        run_script("train", "Train.", [*words, "--debug"])
