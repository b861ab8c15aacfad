"""Where a run goes on from, and what becomes of what came after that."""

import json
from dataclasses import replace

import mindspore as ms
import pytest

from mindcv import weights
from mindcv.config import Config
from mindcv.engine.checkpoints import CheckpointManager, TrainPosition
from mindcv.engine.resume import resume
from mindcv.engine.step import TrainStep
from mindcv.engine.train_state import TrainState
from mindcv.loss import create_loss
from mindcv.optim import create_optimizer


@pytest.fixture
def state(small_model, identity):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    model = small_model()
    step = TrainStep(model, create_loss("CE"), create_optimizer(model, "sgd", lr=0.1, momentum=0.0))
    return TrainState(step, identity)


@pytest.fixture
def run(state, tmp_path):
    """A function that leaves a run of epochs with these scores in a folder, and gives that."""

    def leave(scores):
        folder = tmp_path / "run"
        checkpoints = CheckpointManager(folder, "convit_tiny", "latest_k", 10)
        for epoch, score in enumerate(scores, 1):
            checkpoints.save(state.arrays(TrainPosition(epoch, 1), checkpoints.best), TrainPosition(epoch, 1))
            checkpoints.save_best({}, score)
        lines = [json.dumps({"epoch": epoch, "top_1": score}) for epoch, score in enumerate(scores, 1)]
        (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
        return folder

    return leave


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def go_on(state, folder, path=""):
    checkpoints = CheckpointManager(folder, "convit_tiny", "latest_k", 10)
    config = Config(ckpt_path=str(path), resume=True)
    metrics_file, rates_for = folder / "metrics.jsonl", lambda config: [config.lr] * config.epoch_size
    return resume(config, state, checkpoints, metrics_file, TrainPosition(90, 1), rates_for), checkpoints


@pytest.mark.parametrize(("scores", "best_is_later"), [([70.0, 80.0, 60.0], True), ([70.0, 65.0, 60.0], False)])
def test_at_an_older_checkpoint_what_is_later_goes_aside(scores, best_is_later, state, run):
    folder = run(scores)
    position, checkpoints = go_on(state, folder, folder / "convit_tiny-1_1.ckpt")
    assert (position, checkpoints.best) == (TrainPosition(2, 0), 70)
    stay = ["best.ckpt"] * (not best_is_later) + ["convit_tiny-1_1.ckpt", "metrics.jsonl"]
    assert names(folder) == stay
    assert names(folder / "earlier-1") == ["best.ckpt", "convit_tiny-2_1.ckpt", "convit_tiny-3_1.ckpt", "metrics.jsonl"]
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 1
    assert len((folder / "earlier-1/metrics.jsonl").read_text().splitlines()) == 3
    assert go_on(state, folder)[0] == TrainPosition(2, 0), "the abandoned ones are not found again"
    assert go_on(state, folder / "earlier-1")[0] == TrainPosition(4, 0), "but there the run can go on too"


def test_at_the_newest_all_stays_as_it_is(state, run):
    folder = run([70.0, 80.0])
    before = names(folder)
    assert go_on(state, folder)[0] == TrainPosition(3, 0)
    assert names(folder) == before
    assert not (folder / "earlier-1").exists()


def test_best_weights_in_a_folder_of_their_own(state, run, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "best.ckpt").write_bytes((run([70.0]) / "best.ckpt").read_bytes())
    position, checkpoints = go_on(state, other, other / "best.ckpt")
    assert position == TrainPosition(1, 1), "its validation is still to come"
    assert not checkpoints.has_saved(position)


def test_another_run_does_not_go_on_in_a_folder_that_has_one(state, run, tmp_path):
    folder = run([70.0])
    elsewhere = tmp_path / "convit_tiny-1_1.ckpt"
    weights.write(elsewhere, state.arrays(TrainPosition(1, 1), 0.0))
    before = names(folder)
    with pytest.raises(ValueError, match=r"has checkpoints of its own, and .* is not of them"):
        go_on(state, folder, elsewhere)
    assert names(folder) == before


def test_another_number_of_loader_workers_or_devices_is_said(state, run, caplog):
    folder = run([70.0])
    options = state.identity.options | {"num_parallel_workers": 3, "num_devices": 2}
    state.identity = replace(state.identity, options=options)
    go_on(state, folder)
    assert "num_parallel_workers was 1 and is 3 now, num_devices was 1 and is 2 now: the run goes on" in caplog.text


@pytest.mark.parametrize(
    ("added", "kept"), [("# a note", True), ("[1, 2]", True), ('{"epoch": 2}', True), ("", False), ("\ufeff", False)]
)
def test_resume_with_other_lines_in_metrics_keeps_all_records_and_a_copy(added, kept, state, run, caplog):
    folder = run([70.0, 80.0])
    metrics_file = folder / "metrics.jsonl"
    before = f"{added}\n".replace("\ufeff\n", "\ufeff") + metrics_file.read_text()
    metrics_file.write_text(before, encoding="utf-8")
    assert go_on(state, folder)[0] == TrainPosition(3, 0)
    assert [json.loads(line)["epoch"] for line in metrics_file.read_text().splitlines()] == [1, 2]
    assert (folder / "earlier-1").exists() == kept
    assert (f"{metrics_file}: not a record of an epoch, and left out: line 1" in caplog.text) == kept
    if kept:
        assert (folder / "earlier-1/metrics.jsonl").read_text(encoding="utf-8") == before


def test_resume_that_drops_a_record_keeps_a_copy_of_metrics(state, run):
    folder = run([70.0, 60.0, 50.0])
    before = (folder / "metrics.jsonl").read_text()
    (folder / "convit_tiny-3_1.ckpt").unlink()
    assert go_on(state, folder)[0] == TrainPosition(3, 0)
    assert [json.loads(line)["epoch"] for line in (folder / "metrics.jsonl").read_text().splitlines()] == [1, 2]
    assert names(folder / "earlier-1") == ["metrics.jsonl"]
    assert (folder / "earlier-1/metrics.jsonl").read_text() == before


def test_resume_does_not_count_checkpoints_of_other_programs_among_its_own(state, run):
    folder = run([70.0, 60.0])
    ms.save_checkpoint(state.step.model, str(folder / "convit_tiny-1_1.ckpt"))
    _, checkpoints = go_on(state, folder)
    assert [path.name for _, path in checkpoints.kept] == ["convit_tiny-2_1.ckpt"], (
        "the others would be deleted in time"
    )


def test_resume_of_another_run_leaves_everything_as_it_was(state, run):
    folder = run([70.0, 80.0])
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    state.step.model.classifier.bias.set_data(ms.Tensor([3.0] * 7))
    state.identity = replace(state.identity, images=(2, "b"))
    with pytest.raises(ValueError, match=r"convit_tiny-2_1\.ckpt is of a run on other training images"):
        go_on(state, folder)
    assert before == {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert state.step.model.classifier.bias.asnumpy().tolist() == [3.0] * 7


def test_resume_of_a_checkpoint_without_options_goes_on_with_one_warning(state, run, caplog):
    folder = run([70.0])
    path = folder / "convit_tiny-1_1.ckpt"
    arrays = weights.read(path)
    assert arrays.pop("run.options") is not None and arrays.pop("run.training_images") is not None
    weights.write(path, arrays)
    assert go_on(state, folder)[0] == TrainPosition(2, 0)
    [warning] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "recorded neither options nor training images" in warning


def test_resume_passes_over_a_folder_with_a_checkpoints_name(state, run):
    folder = run([70.0])
    (folder / "convit_tiny-2_1.ckpt").mkdir()
    assert go_on(state, folder)[0] == TrainPosition(2, 0)
    assert (folder / "convit_tiny-2_1.ckpt").is_dir()
