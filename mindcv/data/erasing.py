"""Random erasing (Zhong et al. 2017, arXiv 1708.04896)."""

from collections.abc import Sequence

import numpy as np


class RandomErasing:
    """Overwrite a random rectangle of an image.

    Area and aspect ratio are drawn as in the paper's algorithm 1, the ratio on a logarithmic scale, so that
    upright and lying rectangles are equally likely. A draw that does not fit is repeated.

    Args:
        prob: share of the images that get a rectangle.
        scale: range of its area, as a share of the image's.
        ratio: range of its height / width.
        value: what is written: a number, one per channel, or "random" for Gaussian noise of variance 1; in
            units of normalised pixels, where 0 is the mean.
        max_attempts: draws before an image is left as it is.
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
        if not 0 <= prob <= 1:
            raise ValueError(f"re_prob must be 0 to 1, got {prob}")
        for name, (low, high), top in (("re_scale", scale, 1), ("re_ratio", ratio, np.inf)):
            if not 0 < low <= high <= top:
                raise ValueError(f"{name} must be two rising numbers above 0, got {low}, {high}")
        if isinstance(value, str) and value != "random":
            raise ValueError(f're_value must be a number, one per channel, or "random", got {value!r}')
        if max_attempts < 1:
            raise ValueError(f"re_max_attempts must be 1 or more, got {max_attempts}")
        self.prob, self.scale, self.ratio = prob, tuple(scale), tuple(ratio)
        self.value = value if value == "random" else np.asarray(value, np.float32).reshape(-1, 1, 1)
        self.max_attempts = max_attempts
        self._own_rng = np.random.default_rng()

    def __call__(self, images: np.ndarray, rng: np.random.Generator | None = None, views: int = 1) -> np.ndarray:
        """(C, H, W), or (B, C, H, W), float32, changed in place and handed back; of several `views` not the first."""
        rng = rng or self._own_rng
        clean = len(images) // views if views > 1 else 0
        for image in images[None] if images.ndim == 3 else images[clean:]:
            if rng.random() < self.prob:
                self._erase(image, rng)
        return images

    def _erase(self, image: np.ndarray, rng: np.random.Generator) -> None:
        channels, height, width = image.shape
        for _ in range(self.max_attempts):
            area = rng.uniform(*self.scale) * height * width
            ratio = np.exp(rng.uniform(*np.log(self.ratio)))
            h, w = round(np.sqrt(area * ratio)), round(np.sqrt(area / ratio))
            if 0 < h <= height and 0 < w <= width:
                top, left = rng.integers(height - h + 1), rng.integers(width - w + 1)
                noise = isinstance(self.value, str)
                fill = rng.standard_normal((channels, h, w), np.float32) if noise else self.value
                image[:, top : top + h, left : left + w] = fill
                return
