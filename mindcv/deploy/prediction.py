"""`predict`: the most probable classes of images, in one call."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np
from mindspore import nn

from mindcv.deploy.engines import Compute, create_engine
from mindcv.deploy.labels import class_label
from mindcv.deploy.preprocess import published_preprocessor, require_matching_channels
from mindcv.errors import require_in_range
from mindcv.models.finite import require_finite


class Prediction(NamedTuple):
    """A class that an image may belong to: its name, its probability (0 to 1), and its number (from 0)."""

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
    engine: str = "mindspore",
) -> list[list[Prediction]]:
    """Return the `topk` most probable classes of each image, most probable first.

    While a batch is computed, the images of the next one are read.

    `mean`, `std`, `crop_pct` and `interpolation` default to those of the model's published weights
    (`model.pretrained_cfg`), if it was created with such, and else to those of ImageNet.

    Args:
        model: Images (B, C, H, W) to logits, with `image_size` and `num_classes`. It runs in evaluation mode; its own
            mode is restored.
        images: One image or a sequence of them: paths, Pillow images, or uint8 pixels, (h, w, 3) or grey (h, w), of any
            size. They are resized and cropped as in validation.
        topk: Classes per image; all classes if there are fewer.
        class_names: Names in the order of the logits; by default ImageNet's for 1,000 classes, else "class 3".
        batch_size: Images per call of the model. The last batch is padded to this size, so that no second graph is
            compiled.
        mean, std: For each channel, in units of pixel values 0 to 255.
        crop_pct: Side of the centre crop divided by the side of the resized image.
        interpolation: "nearest", "bilinear" or "bicubic".
        engine: "mindspore" computes in MindSpore's current mode. "onnxruntime" computes on the CPU in float32, faster
            than MindSpore there; the first call for a model takes some seconds, see `mindcv.deploy.engines`.

    Raises:
        UnreadableImage, FileNotFoundError: a file is damaged, not an image, or missing.
        ValueError, TypeError: an argument is out of range, an image is none of the above, or the engine cannot compute
            the model.
        ExportError: the engine's logits differ from MindSpore's.
        FloatingPointError: the logits are not finite.
    """
    require_in_range("topk", topk, at_least=1)
    require_in_range("batch_size", batch_size, at_least=1)
    given = {"mean": mean, "std": std, "crop_pct": crop_pct, "interpolation": interpolation}
    images = as_image_list(images)
    preprocessor = published_preprocessor(model, **given)
    require_matching_channels(model, preprocessor.normalize)
    batch_size = max(1, min(batch_size, len(images)))
    compute = create_engine(engine, model, batch_size)
    predictions = []
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for _, crops in crop_batches(pool, preprocessor.crop, images, batch_size):
            predictions += classify(compute, model, preprocessor.batch(crops), topk, class_names)
    return predictions


def as_image_list(images) -> list:
    """Return one path, Pillow image or array as a list of one, and a sequence of them as a list.

    An array is one image if it has up to three axes; with more, or of objects, it is a sequence.
    """
    if isinstance(images, np.ndarray):
        is_single = images.ndim < 4 and images.dtype != object
    else:
        is_single = isinstance(images, (str, os.PathLike)) or hasattr(images, "convert")  # `convert`: a Pillow image
    return [images] if is_single else list(images)


def crop_batches(pool: Executor, crop: Callable, images: Sequence, batch_size: int) -> Iterator[tuple[Sequence, list]]:
    """Yield batches of consecutive images, each with the results of `crop`; the last batch may be smaller.

    `pool` crops the next batch while the caller works on one. An error of `crop` is raised with its batch.
    """
    batches = (images[i : i + batch_size] for i in range(0, len(images), batch_size))
    started = ((batch, pool.map(crop, batch)) for batch in batches)
    for (batch, crops), _next in pairwise(chain(started, [((), iter(()))])):
        yield batch, list(crops)


def classify(
    compute: Compute, model: nn.Cell, images: np.ndarray, topk: int, class_names: Sequence[str] | None
) -> list[list[Prediction]]:
    """Return the `topk` most probable classes of each image, most probable first.

    Args:
        compute: What `create_engine` returned for the model.
        model: Images to logits, with `num_classes`.
        images: (B, C, H, W) float32, normalised; no more than the engine was created for.
        topk: Classes per image; all classes if there are fewer.
        class_names: Names in the order of the logits; None for ImageNet's for 1,000 classes, else "class 3".

    Raises:
        ValueError: the model has no classifier.
        FloatingPointError: the logits are not finite.
    """
    logits = compute(images).astype(np.float64)
    if logits.ndim != 2 or not model.num_classes:
        raise ValueError("the model has no classifier to predict with: create it with num_classes above 0")
    require_finite(logits, model, "the logits are")
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    probabilities = exponentials / exponentials.sum(1, keepdims=True)
    num_classes = probabilities.shape[1]
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :topk]
    return [
        [Prediction(class_label(int(i), num_classes, class_names), float(row[i]), int(i)) for i in order]
        for row, order in zip(probabilities, best, strict=True)
    ]
