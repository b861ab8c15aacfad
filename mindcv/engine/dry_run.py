"""The cost of a run: everything is built and a few steps are timed, but nothing is written."""

import time
from collections.abc import Iterator

import mindspore as ms
from mindspore import Tensor, ops

from mindcv.engine.dataloaders import name_unreadable_images
from mindcv.engine.epoch_metrics import memory
from mindcv.engine.run import Run
from mindcv.models import count_flops
from mindcv.models.family import family_of

TIMED_STEPS = 5


def dry_run(run: Run) -> None:
    """Print a run's parameters, arithmetic, memory, steps, speed and hours on standard output, one line each.

    Arithmetic and steps are computed. Speed and memory are measured on this device alone, without exchanging gradients
    with other workers. The timed steps change the weights of `run`, which is left in training mode.

    Raises:
        UnreadableImage: (a ValueError) an image of these steps cannot be read.
    """
    with name_unreadable_images():
        costs = _measure(run)
    for title, text in _lines(run, *costs):
        print(f"{title:<11} {text}", flush=True)


def _measure(run: Run) -> tuple[float, float, float]:
    """Return seconds: of the first step, of a later step, and those that a later step waits for images."""
    run.step.set_train()
    batches = _endless(run)
    began = time.perf_counter()
    _step(run, next(batches)).asnumpy()
    first = time.perf_counter() - began
    waited, began = 0.0, time.perf_counter()
    for _ in range(TIMED_STEPS):
        asked = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - asked
        loss = _step(run, batch)
    loss.asnumpy()
    return first, (time.perf_counter() - began) / TIMED_STEPS, waited / TIMED_STEPS


def _step(run: Run, batch: list[Tensor]) -> Tensor:
    """Make a step at the first learning rate, and return its loss: a run may have fewer rates than steps are timed."""
    ops.assign(run.step.optimizer.global_step, Tensor([0], ms.int32))
    return run.step(*batch)


def _endless(run: Run) -> Iterator[list[Tensor]]:
    """Yield training batches (images, labels), epoch after epoch without end."""
    loader = run.loader()
    while True:
        yield from loader.create_tuple_iterator(num_epochs=1)


def _lines(run: Run, first: float, seconds: float, waited: float) -> Iterator[tuple[str, str]]:
    """Yield title and text of each line, from the seconds that `_measure` returns."""
    config, step = run.config, run.step
    trained = step.optimizer.parameters
    sizes = {
        "weights": _bytes(run.model.get_parameters()),
        "gradients": _bytes(trained) * (1 + (step.accumulation > 1)),
        "optimizer": _bytes(step.optimizer.state_parameters().values()),
    }
    if step.ema is not None:
        sizes["averages"] = _bytes(step.ema.averages)
    flops = count_flops(run.model) if family_of(run.model).flops_by_layer else None
    images_a_step = config.batch_size * (config.aug_splits or 1)
    passes = 3 + config.recompute  # one forward, a backward pass of twice its cost, and another forward to recompute
    steps = (run.end.epoch - 1) * run.steps + run.end.step
    hours, minutes = divmod(round(steps * seconds / 60), 60)
    parameters = sum(p.size for p in run.model.get_parameters())
    frozen = parameters - sum(p.size for p in trained)
    dropped = f", {run.dropped_images}" if run.dropped_images else ""
    images = config.num_samples or len(run.training)
    held = ", ".join(f"{name} {size / 1e6:,.0f} MB" for name, size in sizes.items())
    peak = memory()["peak_memory"] / 1e6
    devices = f"{run.workers} device{'s' * (run.workers > 1)}"
    yield "model", f"{config.model}, {parameters:,} parameters" + (f", {frozen:,} of them frozen" if frozen else "")
    if flops is None:
        yield "arithmetic", f"not counted for {config.model}"
    else:
        step_flops = passes * flops * images_a_step
        yield (
            "arithmetic",
            f"{flops / 1e9:.2f} GFLOPs an image, {'at most ' if frozen else ''}{step_flops / 1e9:,.0f} a step of "
            f"{images_a_step} images with its gradients, a multiplication with its addition counted as 2",
        )
    yield "memory", f"{held}; at the peak {peak:,.0f} MB, with all that a step holds"
    yield "data", f"{images:,} images in {run.num_classes:,} classes, {run.steps:,} steps an epoch{dropped}"
    yield (
        "run",
        f"{run.end.epoch:,} epochs, {steps:,} steps of {run.images_a_step:,} images on {devices}, "
        f"{steps // step.accumulation:,} updates",
    )
    yield (
        "speed",
        f"{config.batch_size / seconds:.1f} images/s on one device, {seconds:.3f} s a step, {waited / seconds:.1%} of "
        f"it waiting for images; the first step with its compilation {first:.1f} s",
    )
    yield "time", f"{hours} h {minutes} min for the training steps, without validation and checkpoints"


def _bytes(parameters) -> int:
    """Return the bytes that `parameters` take in memory."""
    return sum(parameter.size * ms.dtype_to_nptype(parameter.dtype)().itemsize for parameter in parameters)
