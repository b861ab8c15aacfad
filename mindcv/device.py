"""The device that a run uses: choosing it, its memory, and which arithmetic a layer uses on it."""

import re
import resource

import mindspore as ms
from mindspore import ops
from mindspore._c_expression import MSContext


def set_up(device_target: str, mode: int) -> None:
    """Choose the device ("Ascend", "GPU" or "CPU") and graph (0) or PyNative (1) mode for this process.

    Raises:
        ValueError: no such device here; the message says what there is.
    """
    try:
        if ms.get_context("device_target") != device_target:  # MindSpore refuses to set it again once it has run
            ms.set_device(device_target)
    except RuntimeError as error:
        there = re.search(r"\[([^\]]*)\]", str(error))
        there = there.group(1).replace("'", "") if there else "another device"
        raise ValueError(
            f"device_target: {device_target} is not here; this machine's MindSpore runs on {there}: "
            f"pass --device_target {there.split(',')[0]}"
        ) from error
    ms.set_context(mode=mode)
    if device_target == "CPU":
        run_pynative_in_turn()


def run_pynative_in_turn() -> None:
    """Let PyNative mode run each operation before it prepares the next.

    Its stages otherwise spin in threads of their own. On a CPU they take the cores from the operations: a training step
    of convit_tiny at 64 pixels took 6 s instead of 0.5 s on 2 cores.
    """
    ms.runtime.launch_blocking()


def peak_memory() -> int:
    """The most memory in use so far, in bytes: the device's, or on a CPU the process's resident set."""
    if ms.get_context("device_target") == "CPU":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return ms.runtime.max_memory_allocated()


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
