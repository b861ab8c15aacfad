"""What the ViT family brings: its record, published weights, descriptions, FLOPs and ONNX graph.

Read without importing MindSpore.
"""

import math

from mindcv.models.family import Family
from mindcv.models.flops import block_products, transformer_flops
from mindcv.models.pretrained_cfg import pretrained_cfg
from mindcv.weights.adapt import FIRST_CONV, Arrays
from mindcv.weights.checkpoint_format import CheckpointFormat, has_class_position, num_blocks

WIDTHS = {"deit_tiny": (3, 192), "deit_small": (6, 384), "deit_base": (12, 768)}  # heads, and channels of the tokens
_DEPTH = 12  # of every variant


def _published(name: str, sha256: str, top_1: float, top_5: float) -> dict:
    """Return the configuration of a model's published weights: timm's, and the authors' own file.

    Args:
        name: Name of the model.
        sha256: First 8 digits of the SHA-256 digest of the authors' file, which are part of its name.
        top_1: ImageNet-1K accuracy in per cent, from the authors' model card.
        top_5: The same of the five most likely classes.
    """
    name = f"{name}_patch16_224"
    file = f"{name}-{sha256}.pth"
    sources = {
        "timm": pretrained_cfg(
            "timm", "Apache-2.0", f"{name}.fb_in1k.safetensors", "gelu", 1e-6, top_1=top_1, top_5=top_5, crop_pct=0.9,
            hub=f"timm/{name}.fb_in1k/model.safetensors",
        ),
        "fb": pretrained_cfg(
            "the DeiT authors", "Apache-2.0", file, "gelu", 1e-6, top_1=top_1, top_5=top_5, sha256=sha256,
            url=f"https://dl.fbaipublicfiles.com/deit/{file}",
        ),
    }  # fmt: skip
    return {**sources["timm"], "sources": sources}


default_cfgs = {
    "deit_tiny": _published("deit_tiny", "a1311bcf", 72.2, 91.1),
    "deit_small": _published("deit_small", "cd65a155", 79.9, 95.0),
    "deit_base": _published("deit_base", "b5f2ef4d", 81.8, 95.6),
}


def _identify(weights: Arrays, grid: tuple[int, int] | None) -> str:
    """Return the variant of a ViT's weights, by shapes, or its width and depth; "" for another family's.

    A position embedding with a position for the class token besides the patches' tells a ViT.
    """
    kernel, depth = weights.get(FIRST_CONV), num_blocks(weights)
    if kernel is None or kernel.ndim != 4 or not depth or "cls_token" not in weights:
        return ""
    if not has_class_position(weights, grid):
        return ""
    width = len(kernel)
    name = next((name for name, (_heads, dim) in WIDTHS.items() if dim == width), f"a ViT of width {width}")
    return name if depth == _DEPTH else f"{name} with depth={depth}"


def _describe(model) -> str:
    """Return the blocks of a ViT in words, for `mindcv info`."""
    heads, dim = model.blocks[0].attn.num_heads, model.num_features
    return f"{len(model.blocks)} MHSA, {heads} heads of width {dim // heads}, {dim} channels"


def _flops_by_layer(model) -> dict[str, int]:
    """Return a ViT's FLOPs by layer, see `count_flops`."""
    tokens = 1 + math.prod(model.grid_size)
    *others, last = model.blocks
    products = [block_products(block, tokens, tokens) for block in others]
    return transformer_flops(model, [*products, block_products(last, tokens, queries=1)])


def _summary_rows(model) -> list[tuple[str, str, str]]:
    """Return name, kind and output shape of each layer, all as text, in the order of the forward pass.

    "classifier" is listed even if the model has none.
    """
    (rows, cols), dim = model.grid_size, model.num_features
    tokens = f"(B, {1 + rows * cols}, {dim})"
    blocks = [(f"blocks.{i}", f"MHSA, {block.attn.num_heads} heads", tokens) for i, block in enumerate(model.blocks)]
    blocks[-1] = (*blocks[-1][:2], f"(B, 1, {dim})")  # only the class token, which the classifier reads
    return [
        ("patch_embed", f"{rows}x{cols} patches", f"(B, {rows * cols}, {dim})"),
        ("cls_token", "joins", tokens),
        ("pos_embed", "learned", tokens),
        *blocks,
        ("norm", "", f"(B, {dim})"),
        ("classifier", "", f"(B, {model.num_classes})"),
    ]


def _write_onnx(graph, model, images: str) -> str:
    """Add a ViT to an ONNX graph and return the name of its output.

    Args:
        graph: A `mindcv.deploy.onnx_graph.GraphBuilder`.
        model: A VisionTransformer.
        images: Name of the images (B, in_channels, H, W).

    Returns:
        The name of the logits (B, num_classes), or of the features (B, C) if there is no classifier.
    """
    x = graph.class_token(model.cls_token.asnumpy(), graph.patches(images, model.patch_embed))
    x = graph("Add", x, model.pos_embed.asnumpy())
    for i, block in enumerate(model.blocks):
        x = graph.block(x, block, cls_token_only=i == len(model.blocks) - 1)
    return graph.classify(x, model)


family = Family(
    name="ViT",
    module="mindcv.models.vit",
    models=tuple(WIDTHS),
    arguments=(
        "image_size", "patch_size", "drop_rate", "attn_drop_rate", "drop_path_rate", "act", "norm_eps", "attn_impl",
    ),
    checkpoints=CheckpointFormat(_identify, prefix_tokens=1),
    describe=_describe,
    flops_by_layer=_flops_by_layer,
    summary_rows=_summary_rows,
    write_onnx=_write_onnx,
)  # fmt: skip
