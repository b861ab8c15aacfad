"""Run one contestant of speed.py: one step for every line on standard input.

    python benchmarks/peers.py NAME '[MODEL, PIXELS, BATCH, TRAINS, ARGUMENTS]'

ARGUMENTS are further arguments of the model's constructor, by name; only this project and timm take them. The first
line of output is the seconds to the end of the first step, compilation included; then the seconds of each step, one per
line; and, at the end of the input, the process's peak resident memory in MiB.
"""

import enum
import importlib.abc
import importlib.machinery
import json
import os
import resource
import sys
import tempfile
import time
import types
from pathlib import Path


def this_project(model: str, image: int, batch: int, train: bool, **arguments):
    """Return a function that runs a forward pass, or a training step with AdamW, in graph mode."""
    import mindcv
    from mindcv.engine.step import TrainStep

    network = mindcv.create_model(model, image_size=image, **arguments)
    images, labels = _mindspore_batch(image, batch)
    if not train:
        return lambda: network(images).asnumpy()
    step = TrainStep(network, mindcv.loss.create_loss("CE"), mindcv.create_optimizer(network, "adamw", lr=1e-4))
    step.set_train()
    return lambda: step(images, labels).asnumpy()


def mindcv_itself(model: str, image: int, batch: int, train: bool):
    """Return the same function with MindCV, which must come first on this process's path."""
    import mindspore as ms

    import mindcv

    network = mindcv.create_model(model)
    images, labels = _mindspore_batch(image, batch)
    if not train:
        network.set_train(False)
        return lambda: network(images).asnumpy()
    loss = mindcv.loss.create_loss("CE")
    optimizer = mindcv.optim.create_optimizer(network.trainable_params(), "adamw", lr=1e-4)
    step = ms.nn.TrainOneStepCell(ms.nn.WithLossCell(network, loss), optimizer)
    step.set_train()
    return lambda: step(images, labels).asnumpy()


def bare_products(model: str, image: int, batch: int, train: bool):
    """Return a function that runs only the model's matrix products and, in training, both gradients of each.

    It is a lower bound for the model's time. Every product has its own operands, so that the compiler does not merge
    any, and its result is freed at once.
    """
    import mindspore as ms
    import numpy as np
    from mindspore import Parameter, Tensor, nn, ops

    import mindcv

    draw = np.random.default_rng(0).standard_normal

    def tensor(shape: tuple[int, ...], name: str) -> Parameter:
        return Parameter(Tensor(draw(shape), ms.float32), name=name)

    products_by_kind = {  # number of axes, transpose_a, transpose_b
        (axes, *transposed): operation(*transposed)
        for axes, operation in ((2, ops.MatMul), (3, ops.BatchMatMul))
        for transposed in ((False, False), (False, True), (True, False))
    }
    work = []
    for i, (left, right) in enumerate(_products(mindcv.create_model(model, image_size=image), batch)):
        a, b = tensor(left, f"a{i}"), tensor(right, f"b{i}")
        axes = len(right)
        is_weight = axes == 2
        work.append((products_by_kind[axes, False, is_weight], a, b))
        if train:
            gradient = tensor((*left[:-1], right[-2] if is_weight else right[-1]), f"gradient{i}")
            if i:  # the images need no gradient
                work.append((products_by_kind[axes, False, not is_weight], gradient, b))
            factors = (gradient, a) if is_weight else (a, gradient)
            work.append((products_by_kind[axes, True, False], *factors))

    class Products(nn.Cell):
        def construct(self):
            results = ()
            for product, a, b in work:
                results += (product(a, b),)
            return ops.depend(work[0][1][:1], results)

    products = Products()
    return lambda: products().asnumpy()


def _products(network, batch: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Return the shapes of both factors of every matrix product of a ConViT; a weight's is (out, in), as stored."""
    (rows, cols), dim = network.grid_size, network.num_features
    patches, heads, width = rows * cols, network.blocks[0].attn.num_heads, dim // network.blocks[0].attn.num_heads
    hidden = network.blocks[0].mlp.fc1.weight.shape[0]
    pixels = network.patch_embed.proj.weight.size // dim
    shapes = [((batch * patches, pixels), (dim, pixels))]
    last = len(network.blocks) - 1
    for i in range(last + 1):
        keys = patches + (i >= network.local_up_to_layer)
        queries = 1 if i == last else keys
        shapes += [((batch * queries, dim), (dim, dim))] * 2 + [((batch * keys, dim), (dim, dim))] * 2
        shapes.append(((batch * heads, queries, width), (batch * heads, width, keys)))
        shapes.append(((batch * heads, queries, keys), (batch * heads, keys, width)))
        if i < network.local_up_to_layer:
            shapes.append(((batch * heads, rows, rows), (batch * heads, rows, cols * width)))
            shapes.append(((batch * heads * rows, cols, cols), (batch * heads * rows, cols, width)))
        shapes += [((batch * queries, dim), (hidden, dim)), ((batch * queries, hidden), (dim, hidden))]
    return shapes + [((batch, dim), (network.num_classes, dim))]


def _mindspore_batch(image: int, batch: int):
    """Return random images (B, 3, H, W) float32 and labels (B,) int32 as MindSpore tensors."""
    import mindspore as ms
    import numpy as np

    rng = np.random.default_rng(0)
    images = ms.Tensor(rng.standard_normal((batch, 3, image, image)), ms.float32)
    return images, ms.Tensor(rng.integers(0, 1000, batch), ms.int32)


def timm_eager(model: str, image: int, batch: int, train: bool, compiled: bool = False, **arguments):
    """Return the same function with timm on PyTorch, optionally compiled by `torch.compile`."""
    sys.meta_path.insert(0, TorchvisionStub())
    import timm
    import torch

    network = timm.create_model(model, img_size=image, **arguments)
    images, labels = torch.randn(batch, 3, image, image), torch.randint(0, 1000, (batch,))
    run = torch.compile(network) if compiled else network
    if not train:
        network.eval()
        return torch.no_grad()(lambda: run(images))
    optimizer = torch.optim.AdamW(network.train().parameters(), lr=1e-4)

    def step():
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(run(images), labels).backward()
        optimizer.step()

    return step


def timm_compiled(*case, **arguments):
    return timm_eager(*case, compiled=True, **arguments)


class TorchvisionStub(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Importer of a stub of torchvision, which timm imports and these models do not use."""

    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] == "torchvision":
            return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        module = types.ModuleType(spec.name)
        module.__getattr__ = self.attribute
        return module

    def exec_module(self, module):
        pass

    @staticmethod
    def attribute(name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "InterpolationMode":
            modes = ["nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"]
            return enum.Enum(name, {mode.upper(): mode for mode in modes})
        return type(name, (), {})


def onnx_runtime(model: str, image: int, batch: int, train: bool):
    """Return a function that runs the forward pass of the model, exported by this project, in ONNX Runtime."""
    import numpy as np
    import onnxruntime

    import mindcv
    from mindcv.deploy import export_model

    if train:
        raise SystemExit("ONNX Runtime does not train")
    preparation = {"mean": (0, 0, 0), "std": (1, 1, 1), "crop_pct": 0.875, "interpolation": "bicubic"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export_model(mindcv.create_model(model, image_size=image), path, dynamic_batch=True, **preparation)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    images = np.random.default_rng(0).standard_normal((batch, 3, image, image)).astype(np.float32)
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: images})


CONTESTANTS = {
    "this project": this_project,
    "MindCV": mindcv_itself,
    "timm eager": timm_eager,
    "timm compiled": timm_compiled,
    "ONNX Runtime": onnx_runtime,
    "bare products": bare_products,
}


def main(name: str, case: list) -> None:
    """Run the contestant `name` on `case`, the arguments of its function, as the module's docstring says."""
    output, sys.stdout = sys.stdout, sys.stderr
    if "timm" not in name:
        import mindspore as ms

        ms.set_context(mode=ms.GRAPH_MODE)
    start = time.perf_counter()
    *case, arguments = case
    step = CONTESTANTS[name](*case, **arguments)
    step()
    print(time.perf_counter() - start, file=output, flush=True)
    step()
    for _ in sys.stdin:
        start = time.perf_counter()
        step()
        print(time.perf_counter() - start, file=output, flush=True)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, file=output, flush=True)
    os._exit(0)  # MindSpore's shutdown can take seconds


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
