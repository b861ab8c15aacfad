"""The scale of pixel values, 0 to 255, that means and standard deviations are given on."""

from collections.abc import Sequence


def scale_mistake(mean: Sequence[float], std: Sequence[float]) -> str | None:
    """What is wrong with a mean and a standard deviation that are meant for pixels of 0 to 1; None if nothing is.

    No images have such figures on the scale of 0 to 255: their standard deviation would be below one grey level. A mean
    of 0 with a standard deviation of 1 passes: it leaves pixels as they are, from 0 to 255.
    """
    if any(value < 1 for value in std) or (any(mean) and all(-1 < value < 1 for value in mean)):
        return (
            f"mean {_typed(mean)} and std {_typed(std)} are for pixels of 0 to 1, but pixels here go from 0 to 255: "
            f"multiply both by 255, as in mean {_typed(255 * m for m in mean)}, std {_typed(255 * s for s in std)}"
        )
    return None


def _typed(values) -> str:
    return " ".join(f"{value:g}" for value in values)
