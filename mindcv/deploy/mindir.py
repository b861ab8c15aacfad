"""Write and run models as MindIR, MindSpore's own format."""

from copy import deepcopy
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from mindcv.deploy.export_spec import ExportSpec

VERSION = f"MindIR of MindSpore {ms.__version__}"


def write(path: Path, model: nn.Cell, spec: ExportSpec) -> None:
    """Write `model`, without a softmax after its outputs, to `path`, which ends in .mindir; not atomically.

    With `spec.normalize`, the file's model takes uint8 images (B, H, W, C) and normalises them; otherwise it takes
    normalised float32 images (B, C, H, W).

    Puts the model in evaluation mode and leaves it there; with `spec.fp16`, a copy of it. `export_model` restores it.
    """
    cell = with_float16_dense(model) if spec.fp16 else model
    if spec.normalize:
        cell = WithNormalization(cell, spec.normalize.scale, spec.normalize.shift)
    cell.set_train(False)
    dtype = ms.uint8 if spec.normalize else ms.float32
    if spec.dynamic_batch:
        images = Tensor(shape=list(spec.shape), dtype=dtype)
    else:
        images = Tensor(np.zeros((1, *spec.image_shape), spec.dtype))
    ms.export(cell, images, file_name=str(path), file_format="MINDIR")
    path.chmod(0o644)  # MindSpore makes it readable by its owner only


def run(path: Path, batches: list[np.ndarray]) -> list[np.ndarray]:
    """Return the outputs of the model in `path` for each of `batches`, in graph mode; MindSpore's mode is restored.

    Args:
        path: A file that `write` wrote.
        batches: Images with the shape and dtype of the file's spec.
    """
    mode = ms.get_context("mode")
    ms.set_context(mode=ms.GRAPH_MODE)
    try:
        cell = nn.GraphCell(ms.load(str(path)))
        return [cell(Tensor(images)).asnumpy() for images in batches]
    finally:
        ms.set_context(mode=mode)


class WithNormalization(nn.Cell):
    """Apply `model` to pixel · scale + shift, for images (B, H, W, C) uint8.

    Args:
        model: Images (B, C, H, W) float32 to an output, which is returned.
        scale, shift: Arrays that broadcast to (B, C, H, W).
    """

    def __init__(self, model: nn.Cell, scale: np.ndarray, shift: np.ndarray):
        super().__init__(auto_prefix=False)
        self.model = model
        self.scale, self.shift = Tensor(scale), Tensor(shift)

    def construct(self, images: Tensor) -> Tensor:
        return self.model(images.astype(ms.float32).transpose(0, 3, 1, 2) * self.scale + self.shift)


class Float16Dense(nn.Cell):
    """A linear layer with the weights of `dense`, multiplied in float16; input, bias and output are float32."""

    def __init__(self, dense: nn.Dense):
        super().__init__()
        self.weight = Parameter(Tensor(dense.weight.asnumpy().T.astype(np.float16)), name="weight")
        self.has_bias = dense.has_bias
        if dense.has_bias:
            self.bias = Parameter(Tensor(dense.bias.asnumpy()), name="bias")

    def construct(self, x: Tensor) -> Tensor:
        product = ops.matmul(x.astype(ms.float16), self.weight).astype(ms.float32)
        return product + self.bias if self.has_bias else product


def with_float16_dense(model: nn.Cell) -> nn.Cell:
    """Return a copy of `model` with `Float16Dense` layers, whose parameters have the names of those they replace.

    Layers that the model reads without calling them, such as GPSA's `pos_proj`, are not replaced; nor is the patch
    embedding, whose weight has four axes.
    """
    copy = deepcopy(model)
    for parent_name, parent in list(copy.cells_and_names()):
        for name, child in parent.name_cells().items():
            if (
                isinstance(child, nn.Dense)
                and child.weight.ndim == 2
                and name not in getattr(parent, "uncalled_layers", ())
            ):
                dense = Float16Dense(child)
                setattr(parent, name, dense)
                for parameter_name in ("weight", "bias")[: 1 + dense.has_bias]:
                    full_name = ".".join(filter(None, (parent_name, name, parameter_name)))
                    getattr(dense, parameter_name).name = full_name
    return copy
