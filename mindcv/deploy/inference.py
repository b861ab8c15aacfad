"""`infer`: predictions for files, in a table and, asked to, in a file."""

import csv
import glob
import io
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from mindcv.config import Config, ConfigError
from mindcv.data import UnreadableImage
from mindcv.data.datasets.files import EXTENSIONS
from mindcv.deploy.loading import load_model, preprocessor_of
from mindcv.deploy.prediction import Prediction, classify, in_batches
from mindcv.io.files import atomic_write_text, first_bytes, json_object, require_replaceable


def infer(config: Config) -> dict[str, list[Prediction]]:
    """Classify the images that `config.image` names, print a table and write `config.output`, .json or .csv.

    Images that cannot be read are named, and the others go on; the error that tells of them is raised at the end, after
    all else is written.

    Returns:
        For each image, by its path, its likeliest classes.

    Raises:
        ConfigError: an option is missing or wrong.
        FileNotFoundError: no image is there.
        UnreadableImage: some images could not be read; the predictions for the others are written.
        FloatingPointError: the logits are not finite; nothing is printed or written.
    """
    if not config.image:
        raise ConfigError("image: nothing to classify; pass --image FILE, FOLDER or 'PATTERN'")
    output = Path(config.output) if config.output else None
    if output and output.suffix not in _FORMATS:
        raise ConfigError(f"output: got {config.output!r}, wanted a file that ends in {' or '.join(_FORMATS)}")
    if output:
        require_replaceable(output, "predictions of infer.py", _holds_predictions)
    paths = find_images(config.image)
    model, class_names = load_model(config)
    views = preprocessor_of(config, model)
    batch_size = min(config.batch_size, len(paths))
    guesses, failures = {}, {}

    def view(path: str):
        try:
            return views.view(path)
        except (UnreadableImage, OSError) as error:
            return error

    with ThreadPoolExecutor(config.num_parallel_workers) as pool, _bar(len(paths)) as bar:
        for batch in in_batches(paths, batch_size):
            seen = dict(zip(batch, pool.map(view, batch), strict=True))
            failures |= {path: str(result) for path, result in seen.items() if isinstance(result, Exception)}
            seen = {path: result for path, result in seen.items() if path not in failures}
            if seen:
                images = views.batch(list(seen.values()))
                found = classify(model, images, batch_size, config.topk, class_names)
                guesses |= dict(zip(seen, found, strict=True))
            bar.update(len(batch))

    print(table(guesses), end="", flush=True)
    if output:
        atomic_write_text(output, _FORMATS[output.suffix](guesses, failures))
    if failures:
        for reason in failures.values():
            tqdm.write(reason)
        raise UnreadableImage(f"{len(failures)} of {len(paths)} images could not be read; the others are classified")
    return guesses


def find_images(places: Sequence[str]) -> list[str]:
    """The image files at `places`, each once: files as named, folders with all below them, and what patterns match.

    Raises:
        FileNotFoundError: one of the places has no image.
    """
    found = {}
    for place in places:
        if os.path.isfile(place):
            here = [place]
        elif os.path.isdir(place):
            here = _below(Path(place))
        else:
            here = [path for path in sorted(glob.glob(place, recursive=True)) if _is_image(Path(path))]
        if not here:
            raise FileNotFoundError(f"image: no image at {place}: name a file, a folder of images, or a quoted pattern")
        found |= dict.fromkeys(here)
    return list(found)


def _below(folder: Path) -> list[str]:
    paths = (path for path in folder.rglob("*") if _is_image(path))
    return [str(path) for path in sorted(paths) if not any(p.startswith(".") for p in path.relative_to(folder).parts)]


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in EXTENSIONS and path.is_file()


def _bar(images: int) -> tqdm:
    return tqdm(total=images, desc="inference", unit="image", disable=None, leave=False)


def table(guesses: dict[str, list[Prediction]]) -> str:
    """A paragraph for each image: its path, then a line for each class."""
    lines = []
    for path, classes in guesses.items():
        lines += [path, *(f"  {100 * guess.probability:6.2f} %  {guess.name}" for guess in classes)]
    return "".join(f"{line}\n" for line in lines)


def _as_json(guesses: dict[str, list[Prediction]], failures: dict[str, str]) -> str:
    record = {
        "images": [
            {"image": path, "classes": [guess._asdict() for guess in classes]} for path, classes in guesses.items()
        ],
        "unreadable": [{"image": path, "reason": reason} for path, reason in failures.items()],
    }
    return json.dumps(record, indent=2, ensure_ascii=False) + "\n"


def _as_csv(guesses: dict[str, list[Prediction]], failures: dict[str, str]) -> str:
    """A line for each image and class; an image that could not be read has one line, without a class."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for path, classes in guesses.items():
        writer.writerows([path, rank, *guess] for rank, guess in enumerate(classes, 1))
    writer.writerows([path, *[""] * (1 + len(Prediction._fields))] for path in failures)
    return out.getvalue()


def _holds_predictions(path: Path) -> bool:
    if path.suffix == ".csv":
        return first_bytes(path).startswith(f"{','.join(_COLUMNS)}\n".encode())
    return {"images", "unreadable"} == {*json_object(path)}


_COLUMNS = ["image", "rank", *Prediction._fields]
_FORMATS = {".json": _as_json, ".csv": _as_csv}
