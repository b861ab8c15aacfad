"""Scoring a model on a validation set."""

import json
import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import mindspore as ms
from mindspore import Tensor, nn
from mindspore.train import Callback

from mindcv import device
from mindcv.config import Config, ConfigError
from mindcv.data import UnreadableImage
from mindcv.data.datasets import Source
from mindcv.deploy.engines import onnx_engine, require_engine
from mindcv.distributed.context import DistributedContext, init_distributed
from mindcv.distributed.signals import StopFlag, Stopped
from mindcv.engine.build import build_model, classes_of_weights, compute_in, with_recorded_model_args
from mindcv.engine.class_scores import calibration_error, is_predictions_file, write_class_scores, write_predictions
from mindcv.engine.class_subset import Subset, read_subset
from mindcv.engine.dataloaders import (
    class_count,
    name_unreadable_images,
    open_validation,
    validation_loader,
    warn_of_unused_outputs,
)
from mindcv.engine.ema import ModelEMA
from mindcv.engine.progress_bar import progress_bar
from mindcv.engine.score_table import TABLES, as_markdown, find_checkpoints, is_table, write_table
from mindcv.engine.scores import EvalStep, Scores
from mindcv.io.bars import tqdm
from mindcv.io.files import atomic_write_text, json_object, require_replaceable, require_writable
from mindcv.loss import create_loss
from mindcv.models.finite import require_finite
from mindcv.weights import load

_log = logging.getLogger("mindcv")


def validate(config: Config) -> dict[str, float]:
    """Score a checkpoint, published weights or several checkpoints on the validation split, and print the scores.

    With `config.results_file` they are also written to that file. The labels follow the class names in the checkpoint;
    without names, the folders of the training split, or else those of the validation split. With `config.class_subset`
    the labels are the classes that it lists, and the model's other outputs are left out. All workers must call it;
    worker 0 alone prints and writes.

    Returns:
        On every worker: "loss" (unsmoothed), "top_1" and, with five classes or more, "top_5", in per cent; of several
        checkpoints, those of the one with the highest top-1.

    Raises:
        ValueError, OSError: an option, the data or the checkpoint is at fault. The results file may exist only if it
            holds older results.
        FloatingPointError: the loss is not finite; nothing is printed or written.
        RuntimeError: another worker has ended or does not answer.
        Stopped: SIGINT or SIGTERM was received. Of several checkpoints, those scored before this or another error are
            printed and written.
    """
    if not (config.ckpt_path or config.ckpt_paths or config.pretrained):
        raise ConfigError("ckpt_path: validation needs a checkpoint; pass --ckpt_path FILE, or --pretrained")
    _require_outputs(config)
    require_engine(config.engine)
    device.set_up(config.device_target, config.mode, config.jit_level)
    distributed = init_distributed(config)
    if distributed.size > 1 and (config.per_class or config.save_predictions):
        raise ConfigError("per_class and save_predictions need all images in one process: leave out distribute")
    return (_validate_several if config.ckpt_paths else _validate_one)(config, distributed)


def _validate_several(config: Config, distributed: DistributedContext) -> dict[str, float]:
    """Score the checkpoints of `config.ckpt_paths`, print the table, write `config.results_file`, return the best row.

    Raises:
        ValueError: Some of them cannot be scored, which the log names; the table has the others.
        UnreadableImage, ValueError, OSError: The data or an option is at fault; the table has those scored before.
    """
    paths = find_checkpoints(config.ckpt_paths or ())
    scores: dict[str, dict[str, float]] = {}
    try:
        failures = _score_each(config, paths, distributed, scores)
    finally:
        scores = dict(sorted(scores.items(), key=lambda item: -item[1]["top_1"]))
        if distributed.is_main and scores:
            print(as_markdown(scores), end="", flush=True)
            if config.results_file:
                write_table(Path(config.results_file), scores)
    if failures:
        rest = "; the table has the others" if scores else ""
        raise ValueError(f"{len(failures)} of {len(paths)} checkpoints could not be scored{rest}")
    return next(iter(scores.values()))


def _score_each(
    config: Config, paths: Sequence[str], distributed: DistributedContext, scores: dict[str, dict[str, float]]
) -> list[str]:
    """Add the scores of each checkpoint to `scores`, and log them; return why the others could not be scored.

    An error that comes twice with the same message is not a checkpoint's, and is raised.
    """
    failures: list[str] = []
    scoring = None
    for path in paths:
        failure = ""
        try:
            scoring = _open(config.replace(ckpt_path=path), distributed, scoring)
        except UnreadableImage:
            raise
        except (ValueError, OSError) as error:
            failure = str(error)
            if failure in failures:
                raise
        if not distributed.any(bool(failure)) and scoring:
            try:
                scores[path] = scoring.run()
                _log.info("%s: top-1 %.2f %%", path, scores[path]["top_1"])
            except FloatingPointError as error:
                failure = f"{path}: {error}"
        if failure:
            failures.append(failure)
            _log.warning("%s", failure)
    return failures


def _validate_one(config: Config, distributed: DistributedContext) -> dict[str, float]:
    """Score `config.ckpt_path` or published weights, print the scores, write what the options name, and return them."""
    scoring = _open(config, distributed)
    scores, model, validation = scoring.run(), scoring.model, scoring.validation
    predictions = scoring.evaluator.metric.predictions if scoring.evaluator.step.collect else None
    if not distributed.is_main:
        return scores
    unnamed = range(len(validation.class_names), model.num_classes)  # outputs for which there are no classes
    names = [*validation.class_names, *(f"class {i}" for i in unnamed if not config.class_subset)]
    titles = {"top_1": "Top_1_Accuracy", "top_5": "Top_5_Accuracy", "loss": "loss"}
    results = {titles[key]: scores[key] for key in titles if key in scores}
    print(", ".join(f"{name}: {value:.4f}" for name, value in results.items()), flush=True)
    published = getattr(model, "pretrained_cfg", {})
    if "top_1" in published and not config.ckpt_path and not config.class_subset:
        print(
            f"{published['publisher']} reports Top-1 {published['top_1']:.2f} %: "
            f"measured {scores['top_1'] - published['top_1']:+.2f} points from it",
            flush=True,
        )
    if config.per_class and predictions:
        write_class_scores(Path(config.per_class), predictions, names)
        results["expected_calibration_error"] = calibration_error(predictions)
        print(
            f"expected calibration error: {results['expected_calibration_error']:.2f} %; precision, recall and F1 by "
            f"class and the confusion matrix: {config.per_class}",
            flush=True,
        )
    if config.save_predictions and predictions:
        paths = [str(validation.path(i)) for i in range(len(validation))]
        write_predictions(Path(config.save_predictions), predictions, paths, names)
    if config.results_file:
        record = {
            **results,
            "images": len(validation),
            "weights": config.ckpt_path or f"pretrained {config.pretrained}",
        }
        atomic_write_text(Path(config.results_file), json.dumps(record, indent=2) + "\n")
    return scores


class _Scoring(NamedTuple):
    """A model with its weights, ready to be scored on the validation images.

    Attributes:
        architecture: The model's arguments, and number and names of the weights' classes.
        model: The model; with `config.class_subset` the evaluator leaves some of its outputs out.
        validation: The images.
        evaluator: Scores the model on the images.
        distributed: The workers that share the images.
    """

    architecture: tuple
    model: nn.Cell
    validation: Source
    evaluator: "Evaluator"
    distributed: DistributedContext

    def run(self) -> dict[str, float]:
        """Return the scores of the model's weights. All workers must call it; the errors are those of `validate`."""
        with self.evaluator.stop_flag.listening(), self.distributed.name_lost_workers():
            return self.evaluator()


def _open(config: Config, distributed: DistributedContext, earlier: _Scoring | None = None) -> _Scoring:
    """Return the model of one checkpoint or of published weights, ready to be scored.

    `earlier` may be that of another checkpoint under the same options: if its model is the same and MindSpore computes
    it, the weights are loaded into it, and its data and its compiled graph are used again. All workers must call it;
    the errors are those of `validate`.
    """
    config = with_recorded_model_args(config)
    count, class_names = classes_of_weights(config)
    architecture = config.model_args, count, class_names
    adapt = ("in_channels", "image_size")
    if earlier and architecture == earlier.architecture and config.engine == "mindspore":
        load(earlier.model, config.ckpt_path, ema=config.use_ema, adapt=adapt)
        return earlier
    subset = None
    if config.class_subset:
        subset = read_subset(config.class_subset, config.num_classes or count, class_names)
    with distributed.main_first() if config.dataset_download or config.pretrained else nullcontext():
        names = subset.names if subset else class_names
        validation = open_validation(config, names, waits=not distributed.is_local_main)
        num_classes = (config.num_classes or count) if subset else class_count(config, validation)
        model = build_model(config, num_classes, adapt=adapt)
    if not subset:
        warn_of_unused_outputs(num_classes, validation)
    compute_in(config, model, config.val_amp_level)
    collect = bool(config.per_class or config.save_predictions)
    if collect:
        config = config.replace(eval_shuffle=False)  # predictions are in the order of the images
    stop_flag = StopFlag()

    def stop():
        raise Stopped("stopped before all images were scored: there is no result", stop_flag)

    loader = validation_loader(config, validation, distributed)
    scored = model
    if config.engine == "onnxruntime":
        loader = loader.map(onnx_engine(model), "image", num_parallel_workers=1)
        scored = Precomputed(model)
    if subset:
        scored = Subset(scored, subset.outputs)
    classes = len(subset.names) if subset else num_classes
    config = config.replace(amp_level=config.val_amp_level)  # set above, and not to be changed
    evaluator = Evaluator(config, scored, loader, classes, distributed, stop_flag, stop, collect=collect)
    return _Scoring(architecture, model, validation, evaluator, distributed)


def _require_outputs(config: Config) -> None:
    """Check before the work begins that the files and the folder that `config` names can be written.

    Raises:
        ConfigError: the options contradict each other, a file has another suffix, or matplotlib is missing.
        OSError: one of them cannot be written, or holds something else.
    """
    several = bool(config.ckpt_paths)
    if several and (config.ckpt_path or config.per_class or config.save_predictions):
        raise ConfigError("ckpt_paths makes a table of several checkpoints: leave out ckpt_path, per_class and "
                          "save_predictions")  # fmt: skip
    if config.results_file:
        path, suffixes = Path(config.results_file), TABLES if several else (".json",)
        if path.suffix not in suffixes:
            wanted = " or ".join(suffixes)
            raise ConfigError(f"results_file: got {str(path)!r}, wanted a file that ends in {wanted}")
        require_replaceable(path, "results of validate.py", is_table if several else _holds_results)
    if config.save_predictions:
        path = Path(config.save_predictions)
        if path.suffix != ".csv":
            raise ConfigError(f"save_predictions: got {str(path)!r}, wanted a file that ends in .csv")
        require_replaceable(path, "predictions of validate.py", is_predictions_file)
    if config.per_class:
        require_writable(Path(config.per_class))
        if find_spec("matplotlib") is None:
            raise ConfigError("per_class draws with matplotlib: pip install matplotlib")


def _holds_results(path: Path) -> bool:
    """Return whether `path` holds results of one checkpoint; False if it cannot be read."""
    return {"Top_1_Accuracy", "images"} <= {*json_object(path)}


class Precomputed(nn.Cell):
    """Stands for `model` where batches hold its logits, computed by another engine, in place of images."""

    def __init__(self, model: nn.Cell):
        super().__init__(auto_prefix=False)
        self.model = model
        self.num_classes = model.num_classes

    def construct(self, logits: Tensor) -> Tensor:
        return logits


class Evaluator:
    """Scores a model on the same validation batches each time it is called; its graph is compiled once.

    Args:
        config: The options of the run.
        model: Maps images (B, C, H, W) to logits.
        loader: This worker's validation batches.
        num_classes: Number of classes of the model.
        distributed: The workers that share the images; all get the scores of all images.
        stop_flag: Set by a stop signal.
        stop: Called after each batch while the flag is set; it may raise an error to end the validation.
        remedy: End of the message about a loss that is not finite: what the user can do.
        collect: Whether to keep the predictions for all images, in `metric.predictions`.
    """

    def __init__(
        self,
        config: Config,
        model: nn.Cell,
        loader: ms.dataset.Dataset,
        num_classes: int,
        distributed: DistributedContext,
        stop_flag: StopFlag,
        stop: Callable[[], None],
        remedy: str = "use another checkpoint",
        collect: bool = False,
    ):
        loss = create_loss(config.loss, reduction="none")
        self.config = config
        self.model = model
        self.step = EvalStep(model, loss, distributed.size, collect)
        self.metric = Scores(num_classes)
        self.loader = loader
        self.visible = distributed.is_main
        self.stop_flag = stop_flag
        self.stop = stop
        self.remedy = remedy
        self.runner = ms.train.Model(self.step, eval_network=self.step, metrics={"scores": self.metric})

    def __call__(self, ema: ModelEMA | None = None) -> dict[str, float]:
        """Return the scores of the weights and, with `ema`, those of the averages under names that begin with "ema_".

        All workers must call it. The model is left in evaluation mode. It computes in the precision for validation, and
        afterwards, unless an error is raised, in the precision for training.

        Args:
            ema: The model's averages; they replace the weights for the second validation only.

        Returns:
            "loss" (without label smoothing), "top_1" and, with five classes or more, "top_5", in per cent.

        Raises:
            FloatingPointError: the loss is not finite.
        """
        config = self.config
        if config.val_amp_level != config.amp_level:
            compute_in(config, self.model, config.val_amp_level)
        scores = self._score()
        if ema:
            with ema.swap_weights():
                scores |= {f"ema_{name}": score for name, score in self._score().items()}
        if config.val_amp_level != config.amp_level:
            compute_in(config, self.model, config.amp_level)
        return scores

    def _score(self) -> dict[str, float]:
        """Return the scores of the model's current weights. Raises FloatingPointError if the loss is not finite."""
        bar = progress_bar(self.loader.get_dataset_size(), "validation", "batch", self.visible)
        with name_unreadable_images():
            scores = self.runner.eval(
                self.loader,
                callbacks=[EvalProgress(bar, self.stop_flag, self.stop)],
                dataset_sink_mode=self.config.dataset_sink_mode,
            )["scores"]
        require_finite(scores["loss"], self.model, "the validation loss is", self.remedy)
        return scores


class EvalProgress(Callback):
    """Updates a progress bar after each batch of a validation, and calls `stop` after a stop signal."""

    def __init__(self, bar: tqdm, stop_flag: StopFlag, stop: Callable[[], None]):
        super().__init__()
        self.bar = bar
        self.stop_flag = stop_flag
        self.stop = stop

    def on_eval_step_end(self, run_context):
        self.bar.update()
        if self.stop_flag.signal:
            self.stop()

    def on_eval_end(self, run_context):
        self.bar.close()
