"""Scoring a model on a validation set."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import mindspore as ms
from mindspore import nn
from mindspore.train import Callback
from tqdm import tqdm

from mindcv import device
from mindcv.config import Config, ConfigError
from mindcv.distributed.context import DistributedContext, init_distributed
from mindcv.distributed.signals import StopFlag, Stopped
from mindcv.engine.build import build_model, compute_in, with_recorded_model_args
from mindcv.engine.dataloaders import (
    class_count,
    name_unreadable_images,
    open_validation,
    validation_loader,
    warn_of_unused_outputs,
)
from mindcv.engine.ema import ModelEMA
from mindcv.engine.progress_bar import progress_bar
from mindcv.engine.scores import EvalStep, Scores
from mindcv.io.files import atomic_write_text, json_object, require_replaceable
from mindcv.loss import create_loss
from mindcv.models.finite import require_finite
from mindcv.weights import classes_in


def validate(config: Config) -> dict[str, float]:
    """Score a checkpoint, or published weights, on the validation split, and print the scores.

    With `config.results_file` they are also written to that file. The labels follow the class names in the checkpoint;
    without names, the folders of the training split, or else those of the validation split. All workers must call it;
    worker 0 alone prints and writes.

    Returns:
        On every worker: "loss" (unsmoothed), "top_1" and, with five classes or more, "top_5", in per cent.

    Raises:
        ValueError, OSError: an option, the data or the checkpoint is at fault. The results file may exist only if it
            holds older results.
        FloatingPointError: the loss is not finite; nothing is printed or written.
        RuntimeError: another worker has ended or does not answer.
        Stopped: SIGINT or SIGTERM was received; nothing is printed or written.
    """
    if not (config.ckpt_path or config.pretrained):
        raise ConfigError("ckpt_path: validation needs a checkpoint; pass --ckpt_path FILE, or --pretrained")
    if config.results_file:
        _require_results_file(Path(config.results_file))
    config = with_recorded_model_args(config)
    device.set_up(config.device_target, config.mode)
    distributed = init_distributed(config)
    class_names = classes_in(config.ckpt_path).names if config.ckpt_path else None
    with distributed.main_first() if config.dataset_download or config.pretrained else nullcontext():
        validation = open_validation(config, class_names, waits=not distributed.is_local_main)
        num_classes = class_count(config, validation)
        model = build_model(config, num_classes, adapt=("in_channels", "image_size"))
    warn_of_unused_outputs(num_classes, validation)
    compute_in(config, model, config.val_amp_level)
    stop_flag = StopFlag()

    def stop():
        raise Stopped("stopped before all images were scored: there is no result", stop_flag)

    evaluator = Evaluator(
        config, model, validation_loader(config, validation, distributed), num_classes, distributed, stop_flag, stop
    )
    with stop_flag.listening(), distributed.name_lost_workers():
        scores = evaluator()
    if not distributed.is_main:
        return scores
    names = {"top_1": "Top_1_Accuracy", "top_5": "Top_5_Accuracy", "loss": "loss"}
    results = {names[key]: scores[key] for key in names if key in scores}
    print(", ".join(f"{name}: {value:.4f}" for name, value in results.items()), flush=True)
    if config.results_file:
        record = {
            **results,
            "images": len(validation),
            "weights": config.ckpt_path or f"pretrained {config.pretrained}",
        }
        atomic_write_text(Path(config.results_file), json.dumps(record, indent=2) + "\n")
    return scores


def _require_results_file(path: Path) -> None:
    """Check that `path` can be written and does not exist or holds older results. Raises ConfigError or OSError."""
    if path.suffix != ".json":
        raise ConfigError(f"results_file: got {str(path)!r}, wanted a file that ends in .json")
    require_replaceable(path, "results of validate.py", lambda old: {"Top_1_Accuracy", "images"} <= {*json_object(old)})


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
    ):
        loss = create_loss(config.loss, reduction="none")
        self.config = config
        self.model = model
        self.step = EvalStep(model, loss, distributed.size)
        self.loader = loader
        self.visible = distributed.is_main
        self.stop_flag = stop_flag
        self.stop = stop
        self.remedy = remedy
        self.runner = ms.train.Model(self.step, eval_network=self.step, metrics={"scores": Scores(num_classes)})

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
