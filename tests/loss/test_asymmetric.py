"""Compare the asymmetric losses with the paper's equations in float64."""

import mindspore as ms
import numpy as np
import pytest

from mindcv.loss import AsymmetricLossMultilabel, AsymmetricLossSingleLabel
from tests.loss.reference import assert_gradient_close, numeric_gradient, to_tensor

B, C = 4, 6
RNG = np.random.default_rng(11)
LOGITS = 3 * RNG.standard_normal((B, C))
INDICES = np.array([2, 0, 5, 2], np.int32)
MULTI_HOT = RNG.integers(0, 2, (B, C))


def multilabel(logits, gamma_neg, gamma_pos, clip):
    total = 0.0
    for index in np.ndindex(B, C):
        p = 1 / (1 + np.exp(-logits[index]))
        if MULTI_HOT[index]:
            total -= (1 - p) ** gamma_pos * np.log(p)
        else:
            shifted = max(p - clip, 0)
            total -= shifted**gamma_neg * np.log(1 - shifted)
    return total


def single_label(logits, gamma_pos, gamma_neg, smoothing):
    losses = []
    for row, label in zip(logits, INDICES, strict=True):
        p = np.exp(row) / np.exp(row).sum()
        loss = 0.0
        for c in range(C):
            target = (1 - smoothing) * (c == label) + smoothing / C
            weight = (1 - p[c]) ** gamma_pos if c == label else p[c] ** gamma_neg
            loss -= target * weight * np.log(p[c])
        losses.append(loss)
    return np.array(losses)


@pytest.mark.parametrize(("gamma_neg", "gamma_pos", "clip"), [(4, 1, 0.05), (2, 0, 0)])
def test_multilabel_loss_and_gradient_match_float64_reference(gamma_neg, gamma_pos, clip, both_modes):
    def reference(logits):
        return multilabel(logits, gamma_neg, gamma_pos, clip)

    loss = AsymmetricLossMultilabel(gamma_neg, gamma_pos, clip)
    result, gradient = ms.value_and_grad(loss)(to_tensor(LOGITS), to_tensor(MULTI_HOT.astype(float)))
    np.testing.assert_allclose(float(result), reference(LOGITS), rtol=2e-6)
    assert_gradient_close(gradient, numeric_gradient(reference, LOGITS))


def test_single_label_loss_and_gradient_match_float64_reference(both_modes):
    labels = ms.Tensor(INDICES)
    losses = AsymmetricLossSingleLabel(1, 4, reduction="none", smoothing=0.2)(to_tensor(LOGITS), labels)
    np.testing.assert_allclose(losses.asnumpy(), single_label(LOGITS, 1, 4, 0.2), rtol=1e-5)

    def reference(logits):
        return single_label(logits, 2, 3, 0.1).mean()

    loss = AsymmetricLossSingleLabel(2, 3, reduction="mean", smoothing=0.1)
    result, gradient = ms.value_and_grad(loss)(to_tensor(LOGITS), labels)
    np.testing.assert_allclose(float(result), reference(LOGITS), rtol=1e-5)
    assert_gradient_close(gradient, numeric_gradient(reference, LOGITS))


@pytest.mark.parametrize("value", [200.0, -200.0])
def test_multilabel_loss_of_extreme_logits_is_finite(value):
    logits = ms.Tensor(np.full((1, 2), value, np.float32))
    labels = ms.Tensor(np.array([[1.0, 0.0]], np.float32))
    result, gradient = ms.value_and_grad(AsymmetricLossMultilabel())(logits, labels)
    assert np.isfinite(float(result)) and np.isfinite(gradient.asnumpy()).all()


@pytest.mark.parametrize(
    ("create", "message"),
    [
        (lambda: AsymmetricLossMultilabel(gamma_neg=-1), "gamma_neg is -1; it must be at least 0"),
        (lambda: AsymmetricLossMultilabel(clip=1), "clip is 1; it must be at least 0 and below 1"),
        (lambda: AsymmetricLossMultilabel(eps=0), "eps is 0; it must be above 0"),
        (lambda: AsymmetricLossSingleLabel(gamma_pos=-1), "gamma_pos is -1; it must be at least 0"),
        (lambda: AsymmetricLossSingleLabel(eps=0.3), "eps is another name for smoothing"),
    ],
)
def test_asymmetric_loss_argument_out_of_range_raises(create, message):
    with pytest.raises(ValueError, match=message):
        create()
