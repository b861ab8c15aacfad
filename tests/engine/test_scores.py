import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindcv.engine.scores import EvalStep, Scores
from mindcv.loss import create_loss


def score(logits, labels, loss="CE"):
    """Return the scores of batches whose images are their logits."""
    step = EvalStep(nn.Identity(), create_loss(loss, reduction="none"))
    scores = Scores(logits[0].shape[1])
    for batch, label in zip(logits, labels, strict=True):
        scores.update(step(Tensor(batch, ms.float32), Tensor(label, ms.int32)))
    return scores.eval()


def test_scores_equal_those_computed_by_numpy():
    rng = np.random.default_rng(0)
    logits, labels = rng.standard_normal((3, 20, 30)), rng.integers(0, 30, (3, 20))
    scores = score(logits, labels)
    logits, labels = logits.reshape(60, 30), labels.reshape(60)
    order = np.argsort(-logits, axis=1)
    assert scores["top_1"] == pytest.approx(100 * (order[:, 0] == labels).mean())
    assert scores["top_5"] == pytest.approx(100 * (order[:, :5] == labels[:, None]).any(1).mean())
    losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(60), labels]
    assert scores["loss"] == pytest.approx(losses.mean(), rel=1e-6)


def test_scores_leave_out_images_labelled_minus_1():
    rng = np.random.default_rng(1)
    logits, labels = rng.standard_normal((1, 9, 30)), rng.integers(0, 30, (1, 9))
    filled = np.concatenate([logits, rng.standard_normal((1, 3, 30))], 1)
    filled[0, -1] = np.nan
    marked = np.concatenate([labels, [[-1, -1, -1]]], 1)
    assert score(filled, marked) == pytest.approx(score(logits, labels), rel=1e-6)


@pytest.mark.parametrize("name", ["CE", "BCE"])
@pytest.mark.parametrize("label", [-2, -100, 30])
def test_scores_with_a_label_out_of_range_have_a_nan_loss(name, label):
    assert np.isnan(score(np.zeros((1, 3, 30)), np.array([[0, label, 1]]), name)["loss"])
    assert np.isfinite(score(np.zeros((1, 3, 30)), np.array([[0, -1, 1]]), name)["loss"])


def test_scores_with_equal_logits_predict_the_first_class():
    assert score(np.zeros((1, 6, 6)), np.arange(6)[None])["top_1"] == pytest.approx(100 / 6)


def test_scores_with_nan_logits_count_no_image_as_right():
    scores = score(np.full((1, 6, 6), np.nan), np.arange(6)[None])
    assert scores["top_1"] == scores["top_5"] == 0


@pytest.mark.parametrize(("classes", "has_top_5"), [(4, False), (5, True)])
def test_scores_of_fewer_than_five_classes_have_no_top_5(classes, has_top_5):
    assert ("top_5" in score(np.eye(classes)[None], np.arange(classes)[None])) == has_top_5


def test_scores_collect_predictions_in_the_order_of_the_images():
    step = EvalStep(nn.Identity(), create_loss("CE", reduction="none"), collect=True)
    scores, alone = Scores(3), Scores(3)
    rng = np.random.default_rng(2)
    logits, labels = rng.standard_normal((2, 4, 3)), np.array([[0, 1, 2, 0], [1, 1, 2, -1]])
    for batch, label in zip(logits, labels, strict=True):
        outputs = step(Tensor(batch, ms.float32), Tensor(label, ms.int32))
        scores.update(*outputs)
        alone.update(outputs[0])
    assert scores.eval() == alone.eval()
    found = scores.predictions
    assert found.labels.tolist() == [0, 1, 2, 0, 1, 1, 2]
    assert found.classes.tolist() == logits.reshape(8, 3).argmax(1)[:7].tolist()
