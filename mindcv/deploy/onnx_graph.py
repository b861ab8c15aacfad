"""Write a model as a graph of ONNX operations, and run it with ONNX Runtime.

MindSpore's own ONNX export supports neither Erf and Rsqrt nor dynamic batches and half precision. Here each family
writes its own graph, in which everything that depends on the weights only becomes a constant.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import nn

from mindcv.deploy.export_spec import ExportSpec
from mindcv.device import usable_cores
from mindcv.models.family import family_of, part_of
from mindcv.models.layers.gelu import GELU

OPSET = 17
VERSION = f"ONNX opset {OPSET}"
_IR_VERSION = 8  # of opset 17, for runtimes of its time
INPUT = "images"


def write(path: Path, model: nn.Cell, spec: ExportSpec) -> None:
    """Write the graph that `build` returns to `path`, and check the file with ONNX's checker.

    Not atomic: an existing file is overwritten, and the new one stays if the check fails.

    Raises:
        ImportError: the package onnx is missing.
        TypeError: the model's family has no ONNX graph.
    """
    import onnx

    onnx.save(build(model, spec), path)
    onnx.checker.check_model(str(path), full_check=True)


def build(model: nn.Cell, spec: ExportSpec):
    """Return `model`, without a softmax after its outputs, as an `onnx.ModelProto`; the same bytes for the same model.

    With `spec.normalize`, it takes uint8 images (B, H, W, C) and normalises them; otherwise it takes normalised float32
    images (B, C, H, W). The model is not changed.

    Raises:
        ImportError: the package onnx is missing.
        TypeError: the model's family has no ONNX graph.
    """
    import onnx

    write_onnx = part_of(model, "write_onnx", "ONNX graph: export it as mindir")
    graph = GraphBuilder(spec.fp16)
    images = INPUT
    if spec.normalize:
        pixels = graph("Transpose", graph("Cast", images, to=onnx.TensorProto.FLOAT), perm=[0, 3, 1, 2])
        images = graph("Add", graph("Mul", pixels, spec.normalize.scale), spec.normalize.shift)
    output = "logits" if model.num_classes else "features"
    graph("Identity", write_onnx(graph, model, images), name=output)
    batch = spec.shape[0] or "batch"
    dtype = onnx.TensorProto.UINT8 if spec.normalize else onnx.TensorProto.FLOAT
    inputs = [onnx.helper.make_tensor_value_info(INPUT, dtype, [batch, *spec.shape[1:]])]
    width = model.num_classes or model.num_features
    outputs = [onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, [batch, width])]
    return onnx.helper.make_model(
        onnx.helper.make_graph(graph.nodes, family_of(model).name.lower(), inputs, outputs, graph.constants),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=_IR_VERSION,
        producer_name="mindcv",
    )


def run(path: Path, batches: list[np.ndarray]) -> list[np.ndarray]:
    """Return the outputs of the model in `path` for each of `batches`, computed by ONNX Runtime on the CPU.

    Args:
        path: A file that `write` wrote.
        batches: Images with the shape and dtype of the file's spec.

    Raises:
        ImportError: the package onnxruntime is missing.
    """
    return list(map(load(path.read_bytes()), batches))


def load(graph: bytes) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that computes the outputs of a graph for a batch of images, by ONNX Runtime on the CPU.

    Args:
        graph: The bytes of a file that `write` wrote.

    Raises:
        ImportError: the package onnxruntime is missing.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {INPUT: images})[0]


class GraphBuilder:
    """Collects the nodes and constants of an ONNX graph; its methods take and return names of results.

    Calling it with an operation and its inputs (names of results, or arrays, which become constants) adds a node and
    returns the name of the node's result. Methods do the same for layers. Shapes are written with B images, N tokens,
    C channels, h heads and d channels per head.

    Args:
        fp16: Multiply by linear layers' weights in float16.
    """

    def __init__(self, fp16: bool):
        self.fp16 = fp16
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def __call__(self, operation: str, *inputs: str | np.ndarray, name: str = "", **attributes) -> str:
        import onnx

        name = name or f"{operation}_{len(self.nodes)}"
        names = [x if isinstance(x, str) else self.constant(x) for x in inputs]
        self.nodes.append(onnx.helper.make_node(operation, names, [name], name=name, **attributes))
        return name

    def constant(self, array: np.ndarray) -> str:
        """Add a constant of the array's shape and dtype, and return its name."""
        import onnx

        name = f"constant_{len(self.constants)}"
        self.constants.append(onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def reshape(self, x: str, *shape: int) -> str:
        """Reshape `x`; 0 keeps the size of that axis, -1 infers it."""
        return self("Reshape", x, np.array(shape, np.int64))

    def dense(self, x: str, layer: nn.Dense) -> str:
        """Apply a linear layer to the last axis, with `fp16` by a product in float16; input and output are float32."""
        import onnx

        weight = layer.weight.asnumpy().T
        if self.fp16:
            half = self("Cast", x, to=onnx.TensorProto.FLOAT16)
            product = self("Cast", self("MatMul", half, weight.astype(np.float16)), to=onnx.TensorProto.FLOAT)
        else:
            product = self("MatMul", x, weight)
        return self("Add", product, layer.bias.asnumpy()) if layer.has_bias else product

    def layer_norm(self, x: str, layer) -> str:
        """Apply a LayerNorm over the last axis, by its `gamma`, `beta` and `epsilon`."""
        gamma, beta = layer.gamma.asnumpy(), layer.beta.asnumpy()
        return self("LayerNormalization", x, gamma, beta, axis=-1, epsilon=layer.epsilon)

    def gelu(self, x: str, layer: GELU) -> str:
        """Apply GELU, exactly by Erf or, if the layer approximates it by tanh, by the equal x · sigmoid form."""
        if layer.approximate:
            cubic = self("Add", self("Mul", self("Mul", x, x), float_constant(0.044715 * math.sqrt(8 / math.pi))),
                         float_constant(math.sqrt(8 / math.pi)))  # fmt: skip
            return self("Mul", x, self("Sigmoid", self("Mul", x, cubic)))
        erf = self("Erf", self("Div", x, float_constant(math.sqrt(2))))
        return self("Mul", self("Mul", x, self("Add", erf, float_constant(1))), float_constant(0.5))

    def heads(self, x: str, num_heads: int, perm: tuple[int, ...] = (0, 2, 1, 3)) -> str:
        """Split (B, N, C) into heads, (B, N, h, d), and permute its axes, by default to (B, h, N, d)."""
        return self("Transpose", self.reshape(x, 0, 0, num_heads, -1), perm=perm)

    def attention(self, queries: str, x: str, layer, mix: Callable[[str, str], str] | None = None) -> str:
        """Apply self-attention with queries from `queries` (B, M, C), keys and values from `x` (B, N, C), to (B, M, C).

        Args:
            queries, x: Names of tokens.
            layer: The layer, with `q`, `k`, `v`, `proj`, `num_heads` and `content_map`.
            mix: Maps the softmax of content (B, h, M, N) and the values (B, h, N, d) to what the heads attend to,
                (B, h, M, d); by default their product.
        """
        scale = float_constant(layer.content_map.scale)
        q = self("Mul", self.heads(self.dense(queries, layer.q), layer.num_heads), scale)
        k = self.heads(self.dense(x, layer.k), layer.num_heads, perm=(0, 2, 3, 1))
        v = self.heads(self.dense(x, layer.v), layer.num_heads)
        content = self("Softmax", self("MatMul", q, k), axis=-1)
        mixed = mix(content, v) if mix else self("MatMul", content, v)
        joined = self.reshape(self("Transpose", mixed, perm=[0, 2, 1, 3]), 0, 0, -1)
        return self.dense(joined, layer.proj)

    def block(self, x: str, block, cls_token_only: bool, mix: Callable[[str, str], str] | None = None) -> str:
        """Map tokens (B, N, C) to (B, N, C), or with `cls_token_only` to that of the class token, (B, 1, C).

        `mix` is that of `attention`.
        """
        tokens = self.layer_norm(x, block.norm1)
        if cls_token_only:
            x, queries = self.first_token(x), self.first_token(tokens)
        else:
            queries = tokens
        x = self("Add", x, self.attention(queries, tokens, block.attn, mix))
        hidden = self.gelu(self.dense(self.layer_norm(x, block.norm2), block.mlp.fc1), block.mlp.act)
        return self("Add", x, self.dense(hidden, block.mlp.fc2))

    def first_token(self, x: str) -> str:
        """Return the first token (B, 1, C) of `x` (B, N, C)."""
        return self("Slice", x, *(np.array([n], np.int64) for n in (0, 1, 1)))

    def patches(self, images: str, embed) -> str:
        """Embed images (B, in_channels, H, W) as patch tokens (B, N, C), by a `PatchEmbed`."""
        weight, bias = embed.proj.weight.asnumpy(), embed.proj.bias.asnumpy()
        size = weight.shape[2:]
        x = self("Conv", images, weight, bias, kernel_shape=size, strides=size)
        return self("Transpose", self.reshape(x, 0, 0, -1), perm=[0, 2, 1])

    def class_token(self, token: np.ndarray, x: str) -> str:
        """Put a class token (1, 1, C) before the tokens `x` (B, N, C)."""
        shape = self("Concat", self("Shape", x, start=0, end=1), np.array([1, token.shape[-1]], np.int64), axis=0)
        return self("Concat", self("Expand", token, shape), x, axis=1)

    def classify(self, x: str, model) -> str:
        """Map the class token (B, 1, C) to logits (B, num_classes), or to features (B, C) without a classifier."""
        features = self.layer_norm(self("Squeeze", x, np.array([1], np.int64)), model.norm)
        return self.dense(features, model.classifier) if model.num_classes else features


def float_constant(value: float) -> np.ndarray:
    """Return `value` as a float32 constant."""
    return np.array(value, np.float32)
