"""Mixup (Zhang et al. 2017, arXiv 1710.09412) and CutMix (Yun et al. 2019, arXiv 1905.04899)."""

from collections.abc import Sequence

import numpy as np

MODES = ("batch", "pair", "elem")


class Mixup:
    """Mix each image of a batch with the one at the mirrored place, and their labels alike.

    Mixup blends the two, λ·a + (1-λ)·b; CutMix puts a rectangle of b, 1-λ of the area, into a. λ ~ Beta(α,
    α).

    Args:
        mixup_alpha: α of mixup; 0 for none.
        cutmix_alpha: α of CutMix; 0 for none.
        cutmix_minmax: in place of CutMix's λ, the range of the rectangle's sides as shares of the image's.
        prob: probability that a batch (pair, image) is mixed at all.
        switch_prob: probability of CutMix where both are on.
        mode: draw once per "batch", per "pair" of mirrored places, or per image ("elem").
        correct_lam: count CutMix's labels by the area really covered; a rectangle may reach over the edge.
        label_smoothing: share of a label spread evenly over all classes; 0 where the loss smooths.
        num_classes: C.
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
            raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
        if mixup_alpha < 0 or cutmix_alpha < 0 or mixup_alpha + cutmix_alpha == 0:
            raise ValueError(
                f"mixup and cutmix must be 0 or more, one of them above; got {mixup_alpha}, {cutmix_alpha}"
            )
        for name, share in (
            ("prob", prob),
            ("switch_prob", switch_prob),
            ("label_smoothing", label_smoothing),
        ):
            if not 0 <= share <= 1:
                raise ValueError(f"{name} must be 0 to 1, got {share}")
        self.mixup_alpha, self.cutmix_alpha, self.cutmix_minmax = mixup_alpha, cutmix_alpha, cutmix_minmax
        self.prob, self.switch_prob, self.mode = prob, switch_prob, mode
        self.correct_lam, self.label_smoothing, self.num_classes = correct_lam, label_smoothing, num_classes
        self._own_rng = np.random.default_rng()

    def __call__(
        self, images: np.ndarray, labels: np.ndarray, rng: np.random.Generator | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mix a batch.

        Args:
            images: (B, C, H, W) float32; changed in place.
            labels: (B,) class indices.

        Returns:
            The images, and the labels as (B, `num_classes`) float32, each row summing to 1.
        """
        rng = rng or self._own_rng
        size = len(images)
        draws = {"batch": 1, "pair": (size + 1) // 2, "elem": size}[self.mode]
        plans = [self._plan(images.shape[2:], rng) for _ in range(draws)]
        lam = np.ones(size)
        before, spare = np.empty((2, *images.shape[1:]), np.float32)
        for i in range(size // 2):
            j = size - 1 - i
            plan_i, plan_j = plans[i % draws], plans[j if self.mode == "elem" else i % draws]
            np.copyto(before, images[i])
            _blend(images[i], images[j], plan_i, spare)
            _blend(images[j], before, plan_j, spare)
            lam[i], lam[j] = plan_i[0], plan_j[0]
        return images, self.targets(labels, lam)

    def targets(self, labels: np.ndarray, lam: np.ndarray | float = 1.0) -> np.ndarray:
        """The soft labels, (B, `num_classes`) float32, of images that have the share `lam` of their own label."""
        if labels.min() < 0 or labels.max() >= self.num_classes:
            raise ValueError(f"labels {labels.min()} to {labels.max()} do not fit num_classes {self.num_classes}")
        rows = np.arange(len(labels))
        targets = np.zeros((len(labels), self.num_classes))
        targets[rows, labels] += lam
        targets[rows, labels[::-1]] += 1 - lam
        targets = targets * (1 - self.label_smoothing) + self.label_smoothing / self.num_classes
        return targets.astype(np.float32)

    def _plan(self, size: tuple[int, int], rng: np.random.Generator) -> tuple[float, tuple[slice, slice] | None]:
        """λ, and CutMix's rectangle (None for mixup), for images of `size` (H, W)."""
        if rng.random() >= self.prob:
            return 1.0, None
        cut = self.cutmix_alpha > 0 and (self.mixup_alpha == 0 or rng.random() < self.switch_prob)
        alpha = self.cutmix_alpha if cut else self.mixup_alpha
        lam = rng.beta(alpha, alpha)
        if not cut:
            return lam, None
        rows, columns = (self._span(side, lam, rng) for side in size)
        if self.correct_lam or self.cutmix_minmax:
            covered = (rows.stop - rows.start) * (columns.stop - columns.start)
            lam = 1 - covered / (size[0] * size[1])
        return lam, (rows, columns)

    def _span(self, side: int, lam: float, rng: np.random.Generator) -> slice:
        if self.cutmix_minmax:
            low, high = self.cutmix_minmax
            length = rng.integers(int(side * low), int(side * high) + 1)
            start = rng.integers(side - length + 1)
            return slice(start, start + length)
        half = int(side * np.sqrt(1 - lam)) // 2
        centre = rng.integers(side)
        return slice(max(0, centre - half), min(side, centre + half))


def _blend(
    image: np.ndarray, other: np.ndarray, plan: tuple[float, tuple[slice, slice] | None], spare: np.ndarray
) -> None:
    """Mix `other` into `image` by a plan; `spare` is memory of the same shape to work in."""
    lam, box = plan
    if box:
        image[:, box[0], box[1]] = other[:, box[0], box[1]]
    elif lam < 1:
        image *= np.float32(lam)
        image += np.multiply(other, np.float32(1 - lam), out=spare)
