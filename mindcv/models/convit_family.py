"""What the ConViT family brings: its record, descriptions of a model, and FLOPs. Read without importing MindSpore."""

import math

from mindcv.models.convit_onnx import write_onnx
from mindcv.models.convit_weights import CHECKPOINTS, WIDTHS
from mindcv.models.family import Family
from mindcv.models.flops import block_products, transformer_flops


def _describe(model) -> str:
    """Return the blocks of a ConViT in words, for `mindcv info`."""
    gpsa, heads, dim = model.local_up_to_layer, model.blocks[0].attn.num_heads, model.num_features
    mhsa = len(model.blocks) - gpsa
    return f"{gpsa} GPSA and {mhsa} MHSA, {heads} heads of width {dim // heads}, {dim} channels"


def _flops_by_layer(model) -> dict[str, int]:
    """Return a ConViT's FLOPs by layer, see `count_flops`.

    GPSA is counted in the form of the model's `attn_impl`.
    """
    patches = math.prod(model.grid_size)
    products = []
    for i, block in enumerate(model.blocks):
        is_gpsa = i < model.local_up_to_layer
        keys = patches + (not is_gpsa)
        products.append(block_products(block, keys, queries=1 if i == len(model.blocks) - 1 else keys))
        if is_gpsa and block.attn.separable:  # A_y over rows and A_x over columns
            products[-1] += keys * sum(model.grid_size) * model.num_features
    return transformer_flops(model, products)


def _summary_rows(model) -> list[tuple[str, str, str]]:
    """Return name, kind and output shape of each layer, all as text, in the order of the forward pass.

    "pos_embed" and "classifier" are listed even if the model has none.
    """
    patches, dim = math.prod(model.grid_size), model.num_features
    rows, cols = model.grid_size
    shape = f"(B, {patches}, {dim})"
    layers = [("patch_embed", f"{rows}x{cols} patches", shape), ("pos_embed", "learned", shape)]
    for i, block in enumerate(model.blocks):
        if i == model.local_up_to_layer:
            shape = f"(B, {patches + 1}, {dim})"
            layers.append(("cls_token", "joins", shape))
        if i == len(model.blocks) - 1:
            shape = f"(B, 1, {dim})"  # only the class token, which the classifier reads
        kind = "GPSA" if i < model.local_up_to_layer else "MHSA"
        layers.append((f"blocks.{i}", f"{kind}, {block.attn.num_heads} heads", shape))
    return [*layers, ("norm", "", f"(B, {dim})"), ("classifier", "", f"(B, {model.num_classes})")]


family = Family(
    name="ConViT",
    module="mindcv.models.convit",
    models=tuple(WIDTHS),
    arguments=(
        "image_size", "patch_size", "drop_rate", "attn_drop_rate", "drop_path_rate", "act", "norm_eps", "attn_impl",
    ),
    checkpoints=CHECKPOINTS,
    describe=_describe,
    flops_by_layer=_flops_by_layer,
    summary_rows=_summary_rows,
    write_onnx=write_onnx,
)  # fmt: skip
