"""Resuming: its functions one by one, and what becomes of a run's folder."""

import json
import math
import os
from dataclasses import replace

import mindspore as ms
import numpy as np
import pytest

from mindcv import weights
from mindcv.config import Config, ConfigError, as_recipe
from mindcv.engine.checkpoints import START, CheckpointManager, TrainPosition
from mindcv.engine.identity import Identity
from mindcv.engine.resume import (
    check_identity,
    check_work_left,
    choose_checkpoint,
    cut_back_metrics,
    permitted_changes,
    resume,
    split_history,
)
from mindcv.engine.step import TrainStep
from mindcv.engine.train_state import EPOCH, STEP, TrainState
from mindcv.loss import create_loss
from mindcv.optim import create_optimizer

NEWEST = TrainPosition(2, 3)


@pytest.fixture
def saved(tmp_path):
    """Return the paths of two checkpoints by position, oldest first; each holds its epoch."""
    paths = {position: tmp_path / f"convit_tiny-{position.epoch}_3.ckpt" for position in (TrainPosition(1, 3), NEWEST)}
    for position, path in paths.items():
        weights.write(path, {EPOCH: np.array(position.epoch)})
    return paths


def truncate(path):
    """Cut the file `path` to half its size."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_choose_checkpoint_without_a_name_returns_the_newest(saved):
    path, arrays = choose_checkpoint("", saved)
    assert (path, arrays[EPOCH]) == (saved[NEWEST], 2)


def test_choose_checkpoint_with_a_name_returns_that_one(saved, tmp_path):
    named = tmp_path / "other.ckpt"
    weights.write(named, {EPOCH: np.array(7)})
    path, arrays = choose_checkpoint(str(named), saved)
    assert (path, arrays[EPOCH]) == (named, 7)


def test_choose_checkpoint_with_a_damaged_newest_warns_and_returns_the_one_before(saved, caplog):
    truncate(saved[NEWEST])
    path, arrays = choose_checkpoint("", saved)
    assert (path, arrays[EPOCH]) == (saved[TrainPosition(1, 3)], 1)
    [warning] = caplog.messages
    assert str(saved[NEWEST]) in warning and warning.endswith("; trying the one before")


def test_choose_checkpoint_passes_over_weights_without_training_state(saved, caplog):
    weights.write(saved[NEWEST], {"norm.gamma": np.ones(2)})
    assert choose_checkpoint("", saved)[0] == saved[TrainPosition(1, 3)]
    assert caplog.messages == [f"{saved[NEWEST]} holds weights, but no training state; trying the one before"]
    with pytest.raises(ConfigError, match=r"^resume: no undamaged checkpoint in ckpt_save_dir"):
        choose_checkpoint("", {NEWEST: saved[NEWEST]})


def test_choose_checkpoint_with_a_damaged_name_fails(saved):
    truncate(saved[NEWEST])
    with pytest.raises(weights.DamagedCheckpoint):
        choose_checkpoint(str(saved[NEWEST]), saved)


@pytest.mark.parametrize("damaged", [True, False])
def test_choose_checkpoint_without_an_undamaged_one_fails(damaged, saved):
    for path in saved.values():
        truncate(path)
    with pytest.raises(ConfigError, match=r"^resume: no undamaged checkpoint in ckpt_save_dir; start without --resume"):
        choose_checkpoint("", saved if damaged else {})


@pytest.mark.parametrize(
    ("now", "newer", "permitted"),
    [
        ({"lr": 0.1}, False, {"lr", "data_dir"}),
        ({"lr": 0.1}, True, {"lr"}),
        ({"lr": 0.2}, True, set()),
        ({"lr": 0.2, "resume_changes": ("lr",)}, True, {"lr"}),
        ({"lr": 0.1, "data_dir": "elsewhere"}, False, {"lr"}),
    ],
)
def test_permitted_changes_hold_for_the_recorded_values_and_images_until_a_checkpoint(now, newer, permitted, saved):
    folder = saved[NEWEST].parent
    as_recipe(Config(lr=0.1, resume=True, resume_changes=("lr", "data_dir"))).save(folder / "config.yaml")
    written = (folder / "config.yaml").stat().st_mtime + (1 if newer else -1)
    for path in saved.values():
        os.utime(path, (written, written))
    config = Config(resume=True, ckpt_save_dir=str(folder), **now)
    assert set(permitted_changes(config) or ()) == permitted


def test_permitted_changes_do_not_hold_in_an_edited_config(saved):
    folder = saved[NEWEST].parent
    (folder / "config.yaml").write_text("lr: 0.1\nresume_changes: [lr]\n")
    assert permitted_changes(Config(lr=0.1, resume=True, ckpt_save_dir=str(folder))) is None


END = TrainPosition(3, 4)


@pytest.mark.parametrize(
    ("position", "epoch_end_is_due", "is_left"),
    [(START, False, True), ((3, 3), False, True), (END, False, False), (END, True, True), ((4, 4), True, False)],
)
def test_check_work_left_fails_at_the_end_unless_the_epochs_end_is_due(position, epoch_end_is_due, is_left):
    def check(config):
        check_work_left(config, "a.ckpt", TrainPosition(*position), END, epoch_end_is_due)

    if is_left:
        return check(Config())
    with pytest.raises(
        ConfigError, match=rf"^resume: a\.ckpt has all {position[0]} epochs of epoch_size 3; nothing is"
    ):
        check(Config(epoch_size=3))
    with pytest.raises(ConfigError, match=r"^resume: a\.ckpt has the 12 updates of steps already; nothing is left$"):
        check(Config(steps=12))


RECORDS = [{"epoch": 1, "top_1": 50.0}, {"epoch": 2, "top_1": None}, {"epoch": 3, "top_1": 70.0}]


@pytest.mark.parametrize(("position", "kept"), [((1, 0), 0), ((1, 4), 1), ((2, 0), 1), ((3, 3), 2), ((3, 4), 3)])
def test_split_history_keeps_the_records_of_completed_epochs(position, kept):
    history = split_history(RECORDS, TrainPosition(*position), steps=4)
    assert (history.kept, history.dropped) == (RECORDS[:kept], RECORDS[kept:])
    assert [history.has(epoch) for epoch in (1, 2, 3)] == [kept >= epoch for epoch in (1, 2, 3)]


def test_history_gives_the_scores_of_validated_epochs_and_the_best_dropped_one():
    history = split_history(RECORDS, TrainPosition(2, 4), steps=4)
    assert history.scores == {1: 50.0}
    assert history.dropped_best == 70.0
    assert split_history(RECORDS, TrainPosition(3, 4), steps=4).dropped_best == -math.inf


def test_cut_back_metrics_writes_only_the_records(tmp_path, caplog):
    metrics_file = tmp_path / "metrics.jsonl"
    metrics_file.write_text("# a comment\n" + "".join(json.dumps(record) + "\n" for record in RECORDS))
    cut_back_metrics(metrics_file, RECORDS[:2], {1: "# a comment"})
    assert [json.loads(line) for line in metrics_file.read_text().splitlines()] == RECORDS[:2]
    assert caplog.messages == [f"{metrics_file}: not a record of an epoch, and left out: line 1"]


def test_cut_back_metrics_without_a_file_creates_none(tmp_path, caplog):
    cut_back_metrics(tmp_path / "metrics.jsonl", [], {})
    assert not list(tmp_path.iterdir()) and not caplog.messages


def test_check_identity_compares_the_rates_of_the_updates_to_come():
    """After step 2 of epoch 2, of 4 steps each and 2 for an update, 3 updates are made."""
    identity = Identity(["cat"], 4, (4, "a"), {"lr": 0.1})
    arrays = {**replace(identity, options={"lr": 0.2}).entries(), EPOCH: np.array(2), STEP: np.array(2)}

    def check(changes_at):
        def rates_for(config):
            return [config.lr if update == changes_at else 1.0 for update in range(8)]

        check_identity(Config(lr=0.1, gradient_accumulation_steps=2), "a.ckpt", arrays, identity, rates_for)

    check(changes_at=2)
    with pytest.raises(ValueError, match=r"^a\.ckpt is of a run with other options: lr was 0\.2 and is 0\.1 now"):
        check(changes_at=3)


@pytest.fixture
def state(small_model, identity):
    """Return the state of a run of epochs with one step each."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    model = small_model()
    step = TrainStep(model, create_loss("CE"), create_optimizer(model, "sgd", lr=0.1, momentum=0.0))
    return TrainState(step, identity)


@pytest.fixture
def run(state, tmp_path):
    """Return a function that writes a run whose epochs have the given scores, and returns its folder."""

    def write(scores):
        folder = tmp_path / "run"
        checkpoints = CheckpointManager(folder, "convit_tiny", "latest_k", 10)
        for epoch, score in enumerate(scores, 1):
            checkpoints.save(state.arrays(TrainPosition(epoch, 1), checkpoints.best), TrainPosition(epoch, 1))
            checkpoints.save_best({}, score)
        lines = [json.dumps({"epoch": epoch, "top_1": score}) for epoch, score in enumerate(scores, 1)]
        (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
        return folder

    return write


def names(folder):
    """Return the names of the files in `folder`, sorted."""
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def resume_in(folder, state, path=""):
    """Resume in `folder`, from `path` if given, and return the position and the checkpoint manager."""
    checkpoints = CheckpointManager(folder, "convit_tiny", "latest_k", 10)
    config = Config(ckpt_path=str(path), resume=True)
    metrics_file, rates_for = folder / "metrics.jsonl", lambda config: [config.lr] * config.epoch_size
    return resume(config, state, checkpoints, metrics_file, TrainPosition(90, 1), rates_for), checkpoints


@pytest.mark.parametrize(("scores", "best_is_later"), [([70.0, 80.0, 60.0], True), ([70.0, 65.0, 60.0], False)])
def test_resume_at_an_older_checkpoint_archives_later_files(scores, best_is_later, state, run):
    folder = run(scores)
    position, checkpoints = resume_in(folder, state, folder / "convit_tiny-1_1.ckpt")
    assert (position, checkpoints.best) == (TrainPosition(2, 0), 70)
    left = ["best.ckpt"] * (not best_is_later) + ["convit_tiny-1_1.ckpt", "metrics.jsonl"]
    assert names(folder) == left
    assert names(folder / "earlier-1") == ["best.ckpt", "convit_tiny-2_1.ckpt", "convit_tiny-3_1.ckpt", "metrics.jsonl"]
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 1
    assert len((folder / "earlier-1/metrics.jsonl").read_text().splitlines()) == 3
    assert resume_in(folder, state)[0] == TrainPosition(2, 0), "the archived checkpoints are not found again"
    assert resume_in(folder / "earlier-1", state)[0] == TrainPosition(4, 0), (
        "the archived run can be resumed where it is"
    )


def test_resume_at_the_newest_checkpoint_changes_no_file(state, run):
    folder = run([70.0, 80.0])
    before = names(folder)
    assert resume_in(folder, state)[0] == TrainPosition(3, 0)
    assert names(folder) == before
    assert not (folder / "earlier-1").exists()


def test_resume_from_best_alone_in_a_folder_repeats_its_validation(state, run, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "best.ckpt").write_bytes((run([70.0]) / "best.ckpt").read_bytes())
    position, checkpoints = resume_in(other, state, other / "best.ckpt")
    assert position == TrainPosition(1, 1), "the epoch's validation and record are still to come"
    assert not checkpoints.has_saved(position)


def test_resume_from_a_link_to_a_checkpoint_of_the_folder_takes_its_target(state, run, tmp_path):
    folder, link = run([70.0, 80.0]), tmp_path / "last.ckpt"
    link.symlink_to(folder / "convit_tiny-2_1.ckpt")
    before = names(folder)
    position, checkpoints = resume_in(folder, state, link)
    assert (position, checkpoints.best, names(folder)) == (TrainPosition(3, 0), 80, before)


def test_resume_from_another_folder_into_one_with_checkpoints_fails(state, run, tmp_path):
    folder = run([70.0])
    elsewhere = tmp_path / "convit_tiny-1_1.ckpt"
    weights.write(elsewhere, state.arrays(TrainPosition(1, 1), 0.0))
    before = names(folder)
    with pytest.raises(ValueError, match=r"has checkpoints of its own, and .* is not one of them"):
        resume_in(folder, state, elsewhere)
    assert names(folder) == before


def test_resume_with_other_numbers_of_workers_and_devices_warns(state, run, caplog):
    folder = run([70.0])
    options = state.identity.options | {"num_parallel_workers": 3, "num_devices": 2}
    state.identity = replace(state.identity, options=options)
    resume_in(folder, state)
    assert "num_parallel_workers was 1 and is 3 now, num_devices was 1 and is 2 now: the run goes on" in caplog.text


@pytest.mark.parametrize(
    ("added", "kept"), [("# a comment", True), ("[1, 2]", True), ('{"epoch": 2}', True), ("", False), ("\ufeff", False)]
)
def test_resume_with_other_lines_in_metrics_keeps_the_records_and_archives_a_copy(added, kept, state, run, caplog):
    folder = run([70.0, 80.0])
    metrics_file = folder / "metrics.jsonl"
    before = f"{added}\n".replace("\ufeff\n", "\ufeff") + metrics_file.read_text()
    metrics_file.write_text(before, encoding="utf-8")
    assert resume_in(folder, state)[0] == TrainPosition(3, 0)
    assert [json.loads(line)["epoch"] for line in metrics_file.read_text().splitlines()] == [1, 2]
    assert (folder / "earlier-1").exists() == kept
    assert (f"{metrics_file}: not a record of an epoch, and left out: line 1" in caplog.text) == kept
    if kept:
        assert (folder / "earlier-1/metrics.jsonl").read_text(encoding="utf-8") == before


def test_resume_that_drops_a_record_archives_a_copy_of_metrics(state, run):
    folder = run([70.0, 60.0, 50.0])
    before = (folder / "metrics.jsonl").read_text()
    (folder / "convit_tiny-3_1.ckpt").unlink()
    assert resume_in(folder, state)[0] == TrainPosition(3, 0)
    assert [json.loads(line)["epoch"] for line in (folder / "metrics.jsonl").read_text().splitlines()] == [1, 2]
    assert names(folder / "earlier-1") == ["metrics.jsonl"]
    assert (folder / "earlier-1/metrics.jsonl").read_text() == before


def test_resume_adopts_no_checkpoint_of_another_program(state, run):
    folder = run([70.0, 60.0])
    ms.save_checkpoint(state.step.model, str(folder / "convit_tiny-1_1.ckpt"))
    _, checkpoints = resume_in(folder, state)
    assert [path.name for _, path in checkpoints.kept] == ["convit_tiny-2_1.ckpt"], (
        "adopted checkpoints are deleted when they become old"
    )


def test_resume_of_another_run_fails_and_changes_nothing(state, run):
    folder = run([70.0, 80.0])
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    state.step.model.classifier.bias.set_data(ms.Tensor([3.0] * 7))
    state.identity = replace(state.identity, images=(2, "b"))
    with pytest.raises(ValueError, match=r"convit_tiny-2_1\.ckpt is of a run on other training images"):
        resume_in(folder, state)
    assert before == {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert state.step.model.classifier.bias.asnumpy().tolist() == [3.0] * 7


def test_resume_of_a_checkpoint_without_options_warns_once(state, run, caplog):
    folder = run([70.0])
    path = folder / "convit_tiny-1_1.ckpt"
    arrays = weights.read(path)
    assert arrays.pop("run.options") is not None and arrays.pop("run.training_images") is not None
    weights.write(path, arrays)
    assert resume_in(folder, state)[0] == TrainPosition(2, 0)
    [warning] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "recorded neither options nor training images" in warning


def test_resume_ignores_a_folder_named_like_a_checkpoint(state, run):
    folder = run([70.0])
    (folder / "convit_tiny-2_1.ckpt").mkdir()
    assert resume_in(folder, state)[0] == TrainPosition(2, 0)
    assert (folder / "convit_tiny-2_1.ckpt").is_dir()
