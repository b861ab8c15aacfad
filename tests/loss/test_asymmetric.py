"""The asymmetric losses against the paper's equations in float64."""

import mindspore as ms
import numpy as np
import pytest

from mindcv.loss import AsymmetricLossMultilabel, AsymmetricLossSingleLabel

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


@pytest.fixture(params=[ms.GRAPH_MODE, ms.PYNATIVE_MODE], ids=["graph", "pynative"])
def mode(request):
    before = ms.get_context("mode")
    ms.set_context(mode=request.param)
    yield request.param
    ms.set_context(mode=before)


def tensor(array):
    return ms.Tensor(array.astype(np.float32))


def numeric_gradient(function):
    gradient = np.zeros((B, C))
    for index in np.ndindex(B, C):
        step = np.zeros((B, C))
        step[index] = 1e-5
        gradient[index] = (function(LOGITS + step) - function(LOGITS - step)) / 2e-5
    return gradient


@pytest.mark.parametrize(("gamma_neg", "gamma_pos", "clip"), [(4, 1, 0.05), (2, 0, 0)])
def test_multilabel_and_its_gradient(gamma_neg, gamma_pos, clip, mode):
    loss = AsymmetricLossMultilabel(gamma_neg, gamma_pos, clip)
    labels = tensor(MULTI_HOT)
    result, gradient = ms.value_and_grad(loss)(tensor(LOGITS), labels)
    expected = multilabel(LOGITS, gamma_neg, gamma_pos, clip)
    np.testing.assert_allclose(float(result), expected, rtol=2e-6)
    expected = numeric_gradient(lambda logits: multilabel(logits, gamma_neg, gamma_pos, clip))
    assert np.linalg.norm(gradient.asnumpy() - expected) <= 1e-5 * np.linalg.norm(expected)


def test_single_label_and_its_gradient(mode):
    labels = ms.Tensor(INDICES)
    each = AsymmetricLossSingleLabel(1, 4, reduction="none", smoothing=0.2)(tensor(LOGITS), labels)
    loss = AsymmetricLossSingleLabel(2, 3, reduction="mean", smoothing=0.1)
    result, gradient = ms.value_and_grad(loss)(tensor(LOGITS), labels)
    np.testing.assert_allclose(each.asnumpy(), single_label(LOGITS, 1, 4, 0.2), rtol=1e-5)
    np.testing.assert_allclose(float(result), single_label(LOGITS, 2, 3, 0.1).mean(), rtol=1e-5)
    expected = numeric_gradient(lambda logits: single_label(logits, 2, 3, 0.1).mean())
    assert np.linalg.norm(gradient.asnumpy() - expected) <= 1e-5 * np.linalg.norm(expected)


@pytest.mark.parametrize("value", [200.0, -200.0])
def test_certain_predictions_stay_finite(value):
    logits = ms.Tensor(np.full((1, 2), value, np.float32))
    labels = ms.Tensor(np.array([[1.0, 0.0]], np.float32))
    result, gradient = ms.value_and_grad(AsymmetricLossMultilabel())(logits, labels)
    assert np.isfinite(float(result)) and np.isfinite(gradient.asnumpy()).all()


@pytest.mark.parametrize(
    ("create", "message"),
    [
        (lambda: AsymmetricLossMultilabel(gamma_neg=-1), "gamma_pos and gamma_neg"),
        (lambda: AsymmetricLossMultilabel(clip=1), "clip must be in"),
        (lambda: AsymmetricLossMultilabel(eps=0), "eps must be over 0"),
        (lambda: AsymmetricLossSingleLabel(gamma_pos=-1), "gamma_pos and gamma_neg"),
        (lambda: AsymmetricLossSingleLabel(eps=0.3), "eps is another name for smoothing"),
    ],
)
def test_bad_arguments_are_named(create, message):
    with pytest.raises(ValueError, match=message):
        create()
