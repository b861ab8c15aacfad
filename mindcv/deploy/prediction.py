"""`predict`: the likeliest classes of images, in one call."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from mindspore import Tensor, nn

from mindcv.deploy.labels import label
from mindcv.deploy.preprocess import OPTIONS, Preprocessor, require_fitting
from mindcv.models.finite import require_finite


class Prediction(NamedTuple):
    """One class that an image may be of: its name, its probability in 0..1, and its number from 0."""

    name: str
    probability: float
    number: int


def predict(
    model: nn.Cell,
    images,
    topk: int = 5,
    class_names: Sequence[str] | None = None,
    batch_size: int = 32,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    crop_pct: float | None = None,
    interpolation: str | None = None,
) -> list[list[Prediction]]:
    """The `topk` likeliest classes of each image, the likeliest first.

    Args:
        model: Images (B, 3, H, W) to logits. It predicts as in validation, whatever its phase, and keeps its phase.
        images: One image or a sequence of them: paths, PIL images, or pixels in uint8, (h, w, 3) or grey (h, w), of any
            size. They are resized and cropped as in validation.
        topk: Classes for each image; all if there are fewer.
        class_names: In the order of the logits. By default ImageNet's for a model of 1,000 classes, else "class 3".
        batch_size: Images the model takes at once; the last batch is filled up to the same shape.
        mean, std: Of each channel, in units of pixel values 0..255; one of each for a model of grey images.
        crop_pct: Side of the centre crop over side of the resized image.
        interpolation: "nearest", "bilinear" or "bicubic". What is left out of these four is as the model's published
            weights want it, where it began with such, and else as in `create_transforms`.

    Raises:
        UnreadableImage, FileNotFoundError: a file is not there or no image.
        ValueError, TypeError: an argument is out of range, or an image is none of these.
        FloatingPointError: the logits are not finite.
    """
    given = {"mean": mean, "std": std, "crop_pct": crop_pct, "interpolation": interpolation}
    published = getattr(model, "pretrained_cfg", {})
    options = {name: published[name] for name in OPTIONS if name in published}
    options |= {name: value for name, value in given.items() if value is not None}
    one = isinstance(images, (str, os.PathLike)) or hasattr(images, "convert")
    one = one or (isinstance(images, np.ndarray) and images.ndim < 4 and images.dtype != object)
    images = [images] if one else list(images)
    if topk < 1 or batch_size < 1:
        raise ValueError(f"topk is {topk} and batch_size {batch_size}; both must be at least 1")
    views = Preprocessor(model.image_size, **options)
    require_fitting(model, views.normalize)
    batch_size = max(1, min(batch_size, len(images)))
    guesses = []
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for batch in in_batches(images, batch_size):
            seen = list(pool.map(views.view, batch))
            guesses += classify(model, views.batch(seen), batch_size, topk, class_names)
    return guesses


def in_batches(items: Sequence, size: int) -> Iterator[Sequence]:
    """`items` in their order, `size` at a time."""
    return (items[i : i + size] for i in range(0, len(items), size))


def classify(
    model: nn.Cell, images: np.ndarray, batch_size: int, topk: int, class_names: Sequence[str] | None
) -> list[list[Prediction]]:
    """As `predict`, for up to `batch_size` images (B, C, H, W) that are ready for the model."""
    filled = np.concatenate([images, np.zeros((batch_size - len(images), *images.shape[1:]), images.dtype)])
    training = model.training
    model.set_train(False)
    try:
        logits = model(Tensor(filled)).asnumpy()[: len(images)].astype(np.float64)
    finally:
        model.set_train(training)
    if logits.ndim != 2 or not model.num_classes:
        raise ValueError("the model has no classifier to predict with: create it with num_classes above 0")
    require_finite(logits, model, "the logits are")
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    probabilities = exponentials / exponentials.sum(1, keepdims=True)
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :topk]
    return [
        [Prediction(label(int(i), probabilities.shape[1], class_names), float(row[i]), int(i)) for i in order]
        for row, order in zip(probabilities, best, strict=True)
    ]
