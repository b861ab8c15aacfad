"""Scores by class against figures counted by hand."""

import csv

import numpy as np
import pytest

from mindcv.engine import class_scores
from mindcv.engine.class_scores import Predictions, calibration_error, confusion_matrix, scores_by_class

NAMES = ["cat", "dog", "owl"]
# right class and prediction of six images: three cats, of which one is taken for a dog, two dogs, one for an owl; no
# owl is an image
PREDICTIONS = Predictions(
    np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 2]), np.array([0.9, 0.8, 0.6, 0.95, 0.51], np.float64)
)


def test_predictions_of_a_batch_are_the_most_probable_classes_without_filling():
    logits = np.log(np.array([[0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8]], np.float32))
    found = class_scores.predictions_of(logits, np.array([2, 0, -1]))
    assert found.labels.tolist() == [2, 0]
    assert found.classes.tolist() == [1, 0]
    np.testing.assert_allclose(found.probabilities, [0.7, 0.6], rtol=1e-6)


def test_confusion_matrix_counts_images_by_class_and_prediction():
    assert confusion_matrix(PREDICTIONS, 3).tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 0]]


def test_scores_by_class_are_precision_recall_and_f1_in_per_cent():
    cat, dog, owl = scores_by_class(confusion_matrix(PREDICTIONS, 3))
    assert cat == pytest.approx({"images": 3, "precision": 100, "recall": 200 / 3, "f1": 80})
    assert dog == pytest.approx({"images": 2, "precision": 50, "recall": 50, "f1": 50})
    assert (owl["images"], owl["precision"], owl["f1"]) == (0, 0, 0)
    assert np.isnan(owl["recall"])


def test_calibration_error_is_the_mean_gap_between_probability_and_accuracy():
    # bins of 1/15: 0.9 and 0.95 in the 14th and 15th, 0.8 in the 13th, 0.6 in the 10th, 0.51 in the 8th, one image each
    gaps = [1 - 0.9, 1 - 0.8, 0.6, 1 - 0.95, 0.51]
    assert calibration_error(PREDICTIONS) == pytest.approx(100 * sum(gaps) / 5)
    certain = Predictions(np.array([0, 1]), np.array([0, 0]), np.array([0.5, 0.5]))
    assert calibration_error(certain) == pytest.approx(0)
    assert calibration_error(certain._replace(probabilities=np.ones(2))) == pytest.approx(50)


def test_write_class_scores_writes_tables_and_a_picture_and_keeps_foreign_files(tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "per_class.csv").write_text("mine")
    for _ in range(2):
        class_scores.write_class_scores(tmp_path, PREDICTIONS, NAMES)
    assert (tmp_path / "earlier-1/per_class.csv").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "confusion.csv", "confusion.png", "earlier-1", "per_class.csv",
    ]  # fmt: skip
    rows = list(csv.reader((tmp_path / "per_class.csv").open()))
    assert rows[0] == ["class", "images", "precision", "recall", "f1"]
    assert rows[1] == ["cat", "3", "100.00", "66.67", "80.00"]
    assert rows[3] == ["owl", "0", "0.00", "", "0.00"]
    rows = list(csv.reader((tmp_path / "confusion.csv").open()))
    assert rows == [["class", *NAMES], ["cat", "2", "1", "0"], ["dog", "0", "1", "1"], ["owl", "0", "0", "0"]]


def test_write_class_scores_of_many_classes_lists_the_most_confused_pairs(tmp_path):
    pytest.importorskip("matplotlib")
    names = [f"class {i}" for i in range(41)]
    many = Predictions(np.array([0, 0, 0, 5]), np.array([1, 1, 0, 7]), np.full(4, 0.5))
    class_scores.write_class_scores(tmp_path, many, names)
    rows = list(csv.reader((tmp_path / "confusion.csv").open()))
    assert rows == [["class", "prediction", "images"], ["class 0", "class 1", "2"], ["class 5", "class 7", "1"]]
    figure = class_scores.confusion_figure(confusion_matrix(many, 41), names)
    [axes] = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["class 0 → class 1", "class 5 → class 7"]
    assert [bar.get_width() for bar in axes.patches] == [2, 1]


def test_confusion_figure_of_few_classes_writes_the_counts():
    pytest.importorskip("matplotlib")
    axes, _bar = class_scores.confusion_figure(confusion_matrix(PREDICTIONS, 3), NAMES).axes
    assert {(t.get_position(), t.get_text()) for t in axes.texts} == {
        ((0, 0), "2"), ((1, 0), "1"), ((1, 1), "1"), ((2, 1), "1"),
    }  # fmt: skip


def test_write_predictions_has_a_row_for_each_image(tmp_path):
    path = tmp_path / "predictions.csv"
    class_scores.write_predictions(path, PREDICTIONS, [f"{i}, a.jpg" for i in range(5)], NAMES)
    rows = list(csv.DictReader(path.open()))
    assert len(rows) == 5
    assert rows[2] == {"image": "2, a.jpg", "class": "cat", "prediction": "dog", "probability": "0.600000"}
    assert class_scores.is_predictions_file(path)


def test_write_class_scores_takes_any_name_of_a_folder(tmp_path):
    pytest.importorskip("matplotlib")
    names = ["$5_{bill$", "one\ntwo", "caf\udce9", "_" * 300]
    class_scores.write_class_scores(tmp_path, PREDICTIONS, names)
    assert (tmp_path / "confusion.png").exists()
    rows = list(csv.reader((tmp_path / "per_class.csv").open(encoding="utf-8")))
    assert [row[0] for row in rows[1:]] == [*names[:2], "caf\\udce9", names[3]]
