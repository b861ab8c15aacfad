"""A training run, from a configuration to checkpoints."""

import logging
from contextlib import closing, nullcontext
from functools import partial
from pathlib import Path

import mindspore as ms
from mindspore import Tensor

from mindcv.config import RUN_CONFIG, Config, ConfigError, data_sinks, resumes
from mindcv.data import usable_workers
from mindcv.data.datasets.digest import list_digest
from mindcv.engine.build import compute_in
from mindcv.engine.callbacks import EpochEnd, Progress, Saving
from mindcv.engine.checkpoints import BEGINNING, REMEDY, Keeper, Place
from mindcv.engine.dry_run import dry_run
from mindcv.engine.earlier import is_half_aside, is_of_a_run, put_foreign_files_aside, put_run_aside
from mindcv.engine.figures import DataWait, memory, norms, observer
from mindcv.engine.group import Group
from mindcv.engine.identity import Identity, recorded
from mindcv.engine.pipelines import list_left_out, unreadable_images_named, validation_loader
from mindcv.engine.resume import RunState, resume
from mindcv.engine.run import Run, build_run
from mindcv.engine.step import TrainStep
from mindcv.engine.tensorboard import Board
from mindcv.engine.validation import Evaluator
from mindcv.launch import claim
from mindcv.stopping import StopWish

_log = logging.getLogger("mindcv")


def train(config: Config) -> None:
    """Train as `config` says, into `config.ckpt_save_dir`, alone or as one of the workers that a launcher started.

    The folder gets the resolved options (`config.yaml`), checkpoints and `metrics.jsonl`; those of an earlier run there
    are put aside, and so is a `config.yaml` that this program did not write. With `config.resume` the run goes on
    exactly where a checkpoint was written. With `config.dry_run` its cost is printed, and the folder left alone.

    Raises:
        ValueError, OSError: an option, the data or a checkpoint is at fault, or another run writes to that folder.
        FloatingPointError: the loss is not finite.
        Stopped: SIGINT or SIGTERM asked for it; a checkpoint was written.
    """
    folder = Path(config.ckpt_save_dir)
    if not config.dry_run and not resumes(config) and is_of_a_run(folder, config.ckpt_path):
        raise ConfigError(
            f"ckpt_path {config.ckpt_path} is of the run in ckpt_save_dir, which a new one there puts aside: name "
            "another ckpt_save_dir, or go on with that run by --resume"
        )
    run = build_run(config)
    if config.dry_run:
        return dry_run(run)
    group = run.group
    state = RunState(run.step, _identity(run))

    journal = folder / "metrics.jsonl"
    keeper, place = None, BEGINNING
    with claim(folder / ".lock", patience=5) if group.writes else nullcontext():
        if group.writes:
            keeper = Keeper(folder, config.model, config.ckpt_save_policy, config.keep_checkpoint_max)
            if not resumes(config) or is_half_aside(folder):
                put_run_aside(folder)
            if resumes(config):
                place = resume(config, state, keeper, journal, run.end, run.rates_under)
            put_foreign_files_aside(folder)
            config.replace(resume_changes=None).save(folder / RUN_CONFIG)
            list_left_out(folder, run.training, run.validation)
        with unreadable_images_named(), group.others_named():
            place = Place(*map(int, group.shared(place)))
            group.share(state.parameters().values())
            _draw_apart(run.model, group)
            _announce(run)
            _loop(run, state, keeper, place, journal)


def _identity(run: Run) -> Identity:
    """What this run's checkpoints record about it; the digest is left to the worker that writes them."""
    config, images = run.config, run.training
    options = recorded(
        config,
        num_classes=run.num_classes,
        num_parallel_workers=usable_workers(config.num_parallel_workers),
        num_devices=run.group.size,
        dataset_sink_mode=data_sinks(config),
    )
    digest = list_digest(images) if run.group.writes else ""
    return Identity(images.class_names, run.steps, (len(images), digest), options)


def _loop(run: Run, state: RunState, keeper: Keeper | None, place: Place, journal: Path) -> None:
    """MindSpore's loop from `place` to the run's end, with what happens between its steps and epochs."""
    config, group, step = run.config, run.group, run.step
    wish = StopWish()
    board = None
    if config.tensorboard and group.writes:
        board = Board(journal.parent / "tensorboard", run.steps * (place.epoch - 1) + place.step)
    progress = Progress(
        step,
        run.rates,
        run.images_a_step,
        config.epoch_size,
        run.steps,
        config.log_interval,
        place,
        group.writes,
        board,
    )
    looks_always = config.device_target == "CPU"
    saving = Saving(progress, state, keeper, config.ckpt_save_interval_steps, run.end, wish, group, looks_always)
    evaluate = None
    if run.validation:
        loader = validation_loader(config, run.validation, group)
        evaluator = Evaluator(config, run.model, loader, run.num_classes, group, wish, saving.stop_if_alone, REMEDY)
        evaluate = partial(_scores, config, evaluator, step)
    waiting = DataWait()
    figures = [waiting, memory, partial(norms, step)]
    if config.log_gates and group.writes:
        figures.append(observer(run))
    epoch_end = EpochEnd(progress, saving, evaluate, figures, config.val_interval, config.ckpt_save_interval, journal)
    step.set_train()
    with wish.listening(), closing(board) if board else nullcontext():
        if place.step == run.steps:  # stopped between the epoch's last step and its line
            progress.look()
            epoch_end.finish(saved=keeper is not None and keeper.has_saved(place))
            place = Place(place.epoch + 1, 0)
            step.set_train()
        runner = ms.train.Model(step)
        for epochs in _calls(run, place):
            runner.train(
                epochs.stop - 1, run.loader(place), callbacks=[progress, saving, epoch_end, waiting],
                dataset_sink_mode=data_sinks(config), initial_epoch=epochs.start - 1,
            )  # fmt: skip
            place = Place(epochs.stop, 0)


def _scores(config: Config, evaluator: Evaluator, step: TrainStep) -> dict[str, float]:
    """The scores of the weights and, under names with `ema_` before them, of their averages."""
    differs = config.val_amp_level != config.amp_level
    if differs:
        compute_in(config, step.model, config.val_amp_level)
    scores = evaluator()
    if step.averages:
        with step.averages.in_place():
            scores |= {f"ema_{name}": score for name, score in evaluator().items()}
    if differs:
        compute_in(config, step.model, config.amp_level)
    return scores


def _calls(run: Run, place: Place) -> list[range]:
    """The epochs, from 1, of each call of MindSpore's loop, from `place` on.

    One epoch a call rebuilds the data pipeline and so reseeds its C++ operations: what an epoch draws then follows from
    the seed and the epoch alone. Where data sinks into the device that would compile the graph anew each epoch, and one
    call does all that are whole.
    """
    epochs = range(place.epoch, run.end.epoch + 1)
    if not data_sinks(run.config):
        return [epochs[i : i + 1] for i in range(len(epochs))]
    return [epochs[:1], epochs[1:]] if place.step and len(epochs) > 1 else [epochs][: len(epochs)]


def _draw_apart(model: ms.nn.Cell, group: Group) -> None:
    """Let the workers, which start alike, draw dropout and stochastic depth each for itself."""
    if group.rank:
        seed, count = model.randomness.asnumpy().tolist()
        model.randomness.set_data(Tensor([(seed + group.rank * 1_000_003) % 2**31, count], ms.int32))


def _announce(run: Run) -> None:
    _log.info(
        "%s: %s parameters, %s training images in %s classes, %s steps an epoch, %s epochs",
        run.config.model, f"{sum(p.size for p in run.model.get_parameters()):,}", f"{len(run.training):,}",
        run.num_classes, run.steps, run.config.epoch_size,
    )  # fmt: skip
    left = f", {run.left_out}" if run.left_out else ""
    _log.info(
        "devices: %s, images an update: %s, peak learning rate: %.3g%s",
        run.workers, run.images_an_update, run.peak, left,
    )  # fmt: skip
