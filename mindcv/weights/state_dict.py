"""State-dict adapters: rename and stack a ConViT's weights between MindCV's and PyTorch's names.

- MindCV's names, which this project uses: separate queries, keys and values (`attn.q.weight`), norms with `gamma` and
  `beta`, and a head named `classifier`.
- PyTorch's names, of the ConViT authors and timm: `attn.qk.weight` (2C, C), q stacked on k, in GPSA, and
  `attn.qkv.weight` (3C, C) in MHSA; norms with `weight` and `bias`; and a head named `head`.

All other names are the same in both.
"""

import re

import numpy as np

MINDCV, PYTORCH = "mindcv", "pytorch"

# Prefixes of the other parts of this project's training checkpoints.
EMA = "ema."
OPTIMIZER = "optimizer."
RUN = "run."
GRID = RUN + "grid"  # rows and columns of patches, int32, which the length of pos_embed does not tell

_NORM = re.compile(r"(^|\.)(norm\d*)\.(weight|bias|gamma|beta)$")
_NORM_NAMES = {
    MINDCV: {"weight": "gamma", "bias": "beta", "gamma": "gamma", "beta": "beta"},
    PYTORCH: {"weight": "weight", "bias": "bias", "gamma": "weight", "beta": "bias"},
}
_STACKED = re.compile(r"^(.*\.)?(qkv|qk)\.(weight|bias)$")
_SEPARATE = re.compile(r"^(.*\.)?([qkv])\.(weight|bias)$")


def layout_of(weights: dict[str, np.ndarray]) -> str:
    """Return whose names `weights` have: MINDCV ("mindcv") or PYTORCH ("pytorch"); MINDCV if they could be either."""
    stacked = any(_STACKED.match(name) for name in weights)
    norms = {match[3] for match in map(_NORM.search, weights) if match}
    return PYTORCH if stacked or norms & {"weight", "bias"} else MINDCV


def to_mindcv(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return a new dictionary of `weights` under MindCV's names.

    Args:
        weights: Arrays under MindCV's or PyTorch's names, without prefixes such as `module.`. Stacked arrays are split
            into views; all others are the same objects in the result.

    Raises:
        ValueError: a stacked array does not divide into queries, keys and values.
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
    """Return a new dictionary of `weights` under PyTorch's names, those of the ConViT authors and timm.

    Args:
        weights: Arrays under MindCV's or PyTorch's names, without prefixes such as `module.`. Queries, keys and values
            are copied into stacked arrays; all others are the same objects in the result.

    Raises:
        ValueError: there are queries without keys or values to stack them with.
    """
    if layout_of(weights) == PYTORCH:
        return dict(weights)
    result = {}
    for name, array in weights.items():
        match = _SEPARATE.match(name)
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
    """Return a norm's or the head's name in `layout`, MINDCV or PYTORCH; other names are returned unchanged."""
    old, new = ("head.", "classifier.") if layout == MINDCV else ("classifier.", "head.")
    if name.startswith(old):
        return new + name[len(old) :]
    return _NORM.sub(lambda match: f"{match[1]}{match[2]}.{_NORM_NAMES[layout][match[3]]}", name)
