import numpy as np
import pytest


def values(parameters):
    """Return copies of the parameters' values."""
    return [parameter.asnumpy().copy() for parameter in parameters]


def test_averages_follow_the_weights_as_computed_in_float64(both_modes, averaging_step, perceptron, batch):
    """Only updates move the averages: a skipped step does not, nor does the first of two accumulated ones."""
    model = perceptron()
    step = averaging_step(model, 0.22, accumulation=2, skip_nonfinite=1)
    expected = [value.astype(np.float64) for value in values(model.get_parameters())]
    images, labels = batch
    updates = 0
    for bad in (False, False, True, False, False):
        step(images * float("nan") if bad else images, labels)
        step(images, labels)
        if not bad:
            updates += 1
            decay = min(0.22, (1 + updates) / (10 + updates))
            now = values(model.get_parameters())
            expected = [decay * mean + (1 - decay) * value for mean, value in zip(expected, now, strict=True)]
    assert step.ema.updates.asnumpy() == updates == 4
    moved = 0
    for mean, exact, value in zip(values(step.ema.averages), expected, values(step.ema.weights), strict=True):
        np.testing.assert_allclose(mean, exact, rtol=1e-5, atol=1e-6)
        moved = max(moved, abs(mean - value).max())
    assert moved > 1e-3
    distance = np.sqrt(
        sum(((m - w) ** 2).sum() for m, w in zip(expected, now, strict=True)) / sum((w**2).sum() for w in now)
    )
    assert step.ema.relative_distance() == pytest.approx(distance, rel=1e-4)
