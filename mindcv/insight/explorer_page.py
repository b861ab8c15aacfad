"""An HTML page that shows, for every patch of an image, where the heads of a model attend."""

import base64
import html
import io
import json
import os
import zlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
from mindspore import nn
from PIL import Image

from mindcv.deploy.engines import create_engine
from mindcv.deploy.prediction import as_image_list, classify
from mindcv.deploy.preprocess import Preprocessor, published_preprocessor
from mindcv.insight.gates import gates
from mindcv.insight.maps import AttentionMaps, attention_maps
from mindcv.insight.probe import AttentionProbe
from mindcv.io.files import atomic_write_text, first_bytes

_STEPS = 255
_GENERATOR = b'<meta name="generator" content="mindcv explore">'


class Explorer:
    """An HTML page that needs neither a server nor a network. A notebook displays it.

    Attributes:
        html: The page's text.
        step: The largest step, in attention weight, in which the page stores the maps.
    """

    def __init__(self, page: str, step: float):
        self.html = page
        self.step = step

    def save(self, path: str | os.PathLike) -> None:
        """Write the page to `path` atomically; create missing folders. Raises an OSError that names the file."""
        atomic_write_text(Path(path), self.html)

    def _repr_html_(self) -> str:
        return f'<iframe srcdoc="{html.escape(self.html)}" style="width:100%;height:820px;border:0"></iframe>'


def explorer(
    model: nn.Cell,
    images,
    class_names: Sequence[str] | None = None,
    preprocessor: Preprocessor | None = None,
    title: str = "",
) -> Explorer:
    """Return a page that shows where every head of every layer attends from each patch of images.

    It contains the images as the model sees them, their five most probable classes, the gates, and the content and
    positional maps in 255 steps of each row's largest weight; the mixed maps are computed from these in the browser.
    For a grid of N patches each image takes about layers·heads·N² bytes. The model computes in evaluation mode; its own
    mode is restored.

    Args:
        model: A model that `attention_maps` accepts.
        images: One image or a sequence of them, as for `mindcv.deploy.predict`: paths, Pillow images or uint8 pixels.
        class_names: Names in the order of the logits; None for ImageNet's or "class 3", as in `predict`.
        preprocessor: Resizes, crops and normalises the images; None for that of the model's published weights, or
            ImageNet's.
        title: What the page shows beside its heading; by default the name of the model's class.

    Raises:
        UnreadableImage, FileNotFoundError, ValueError, TypeError: an image or the model cannot be used.
        FloatingPointError: the attention or the logits are not finite.
    """
    AttentionProbe(model)  # a TypeError for a model without attention
    images = as_image_list(images)
    if not images:
        raise ValueError("images is empty: pass one image or more")
    preprocessor = preprocessor or published_preprocessor(model)
    crops = [preprocessor.crop(image) for image in images]
    batch = preprocessor.batch(crops)
    layers = attention_maps(model, batch)
    positional = [layer.position[0] for layer in layers if layer.position is not None]
    layer_gates = iter(gates(model).tolist() if positional else [])
    compute = create_engine("mindspore", model, len(batch))
    top = classify(compute, model, batch, 5, class_names) if model.num_classes else [[]] * len(batch)
    position, steps = _pack(positional)
    pages = []
    for i, (image, crop, classes) in enumerate(zip(images, crops, top, strict=True)):
        content, step = _pack([layer.content[i] for layer in layers])
        steps = max(steps, step)
        name = os.path.basename(image) if isinstance(image, (str, os.PathLike)) else f"image {i + 1}"
        predictions = [[prediction.name, prediction.probability] for prediction in classes]
        pages.append({"name": name, "source": _as_url(crop), "predictions": predictions, "content": content})
    record = {
        "title": title or type(model).__name__,
        "grid": list(model.grid_size),
        "size": list(crops[0].shape[:2]),
        "layers": [_layer(layer, next(layer_gates) if layer.position is not None else None) for layer in layers],
        "position": position,
        "images": pages,
        "step": steps,
    }
    template = files("mindcv.insight").joinpath("explorer.html").read_text(encoding="utf-8")
    return Explorer(template.replace("__DATA__", json.dumps(record).replace("<", "\\u003c")), steps)


def is_explorer(path: Path) -> bool:
    """Return whether `path` is a page of `explorer`; False if it cannot be read."""
    return _GENERATOR in first_bytes(path)


def _layer(maps: AttentionMaps, layer_gates: list[float] | None) -> dict:
    """Return what the page needs to know about a layer: its heads, its tokens, and its gates (None for none)."""
    _, heads, tokens, _ = maps.content.shape
    return {"heads": heads, "tokens": tokens, "gates": layer_gates}


def _pack(maps: Sequence[np.ndarray]) -> tuple[str, float]:
    """Quantise attention maps, each (heads, queries, keys), and compress them.

    Returns:
        Base64 of a zlib stream, with the float32 steps of all rows of a map and then its uint8 values, map after map,
        "" for no maps; and the largest step.
    """
    pieces, largest = [], 0.0
    for values in maps:
        steps = (values.max(-1, keepdims=True) / _STEPS).astype("<f4")
        pieces += [steps.tobytes(), np.rint(values / steps).astype(np.uint8).tobytes()]
        largest = max(largest, float(steps.max()))
    return base64.b64encode(zlib.compress(b"".join(pieces), 9)).decode() if pieces else "", largest


def _as_url(pixels: np.ndarray) -> str:
    """Return uint8 pixels (H, W, 3) as the data URL of a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
