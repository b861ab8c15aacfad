"""Scoring weights and averages between training steps."""

import csv
import json
import re
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import mindspore as ms
import numpy as np
import pytest

import mindcv
from mindcv import weights
from mindcv.config import Config
from mindcv.data import UnreadableImage
from mindcv.distributed.context import ALONE
from mindcv.distributed.signals import StopFlag
from mindcv.engine import validation
from mindcv.engine.build import compute_in
from mindcv.engine.validation import Evaluator

RECIPE = Path(__file__).parents[2] / "configs/convit/convit_tiny_digits.yaml"
needs_onnx = pytest.mark.skipif(
    not (find_spec("onnx") and find_spec("onnxruntime")), reason="onnx and onnxruntime are not installed"
)


@pytest.fixture
def evaluator(batch):
    """Return a function that returns an evaluator of a model on `batch`, in two batches of 4 images."""
    images, labels = batch

    def build(model, remedy="", **options):
        loader = ms.dataset.NumpySlicesDataset((images.asnumpy(), labels.asnumpy()), shuffle=False).batch(4)
        config = Config(device_target="CPU", **options)
        return Evaluator(config, model, loader, 7, ALONE, StopFlag(), lambda: None, remedy)

    return build


@contextmanager
def weights_unchanged(model):
    """Assert that the body leaves all weights equal bit for bit."""
    before = [parameter.asnumpy().copy() for parameter in model.get_parameters()]
    yield
    for parameter, value in zip(model.get_parameters(), before, strict=True):
        np.testing.assert_array_equal(parameter.asnumpy(), value)


def test_evaluator_scores_weights_and_averages_and_restores_the_weights(
    both_modes, perceptron, averaging_step, evaluator, batch, tmp_path
):
    model = perceptron()
    step, evaluate = averaging_step(model, 0.9), evaluator(model)
    for _ in range(2):
        step(*batch)
    named = {f"ema.{w.name}": mean for w, mean in zip(step.ema.weights, step.ema.averages, strict=True)}
    named |= {parameter.name: parameter for parameter in model.get_parameters()}
    weights.write(tmp_path / "1.ckpt", {name: parameter.asnumpy() for name, parameter in named.items()})
    with weights_unchanged(model):
        first = evaluate(step.ema)
    assert abs(first["loss"] - first["ema_loss"]) > 1e-4
    model.set_train()
    step(*batch)
    assert evaluate(step.ema)["loss"] < first["loss"]

    weights.load(model, tmp_path / "1.ckpt", ema=True)
    assert evaluate()["loss"] == pytest.approx(first["ema_loss"], rel=1e-6)


def test_evaluator_with_averages_that_are_not_finite_fails_and_restores_the_weights(
    perceptron, averaging_step, evaluator
):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    model = perceptron()
    step = averaging_step(model, 0.9)
    average = step.ema.averages[-1]
    average.set_data(ms.ops.full_like(average, np.nan))
    message = f"^the validation loss is not finite: {step.ema.weights[-1].name} holds NaN or .*: lower the rate$"
    with weights_unchanged(model), pytest.raises(FloatingPointError, match=message):
        evaluator(model, "lower the rate")(step.ema)


def test_evaluator_between_half_precision_steps_computes_in_val_amp_level(
    both_modes, perceptron, averaging_step, evaluator, batch
):
    def losses(amp_level):
        model = perceptron()
        compute_in(Config(device_target="CPU"), model, amp_level)
        step = averaging_step(model, 0.9)
        scored = evaluator(model, amp_level=amp_level, val_amp_level="O0")(step.ema)["loss"]
        return scored, float(step.set_train()(*batch).asnumpy())

    (scored, trained), (in_float32, trained_in_float32) = losses("O2"), losses("O0")
    assert scored == in_float32
    assert trained != trained_in_float32, "the step after the validation is in half precision again"


def test_validate_of_published_weights_prints_the_publishers_top_1(monkeypatch, capsys):
    model = SimpleNamespace(pretrained_cfg={"publisher": "Somebody", "top_1": 81.3}, num_classes=3)
    source = SimpleNamespace(class_names=["a", "b", "c"])
    evaluator = SimpleNamespace(step=SimpleNamespace(collect=False))
    scoring = SimpleNamespace(
        run=lambda: {"loss": 1.0, "top_1": 81.26}, model=model, validation=source, evaluator=evaluator
    )
    monkeypatch.setattr(validation, "_open", lambda _config, _distributed: scoring)
    validation._validate_one(Config(device_target="CPU", pretrained=True), ALONE)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "Top_1_Accuracy: 81.2600, loss: 1.0000",
        "Somebody reports Top-1 81.30 %: measured -0.04 points from it",
    ]
    validation._validate_one(Config(device_target="CPU", pretrained=True, ckpt_path="tuned.ckpt"), ALONE)
    assert len(capsys.readouterr().out.splitlines()) == 1


MISTAKES = {
    "table": ({"ckpt_paths": ["a"], "results_file": "a.txt"}, "wanted a file that ends in .json or .csv or .md"),
    "single": ({"ckpt_path": "a", "results_file": "a.md"}, "wanted a file that ends in .json"),
    "both": ({"ckpt_paths": ["a"], "ckpt_path": "b"}, "ckpt_paths makes a table of several checkpoints"),
    "by class": ({"ckpt_paths": ["a"], "per_class": "b"}, "ckpt_paths makes a table of several checkpoints"),
    "predictions": ({"ckpt_path": "a", "save_predictions": "a.json"}, "wanted a file that ends in .csv"),
    "missing": ({"ckpt_paths": ["nowhere"]}, "ckpt_paths: no checkpoint at nowhere"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_validate_with_outputs_that_cannot_be_written_fails_before_it_begins(case):
    options, message = MISTAKES[case]
    with pytest.raises((ValueError, OSError), match=re.escape(message)):
        validation.validate(Config(device_target="CPU", mode=1, **options))


def test_validate_by_several_workers_refuses_scores_by_class(monkeypatch):
    monkeypatch.setattr(validation, "init_distributed", lambda _config: SimpleNamespace(size=2))
    with pytest.raises(ValueError, match=r"^per_class and save_predictions need all images in one process"):
        validation.validate(Config(device_target="CPU", mode=1, ckpt_path="a", per_class="b"))


@pytest.fixture
def score_several(monkeypatch, tmp_path):
    """Return a function that scores empty checkpoints, given the top-1 or the error of each by name."""

    def score(**outcomes):
        def outcome(name):
            if isinstance(outcomes[name], Exception):
                raise outcomes[name]
            return {"top_1": outcomes[name], "loss": 1.0}

        def opened(config, _distributed, _earlier):
            name = Path(config.ckpt_path).stem
            if isinstance(outcomes[name], (ValueError, OSError)):
                raise outcomes[name]
            return SimpleNamespace(run=lambda: outcome(name))

        monkeypatch.setattr(validation, "_open", opened)
        for name in outcomes:
            (tmp_path / f"{name}.ckpt").touch()
        paths = [str(tmp_path / f"{name}.ckpt") for name in outcomes]
        return validation.validate(Config(device_target="CPU", mode=1, ckpt_paths=paths))

    return score


def test_validate_of_several_checkpoints_scores_the_others_and_names_those_it_cannot(score_several, caplog, capsys):
    damaged, diverged = ValueError("checkpoint b.ckpt is empty"), FloatingPointError("the loss is not finite")
    with pytest.raises(ValueError, match=r"^2 of 4 checkpoints could not be scored; the table has the others$"):
        score_several(a=50.0, b=damaged, c=diverged, d=75.0)
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [(Path(row.split()[1]).name, row.split()[3]) for row in rows] == [("d.ckpt", "75.00"), ("a.ckpt", "50.00")]
    named = [record.getMessage() for record in caplog.records]
    assert "checkpoint b.ckpt is empty" in named
    assert any(message.endswith("c.ckpt: the loss is not finite") for message in named)


def test_validate_of_several_checkpoints_without_a_score_prints_no_table(score_several, capsys):
    with pytest.raises(ValueError, match=r"^2 of 2 checkpoints could not be scored$"):
        score_several(a=ValueError("a is empty"), b=FloatingPointError("the loss is not finite"))
    assert capsys.readouterr().out == ""


def test_validate_of_several_checkpoints_ends_where_the_data_is_at_fault(score_several, capsys):
    with pytest.raises(FileNotFoundError, match=r"^no folder val$"):
        score_several(a=FileNotFoundError("no folder val"), b=FileNotFoundError("no folder val"), c=1.0)
    with pytest.raises(UnreadableImage):
        score_several(a=1.0, b=UnreadableImage("cannot read image x.jpg"), c=2.0)
    assert len(capsys.readouterr().out.splitlines()) == 3, "the first is in the table"


@needs_onnx
def test_validate_of_several_checkpoints_by_onnxruntime_scores_each_with_its_own_weights(
    shallow_tiny, run_in_process, tmp_path, monkeypatch
):
    monkeypatch.setenv("MINDCV_HOME", str(tmp_path / "home"))
    model = mindcv.create_model("convit_tiny", num_classes=10, image_size=16, patch_size=8)
    paths = [tmp_path / f"{name}.ckpt" for name in "ab"]
    for path, sign in zip(paths, (3, -3), strict=True):
        weights.write(path, {p.name: sign * p.asnumpy() for p in model.get_parameters()})
    words = ["--config", RECIPE, "--mode", "1", "--image_resize", "16", "--patch_size", "8", "--batch_size", "50"]
    losses = []
    for engine in ("mindspore", "onnxruntime"):
        table = tmp_path / f"{engine}.json"
        files = ["--ckpt_paths", *paths, "--results_file", table]
        done = run_in_process("validate", *words, *files, "--engine", engine)
        assert done.returncode == 0, done.stderr
        losses.append(
            {Path(row["checkpoint"]).name: row["loss"] for row in json.loads(table.read_text())["checkpoints"]}
        )
    assert losses[0]["a.ckpt"] != pytest.approx(losses[0]["b.ckpt"], rel=1e-3)
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


@needs_onnx
@pytest.mark.parametrize("subset", [False, True])
def test_validate_by_onnxruntime_predicts_the_digits_as_mindspore_does(
    subset, shallow_tiny, run_in_process, tmp_path, monkeypatch
):
    monkeypatch.setenv("MINDCV_HOME", str(tmp_path / "home"))
    model = mindcv.create_model("convit_tiny", num_classes=10, image_size=16, patch_size=8)
    weights.write(tmp_path / "a.ckpt", {p.name: 3 * p.asnumpy() for p in model.get_parameters()})
    (tmp_path / "classes.txt").write_text("\n".join("0123456789"))
    words = ["--config", RECIPE, "--mode", "1", "--image_resize", "16", "--patch_size", "8", "--batch_size", "50"]
    words += ["--ckpt_path", tmp_path / "a.ckpt", *["--class_subset", tmp_path / "classes.txt"] * subset]
    tables, scores = [], []
    for engine in ("mindspore", "onnxruntime"):
        out = tmp_path / f"{engine}.csv"
        files = ["--save_predictions", out, "--results_file", out.with_suffix(".json")]
        done = run_in_process("validate", *words, *files, "--engine", engine)
        assert done.returncode == 0, done.stderr
        scores.append(json.loads(out.with_suffix(".json").read_text()))
        with open(out, newline="") as file:
            tables.append(list(csv.DictReader(file)))
    probabilities = [[float(row.pop("probability")) for row in table] for table in tables]
    assert len(tables[0]) == 359 and len({row["prediction"] for row in tables[0]}) > 1
    assert tables[0] == tables[1]
    np.testing.assert_allclose(*probabilities, rtol=0, atol=1e-5)
    assert scores[1].pop("loss") == pytest.approx(scores[0].pop("loss"), rel=1e-5)
    assert scores[1] == scores[0]


@needs_onnx
def test_validate_by_onnxruntime_names_weights_that_are_not_finite(shallow_tiny, run_in_process, tmp_path):
    model = mindcv.create_model("convit_tiny", num_classes=10, image_size=16, patch_size=8)
    arrays = {p.name: p.asnumpy() for p in model.get_parameters()}
    weights.write(tmp_path / "a.ckpt", {**arrays, "classifier.bias": np.full(10, np.nan, np.float32)})
    words = ["--config", RECIPE, "--mode", "1", "--image_resize", "16", "--patch_size", "8"]
    done = run_in_process("validate", *words, "--ckpt_path", tmp_path / "a.ckpt", "--engine", "onnxruntime")
    assert done.returncode == 3
    assert "the model's outputs are not finite: classifier.bias holds NaN or infinite values" in done.stderr
