"""A worker of tests/distributed/test_context.py: trains a small model with others and writes a record of its end."""

import json
import sys
from pathlib import Path

import mindspore as ms
import numpy as np

from mindcv import device
from mindcv.config import Config
from mindcv.data.datasets import open_source
from mindcv.distributed.context import init_distributed
from mindcv.engine.checkpoints import TrainPosition
from mindcv.engine.dataloaders import training_loader, validation_loader
from mindcv.engine.scores import EvalStep
from mindcv.engine.step import TrainStep
from mindcv.loss import create_loss
from mindcv.models import ConViT
from mindcv.optim import create_optimizer


def main(batch_size: int, steps: int, out: str):
    config = Config(
        distribute=True, dataset="digits", batch_size=batch_size, image_resize=16, num_parallel_workers=1,
        scale=(1.0, 1.0), ratio=(1.0, 1.0), hflip=0.0, color_jitter=None,
    )  # fmt: skip
    device.set_up("CPU", ms.PYNATIVE_MODE)
    distributed = init_distributed(config)
    source = open_source("digits", None, "train")
    ms.set_seed(distributed.rank)  # the workers must be made equal
    model = ConViT(
        image_size=16, patch_size=4, num_classes=10, num_heads=4, embed_dim=16, depth=2, local_up_to_layer=1,
        drop_path_rate=0.0,
    )  # fmt: skip
    distributed.broadcast_parameters(model.get_parameters())
    # By SGD: its update shows whether gradients are clipped before or after they are averaged over the workers.
    optimizer = create_optimizer(model, "sgd", lr=0.1, momentum=0.9)
    clips = {"clip_norm": 1.0, "clip_value": 0.05}
    step = TrainStep(model, create_loss("CE"), optimizer, **clips, workers=distributed.size).set_train()
    losses = []
    loader = training_loader(config, source, 10, distributed, TrainPosition(1, 0))
    for images, labels in loader.create_tuple_iterator(num_epochs=1):
        losses.append(float(step(images, labels).asnumpy()))
        if len(losses) == steps:
            break
    accumulating = TrainStep(model, create_loss("CE"), optimizer, accumulation=2, workers=distributed.size).set_train()
    accumulating(images, labels)
    model.set_train(False)
    scores = EvalStep(model, create_loss("CE", reduction="none"), distributed.size)
    held_out = open_source("digits", None, "val")
    sums = np.zeros(4)
    for images, labels in validation_loader(config, held_out, distributed).create_tuple_iterator(num_epochs=1):
        sums += scores(images, labels).asnumpy()
    weights = {p.name: p.asnumpy().tobytes().hex() for p in model.get_parameters()}
    record = {"losses": losses, "sums": sums.tolist(), "weights": weights, "size": distributed.size}
    record["accumulated"] = [sums.asnumpy().tobytes().hex() for sums in accumulating.gradient_sums]
    record["agreed"] = [distributed.any(distributed.rank == distributed.size - 1), distributed.any(False)]
    Path(out, f"{distributed.rank}.json").write_text(json.dumps(record))


main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
