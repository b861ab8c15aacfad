"""Read PyTorch's checkpoints with PyTorch, without running any code in them."""

import argparse
import io
import pickle
import zipfile

import numpy as np


def parse(data: bytes) -> dict[str, np.ndarray]:
    """Return every tensor in the bytes of a `torch.save` file, by the keys that lead to it, joined by dots.

    Unpickled with `weights_only=True`. In addition `argparse.Namespace` is allowed, a plain record in which the ConViT
    authors' and timm's training scripts save their options. bfloat16 becomes float32.

    Raises:
        ValueError: PyTorch is not installed, the bytes are damaged or not a checkpoint, or they contain objects other
            than tensors and plain values.
    """
    if data[:2] == b"PK":
        _check_zip(data)
    try:
        import torch
    except ImportError:
        raise ValueError(
            "it is a PyTorch file: install PyTorch to read it (pip install torch), or convert it to .safetensors"
        ) from None
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            contents = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ValueError(
            "it holds more than tensors, and unpickling that could run code, so it was not: "
            "save only the model's state_dict()"
        ) from None
    except Exception as error:  # torch raises errors of several classes for a damaged file
        raise ValueError("PyTorch cannot read it") from error
    return dict(_tensors(torch, contents))


def _check_zip(data: bytes) -> None:
    """Raise a ValueError if a zip archive is damaged, which PyTorch does not notice, or is not PyTorch's."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if not any(name.endswith("/data.pkl") for name in archive.namelist()):
                raise ValueError("it is a zip archive, but not a PyTorch file")
            if damaged := archive.testzip():
                raise ValueError(f"the CRC of {damaged} in it is wrong")
    except ValueError:
        raise
    except Exception as error:  # zipfile raises errors of several classes for a damaged archive
        raise ValueError("it is a damaged zip archive") from error


def _tensors(torch, tree, path: tuple[str, ...] = ()):
    """Yield the dotted name and the array of every tensor in nested dictionaries, lists and tuples; skip other values.

    bfloat16 becomes float32.

    Args:
        torch: The module, which is optional and imported by the caller.
        tree: A tensor, or a dictionary, list or tuple.
        path: Keys that lead to `tree`.
    """
    if isinstance(tree, torch.Tensor):
        wide = tree.float() if tree.dtype == torch.bfloat16 else tree
        yield ".".join(path), wide.detach().numpy()
    elif isinstance(tree, dict | list | tuple):
        for key, branch in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from _tensors(torch, branch, (*path, str(key)))
