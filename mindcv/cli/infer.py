"""`infer.py` and `mindcv infer`: classify image files, print a table and write the predictions to a file."""

import glob
import json
import logging
import os
import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mindcv.cli.loading import load_model, preprocessor_of
from mindcv.config import Config, ConfigError
from mindcv.data import UnreadableImage, usable_workers
from mindcv.data.datasets.files import skipped_kind, skipped_line, walk
from mindcv.data.image_decode import limit_image_pixels
from mindcv.deploy.engines import create_engine, require_engine
from mindcv.deploy.prediction import Prediction, classify, crop_batches
from mindcv.errors import printable
from mindcv.io.bars import tqdm
from mindcv.io.files import atomic_write_text, first_bytes, json_object, require_replaceable
from mindcv.io.tables import csv_text

_log = logging.getLogger("mindcv")

_COLUMNS = ["image", "rank", *Prediction._fields]


def infer(config: Config) -> dict[str, list[Prediction]]:
    """Classify the images that `config.image` names, print a table, and write `config.output` (.json or .csv) if given.

    Unreadable images are skipped, and reported by an error once everything else is printed and written. If another
    error ends the work, the predictions made before it are printed and written. Only an older file of predictions is
    replaced. Bytes of a file name that are not UTF-8 are escaped.

    Returns:
        The `config.topk` most probable classes of each image, by its path, most probable first.

    Raises:
        ConfigError: an option is missing or wrong.
        FileNotFoundError: one of the places has no image.
        ValueError, OSError: the checkpoint is unusable, or `config.output` is another file or cannot be written.
        ValueError, TypeError, ExportError: `config.engine` cannot compute the model.
        UnreadableImage: some images could not be read; the predictions for the others are written.
        FloatingPointError: the logits of a batch are not finite.
    """
    if not config.image:
        raise ConfigError("image: nothing to classify; pass --image FILE, FOLDER or 'PATTERN'")
    output = Path(config.output) if config.output else None
    if output and output.suffix not in _FORMATTERS:
        raise ConfigError(f"output: got {config.output!r}, wanted a file that ends in {' or '.join(_FORMATTERS)}")
    if output:
        require_replaceable(output, "predictions of infer.py", _is_predictions_file)
    require_engine(config.engine)
    limit_image_pixels(config.max_image_pixels)
    paths = find_images(config.image)
    model, class_names = load_model(config)
    preprocessor = preprocessor_of(config, model)
    batch_size = min(config.batch_size, len(paths))
    compute = create_engine(config.engine, model, batch_size)
    predictions: dict[str, list[Prediction]] = {}
    failures: dict[str, str] = {}

    def crop_or_error(path: str):
        """Return the crop of an image, or the error if the image cannot be read."""
        try:
            return preprocessor.crop(path)
        except (UnreadableImage, OSError) as error:
            return error

    try:
        with (
            ThreadPoolExecutor(usable_workers(config.num_parallel_workers)) as pool,
            tqdm(total=len(paths), desc="inference", unit="image", disable=None, leave=False) as bar,
        ):
            for batch, results in crop_batches(pool, crop_or_error, paths, batch_size):
                crops = dict(zip(batch, results, strict=True))
                failures |= {path: str(result) for path, result in crops.items() if isinstance(result, Exception)}
                crops = {path: result for path, result in crops.items() if path not in failures}
                if crops:
                    images = preprocessor.batch(list(crops.values()))
                    classes = classify(compute, model, images, config.topk, class_names)
                    predictions |= dict(zip(crops, classes, strict=True))
                bar.update(len(batch))
    finally:
        if predictions or failures:
            print(as_table(predictions), end="", flush=True)
            if output:
                atomic_write_text(output, _FORMATTERS[output.suffix](predictions, failures))
    if failures:
        for reason in failures.values():
            tqdm.write(reason)
        raise UnreadableImage(f"{len(failures)} of {len(paths)} images could not be read; the others are classified")
    return predictions


def find_images(places: Sequence[str]) -> list[str]:
    """Return the paths of the image files at `places`, each once, in the order of the places and sorted within each.

    Logs one warning that counts the other files in a folder, or among the matches of a pattern, by kind.

    Args:
        places: Files (taken whatever their suffix), folders (searched recursively, hidden files left out), and glob
            patterns, in which `**` stands for any number of folders.

    Raises:
        FileNotFoundError: one of the places has no image.
    """
    found: dict[str, None] = {}
    skipped: Counter[str]
    for place in places:
        if os.path.isfile(place):
            paths, skipped = [place], Counter()
        elif os.path.isdir(place):
            paths, skipped = _images_below(place)
        else:
            matches = [Path(path) for path in sorted(glob.glob(place, recursive=True)) if not os.path.isdir(path)]
            paths = [str(path) for path in matches if not skipped_kind(path)]
            skipped = Counter(filter(None, map(skipped_kind, matches)))
        if skipped:
            _log.warning("%s", skipped_line(place, skipped))
        if not paths:
            raise FileNotFoundError(f"image: no image at {place}: name a file, a folder of images, or a quoted pattern")
        found |= dict.fromkeys(paths)
    return list(found)


def _images_below(folder: str) -> tuple[list[str], Counter[str]]:
    """Return the sorted paths of all images in `folder` and its subfolders, and how many files of other kinds."""
    below = walk(os.fsencode(folder))
    paths = [Path(folder, os.fsdecode(path), os.fsdecode(name)) for path, contents in below for name in contents.images]
    return list(map(str, sorted(paths))), sum((contents.skipped for _, contents in below), Counter())


def as_table(predictions: dict[str, list[Prediction]]) -> str:
    """Return a line with each image's path, each followed by a line per class: probability in per cent, and name.

    Control characters in paths and names are escaped, and bytes that are not UTF-8.
    """
    lines = []
    for path, classes in predictions.items():
        lines.append(printable(path))
        lines += [f"  {100 * prediction.probability:6.2f} %  {printable(prediction.name)}" for prediction in classes]
    return "".join(f"{line}\n" for line in lines)


def _to_json(predictions: dict[str, list[Prediction]], failures: dict[str, str]) -> str:
    """Return the JSON text {"images": [{"image", "classes": [{"name", "probability", "number"}]}], "unreadable": […]}.

    The entries of "unreadable" are {"image", "reason"}. Classes are sorted by descending probability (0 to 1). A byte
    0xE9 of a path that is not UTF-8 is written as JSON's \\udce9, which Python's `os.fsencode` turns back.
    """
    record = {
        "images": [
            {"image": path, "classes": [prediction._asdict() for prediction in classes]}
            for path, classes in predictions.items()
        ],
        "unreadable": [{"image": path, "reason": reason} for path, reason in failures.items()],
    }
    text = json.dumps(record, indent=2, ensure_ascii=False)
    return re.sub(r"[\x7f-\x9f\ud800-\udfff]", lambda match: f"\\u{ord(match[0]):04x}", text) + "\n"


def _to_csv(predictions: dict[str, list[Prediction]], failures: dict[str, str]) -> str:
    """Return CSV text with a header and the columns image, rank (from 1), name, probability (0 to 1), number (from 0).

    Each image has a row per class, by rank; an image that could not be read has one row, with only its path. Paths and
    names are escaped as in `as_table`.
    """
    rows = [
        [printable(path), rank, *prediction._replace(name=printable(prediction.name))]
        for path, classes in predictions.items()
        for rank, prediction in enumerate(classes, 1)
    ]
    rows += [[printable(path), *[""] * (len(_COLUMNS) - 1)] for path in failures]
    return csv_text(_COLUMNS, rows)


def _is_predictions_file(path: Path) -> bool:
    """Return whether `infer` wrote `path`, judged by its first line (.csv) or its keys (.json); False if unreadable."""
    if path.suffix == ".csv":
        return first_bytes(path).startswith(f"{','.join(_COLUMNS)}\n".encode())
    return {"images", "unreadable"} == {*json_object(path)}


_FORMATTERS = {".json": _to_json, ".csv": _to_csv}
