"""Random erasing (Zhong et al. 2017, arXiv 1708.04896)."""

from collections.abc import Sequence

import numpy as np

from mindcv.errors import require_in_range

_WORDS: dict[str, float | str] = {"const": 0, "pixel": "random"}  # for values


class RandomErasing:
    """Overwrite a random rectangle of an image (algorithm 1 of the paper).

    The aspect ratio is drawn on a logarithmic scale, so that tall and wide rectangles are equally likely. A rectangle
    that does not fit into the image is drawn again.

    Args:
        prob: Probability that an image is erased.
        scale: (minimum, maximum) area of the rectangle, as a fraction of the image's.
        ratio: (minimum, maximum) height / width of the rectangle.
        value: Value of erased pixels after normalisation (0 is the mean): a number, one per channel, or "random" for
            Gaussian noise of variance 1. "const" means 0, and "pixel" means "random".
        max_attempts: Draws after which an image is left unchanged.

    Raises:
        ValueError: An argument is out of range.
    """

    batchwise = True

    def __init__(
        self,
        prob: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: float | Sequence[float] | str = 0,
        max_attempts: int = 10,
    ):
        require_in_range("re_prob", prob, at_least=0, at_most=1)
        for name, (low, high), limit in (("re_scale", scale, 1.0), ("re_ratio", ratio, float("inf"))):
            if not 0 < low <= high <= limit:
                wanted = "above 0" if limit > 1 else "above 0, at most 1"
                raise ValueError(f"{name} is {low}, {high}; it must be two rising numbers {wanted}")
        value = _WORDS.get(value, value) if isinstance(value, str) else value
        if isinstance(value, str) and value != "random":
            raise ValueError(f're_value is {value!r}; it must be a number, one per channel, or "random"')
        require_in_range("re_max_attempts", max_attempts, at_least=1)
        self.prob, self.scale, self.ratio = prob, scale, ratio
        self.value = value if value == "random" else np.asarray(value, np.float32).reshape(-1, 1, 1)
        self.max_attempts = max_attempts
        self._default_rng = np.random.default_rng()

    def __call__(self, images: np.ndarray, rng: np.random.Generator | None = None, views: int = 1) -> np.ndarray:
        """Erase in place, and return `images`.

        Args:
            images: One normalised image, (C, H, W), or a batch, (B, C, H, W), float32; changed in place.
            rng: Source of the random draws; by default an unseeded generator.
            views: Views per image in the batch; of several, the first views, at its start, are not erased.
        """
        rng = rng or self._default_rng
        first = len(images) // views if views > 1 else 0
        for image in images[None] if images.ndim == 3 else images[first:]:
            if rng.random() < self.prob:
                self._erase(image, rng)
        return images

    def _erase(self, image: np.ndarray, rng: np.random.Generator) -> None:
        """Overwrite a random rectangle of one image, (C, H, W), in place, unless none of `max_attempts` draws fits."""
        channels, height, width = image.shape
        (smallest, largest), (flattest, steepest) = self.scale, np.log(self.ratio)
        for _ in range(self.max_attempts):
            area = rng.uniform(smallest, largest) * height * width
            ratio = np.exp(rng.uniform(flattest, steepest))
            h, w = round(np.sqrt(area * ratio)), round(np.sqrt(area / ratio))
            if 0 < h <= height and 0 < w <= width:
                top, left = rng.integers(height - h + 1), rng.integers(width - w + 1)
                noise = isinstance(self.value, str)
                fill = rng.standard_normal((channels, h, w), np.float32) if noise else self.value
                image[:, top : top + h, left : left + w] = fill
                return
