"""Scores by class, from what a model predicts for every image of a validation set."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mindcv.io.files import archive_foreign, atomic_write_text, first_bytes
from mindcv.io.pictures import as_label, save_figures
from mindcv.io.tables import csv_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BINS = 15  # as in C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017
_MATRIX_CLASSES = 40  # up to so many, the confusion matrix is written as a matrix
_DRAWN_PAIRS = 30
_LONGEST_NAME = 40  # characters of a class's name in a figure
_HEADERS = {
    "per_class.csv": "class,images,precision,recall,f1",
    "confusion.csv": "class,",
    "predictions.csv": "image,class,prediction,probability",
}


class Predictions(NamedTuple):
    """The most probable class of every image, in the order of the images.

    Attributes:
        labels: The right classes, (N,) int.
        classes: The predicted ones, (N,) int.
        probabilities: Of the predicted ones, (N,) float64, 0 to 1.
    """

    labels: np.ndarray
    classes: np.ndarray
    probabilities: np.ndarray


def predictions_of(logits: np.ndarray, labels: np.ndarray) -> Predictions:
    """Return the predictions of a batch; images labelled -1, which fill it up, are left out.

    Args:
        logits: (B, classes).
        labels: (B,).
    """
    logits, labels = logits[labels >= 0].astype(np.float64), labels[labels >= 0]
    classes = logits.argmax(1)
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return Predictions(labels, classes, exponentials.max(1) / exponentials.sum(1))


def confusion_matrix(predictions: Predictions, num_classes: int) -> np.ndarray:
    """Return the number of images by right class (row) and predicted class (column), (classes, classes) int64."""
    pairs = predictions.labels.astype(np.int64) * num_classes + predictions.classes
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def scores_by_class(confusion: np.ndarray) -> list[dict[str, float]]:
    """Return "images", and "precision", "recall" and "f1" in per cent, of every class; NaN where there is none.

    Precision has no value for a class that is never predicted, recall for one without images, F1 for one with neither.
    """
    right, images, predicted = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        scores = {"precision": right / predicted, "recall": right / images, "f1": 2 * right / (images + predicted)}
    return [
        {"images": int(images[i]), **{name: 100 * float(values[i]) for name, values in scores.items()}}
        for i in range(len(confusion))
    ]


def calibration_error(predictions: Predictions) -> float:
    """Return the expected calibration error of the predicted classes, in per cent, over 15 bins of probability."""
    bins = np.minimum((predictions.probabilities * _BINS).astype(int), _BINS - 1)
    right = predictions.classes == predictions.labels
    gaps = np.bincount(bins, weights=predictions.probabilities - right, minlength=_BINS)
    return 100 * float(np.abs(gaps).sum() / len(right))


def write_class_scores(folder: Path, predictions: Predictions, class_names: Sequence[str]) -> None:
    """Write per_class.csv, confusion.csv and confusion.png to `folder`, which is created if it is missing.

    Up to 40 classes confusion.csv is a matrix; of more, it has a row for each pair of classes that was confused, the
    most frequent first. Older files of this function are replaced; others of these names are moved to
    `folder`/earlier-N.

    Raises:
        OSError: a file cannot be written.
    """
    confusion = confusion_matrix(predictions, len(class_names))
    folder.mkdir(parents=True, exist_ok=True)
    tables = {
        "per_class.csv": csv_text(
            _HEADERS["per_class.csv"].split(","),
            [
                [name, scores["images"], *("" if scores[key] != scores[key] else f"{scores[key]:.2f}"
                 for key in ("precision", "recall", "f1"))]
                for name, scores in zip(class_names, scores_by_class(confusion), strict=True)
            ],
        ),
        "confusion.csv": _confusion_csv(confusion, class_names),
    }  # fmt: skip
    archive_foreign({folder / name: _writes(name) for name in tables})
    for name, text in tables.items():
        atomic_write_text(folder / name, text)
    save_figures({folder / "confusion.png": confusion_figure(confusion, class_names)}, dpi=150)


def write_predictions(path: Path, predictions: Predictions, images: Sequence[str], class_names: Sequence[str]) -> None:
    """Write a CSV file with a row for each image: its path, its class, the predicted class and its probability."""
    rows = [
        [image, class_names[label], class_names[predicted], f"{probability:.6f}"]
        for image, label, predicted, probability in zip(images, *predictions, strict=True)
    ]
    atomic_write_text(path, csv_text(_HEADERS["predictions.csv"].split(","), rows))


def is_predictions_file(path: Path) -> bool:
    """Return whether `write_predictions` wrote `path`, judged by its first line; False if it cannot be read."""
    return _writes("predictions.csv")(path)


def confused_pairs(confusion: np.ndarray) -> list[tuple[int, int, int]]:
    """Return (right class, predicted class, images) of all pairs of different classes, the most frequent first."""
    wrong = confusion - np.diag(np.diag(confusion))
    rows, columns = np.nonzero(wrong)
    order = np.argsort(-wrong[rows, columns], kind="stable")
    return [(int(rows[i]), int(columns[i]), int(wrong[rows[i], columns[i]])) for i in order]


def confusion_figure(confusion: np.ndarray, class_names: Sequence[str]) -> "Figure":
    """Return a matplotlib figure of the confusion matrix; of more than 40 classes, of the most confused pairs."""
    from matplotlib.figure import Figure

    count, class_names = len(class_names), [as_label(name, _LONGEST_NAME) for name in class_names]
    if count > _MATRIX_CLASSES:
        pairs = confused_pairs(confusion)[:_DRAWN_PAIRS]
        figure = Figure(figsize=(9, 1.2 + 0.24 * max(len(pairs), 1)), layout="constrained")
        axes = figure.subplots()
        labels = [f"{class_names[right]} → {class_names[predicted]}" for right, predicted, _ in pairs]
        axes.barh(range(len(pairs)), [images for *_, images in pairs], color="#31688e")
        axes.set_yticks(range(len(pairs)), labels, fontsize=8)
        axes.invert_yaxis()
        axes.set(xlabel="images", title="The most confused pairs: class → prediction")
        return figure
    side = 2.2 + max(0.36 * count, 2.5)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.subplots()
    shares = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    drawn = axes.imshow(shares, cmap="viridis", vmin=0, vmax=1)
    for (row, column), images in np.ndenumerate(confusion):
        if images:
            colour = "black" if shares[row, column] > 0.6 else "white"
            axes.text(column, row, images, ha="center", va="center", fontsize=7, color=colour)
    axes.set_xticks(range(count), class_names, rotation=90, fontsize=8)
    axes.set_yticks(range(count), class_names, fontsize=8)
    axes.set(xlabel="prediction", ylabel="class", title="Images by class and prediction")
    figure.colorbar(drawn, ax=axes, shrink=0.7, label="share of the class")
    return figure


def _confusion_csv(confusion: np.ndarray, class_names: Sequence[str]) -> str:
    """Return the confusion matrix as CSV; of more than 40 classes, the confused pairs."""
    if len(class_names) > _MATRIX_CLASSES:
        rows = [[class_names[i], class_names[j], images] for i, j, images in confused_pairs(confusion)]
        return csv_text(["class", "prediction", "images"], rows)
    rows = [[name, *row] for name, row in zip(class_names, confusion.tolist(), strict=True)]
    return csv_text(["class", *class_names], rows)


def _writes(name: str):
    """Return a function that says whether an existing file is one that this module writes under `name`."""
    return lambda path: first_bytes(path).startswith(_HEADERS[name].encode())
