"""Scoring a model on a validation set."""

import json
from pathlib import Path

import mindspore as ms
from mindspore import nn
from mindspore.train import Callback
from tqdm import tqdm

from mindcv.config import Config, ConfigError
from mindcv.engine import device
from mindcv.engine.build import build_model
from mindcv.engine.checkpoints import class_names_in
from mindcv.engine.files import write_whole
from mindcv.engine.pipelines import class_count, open_validation, unreadable_images_named, validation_loader
from mindcv.engine.scores import EvalStep, Scores
from mindcv.loss import create_loss


def validate(config: Config) -> dict[str, float]:
    """Score a checkpoint, or published weights, on the validation split; print the scores and, asked to, write them.

    Classes count as they did in training: by the names in the checkpoint, else by the training split's folders, else
    by the validation split's.

    Returns:
        "loss" (unsmoothed), "top_1" and, with five classes or more, "top_5", in per cent.
    """
    if not (config.ckpt_path or config.pretrained):
        raise ConfigError("ckpt_path: validation needs a checkpoint; pass --ckpt_path FILE, or --pretrained")
    device.set_up(config.device_target, config.mode)
    class_names = class_names_in(config.ckpt_path) if config.ckpt_path else None
    validation = open_validation(config, class_names)
    num_classes = class_count(config, validation)
    model = build_model(config, num_classes, adapt=("in_channels", "image_size"))
    evaluator = Evaluator(config, model, validation_loader(config, validation), num_classes)
    scores = evaluator()
    names = {"top_1": "Top_1_Accuracy", "top_5": "Top_5_Accuracy", "loss": "loss"}
    results = {names[key]: scores[key] for key in names if key in scores}
    print(", ".join(f"{name}: {value:.4f}" for name, value in results.items()), flush=True)
    if config.results_file:
        record = {
            **results,
            "images": len(validation),
            "weights": config.ckpt_path or f"pretrained {config.pretrained}",
        }
        write_whole(Path(config.results_file), json.dumps(record, indent=2) + "\n")
    return scores


class Evaluator:
    """Scores `model` on the batches of `loader` as often as it is called; the graph is compiled once."""

    def __init__(self, config: Config, model: nn.Cell, loader: ms.dataset.Dataset, num_classes: int):
        loss = create_loss(config.loss, reduction="none")
        self.step = EvalStep(model, loss)
        self.loader = loader
        self.sink = config.dataset_sink_mode
        self.runner = ms.train.Model(self.step, eval_network=self.step, metrics={"scores": Scores(num_classes)})

    def __call__(self) -> dict[str, float]:
        bar = EvalBar(self.loader.get_dataset_size())
        with unreadable_images_named():
            return self.runner.eval(self.loader, callbacks=[bar], dataset_sink_mode=self.sink)["scores"]


class EvalBar(Callback):
    """A bar over the batches of one validation."""

    def __init__(self, batches: int):
        super().__init__()
        self.bar = tqdm(total=batches, desc="validation", unit="batch", disable=None, leave=False)

    def on_eval_step_end(self, run_context):
        self.bar.update()

    def on_eval_end(self, run_context):
        self.bar.close()
