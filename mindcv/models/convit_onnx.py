"""ConViT as a graph of ONNX operations; what the positional attention depends on becomes a constant."""

import numpy as np


def write_onnx(graph, model, images: str) -> str:
    """Add a ConViT to an ONNX graph and return the name of its output.

    Args:
        graph: A `mindcv.deploy.onnx_graph.GraphBuilder`.
        model: A ConViT.
        images: Name of the images (B, in_channels, H, W).

    Returns:
        The name of the logits (B, num_classes), or of the features (B, C) if there is no classifier.
    """
    x = graph.patches(images, model.patch_embed)
    if model.use_pos_embed:
        x = graph("Add", x, model.pos_embed.asnumpy())
    for i, block in enumerate(model.blocks):
        if i == model.local_up_to_layer:
            x = graph.class_token(model.cls_token.asnumpy(), x)
        mix = _gated(graph, block.attn) if i < model.local_up_to_layer else None
        x = graph.block(x, block, cls_token_only=i == len(model.blocks) - 1, mix=mix)
    return graph.classify(x, model)


def _gated(graph, attn):
    """Return a function that mixes content (B, h, N, N) and values (B, h, N, d) as the GPSA layer `attn` does."""
    gate = attn.gate().asnumpy()

    def mix(content: str, v: str) -> str:
        if attn.separable:
            position = _positional_values(graph, v, attn, gate)
            return graph("Add", graph("Mul", graph("MatMul", content, v), 1 - gate), position)
        position = gate * attn.positional_attention().asnumpy()
        return graph("MatMul", graph("Add", graph("Mul", content, 1 - gate), position), v)

    return mix


def _positional_values(graph, v: str, attn, gate: np.ndarray) -> str:
    """Compute gate · (A_y ⊗ A_x) v for values v (B, h, N, d), of the same shape; `gate` is (h, 1, 1)."""
    along_y, along_x = (weights.asnumpy() for weights in attn.axis_attention())
    rows, cols = attn.grid_size
    over_rows = graph("MatMul", gate * along_y, graph.reshape(v, 0, 0, rows, -1))
    over_cols = graph("MatMul", along_x[:, None], graph.reshape(over_rows, 0, 0, rows, cols, -1))
    return graph.reshape(over_cols, 0, 0, rows * cols, -1)
