"""Whose names the weights bear, and the names of what this project puts beside them.

Two sets of names are known. MindCV's, the project's own: queries, keys and values each alone (`attn.q.weight`), norms
with `gamma` and `beta`, the head called `classifier`. And PyTorch's, the ConViT authors' and timm's: `attn.qk.weight`
(2C, C) is q stacked on k in GPSA, `attn.qkv.weight` (3C, C) all three in MHSA; norms have `weight` and `bias`; the head
is called `head`. All other names are the same.
"""

import re

import numpy as np

MINDCV, PYTORCH = "mindcv", "pytorch"

# This project's training checkpoints hold the weights under their own names, and the rest under these.
EMA = "ema."
OPTIMIZER = "optimizer."
RUN = "run."
GRID = RUN + "grid"  # rows and columns of patches, int32: what pos_embed's length alone does not tell

_NORM = re.compile(r"(^|\.)(norm\d*)\.(weight|bias|gamma|beta)$")
_NORM_IN = {
    MINDCV: {"weight": "gamma", "bias": "beta", "gamma": "gamma", "beta": "beta"},
    PYTORCH: {"weight": "weight", "bias": "bias", "gamma": "weight", "beta": "bias"},
}
_STACKED = re.compile(r"^(.*\.)?(qkv|qk)\.(weight|bias)$")
_ALONE = re.compile(r"^(.*\.)?([qkv])\.(weight|bias)$")


def layout_of(weights: dict[str, np.ndarray]) -> str:
    """MINDCV or PYTORCH, by the names of `weights`; names that tell neither are taken as they are, for MINDCV."""
    stacked = any(_STACKED.match(name) for name in weights)
    norms = {match[3] for match in map(_NORM.search, weights) if match}
    return PYTORCH if stacked or norms & {"weight", "bias"} else MINDCV


def to_mindcv(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """`weights` under MindCV's names, whichever they bear.

    Raises:
        ValueError: stacked queries, keys and values do not divide.
    """
    if layout_of(weights) == MINDCV:
        return dict(weights)
    result = {}
    for name, array in weights.items():
        name = _renamed(name, MINDCV)
        match = _STACKED.match(name)
        if not match:
            result[name] = array
            continue
        prefix, letters, kind = match.groups(default="")
        if not array.ndim or len(array) % len(letters):
            raise ValueError(f"{name} {array.shape} does not divide into {', '.join(letters)}")
        for letter, part in zip(letters, np.split(array, len(letters)), strict=True):
            result[f"{prefix}{letter}.{kind}"] = part
    return result


def to_pytorch(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """`weights` under the authors' and timm's names, whichever they bear.

    Raises:
        ValueError: queries, keys or values lack their companions.
    """
    if layout_of(weights) == PYTORCH:
        return dict(weights)
    result = {}
    for name, array in weights.items():
        match = _ALONE.match(name)
        if not match:
            result[_renamed(name, PYTORCH)] = array
            continue
        prefix, letter, kind = match.groups(default="")
        letters = "qk" if f"{prefix}gating_param" in weights else "qkv"
        if letter not in letters:
            result[name] = array
        elif letter == "q":
            parts = [f"{prefix}{other}.{kind}" for other in letters]
            if missing := [part for part in parts if part not in weights]:
                raise ValueError(f"there is {name} but no {missing[0]} to stack it on")
            result[f"{prefix}{letters}.{kind}"] = np.concatenate([weights[part] for part in parts])
    return result


def _renamed(name: str, layout: str) -> str:
    """A norm's or the head's name in `layout`; other names as they are."""
    old, new = ("head.", "classifier.") if layout == MINDCV else ("classifier.", "head.")
    if name.startswith(old):
        return new + name[len(old) :]
    return _NORM.sub(lambda match: f"{match[1]}{match[2]}.{_NORM_IN[layout][match[3]]}", name)
