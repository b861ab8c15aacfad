"""What computes the logits of a prediction: MindSpore, or ONNX Runtime on the CPU."""

import hashlib
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from weakref import WeakKeyDictionary

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from mindcv.deploy import onnx_graph
from mindcv.deploy.export_spec import ExportSpec
from mindcv.deploy.exporting import pynative, require_onnx, verify
from mindcv.device import usable_cores
from mindcv.io.download import get_download_root
from mindcv.io.files import atomic_write
from mindcv.io.lock import locked
from mindcv.models.family import part_of
from mindcv.models.precision import in_half_precision

ENGINES = ("mindspore", "onnxruntime")
Compute = Callable[[np.ndarray], np.ndarray]  # normalised images (B, C, H, W) to logits (B, num_classes), both float32

_loaded: WeakKeyDictionary[nn.Cell, tuple[list[np.ndarray], Compute]] = WeakKeyDictionary()  # with the weights
_log = logging.getLogger("mindcv")


def require_engine(name: str) -> None:
    """Raise a ValueError if there is no engine `name`, or if its packages are not installed."""
    if name not in ENGINES:
        raise ValueError(f"engine is {name!r}; it can be {' or '.join(ENGINES)}")
    if name == "onnxruntime":
        require_onnx("engine onnxruntime needs {missing}, which the extra onnx installs")


def create_engine(name: str, model: nn.Cell, batch_size: int) -> Compute:
    """Return a function that computes the logits of up to `batch_size` images with the engine `name`.

    The model runs in evaluation mode; its own mode is restored.

    Args:
        name: "mindspore", in its current mode and precision, or "onnxruntime", see `onnx_engine`.
        model: Images (B, C, H, W) to logits.
        batch_size: MindSpore always computes so many images, zeros included, so that no second graph is compiled.

    Raises:
        ValueError, TypeError, ExportError: as `require_engine` and `onnx_engine`.
    """
    require_engine(name)
    return onnx_engine(model) if name == "onnxruntime" else partial(_compute_by_mindspore, model, batch_size)


def onnx_engine(model: nn.Cell) -> Compute:
    """Return a function that computes the model's logits by ONNX Runtime, with the weights that it has now.

    The first call for a model writes it as an ONNX graph and verifies that against the model, as `export_model` does. A
    verified graph is kept in `graphs/` of `get_download_root()`, and is not verified again. Later calls in the same
    process return the same function as long as the weights are the same.

    Raises:
        ValueError: the model computes in half precision.
        TypeError: the model's family has no ONNX graph.
        ExportError, FloatingPointError: the graph's outputs differ from the model's, or are not finite.
    """
    if in_half_precision(model):
        raise ValueError("engine onnxruntime computes in float32, the model in half precision: use engine mindspore")
    part_of(model, "write_onnx", "ONNX graph: use engine mindspore")
    weights = [parameter.asnumpy() for parameter in model.get_parameters()]
    if model in _loaded:
        known, compute = _loaded[model]
        if len(known) == len(weights) and all(map(np.array_equal, known, weights)):
            return compute
    compute = _load(model)
    _loaded[model] = [array.copy() for array in weights], compute
    return compute


def _load(model: nn.Cell) -> Compute:
    """Return a function that computes the model's logits by ONNX Runtime, after verifying it unless it was before."""
    spec = ExportSpec.of_model(model, dynamic_batch=True, fp16=False, normalize=None)
    with pynative():
        graph = onnx_graph.build(model, spec).SerializeToString()
        compute = partial(_compute_in_parts, onnx_graph.load(graph), 4 * usable_cores())
        path = _cache_path(model, graph)
        if not _holds(path, graph):
            verify("the graph for ONNX Runtime", model, spec, lambda batches: list(map(compute, batches)))
            _keep(path, graph)
    return compute


def _cache_path(model: nn.Cell, graph: bytes) -> Path | None:
    """Return the path of a verified graph, which may not exist, or None for a user without a home folder.

    Its name changes with the graph, thus with the model's weights and arguments, the size of its images and what is
    written for them, and with what a verification depends on besides: the model's classes and the two runtimes.
    """
    import onnxruntime

    classes = [f"{type(cell).__module__}.{type(cell).__qualname__}" for _, cell in model.cells_and_names()]
    key = hashlib.sha256(f"{ms.__version__} {onnxruntime.__version__} {classes}".encode())
    key.update(graph)
    with suppress(RuntimeError):
        return Path(get_download_root(), "graphs", f"{key.hexdigest()[:32]}.onnx")
    return None


def _holds(path: Path | None, graph: bytes) -> bool:
    """Return whether the file `path` exists and is the graph, complete and undamaged."""
    with suppress(OSError):
        return path is not None and path.read_bytes() == graph
    return False


def _keep(path: Path | None, graph: bytes) -> None:
    """Write a verified graph to `path`, atomically, while other processes wait; warn if it cannot be written."""
    if path is None:
        return
    try:
        with locked(path.with_name(f".{path.name}.lock")), atomic_write(path) as temporary:
            temporary.write_bytes(graph)
    except OSError as error:
        _log.warning("%s: the graph for ONNX Runtime will be verified again", error)


def _compute_in_parts(compute: Compute, size: int, images: np.ndarray) -> np.ndarray:
    """Return the logits of all images, computed for `size` images at a time.

    The activations of few images stay in the caches: on 2 cores, convit_tiny classified 59 images a second in parts of
    8, and 51 in batches of 128.
    """
    return np.concatenate([compute(images[i : i + size]) for i in range(0, len(images), size)])


def _compute_by_mindspore(model: nn.Cell, batch_size: int, images: np.ndarray) -> np.ndarray:
    """Return the model's logits for up to `batch_size` images, padded with zeros to so many; it is restored."""
    padding = np.zeros((batch_size - len(images), *images.shape[1:]), images.dtype)
    training = model.training
    model.set_train(False)
    try:
        return model(Tensor(np.concatenate([images, padding]))).asnumpy()[: len(images)]
    finally:
        model.set_train(training)
