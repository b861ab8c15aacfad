"""The one place that tells devices apart: which arithmetic a layer uses where."""

import mindspore as ms
from mindspore import ops
from mindspore._c_expression import MSContext


def has_fused_kernels() -> bool:
    """Whether the device's own fused GELU, LayerNorm, softmax and bias kernels are the fast ones.

    True on Ascend and GPU. On a CPU MindSpore's are one-threaded or slow to differentiate, and the layers
    here compose the same function from threaded products.
    """
    return ms.get_context("device_target") != "CPU"


def rounds_bfloat16() -> bool:
    """Whether bfloat16 stands for float32 numbers rounded to it: a CPU has few operations in bfloat16."""
    return ms.get_context("device_target") == "CPU"


@ops.constexpr
def moves_data_well() -> bool:
    """Whether the device's broadcasting and transposition are the fast ones, as known while a graph is compiled.

    A CPU's keep a table of 16 bytes for every element as long as the graph lives.
    """
    return has_fused_kernels()


def without_flash_attention() -> str:
    """The name of this device, where it has no fused attention; empty on an Atlas A2, which has.

    MindSpore documents `ops.flash_attention_score` for Atlas A2 training devices only, not for the first Ascend 910.
    """
    target = ms.get_context("device_target")
    if target != "Ascend":
        return f"a {target}"
    generation = MSContext.get_instance().get_ascend_soc_version()
    return "" if generation == "ascend910b" else f"an {generation or 'Ascend of unknown kind'}"
