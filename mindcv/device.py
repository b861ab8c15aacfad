"""The device of a run: select it, measure its memory, and say which implementations of the layers suit it."""

import os
import re
import sys

import mindspore as ms
import psutil
from mindspore import ops

from mindcv.mindspore_hooks import ascend_soc_version


def set_up(device_target: str, mode: int, jit_level: str | None = None) -> None:
    """Select the device and the execution mode of this process; call it before anything is computed.

    On a CPU, PyNative operations are made synchronous too (see `synchronize_pynative_on_cpu`).

    Args:
        device_target: "Ascend", "GPU" or "CPU".
        mode: 0 for graph mode, 1 for PyNative mode.
        jit_level: "O0" (each operator by itself), "O1" (fused operators) or "O2" (the whole graph, by Ascend's graph
            engine), for graph mode. None for "O2" on Ascend, and MindSpore's default elsewhere.

    Raises:
        ValueError: This machine's MindSpore does not run on `device_target`; the message lists the devices it runs on.
    """
    try:
        if ms.get_context("device_target") != device_target:  # MindSpore refuses to set it again once it has run
            ms.set_device(device_target)
    except RuntimeError as error:
        listed = re.search(r"\[([^\]]*)\]", str(error))
        available = listed.group(1).replace("'", "") if listed else "another device"
        raise ValueError(
            f"device_target: {device_target} is not available; this machine's MindSpore runs on {available}: "
            f"pass --device_target {available.split(',')[0]}"
        ) from error
    ms.set_context(mode=mode)
    if device_target == "Ascend":  # MindSpore's default is O2 on the first Ascend 910 and O0 on later ones
        jit_level = jit_level or "O2"
    if jit_level and mode == ms.GRAPH_MODE:
        ms.set_context(jit_config={"jit_level": jit_level})
    synchronize_pynative_on_cpu()


def synchronize_pynative_on_cpu() -> None:
    """Make PyNative mode on a CPU, for the rest of the process, finish each operation before it prepares the next.

    Its stages otherwise spin in threads of their own, and take the cores from the operations: on 2 cores, a training
    step of convit_tiny at 64 pixels took 6 s instead of 0.5 s. On other devices nothing changes.
    """
    if ms.get_context("device_target") == "CPU":
        ms.runtime.launch_blocking()


def usable_cores() -> int:
    """Return the number of threads to compute with: `OMP_NUM_THREADS`, or the cores that this process may run on.

    Two threads of one physical core count as one.
    """
    if (asked := os.environ.get("OMP_NUM_THREADS", "")).isdecimal() and int(asked):
        return int(asked)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, psutil.cpu_count(logical=False) or usable)


def peak_memory() -> int:
    """Return the peak memory use so far, in bytes: the device's, or on a CPU the process's resident set."""
    if ms.get_context("device_target") == "CPU":
        try:
            import resource
        except ImportError:  # Windows
            memory = psutil.Process().memory_info()
            return getattr(memory, "peak_wset", memory.rss)
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return ms.runtime.max_memory_allocated()


def has_fused_kernels() -> bool:
    """Return whether MindSpore's fused GELU, LayerNorm, softmax and bias kernels are fast on this device.

    True on Ascend and GPU. On a CPU they are single-threaded or slow to differentiate, and the layers of
    `mindcv.models` compose the same functions from threaded matrix products.
    """
    return ms.get_context("device_target") != "CPU"


def emulates_bfloat16() -> bool:
    """Return whether bfloat16 is emulated on this device, by float32 values rounded to bfloat16.

    True on a CPU, which implements few operations in bfloat16.
    """
    return ms.get_context("device_target") == "CPU"


@ops.constexpr
def has_fast_broadcast() -> bool:
    """Return whether broadcasting and transposition are fast on this device, as a constant of a graph.

    False on a CPU, whose kernels keep a table of 16 bytes per element as long as the graph lives.
    """
    return has_fused_kernels()


def device_without_flash_attention() -> str:
    """Return a name for this device, such as "a CPU", if it has no fused attention kernel, and "" if it has.

    MindSpore documents `ops.flash_attention_score` for Atlas A2 training devices only, not for the first Ascend 910.
    """
    target = ms.get_context("device_target")
    if target != "Ascend":
        return f"a {target}"
    soc_version = ascend_soc_version()
    return "" if soc_version == "ascend910b" else f"an {soc_version or 'Ascend of unknown generation'}"
