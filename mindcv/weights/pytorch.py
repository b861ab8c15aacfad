"""PyTorch's checkpoints, through PyTorch, which must promise to run nothing that they say."""

import argparse
import io
import pickle
import zipfile

import numpy as np


def parse(data: bytes) -> dict[str, np.ndarray]:
    """Every tensor in what `torch.save` wrote, under the keys that lead to it, joined by dots.

    Unpickled with `weights_only=True`. Beyond what that allows, an `argparse.Namespace` may be in it, as the
    ConViT authors' and timm's training scripts save their options so; it is a plain record.

    Raises:
        ValueError: PyTorch is not installed; the bytes are damaged or no checkpoint; or they hold more than tensors
            and plain values.
    """
    if data[:2] == b"PK":
        _check_zip(data)
    try:
        import torch
    except ImportError:
        raise ValueError(
            "it is a PyTorch file: install PyTorch to read it (pip install torch), or have it as .safetensors"
        ) from None
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            contents = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ValueError(
            "it holds more than tensors, and unpickling that could run code, so it was not: "
            "save the model's state_dict() alone"
        ) from None
    except Exception as error:  # torch raises several kinds for a damaged file
        raise ValueError("PyTorch cannot read it") from error
    return dict(_tensors(torch, contents))


def _check_zip(data: bytes) -> None:
    """Refuse a zip archive that is damaged, which PyTorch would read without a word, or not PyTorch's."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if not any(name.endswith("/data.pkl") for name in archive.namelist()):
                raise ValueError("it is a zip archive, but no PyTorch file")
            if damaged := archive.testzip():
                raise ValueError(f"the CRC of {damaged} in it is wrong")
    except (zipfile.BadZipFile, EOFError) as error:
        raise ValueError("it is a damaged zip archive") from error


def _tensors(torch, tree, path: tuple[str, ...] = ()):
    if isinstance(tree, torch.Tensor):
        wide = tree.float() if tree.dtype == torch.bfloat16 else tree
        yield ".".join(path), wide.detach().numpy()
    elif isinstance(tree, dict | list | tuple):
        for key, branch in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from _tensors(torch, branch, (*path, str(key)))
