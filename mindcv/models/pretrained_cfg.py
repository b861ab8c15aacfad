"""The configuration of published weights. Read without importing MindSpore."""


def pretrained_cfg(publisher: str, licence: str, file: str, act: str, norm_eps: float, **more) -> dict:
    """Return the configuration of one published file of ImageNet-1K weights.

    Args:
        publisher: Name of the publisher, for messages.
        licence: Licence of the weights.
        file: File name.
        act: Activation that the weights were trained with.
        norm_eps: Epsilon of LayerNorm that the weights were trained with.
        **more: Further entries, or other values than the defaults below.

    Returns:
        The arguments, the model's shape ("grid" is rows and columns of patches), and how images are preprocessed:
        "crop_pct" is the cropped fraction of the resized side, "mean" and "std" are for pixels from 0 to 255.
    """
    return {
        "publisher": publisher,
        "licence": licence,
        "file": file,
        "act": act,
        "norm_eps": norm_eps,
        "num_classes": 1000,
        "input_size": (3, 224, 224),
        "grid": (14, 14),
        "crop_pct": 0.875,
        "interpolation": "bicubic",
        "mean": (123.675, 116.28, 103.53),
        "std": (58.395, 57.12, 57.375),
        "first_conv": "patch_embed.proj",
        "classifier": "classifier",
        **more,
    }
