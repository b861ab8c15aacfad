"""Models as files that run elsewhere, verified before they are there."""

import json
import logging
import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from mindcv.config import Config, ConfigError
from mindcv.data import Normalize
from mindcv.deploy import mindir, onnx_graph
from mindcv.deploy.export_spec import ExportSpec, form_of
from mindcv.deploy.labels import label
from mindcv.deploy.loading import load_model
from mindcv.deploy.preprocess import OPTIONS
from mindcv.io.files import first_bytes, json_object, require_replaceable
from mindcv.models.finite import require_finite

_log = logging.getLogger("mindcv")

_FORMATS = {"mindir": mindir, "onnx": onnx_graph}
_PRODUCERS = {"mindir": b"\x12\x09MindSpore", "onnx": b"\x12\x06mindcv"}  # a field in a file's first bytes
_TOLERANCE = {False: 1e-5, True: 1e-2}  # relative, in float32 and with half precision


class ExportError(RuntimeError):
    """An exported model does not compute what the model does."""


def export(config: Config) -> Path:
    """Export the model of `config.ckpt_path` as `config.format`, with a JSON that says how to use it; their path.

    Raises:
        ConfigError: an option is missing or wrong.
        ValueError, OSError: the checkpoint is at fault, a package is missing, or the file cannot be written.
        ExportError: see `export_model`.
    """
    path = Path(config.output or f"{config.model}.{config.format}")
    if path.suffix != f".{config.format}":
        raise ConfigError(f"output: got {str(path)!r}, wanted a file that ends in .{config.format}")
    _require_writable(path)
    model, class_names = load_model(config)
    preparation = {name: getattr(config, name) for name in OPTIONS}
    path = export_model(
        model, path, config.dynamic_batch, config.fp16, config.with_preprocess, class_names,
        model_name=config.model, **preparation,
    )  # fmt: skip
    print(f"{path}: verified; {_sidecar(path).name} beside it says how to use it", flush=True)
    return path


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
    """Write `model` to `path`, as MindIR or ONNX by its suffix, and how to use it to `path`.json beside it.

    The file is run on random images first, MindIR by MindSpore and ONNX by ONNX Runtime; neither file appears unless
    its output is the model's within 1e-5 of its norm (1e-2 with `fp16`).

    Args:
        model: A ConViT; any cell with `patch_embed`, `image_size` and `num_classes` for MindIR.
        path: Ends in .mindir or .onnx.
        dynamic_batch, fp16: See `ExportSpec`.
        with_preprocess: The file normalises by `mean` and `std` itself, and so takes uint8 images; see `ExportSpec`.
        class_names: In the order of the logits; by default ImageNet's for 1,000 classes.
        mean, std, crop_pct, interpolation: As `create_transforms` takes them: how images are to be prepared.
        model_name: What the JSON calls the model.

    Raises:
        ValueError: another suffix, a model that cannot be written so, or a package is missing.
        OSError: the file cannot be written, or one of that name is not an exported model.
        ExportError: the file does not compute what the model does.
        FloatingPointError: the model's outputs are not finite.
    """
    path = Path(path)
    kind = path.suffix.removeprefix(".")
    if kind not in _FORMATS:
        raise ValueError(f"got {str(path)!r}; a model is exported to a file that ends in .mindir or .onnx")
    _require_writable(path)
    form = form_of(model, dynamic_batch, fp16, Normalize(mean, std) if with_preprocess else None)
    preparation = {"mean": list(mean), "std": list(std), "crop_pct": crop_pct, "interpolation": interpolation}
    sidecar = _sidecar(path)
    mode = ms.get_context("mode")
    ms.set_context(mode=ms.PYNATIVE_MODE)  # single calls, for which it would not pay to compile a graph
    try:
        with TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as temporary:
            draft = Path(temporary) / path.name
            _FORMATS[kind].write(draft, model, form)
            error = _verified(draft, model, form, _FORMATS[kind].run)
            about = _about(model, form, preparation, class_names, model_name, _FORMATS[kind].VERSION, error)
            (Path(temporary) / sidecar.name).write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", "utf-8")
            for file in (draft, Path(temporary) / sidecar.name):
                os.replace(file, path.parent / file.name)
            _remove_old_sidecar(path, about["format"])
    finally:
        ms.set_context(mode=mode)
    _log.info("%s agrees with the model to %.1e", path, error)
    return path


def _sidecar(path: Path) -> Path:
    """Where it is said how to use the exported model `path`."""
    return path.with_name(f"{path.name}.json")


def _is_sidecar(path: Path) -> bool:
    return {"format", "input", "prepare", "output", "verified"} <= {*json_object(path)}


def _remove_old_sidecar(path: Path, version: str) -> None:
    """Delete the sidecar that an earlier version of this program wrote for `path` as STEM.json: it is out of date."""
    old = path.with_suffix(".json")
    if _is_sidecar(old) and str(json_object(old)["format"]).split()[:1] == version.split()[:1]:
        old.unlink()


def _require_writable(path: Path) -> None:
    """Check that `path` and its sidecar can be written, before the model is built.

    Raises:
        ValueError: a package is missing.
        OSError: the folder is not there, or one of the two files is something else.
    """
    kind = path.suffix.removeprefix(".")
    _check_packages(kind)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} to write {path.name} to: make it first")
    require_replaceable(path, f"a model exported as {kind}", lambda file: _PRODUCERS[kind] in first_bytes(file))
    require_replaceable(_sidecar(path), "the description of an exported model", _is_sidecar)


def _check_packages(kind: str) -> None:
    missing = [name for name in ("onnx", "onnxruntime") if kind == "onnx" and find_spec(name) is None]
    if missing:
        raise ValueError(
            f"export to ONNX needs {' and '.join(missing)} to write and verify it: pip install {' '.join(missing)}"
        )


def _verified(path: Path, model: nn.Cell, form: ExportSpec, run) -> float:
    """How far the output of the file is from the model's, relative to its norm, on random images.

    Raises:
        ExportError: too far.
    """
    batches = [form.random_images(batch) for batch in ((1, 3) if form.dynamic_batch else (1,))]
    training = model.training
    model.set_train(False)
    try:
        wanted = [model(Tensor(form.as_model_takes(images))).asnumpy() for images in batches]
    finally:
        model.set_train(training)
    for outputs in wanted:
        require_finite(outputs, model, "the model's outputs are")
    found = run(path, batches)
    errors = [np.linalg.norm(one - other) / np.linalg.norm(other) for one, other in zip(found, wanted, strict=True)]
    error, limit = float(np.max(errors)), _TOLERANCE[form.fp16]
    if not error <= limit:
        raise ExportError(
            f"{path.name} was not written: its output differs from the model's by {error:.1e} of its norm, "
            f"more than {limit:.0e}" + (": leave out --fp16" if form.fp16 else "")
        )
    return error


def _about(
    model: nn.Cell, form: ExportSpec, preparation: dict, class_names, model_name: str, version: str, error: float
) -> dict:
    height, width = form.image_size
    numbers = "normalised by the model" if form.normalize else "(pixel - mean) / std"
    count = model.num_classes
    return {
        "model": model_name,
        "format": version,
        "input": {
            "name": onnx_graph.INPUT,
            "shape": ["batch" if side is None else side for side in form.shape],
            "layout": "NHWC" if form.normalize else "NCHW",
            "type": str(form.dtype),
            "colours": "RGB" if form.channels == 3 else "grey",
            "values": f"pixels 0 to 255, {numbers}",
        },
        "prepare": {
            "resize": f"so that the image just covers {int(height / preparation['crop_pct'])} x "
            f"{int(width / preparation['crop_pct'])} pixels (height x width), then the centre's {height} x {width}",
            **preparation,
        },
        "output": {
            "name": "logits" if count else "features",
            "shape": ["batch" if form.dynamic_batch else 1, count or model.num_features],
        },
        "precision": "float16 in linear layers" if form.fp16 else "float32",
        "verified": {"relative_error": error, "limit": _TOLERANCE[form.fp16]},
        "labels": [label(number, count, class_names) for number in range(count)],
    }
