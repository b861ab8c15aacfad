"""Models as MindIR, MindSpore's own format."""

from copy import deepcopy
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from mindcv.deploy.export_spec import ExportSpec

VERSION = f"MindIR of MindSpore {ms.__version__}"


def write(path: Path, model: nn.Cell, form: ExportSpec) -> None:
    """Write `model` to `path`, which ends in .mindir."""
    cell = halved(model) if form.fp16 else model
    if form.normalize:
        cell = Normalized(cell, form.normalize.scale, form.normalize.shift)
    cell.set_train(False)
    kind = ms.uint8 if form.normalize else ms.float32
    if form.dynamic_batch:
        images = Tensor(shape=list(form.shape), dtype=kind)
    else:
        images = Tensor(np.zeros(form.shape, form.dtype))
    ms.export(cell, images, file_name=str(path), file_format="MINDIR")
    path.chmod(0o644)  # MindSpore lets its owner alone read it


def run(path: Path, batches: list[np.ndarray]) -> list[np.ndarray]:
    """What the model in `path` gives for each of `batches`."""
    mode = ms.get_context("mode")
    ms.set_context(mode=ms.GRAPH_MODE)
    try:
        cell = nn.GraphCell(ms.load(str(path)))
        return [cell(Tensor(images)).asnumpy() for images in batches]
    finally:
        ms.set_context(mode=mode)


class Normalized(nn.Cell):
    """Images (B, H, W, C) uint8 to what `model` makes of pixel · scale + shift, (B, C, H, W)."""

    def __init__(self, model: nn.Cell, scale: np.ndarray, shift: np.ndarray):
        super().__init__(auto_prefix=False)
        self.model = model
        self.scale, self.shift = Tensor(scale), Tensor(shift)

    def construct(self, images: Tensor) -> Tensor:
        return self.model(images.astype(ms.float32).transpose(0, 3, 1, 2) * self.scale + self.shift)


class HalfDense(nn.Cell):
    """A linear layer whose product is in half precision, from float32 to float32."""

    def __init__(self, dense: nn.Dense):
        super().__init__()
        self.weight = Parameter(Tensor(dense.weight.asnumpy().T.astype(np.float16)), name="weight")
        self.has_bias = dense.has_bias
        if dense.has_bias:
            self.bias = Parameter(Tensor(dense.bias.asnumpy()), name="bias")

    def construct(self, x: Tensor) -> Tensor:
        product = ops.matmul(x.astype(ms.float16), self.weight).astype(ms.float32)
        return product + self.bias if self.has_bias else product


def halved(model: nn.Cell) -> nn.Cell:
    """A copy of `model` with `HalfDense` layers.

    GPSA's `pos_proj` stays: it is never called, its weights alone are read. The patch embedding, whose weight has four
    axes, stays as well.
    """
    copy = deepcopy(model)
    for parent_name, parent in list(copy.cells_and_names()):
        for name, child in parent.name_cells().items():
            if isinstance(child, nn.Dense) and child.weight.ndim == 2 and name != "pos_proj":
                setattr(parent, name, HalfDense(child))
                half = getattr(parent, name)
                for own in ("weight", "bias")[: 1 + half.has_bias]:
                    getattr(half, own).name = ".".join(filter(None, (parent_name, name, own)))
    return copy
