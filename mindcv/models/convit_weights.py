"""ConViT's published weights, and what its checkpoints look like. Read without importing MindSpore."""

import re
from collections.abc import Collection

from mindcv.models.pretrained_cfg import pretrained_cfg
from mindcv.weights.adapt import FIRST_CONV, Arrays, Change, Shapes
from mindcv.weights.checkpoint_format import CheckpointFormat, has_class_position, num_blocks

WIDTHS = {  # heads, and channels of the tokens, of each variant
    "convit_tiny": (4, 192),
    "convit_tiny_plus": (4, 256),
    "convit_small": (9, 432),
    "convit_small_plus": (9, 576),
    "convit_base": (16, 768),
    "convit_base_plus": (16, 1024),
}
_DEPTH, _LOCAL = 12, 10  # of every variant
_QUERIES = re.compile(r"blocks\.\d+\.attn\.q\.weight$")
_POSITIONAL = ("gating_param", "pos_proj.weight", "pos_proj.bias")


def _identify(weights: Arrays, grid: tuple[int, int] | None) -> str:
    """Return the variant of a ConViT's weights, by shapes, or its width and depth; "" for another family's.

    Without GPSA blocks the position embedding tells, which has a position for each patch and none for the class token.
    """
    kernel, depth, local = weights.get(FIRST_CONV), num_blocks(weights), _num_gpsa(weights)
    if kernel is None or kernel.ndim != 4 or not depth or "cls_token" not in weights:
        return ""
    if not local and has_class_position(weights, grid):
        return ""
    width = len(kernel)
    name = next((name for name, (_heads, dim) in WIDTHS.items() if dim == width), f"a ConViT of width {width}")
    return name if (depth, local) == (_DEPTH, _LOCAL) else f"{name} with depth={depth}, local_up_to_layer={local}"


def _local_up_to_layer(weights: Arrays, shapes: Shapes) -> Change | None:
    """Return how GPSA blocks become MHSA blocks or back: q, k, v, proj stay; position and gate are dropped or fresh.

    `weights` are the checkpoint's arrays and `shapes` those of the model's parameters, by name; neither is changed.
    Returns None if no block that both have differs in kind.
    """
    shared = [name.removesuffix("q.weight") for name in weights if _QUERIES.match(name) and name in shapes]
    positional = {block + part for block in shared for part in _POSITIONAL}
    dropped = {name for name in positional & weights.keys() if name not in shapes}
    fresh = {name for name in positional & shapes.keys() if name not in weights}
    if not dropped and not fresh:
        return None
    effects = ["blocks without positional attention drop it"] * bool(dropped)
    effects += ["new positional attention starts afresh"] * bool(fresh)
    kept = {name: array for name, array in weights.items() if name not in dropped}
    return Change(_num_gpsa(weights), _num_gpsa(shapes), ", ".join(effects), kept, frozenset(fresh))


def _num_gpsa(names: Collection[str]) -> int:
    """Return the number of GPSA blocks among parameters' `names`."""
    return sum(name.endswith("gating_param") for name in names)


CHECKPOINTS = CheckpointFormat(_identify, differences={"local_up_to_layer": _local_up_to_layer})


def _mindcv(name: str, sha256: str, crop_pct: float, top_1: float, top_5: float, device: str = "") -> dict:
    """Return the configuration of one of MindCV's weight files: URL, licence, accuracy, and the model's arguments.

    It has all keys that `get_pretrained_cfg` lists, except "sources". The figures are those of MindCV's model cards.

    Args:
        name: Name of the model.
        sha256: First 8 digits of the file's SHA-256 digest, which are part of the file's name.
        crop_pct: Cropped fraction, 0 to 1, of the resized side in validation.
        top_1: ImageNet-1K accuracy, in per cent.
        top_5: The same of the five most likely classes.
        device: Suffix of the file's name for the device it was trained on, such as "-910v2"; "" for none.
    """
    file = f"{name}-{sha256}{device}.ckpt"
    host = "download-mindspore.osinfra.cn" if device else "download.mindspore.cn"
    return pretrained_cfg(
        "MindCV", "Apache-2.0", file, "gelu_tanh", 1e-7, sha256=sha256, crop_pct=crop_pct, top_1=top_1, top_5=top_5,
        url=f"https://{host}/toolkits/mindcv/convit/{file}",
    )  # fmt: skip


def _authors(name: str, top_1: float) -> dict[str, dict]:
    """Return {"fb": …, "timm": …}, the configurations of the paper's own weights: the authors' file, and timm's copy.

    Where the file is, "fb" says under "url", and "timm" under "hub", as "owner/repository/file" of Hugging Face.

    Args:
        name: Name of the model.
        top_1: ImageNet-1K accuracy in per cent, from the paper's table 1.
    """
    own = "Apache-2.0 (since May 2021; CC BY-NC 4.0, non-commercial, before)"
    file, repository = f"{name}.pth", f"{name}.fb_in1k"
    url, hub = f"https://dl.fbaipublicfiles.com/convit/{file}", f"timm/{repository}/model.safetensors"
    return {
        "fb": pretrained_cfg("the ConViT authors", own, file, "gelu", 1e-6, top_1=top_1, url=url),
        "timm": pretrained_cfg("timm", "Apache-2.0", f"{repository}.safetensors", "gelu", 1e-6, top_1=top_1, hub=hub),
    }


# Published weights of each variant, by source; `pretrained=True` selects "mindcv".
_sources = {
    "convit_tiny": {
        "mindcv": _mindcv("convit_tiny", "e31023f2", 0.875, 73.66, 91.72),
        "mindcv-910v2": _mindcv("convit_tiny", "1961717e", 0.875, 73.79, 91.70, device="-910v2"),
        **_authors("convit_tiny", 73.1),
    },
    "convit_tiny_plus": {"mindcv": _mindcv("convit_tiny_plus", "e9d7fb92", 0.87, 77.00, 93.60)},
    "convit_small": {
        "mindcv": _mindcv("convit_small", "ba858604", 0.915, 81.63, 95.59),
        **_authors("convit_small", 81.3),
    },
    "convit_small_plus": {"mindcv": _mindcv("convit_small_plus", "2352b9f7", 0.93, 81.80, 95.42)},
    "convit_base": {
        "mindcv": _mindcv("convit_base", "c61b808c", 0.93, 82.10, 95.52),
        **_authors("convit_base", 82.4),
    },
    "convit_base_plus": {"mindcv": _mindcv("convit_base_plus", "5c61c9ce", 0.925, 81.96, 95.04)},
}
default_cfgs = {name: {**sources["mindcv"], "sources": sources} for name, sources in _sources.items()}
