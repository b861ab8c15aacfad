"""Compare JSDCrossEntropy with the AugMix paper's definition in float64."""

import mindspore as ms
import numpy as np
import pytest

from mindcv.loss import JSDCrossEntropy, create_loss
from tests.loss.reference import assert_gradient_close, numeric_gradient, to_tensor

IMAGES, VIEWS, C = 4, 3, 5
RNG = np.random.default_rng(5)
LOGITS = 3 * RNG.standard_normal((VIEWS * IMAGES, C))
LABELS = np.array([1, 4, 0, 1], np.int32)


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)


def cross_entropy(logits, labels, smoothing):
    target = (1 - smoothing) * np.eye(C)[labels] + smoothing / C
    return -(target * np.log(softmax(logits))).sum(1)


def jsd(logits):
    """Return the entropy of the mean minus the mean of the entropies, for each image."""
    views = softmax(logits).reshape(VIEWS, IMAGES, C)
    mean = views.mean(0)
    return -(mean * np.log(mean)).sum(-1) + (views * np.log(views)).sum(-1).mean(0)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_jsd_in_training_adds_divergence_of_views(both_modes, reduction):
    loss = JSDCrossEntropy(VIEWS, alpha=7, smoothing=0.1, reduction=reduction).set_train()
    clean = loss(to_tensor(LOGITS), ms.Tensor(LABELS)).asnumpy()
    repeated = loss(to_tensor(LOGITS), ms.Tensor(np.tile(LABELS, VIEWS))).asnumpy()
    losses = cross_entropy(LOGITS[:IMAGES], LABELS, 0.1) + 7 * jsd(LOGITS)
    expected = {"none": losses, "mean": losses.mean(), "sum": losses.sum()}[reduction]
    np.testing.assert_allclose(clean, expected, rtol=1e-5)
    np.testing.assert_array_equal(repeated, clean)


def test_jsd_gradient_matches_float64_definition():
    def reference(logits):
        return (cross_entropy(logits[:IMAGES], LABELS, 0.1) + 12 * jsd(logits)).mean()

    loss = JSDCrossEntropy(VIEWS, smoothing=0.1).set_train()
    gradient = ms.grad(loss)(to_tensor(LOGITS), ms.Tensor(LABELS))
    assert_gradient_close(gradient, numeric_gradient(reference, LOGITS))


def test_jsd_in_evaluation_is_plain_cross_entropy():
    loss = create_loss("jsd", label_smoothing=0.1).set_train(False)
    result = float(loss(to_tensor(LOGITS[:IMAGES]), ms.Tensor(LABELS)))
    np.testing.assert_allclose(result, cross_entropy(LOGITS[:IMAGES], LABELS, 0.1).mean(), rtol=2e-6)


@pytest.mark.parametrize("arguments", [{"num_splits": 1}, {"alpha": -1}])
def test_jsd_argument_out_of_range_raises(arguments):
    with pytest.raises(ValueError, match="it must be at least"):
        JSDCrossEntropy(**arguments)
