"""`predict`: the most probable classes of images, in one call."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from mindspore import Tensor, nn

from mindcv.deploy.labels import class_label
from mindcv.deploy.preprocess import OPTIONS, Preprocessor, require_matching_channels
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
) -> list[list[Prediction]]:
    """Return the `topk` most probable classes of each image, most probable first.

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

    Raises:
        UnreadableImage, FileNotFoundError: a file is damaged, not an image, or missing.
        ValueError, TypeError: an argument is out of range, or an image is none of the above.
        FloatingPointError: the logits are not finite.
    """
    require_in_range("topk", topk, at_least=1)
    require_in_range("batch_size", batch_size, at_least=1)
    given = {"mean": mean, "std": std, "crop_pct": crop_pct, "interpolation": interpolation}
    published = getattr(model, "pretrained_cfg", {})
    options = {name: published[name] for name in OPTIONS if name in published}
    options |= {name: value for name, value in given.items() if value is not None}
    images = [images] if _is_single_image(images) else list(images)
    preprocessor = Preprocessor(model.image_size, **options)
    require_matching_channels(model, preprocessor.normalize)
    batch_size = max(1, min(batch_size, len(images)))
    predictions = []
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for batch in batched(images, batch_size):
            crops = list(pool.map(preprocessor.crop, batch))
            predictions += classify(model, preprocessor.batch(crops), batch_size, topk, class_names)
    return predictions


def _is_single_image(images) -> bool:
    """Return whether `images` is one path, Pillow image or array rather than a sequence of them.

    An array is one image if it has up to three axes; with more, or of objects, it is a sequence.
    """
    if isinstance(images, np.ndarray):
        return images.ndim < 4 and images.dtype != object
    return isinstance(images, (str, os.PathLike)) or hasattr(images, "convert")  # `convert`: a Pillow image


def batched(items: Sequence, size: int) -> Iterator[Sequence]:
    """Yield slices of `size` consecutive items; the last may be shorter."""
    return (items[i : i + size] for i in range(0, len(items), size))


def classify(
    model: nn.Cell, images: np.ndarray, batch_size: int, topk: int, class_names: Sequence[str] | None
) -> list[list[Prediction]]:
    """Return the `topk` most probable classes of each of up to `batch_size` images, most probable first.

    Args:
        model: Images to logits, with `num_classes`; it runs in evaluation mode, and its own mode is restored.
        images: (B, C, H, W) float32, normalised; padded with zeros to `batch_size` images for the model's call.
        batch_size: At least B; the same at each call, so that no second graph is compiled.
        topk: Classes per image; all classes if there are fewer.
        class_names: Names in the order of the logits; None for ImageNet's for 1,000 classes, else "class 3".

    Raises:
        ValueError: the model has no classifier.
        FloatingPointError: the logits are not finite.
    """
    padded = np.concatenate([images, np.zeros((batch_size - len(images), *images.shape[1:]), images.dtype)])
    training = model.training
    model.set_train(False)
    try:
        logits = model(Tensor(padded)).asnumpy()[: len(images)].astype(np.float64)
    finally:
        model.set_train(training)
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
