"""CE and BCE against the definitions in float64, in both modes."""

import mindspore as ms
import numpy as np
import pytest

from mindcv.loss import BinaryCrossEntropySmooth, create_loss

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
    """Term by term, as the sums in the docstring are written."""
    losses = []
    for row, target in zip(logits, dense(labels), strict=True):
        log_z = np.log(sum(np.exp(row)))
        t = (1 - smoothing) * target + smoothing / C
        losses.append(sum(weight[c] * t[c] * (log_z - row[c]) for c in range(C)))
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


def tensor(array):
    return ms.Tensor(array if array.dtype.kind == "i" else array.astype(np.float32))


@pytest.fixture(params=[ms.GRAPH_MODE, ms.PYNATIVE_MODE], ids=["graph", "pynative"])
def mode(request):
    before = ms.get_context("mode")
    ms.set_context(mode=request.param)
    yield request.param
    ms.set_context(mode=before)


@pytest.mark.parametrize("labels", [INDICES, SOFT], ids=["indices", "soft"])
@pytest.mark.parametrize(
    ("smoothing", "weight", "reduction"), [(0, None, "none"), (0.1, WEIGHT, "mean"), (0.1, WEIGHT, "sum")]
)
@pytest.mark.parametrize("name", ["CE", "BCE"])
def test_loss_is_its_definition(name, smoothing, weight, reduction, labels, mode):
    loss = create_loss(name, weight=weight, reduction=reduction, label_smoothing=smoothing)
    expected = REFERENCE[name](LOGITS, labels, smoothing, np.ones(C) if weight is None else weight, reduction)
    np.testing.assert_allclose(loss(tensor(LOGITS), tensor(labels)).asnumpy(), expected, rtol=2e-6, atol=5e-7)


@pytest.mark.parametrize("name", ["CE", "BCE"])
def test_gradient_is_that_of_the_definition(name, mode):
    loss = create_loss(name, weight=WEIGHT, label_smoothing=0.1)
    logits = LOGITS.copy()
    logits[0] = 0  # as an untrained classifier gives
    gradient = ms.grad(loss)(tensor(logits), tensor(SOFT)).asnumpy()
    expected = np.zeros((B, C))
    for index in np.ndindex(B, C):
        step = np.zeros((B, C))
        step[index] = 1e-5
        ends = [REFERENCE[name](logits + s, SOFT, 0.1, WEIGHT, "mean") for s in (step, -step)]
        expected[index] = (ends[0] - ends[1]) / 2e-5
    assert np.linalg.norm(gradient - expected) <= 5e-6 * np.linalg.norm(expected)


@pytest.mark.parametrize("name", ["CE", "BCE"])
def test_auxiliary_logits_add_their_share(name, mode):
    both = (tensor(LOGITS), tensor(AUXILIARY))
    main = REFERENCE[name](LOGITS, INDICES, 0, np.ones(C), "mean")
    auxiliary = REFERENCE[name](AUXILIARY, INDICES, 0, np.ones(C), "mean")
    weighted = create_loss(name, aux_factor=0.3)(both, tensor(INDICES))
    np.testing.assert_allclose(float(weighted), main + 0.3 * auxiliary, rtol=1e-6)
    np.testing.assert_allclose(float(create_loss(name)(both, tensor(INDICES))), main, rtol=1e-6)


@pytest.mark.parametrize("name", ["CE", "BCE"])
def test_half_precision_logits_are_computed_in_float32(name):
    logits = (300 * LOGITS).astype(np.float16)  # their exponentials leave half precision's range
    result = create_loss(name)(ms.Tensor(logits), tensor(INDICES))
    assert result.dtype == ms.float32
    wide = create_loss(name)(ms.Tensor(logits.astype(np.float32)), tensor(INDICES))
    assert np.isfinite(float(wide)) and float(result) == float(wide)


def test_pos_weight_scales_the_positive_part():
    result = BinaryCrossEntropySmooth(pos_weight=WEIGHT, reduction="none")(tensor(LOGITS), tensor(SOFT))
    p = 1 / (1 + np.exp(-LOGITS))
    expected = -(WEIGHT * SOFT * np.log(p) + (1 - SOFT) * np.log(1 - p))
    np.testing.assert_allclose(result.asnumpy(), expected, rtol=2e-6, atol=5e-7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "BCEE"}, "unknown loss 'BCEE': did you mean 'bce'"),
        ({"label_smoothing": 1.0}, "label smoothing must be in"),
        ({"aux_factor": -1}, "aux_factor must be at least 0"),
        ({"reduction": "max"}, "reduction must be"),
        ({"weight": [[1.0]]}, "one number a class"),
        ({"name": "asl_multi_label", "weight": np.ones(3)}, "the loss asl_multi_label has no weight"),
        ({"name": "asl_multi_label", "label_smoothing": 0.1}, "has no smoothing"),
        ({"name": "asl_multi_label", "reduction": "sum"}, "has no reduction"),
        ({"name": "asl_single_label", "aux_factor": 0.1}, "has no aux_factor"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
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
def test_shapes_that_disagree_are_named(weight, labels, message, mode, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a failed compilation leaves its graph behind
    with pytest.raises(ValueError, match=message):
        create_loss(weight=weight)(tensor(LOGITS), tensor(labels))


@pytest.mark.parametrize("name", ["CE", "BCE", "asl_single_label", "jsd"])
def test_loss_of_a_label_out_of_range_is_nan(name, mode):
    value_and_grad = ms.value_and_grad(create_loss(name, label_smoothing=0.1))
    for label in (-1, C, 2**32 + 3):
        value, gradient = value_and_grad(tensor(LOGITS), ms.Tensor([0, 6, label, 3, 1], ms.int64))
        assert np.isnan(float(value))
        assert np.isnan(gradient.asnumpy()[2]).all()


def test_loss_none_is_nan_for_the_label_out_of_range_alone():
    losses = create_loss("CE", reduction="none")(tensor(LOGITS), ms.Tensor([0, 6, -1, 3, 7], ms.int32)).asnumpy()
    assert np.isnan(losses).tolist() == [False, False, True, False, True]


@pytest.mark.parametrize("dtype", [ms.uint8, ms.int16, ms.int64])
def test_loss_takes_labels_of_any_integer_type(dtype):
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
def test_ignored_labels_are_left_out_as_mindspore_leaves_them_out(ignore_index, smoothing, weight, reduction, mode):
    labels = np.array([0, 6, 3, ignore_index, 1], np.int32)
    weights = None if weight is None else tensor(weight)
    options = {"reduction": reduction, "label_smoothing": smoothing, "ignore_index": ignore_index}

    def reference(logits):
        return ms.ops.cross_entropy(logits, tensor(labels), weights, **options)

    loss = create_loss("CE", weight=weight, **options)
    expected = reference(tensor(LOGITS)).asnumpy()
    np.testing.assert_allclose(loss(tensor(LOGITS), tensor(labels)).asnumpy(), expected, rtol=1e-6, atol=1e-6)
    gradient = ms.grad(loss)(tensor(LOGITS), tensor(labels)).asnumpy()
    np.testing.assert_allclose(gradient, ms.grad(reference)(tensor(LOGITS)).asnumpy(), rtol=1e-5, atol=1e-6)
    assert not gradient[labels == ignore_index].any()


def test_ignore_index_of_a_loss_without_one_is_refused():
    with pytest.raises(ValueError, match="the loss BCE has no ignore_index, so 255 would do nothing"):
        create_loss("BCE", ignore_index=255)
