"""Mixup (Zhang et al. 2017, arXiv 1710.09412) and CutMix (Yun et al. 2019, arXiv 1905.04899)."""

from collections.abc import Sequence

import numpy as np

from mindcv.errors import require_in_range

MODES = ("batch", "pair", "elem")


class Mixup:
    """Mix each image i of a batch of B with image B - 1 - i, and their labels; of an odd B the middle image stays.

    Mixup blends two images a and b, λ·a + (1-λ)·b; CutMix replaces a rectangle of a, 1-λ of its area, by the same
    rectangle of b. λ is drawn from Beta(α, α).

    Args:
        mixup_alpha: α of mixup; 0 turns it off.
        cutmix_alpha: α of CutMix; 0 turns it off.
        cutmix_minmax: (minimum, maximum) of the rectangle's sides as a fraction of the image's, used instead of λ.
        prob: Probability that a batch (pair, image) is mixed.
        switch_prob: Probability of CutMix if both are on.
        mode: Draw once per "batch", per "pair" of images, or per image ("elem").
        correct_lam: Weight CutMix's labels by the area that is really replaced; a rectangle may exceed the image.
        label_smoothing: Fraction of each label that is spread evenly over all classes; 0 if the loss smooths labels.
        num_classes: Number of classes C, the width of the soft labels.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        mixup_alpha: float = 1.0,
        cutmix_alpha: float = 0.0,
        cutmix_minmax: Sequence[float] | None = None,
        prob: float = 1.0,
        switch_prob: float = 0.5,
        mode: str = "batch",
        correct_lam: bool = True,
        label_smoothing: float = 0.1,
        num_classes: int = 1000,
    ):
        if mode not in MODES:
            raise ValueError(f"mode is {mode!r}; it must be one of {', '.join(MODES)}")
        if mixup_alpha < 0 or cutmix_alpha < 0 or mixup_alpha + cutmix_alpha == 0:
            raise ValueError(
                f"mixup is {mixup_alpha} and cutmix is {cutmix_alpha}; both must be at least 0, and one above 0"
            )
        for name, value in (("prob", prob), ("switch_prob", switch_prob), ("label_smoothing", label_smoothing)):
            require_in_range(name, value, at_least=0, at_most=1)
        if cutmix_minmax and (len(cutmix_minmax) != 2 or not 0 <= cutmix_minmax[0] <= cutmix_minmax[1] <= 1):
            raise ValueError(f"cutmix_minmax is {cutmix_minmax}; it must be (minimum, maximum), both from 0 to 1")
        self.mixup_alpha, self.cutmix_alpha, self.cutmix_minmax = mixup_alpha, cutmix_alpha, cutmix_minmax
        self.prob, self.switch_prob, self.mode = prob, switch_prob, mode
        self.correct_lam, self.label_smoothing, self.num_classes = correct_lam, label_smoothing, num_classes
        self._default_rng = np.random.default_rng()

    def __call__(
        self, images: np.ndarray, labels: np.ndarray, rng: np.random.Generator | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mix a batch in place.

        Args:
            images: (B, channels, H, W) float32; changed in place.
            labels: (B,) class indices, or (B, `num_classes`) soft labels.
            rng: Source of the random draws; by default an unseeded generator.

        Returns:
            `images`, and soft labels (B, `num_classes`) float32, each row with the sum 1.

        Raises:
            ValueError: A label is not a class index.
        """
        rng = rng or self._default_rng
        size = len(images)
        num_draws = {"batch": 1, "pair": (size + 1) // 2, "elem": size}[self.mode]
        height, width = images.shape[2:]
        draws = [self._draw((height, width), rng) for _ in range(num_draws)]
        lam = np.ones(size)
        original, buffer = np.empty((2, *images.shape[1:]), np.float32)
        for i in range(size // 2):
            j = size - 1 - i
            draw_i, draw_j = draws[i % num_draws], draws[j if self.mode == "elem" else i % num_draws]
            np.copyto(original, images[i])
            _mix(images[i], images[j], *draw_i, buffer)
            _mix(images[j], original, *draw_j, buffer)
            lam[i], lam[j] = draw_i[0], draw_j[0]
        return images, self.targets(labels, lam)

    def targets(self, labels: np.ndarray, lam: np.ndarray | float = 1.0) -> np.ndarray:
        """Return the soft labels of a batch, (B, `num_classes`) float32.

        Args:
            labels: (B,) class indices, or (B, `num_classes`) soft labels.
            lam: Weight of each image's own label, 0 to 1, scalar or (B,); the rest goes to image B - 1 - i's label.

        Raises:
            ValueError: A label is not a class index.
        """
        if labels.ndim == 1:
            if labels.min() < 0 or labels.max() >= self.num_classes:
                raise ValueError(f"labels {labels.min()} to {labels.max()} do not fit num_classes {self.num_classes}")
            indices, labels = labels, np.zeros((len(labels), self.num_classes))
            labels[np.arange(len(labels)), indices] = 1
        lam = np.reshape(lam, (-1, 1))
        targets = lam * labels + (1 - lam) * labels[::-1]
        targets = targets * (1 - self.label_smoothing) + self.label_smoothing / self.num_classes
        return targets.astype(np.float32)

    def _draw(self, size: tuple[int, int], rng: np.random.Generator) -> tuple[float, tuple[slice, slice] | None]:
        """Draw λ, and CutMix's rectangle as (rows, columns), or None for mixup, for images of `size` (H, W).

        (1, None) leaves an image unmixed, with probability 1 - `prob`.
        """
        if rng.random() >= self.prob:
            return 1.0, None
        use_cutmix = self.cutmix_alpha > 0 and (self.mixup_alpha == 0 or rng.random() < self.switch_prob)
        alpha = self.cutmix_alpha if use_cutmix else self.mixup_alpha
        lam = rng.beta(alpha, alpha)
        if not use_cutmix:
            return lam, None
        rows, columns = (self._draw_extent(side, lam, rng) for side in size)
        if self.correct_lam or self.cutmix_minmax:
            replaced = (rows.stop - rows.start) * (columns.stop - columns.start)
            lam = 1 - replaced / (size[0] * size[1])
        return lam, (rows, columns)

    def _draw_extent(self, side: int, lam: float, rng: np.random.Generator) -> slice:
        """Draw the rectangle's rows or columns, √(1-λ) · `side` of them clipped to the image's `side`.

        With `cutmix_minmax` their number is drawn from that range, and all are in the image. The slice may be empty.
        """
        if self.cutmix_minmax:
            low, high = self.cutmix_minmax
            length = rng.integers(int(side * low), int(side * high) + 1)
            start = rng.integers(side - length + 1)
            return slice(start, start + length)
        half = int(side * np.sqrt(1 - lam)) // 2
        centre = rng.integers(side)
        return slice(max(0, centre - half), min(side, centre + half))


def _mix(image: np.ndarray, other: np.ndarray, lam: float, box: tuple[slice, slice] | None, buffer: np.ndarray) -> None:
    """Mix `other` into `image` in place: its rectangle `box`, or, if None, all pixels with the weight 1 - `lam`.

    `image`, `other` and `buffer`, which is overwritten, are (C, H, W) float32.
    """
    if box:
        image[:, box[0], box[1]] = other[:, box[0], box[1]]
    elif lam < 1:
        image *= np.float32(lam)
        image += np.multiply(other, np.float32(1 - lam), out=buffer)
