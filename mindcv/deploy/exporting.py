"""Export models to files that run elsewhere, and verify each file before it appears under its name."""

import json
import logging
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from mindcv.data import Normalize
from mindcv.deploy import mindir, onnx_graph
from mindcv.deploy.export_spec import ExportSpec
from mindcv.deploy.labels import class_label
from mindcv.io.files import atomic_write_text, first_bytes, json_object, require_replaceable
from mindcv.models.finite import require_finite

_log = logging.getLogger("mindcv")

_FORMATS = {"mindir": mindir, "onnx": onnx_graph}
_PRODUCERS = {"mindir": b"\x12\x09MindSpore", "onnx": b"\x12\x06mindcv"}  # field 2 of the message, in the first bytes
_TOLERANCE = {False: 1e-5, True: 1e-2}  # of the outputs' error, by `fp16`


class ExportError(RuntimeError):
    """The output of an exported model differs from the original model's."""


def export_model(
    model: nn.Cell,
    path: str | Path,
    dynamic_batch: bool = False,
    fp16: bool = False,
    with_preprocess: bool = False,
    class_names: Sequence[str] | None = None,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    crop_pct: float,
    interpolation: str,
    model_name: str = "",
) -> Path:
    """Write `model` to `path` as MindIR or ONNX, by its suffix, and a description of its use to `path`.json.

    The exported model is run on random images first, MindIR by MindSpore and ONNX by ONNX Runtime. Neither file appears
    unless the outputs differ from the model's by at most 1e-5 of their root mean square or, where that is below 1, by
    at most 1e-5 (1e-2 with `fp16`).

    Older exports of these names are replaced, each file atomically. MindSpore's mode and the model's are restored.

    Args:
        model: A cell with `in_channels`, `image_size` and `num_classes`; for ONNX, one whose family writes its graph.
        path: Ends in .mindir or .onnx.
        dynamic_batch: Accept batches of any size; otherwise one image at a time.
        fp16: Keep the linear layers' weights, and multiply by them, in float16. Input and output stay float32.
        with_preprocess: Normalise by `mean` and `std` inside the exported model, which then takes uint8 images
            (B, H, W, C). Otherwise it takes normalised float32 images (B, C, H, W).
        class_names: In the order of the logits; by default ImageNet's for 1,000 classes. Classes without one are
            "class INDEX".
        mean, std: For each channel, in units of pixel values 0 to 255.
        crop_pct: Side of the centre crop divided by the side of the resized image, in validation.
        interpolation: How validation resizes images: "nearest", "bilinear" or "bicubic".
        model_name: Name of the model in the description.

    Returns:
        `path`.

    Raises:
        ValueError: `path` has another suffix, the model cannot be written in that format, or a package is missing.
        OSError: `path` cannot be written, or one of the two files exists and is not of an exported model.
        ExportError: the exported model's output differs from the model's.
        FloatingPointError: the model's outputs are not finite.
    """
    path = Path(path)
    suffix = path.suffix.removeprefix(".")
    if suffix not in _FORMATS:
        raise ValueError(f"got {str(path)!r}; a model is exported to a file that ends in .mindir or .onnx")
    require_exportable(path)
    spec = ExportSpec.of_model(model, dynamic_batch, fp16, Normalize(mean, std) if with_preprocess else None)
    preparation = {"mean": list(mean), "std": list(std), "crop_pct": crop_pct, "interpolation": interpolation}
    sidecar = sidecar_of(path)
    training = model.training
    try:
        with pynative(), TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as temporary:
            draft = Path(temporary) / path.name
            _FORMATS[suffix].write(draft, model, spec)
            error = verify(path.name, model, spec, partial(_FORMATS[suffix].run, draft))
            about = _describe(model, spec, preparation, class_names, model_name, _FORMATS[suffix].VERSION, error)
            atomic_write_text(Path(temporary) / sidecar.name, json.dumps(about, indent=2, ensure_ascii=False) + "\n")
            for file in (draft, Path(temporary) / sidecar.name):
                os.replace(file, path.parent / file.name)
            _remove_old_sidecar(path, about["format"])
    finally:
        model.set_train(training)
    _log.info("%s agrees with the model to %.1e", path, error)
    return path


@contextmanager
def pynative() -> Iterator[None]:
    """Run a `with` block in PyNative mode: compiling a graph does not pay off for a call or two of a model."""
    mode = ms.get_context("mode")
    ms.set_context(mode=ms.PYNATIVE_MODE)
    try:
        yield
    finally:
        ms.set_context(mode=mode)


def sidecar_of(path: Path) -> Path:
    """Return the path of the JSON file that describes the use of the exported model `path`, such as model.onnx.json."""
    return path.with_name(f"{path.name}.json")


def _is_sidecar(path: Path) -> bool:
    """Return whether `export_model` wrote the JSON file `path`, judged by its keys; False if it cannot be read."""
    return {"format", "input", "prepare", "output", "verified"} <= {*json_object(path)}


def _remove_old_sidecar(path: Path, version: str) -> None:
    """Delete STEM.json if an earlier version of this program wrote it for `path` and the format of `version`.

    `version`, such as "ONNX opset 17", is compared with the file's "format" by the first word.
    """
    old = path.with_suffix(".json")
    if _is_sidecar(old) and str(json_object(old)["format"]).split()[:1] == version.split()[:1]:
        old.unlink()


def require_exportable(path: Path) -> None:
    """Check that a model can be exported to the .mindir or .onnx file `path`, without losing another file.

    Raises:
        ValueError: a package is missing.
        OSError: the folder does not exist or cannot be written to, or `path` or its sidecar exists and is something
            else.
    """
    suffix = path.suffix.removeprefix(".")
    if suffix == "onnx":
        require_onnx("export to ONNX needs {missing} to write and verify it")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} to write {path.name} to: make it first")
    require_replaceable(path, f"a model exported as {suffix}", lambda file: _PRODUCERS[suffix] in first_bytes(file))
    require_replaceable(sidecar_of(path), "the description of an exported model", _is_sidecar)


def require_onnx(message: str) -> None:
    """Raise a ValueError of this message, with the names of the packages for "{missing}", if ONNX cannot be used."""
    if missing := [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]:
        raise ValueError(f"{message.format(missing=' and '.join(missing))}: pip install {' '.join(missing)}")


def verify(name: str, model: nn.Cell, spec: ExportSpec, run: Callable) -> float:
    """Return the largest error of the exported model's outputs on random images.

    A batch's error is the root mean square of the differences, divided by that of the outputs where it is above 1: an
    untrained model's logits may be near 0, and rounding errors large beside them. The batches have 1 and, if the size
    is dynamic, 3 images. `model` runs in evaluation mode; its mode is restored.

    Args:
        name: Of the exported model, for the message.
        model: The original.
        spec: What the exported model is for.
        run: Maps batches of images to the exported model's outputs.

    Raises:
        ExportError: the error is above the tolerance, or NaN.
        FloatingPointError: an output of `model` is not finite.
    """
    batches = [spec.random_images(size) for size in ((1, 3) if spec.dynamic_batch else (1,))]
    training = model.training
    model.set_train(False)
    try:
        expected = [model(Tensor(spec.to_model_input(images))).asnumpy() for images in batches]
    finally:
        model.set_train(training)
    for outputs in expected:
        require_finite(outputs, model, "the model's outputs are")
    pairs = zip(run(batches), expected, strict=True)
    errors = [_rms(actual - wanted) / max(1, _rms(wanted)) for actual, wanted in pairs]
    error, limit = float(np.max(errors)), _TOLERANCE[spec.fp16]
    if not error <= limit:  # NaN included
        raise ExportError(
            f"{name} was not written: its output differs from the model's by {error:.1e}, "
            f"more than {limit:.0e}" + (": leave out --fp16" if spec.fp16 else "")
        )
    return error


def _rms(array: np.ndarray) -> float:
    """Return the root mean square of `array`."""
    return float(np.linalg.norm(array)) / math.sqrt(array.size)


def _describe(
    model: nn.Cell, spec: ExportSpec, preparation: dict, class_names, model_name: str, version: str, error: float
) -> dict:
    """Return the contents of the sidecar: model, format, input, prepare, output, precision, verified, labels.

    Args:
        model: The exported model.
        spec: What the model was written for.
        preparation: mean, std, crop_pct and interpolation, by name.
        class_names: In the order of the logits; None for ImageNet's for 1,000 classes, else "class INDEX".
        model_name: Name of the model, may be "".
        version: `VERSION` of the format's module.
        error: What `verify` returned.
    """
    height, width = spec.image_size
    scaling = "normalised by the model" if spec.normalize else "(pixel - mean) / std"
    num_classes = model.num_classes
    return {
        "model": model_name,
        "format": version,
        "input": {
            "name": onnx_graph.INPUT,
            "shape": ["batch" if side is None else side for side in spec.shape],
            "layout": "NHWC" if spec.normalize else "NCHW",
            "type": str(spec.dtype),
            "colours": "RGB" if spec.channels == 3 else "grey",
            "values": f"pixels 0 to 255, {scaling}",
        },
        "prepare": {
            "resize": f"so that the image just covers {int(height / preparation['crop_pct'])} x "
            f"{int(width / preparation['crop_pct'])} pixels (height x width), then the centre's {height} x {width}",
            **preparation,
        },
        "output": {
            "name": "logits" if num_classes else "features",
            "shape": ["batch" if spec.dynamic_batch else 1, num_classes or model.num_features],
        },
        "precision": "float16 in linear layers" if spec.fp16 else "float32",
        "verified": {"relative_error": error, "limit": _TOLERANCE[spec.fp16]},
        "labels": [class_label(index, num_classes, class_names) for index in range(num_classes)],
    }
