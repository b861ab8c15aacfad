"""The device that a run uses."""

import re
import resource

import mindspore as ms


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
