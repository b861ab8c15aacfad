"""The one place that tells devices apart: which arithmetic a layer uses where."""

import mindspore as ms


def has_fused_kernels() -> bool:
    """Whether the device's own fused GELU and LayerNorm kernels are the fast ones.

    True on Ascend and GPU. On a CPU MindSpore's are one-threaded or slow to differentiate, and the layers
    here compose the same function from threaded products.
    """
    return ms.get_context("device_target") != "CPU"
