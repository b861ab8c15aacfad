"""JSDCrossEntropy against the AugMix paper's definition in float64."""

import mindspore as ms
import numpy as np
import pytest

from mindcv.loss import JSDCrossEntropy, create_loss

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
    """Entropy of the mean minus the mean of the entropies, per image."""
    views = softmax(logits).reshape(VIEWS, IMAGES, C)
    mean = views.mean(0)
    return -(mean * np.log(mean)).sum(-1) + (views * np.log(views)).sum(-1).mean(0)


@pytest.fixture(params=[ms.GRAPH_MODE, ms.PYNATIVE_MODE], ids=["graph", "pynative"])
def mode(request):
    before = ms.get_context("mode")
    ms.set_context(mode=request.param)
    yield request.param
    ms.set_context(mode=before)


def tensor(array):
    return ms.Tensor(array.astype(np.float32))


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_training_adds_the_divergence_of_the_views(mode, reduction):
    loss = JSDCrossEntropy(VIEWS, alpha=7, smoothing=0.1, reduction=reduction).set_train()
    clean = loss(tensor(LOGITS), ms.Tensor(LABELS)).asnumpy()
    repeated = loss(tensor(LOGITS), ms.Tensor(np.tile(LABELS, VIEWS))).asnumpy()
    each = cross_entropy(LOGITS[:IMAGES], LABELS, 0.1) + 7 * jsd(LOGITS)
    expected = {"none": each, "mean": each.mean(), "sum": each.sum()}[reduction]
    np.testing.assert_allclose(clean, expected, rtol=1e-5)
    np.testing.assert_array_equal(repeated, clean)


def test_gradient():
    loss = JSDCrossEntropy(VIEWS, smoothing=0.1).set_train()
    gradient = ms.grad(loss)(tensor(LOGITS), ms.Tensor(LABELS)).asnumpy()
    expected = np.zeros_like(LOGITS)
    for index in np.ndindex(*LOGITS.shape):
        ends = []
        for size in (1e-5, -1e-5):
            logits = LOGITS.copy()
            logits[index] += size
            ends.append((cross_entropy(logits[:IMAGES], LABELS, 0.1) + 12 * jsd(logits)).mean())
        expected[index] = (ends[0] - ends[1]) / 2e-5
    assert np.linalg.norm(gradient - expected) <= 1e-5 * np.linalg.norm(expected)


def test_evaluation_is_plain_cross_entropy():
    loss = create_loss("jsd", label_smoothing=0.1).set_train(False)
    result = float(loss(tensor(LOGITS[:IMAGES]), ms.Tensor(LABELS)))
    np.testing.assert_allclose(result, cross_entropy(LOGITS[:IMAGES], LABELS, 0.1).mean(), rtol=2e-6)


@pytest.mark.parametrize("arguments", [{"num_splits": 1}, {"alpha": -1}])
def test_bad_arguments_are_named(arguments):
    with pytest.raises(ValueError, match="must be at least"):
        JSDCrossEntropy(**arguments)
