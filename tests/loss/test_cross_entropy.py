"""Compare cross-entropy and binary cross-entropy with their definitions in float64, in both modes."""

import mindspore as ms
import numpy as np
import pytest

from mindcv.loss import BinaryCrossEntropySmooth, create_loss
from tests.loss.reference import assert_gradient_close, numeric_gradient, to_tensor

B, C = 5, 7
RNG = np.random.default_rng(7)
LOGITS = 4 * RNG.standard_normal((B, C))
AUXILIARY = 4 * RNG.standard_normal((B, C))
INDICES = np.array([0, 6, 3, 3, 1], np.int32)
SOFT = RNG.dirichlet(np.ones(C), B)
WEIGHT = RNG.uniform(0.2, 3, C)


def dense(labels):
    return np.eye(C)[labels] if labels.ndim == 1 else labels


def cross_entropy(logits, labels, smoothing, weight, reduction):
    """Compute the sums of the docstring term by term."""
    losses, classes = [], range(logits.shape[1])
    for row, target in zip(logits, dense(labels), strict=True):
        log_z = np.log(sum(np.exp(row)))
        t = (1 - smoothing) * target + smoothing / len(classes)
        losses.append(sum(weight[c] * t[c] * (log_z - row[c]) for c in classes))
    if reduction == "none":
        return np.array(losses)
    if reduction == "sum":
        return sum(losses)
    return sum(losses) / (sum(weight[i] for i in labels) if labels.ndim == 1 else B)


def binary_cross_entropy(logits, labels, smoothing, weight, reduction):
    t = (1 - smoothing) * dense(labels) + smoothing / C
    p = 1 / (1 + np.exp(-logits))
    losses = -weight * (t * np.log(p) + (1 - t) * np.log(1 - p))
    return {"none": losses, "sum": losses.sum(), "mean": losses.mean()}[reduction]


REFERENCE = {"CE": cross_entropy, "BCE": binary_cross_entropy}


@pytest.mark.parametrize("labels", [INDICES, SOFT], ids=["indices", "soft"])
@pytest.mark.parametrize(
    ("smoothing", "weight", "reduction"), [(0, None, "none"), (0.1, WEIGHT, "mean"), (0.1, WEIGHT, "sum")]
)
@pytest.mark.parametrize("name", ["CE", "BCE"])
def test_loss_matches_float64_definition(name, smoothing, weight, reduction, labels, both_modes):
    loss = create_loss(name, weight=weight, reduction=reduction, label_smoothing=smoothing)
    expected = REFERENCE[name](LOGITS, labels, smoothing, np.ones(C) if weight is None else weight, reduction)
    np.testing.assert_allclose(loss(to_tensor(LOGITS), to_tensor(labels)).asnumpy(), expected, rtol=1e-6, atol=5e-7)


def test_ce_weighted_losses_are_accurate_to_1e_6(both_modes):
    logits = (3 * np.random.default_rng(0).standard_normal((64, 10))).astype(np.float32)
    labels, weight = np.arange(64, dtype=np.int32) % 10, np.resize([1, 2, 0.5], 10)
    expected = cross_entropy(logits.astype(np.float64), np.eye(10)[labels], 0, weight, "none")
    losses = create_loss("CE", weight=weight, reduction="none")(to_tensor(logits), to_tensor(labels)).asnumpy()
    large = expected > 0.5  # smaller ones are limited by the rounding of 1 + exp(…) to float32
    np.testing.assert_allclose(losses[large], expected[large], rtol=1e-6)
    np.testing.assert_allclose(losses, expected, rtol=1e-6, atol=5e-7)


@pytest.mark.parametrize("name", ["CE", "BCE"])
def test_loss_gradient_matches_float64_definition(name, both_modes):
    logits = LOGITS.copy()
    logits[0] = 0  # as from an untrained classifier
    gradient = ms.grad(create_loss(name, weight=WEIGHT, label_smoothing=0.1))(to_tensor(logits), to_tensor(SOFT))
    expected = numeric_gradient(lambda x: REFERENCE[name](x, SOFT, 0.1, WEIGHT, "mean"), logits)
    assert_gradient_close(gradient, expected, tolerance=5e-6)


@pytest.mark.parametrize("name", ["CE", "BCE"])
def test_loss_auxiliary_logits_are_weighted_by_aux_factor(name, both_modes):
    both = (to_tensor(LOGITS), to_tensor(AUXILIARY))
    main = REFERENCE[name](LOGITS, INDICES, 0, np.ones(C), "mean")
    auxiliary = REFERENCE[name](AUXILIARY, INDICES, 0, np.ones(C), "mean")
    weighted = create_loss(name, aux_factor=0.3)(both, to_tensor(INDICES))
    np.testing.assert_allclose(float(weighted), main + 0.3 * auxiliary, rtol=1e-6)
    np.testing.assert_allclose(float(create_loss(name)(both, to_tensor(INDICES))), main, rtol=1e-6)


@pytest.mark.parametrize("name", ["CE", "BCE"])
def test_loss_float16_logits_are_computed_in_float32(name):
    logits = (300 * LOGITS).astype(np.float16)  # their exponentials leave half precision's range
    result = create_loss(name)(ms.Tensor(logits), to_tensor(INDICES))
    assert result.dtype == ms.float32
    wide = create_loss(name)(ms.Tensor(logits.astype(np.float32)), to_tensor(INDICES))
    assert np.isfinite(float(wide)) and float(result) == float(wide)


def test_bce_pos_weight_scales_positive_term():
    result = BinaryCrossEntropySmooth(pos_weight=WEIGHT, reduction="none")(to_tensor(LOGITS), to_tensor(SOFT))
    p = 1 / (1 + np.exp(-LOGITS))
    expected = -(WEIGHT * SOFT * np.log(p) + (1 - SOFT) * np.log(1 - p))
    np.testing.assert_allclose(result.asnumpy(), expected, rtol=2e-6, atol=5e-7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "BCEE"}, "unknown loss 'BCEE'; did you mean 'bce'"),
        ({"label_smoothing": 1.0}, "label smoothing is 1.0; it must be at least 0 and below 1"),
        ({"aux_factor": -1}, "aux_factor is -1; it must be at least 0"),
        ({"reduction": "max"}, "reduction must be"),
        ({"weight": [[1.0]]}, "one number per class"),
    ],
)
def test_create_loss_invalid_argument_raises(arguments, message):
    with pytest.raises(ValueError, match=message):
        create_loss(**arguments)


@pytest.mark.parametrize(
    ("weight", "labels", "message"),
    [
        (None, np.zeros(B + 1, np.int32), "labels must be"),
        (None, np.zeros((B, C + 1)), "labels must be"),
        (np.ones(C + 1), INDICES, "class weights"),
    ],
)
def test_loss_mismatched_shapes_raise(weight, labels, message, both_modes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a failed compilation writes its graph to the working directory
    with pytest.raises(ValueError, match=message):
        create_loss(weight=weight)(to_tensor(LOGITS), to_tensor(labels))


@pytest.mark.parametrize("name", ["CE", "BCE", "asl_single_label", "jsd"])
def test_loss_label_out_of_range_is_nan(name, both_modes):
    value_and_grad = ms.value_and_grad(create_loss(name, label_smoothing=0.1))
    for label in (-1, C, 2**32 + 3):
        value, gradient = value_and_grad(to_tensor(LOGITS), ms.Tensor([0, 6, label, 3, 1], ms.int64))
        assert np.isnan(float(value))
        assert np.isnan(gradient.asnumpy()[2]).all()


def test_loss_none_label_out_of_range_is_nan_for_that_sample_only():
    losses = create_loss("CE", reduction="none")(to_tensor(LOGITS), ms.Tensor([0, 6, -1, 3, 7], ms.int32)).asnumpy()
    assert np.isnan(losses).tolist() == [False, False, True, False, True]


@pytest.mark.parametrize("dtype", [ms.uint8, ms.int16, ms.int64])
def test_loss_labels_of_any_integer_dtype_give_equal_loss(dtype):
    logits = ms.Tensor(RNG.standard_normal((3, 300)), ms.float32)
    indices = np.array([0, 255, 156]) if dtype == ms.uint8 else np.array([0, 299, 156])  # 156 is -100 as a byte
    assert float(create_loss()(logits, ms.Tensor(indices, dtype))) == pytest.approx(
        float(create_loss()(logits, ms.Tensor(indices, ms.int32))), rel=1e-7
    )


@pytest.mark.parametrize(
    ("ignore_index", "smoothing", "weight", "reduction"),
    [
        (-100, 0.0, None, "mean"),
        (-100, 0.1, WEIGHT, "mean"),
        (255, 0.1, WEIGHT, "none"),
        (3, 0.1, None, "sum"),
        (3, 0.0, WEIGHT, "mean"),
    ],
)
def test_ce_ignore_index_matches_mindspore(ignore_index, smoothing, weight, reduction, both_modes):
    labels = np.array([0, 6, 3, ignore_index, 1], np.int32)
    weights = None if weight is None else to_tensor(weight)
    options = {"reduction": reduction, "label_smoothing": smoothing, "ignore_index": ignore_index}

    def reference(logits):
        return ms.ops.cross_entropy(logits, to_tensor(labels), weights, **options)

    loss = create_loss("CE", weight=weight, **options)
    value, gradient = ms.value_and_grad(loss)(to_tensor(LOGITS), to_tensor(labels))
    expected_value, expected_gradient = ms.value_and_grad(reference)(to_tensor(LOGITS))
    np.testing.assert_allclose(value.asnumpy(), expected_value.asnumpy(), rtol=1e-6, atol=2e-7)
    gradient = gradient.asnumpy()
    np.testing.assert_allclose(gradient, expected_gradient.asnumpy(), rtol=1e-5, atol=1e-6)
    assert not gradient[labels == ignore_index].any()
