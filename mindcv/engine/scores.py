"""Validation scores: loss, top-1 and top-5, with each image counted once."""

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops
from mindspore.train import Metric

from mindcv.engine.class_scores import Predictions, predictions_of
from mindcv.engine.logits import require_logits
from mindcv.graph import CompiledCell


class EvalStep(CompiledCell):
    """Sums over a batch: number of images, losses, and images that are right in the top 1 and in the top 5.

    Args:
        model: Maps images (B, C, H, W) to logits (B, classes).
        loss: `loss(logits, labels)` returns one value an image, (B,) or (B, classes).
        workers: Number of workers whose batches are summed.
        collect: Whether to return this worker's logits and labels too, for scores by class.
    """

    def __init__(self, model: nn.Cell, loss: nn.Cell, workers: int = 1, collect: bool = False):
        super().__init__(auto_prefix=False)
        self.model = model
        self.num_classes = getattr(model, "num_classes", None)
        self.loss = loss
        self.workers = workers
        self.collect = collect
        if workers > 1:
            self.sum_over_workers = ops.AllReduce()

    def construct(self, images: Tensor, labels: Tensor) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        """Return the sums of a batch over all workers, float32 (4,).

        With `collect`, return (sums, logits, labels).

        Args:
            images: (B, C, H, W).
            labels: Class indices (B,). Images labelled -1 fill up a batch and do not count; any other label outside
                0..classes-1 makes the sum of the losses NaN.
        """
        logits = require_logits(self.model(images), self.num_classes).astype(ms.float32)
        given = labels
        real = (labels != -1).astype(ms.float32)
        losses = self.loss(logits, labels).reshape(real.shape[0], -1).mean(-1)
        classes = ops.arange(0, logits.shape[1])
        in_range = ops.logical_and(labels >= 0, labels < logits.shape[1])
        labels = ops.clamp(labels, 0, logits.shape[1] - 1).expand_dims(1)
        target = logits.gather_elements(1, labels)
        # Classes that rank after the target; a NaN ranks after nothing, so that it never makes a prediction right.
        after = ops.logical_or(logits < target, ops.logical_and(logits == target, classes >= labels))
        rank = logits.shape[1] - after.astype(ms.float32).sum(-1)
        right = [(rank < k).astype(ms.float32) * real for k in (1, 5)]
        losses = ops.where(in_range, losses, float("nan"))  # the loss may ignore a label, such as -100
        losses = ops.where(real > 0, losses, ops.zeros_like(losses))
        sums = ops.stack([real.sum(), losses.sum(), right[0].sum(), right[1].sum()])
        sums = self.sum_over_workers(sums) if self.workers > 1 else sums
        return (sums, logits, given) if self.collect else sums


class Scores(Metric):
    """Scores of a complete data set, from the sums of `EvalStep`.

    `eval` returns "loss", the mean over the images, "top_1" and, with five classes or more, "top_5", in per cent.

    Args:
        num_classes: Number of classes of the model.
    """

    def __init__(self, num_classes: int):
        super().__init__()
        self.num_classes = num_classes
        self.clear()

    def clear(self):
        self.sums = np.zeros(4)
        self.batches: list[Predictions] = []

    def update(self, sums: Tensor, *collected: Tensor):
        self.sums += sums.asnumpy()
        if collected:
            self.batches.append(predictions_of(*(tensor.asnumpy() for tensor in collected)))

    @property
    def predictions(self) -> Predictions:
        """The predictions for all images, in their order, if `EvalStep` collects them."""
        return Predictions(*map(np.concatenate, zip(*self.batches, strict=True)))

    def eval(self) -> dict[str, float]:
        """Return the scores of the images since `clear`, by name; NaN without images."""
        images, loss, top_1, top_5 = self.sums
        scores = {"loss": loss / images, "top_1": 100 * top_1 / images}
        if self.num_classes >= 5:
            scores["top_5"] = 100 * top_5 / images
        return scores
