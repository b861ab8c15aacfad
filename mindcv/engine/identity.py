"""Check whether a checkpoint belongs to the run that resumes from it."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from mindcv.config import OPTIONS, Config, show
from mindcv.engine.loss_scale import is_dynamic
from mindcv.weights.classes import CLASS_NAMES
from mindcv.weights.recorded import RECORDED, recorded_in
from mindcv.weights.state_dict import RUN

STEPS, IMAGES = RUN + "steps_per_epoch", RUN + "training_images"
START_ANEW = "or load weights alone, without --resume"


@dataclass(frozen=True)
class Identity:
    """What a run's checkpoints record about it; None for what an earlier version did not record.

    Attributes:
        class_names: Names of the classes, in the order of the classifier's outputs.
        steps: Steps per epoch.
        images: How many training images there are, and their `list_digest`.
        options: Options by name, as `recorded_options` gives them.
    """

    class_names: list[str] | None
    steps: int | None
    images: tuple[int, str] | None = None
    options: dict | None = None

    def entries(self) -> dict[str, np.ndarray]:
        """Return the checkpoint entries that `read_identity` reads: JSON text and `steps`, which must be known."""
        return {
            CLASS_NAMES: np.array(json.dumps(self.class_names)),
            STEPS: np.array(self.steps, np.int32),
            IMAGES: np.array(json.dumps(self.images)),
            RECORDED: np.array(json.dumps(self.options)),
        }


def read_identity(arrays: Mapping[str, np.ndarray]) -> Identity:
    """Return the identity that a checkpoint with the contents `arrays` records, None for each part it lacks."""
    names, images = (json.loads(str(arrays[entry])) if entry in arrays else None for entry in (CLASS_NAMES, IMAGES))
    steps = int(arrays[STEPS]) if STEPS in arrays else None
    return Identity(names, steps, images and tuple(images), recorded_in(arrays))


def recorded_options(config: Config, **effective) -> dict:
    """Return the options whose change at --resume matters, as JSON values by name.

    Args:
        config: The options of the run.
        **effective: Values that options take in this run, such as `num_classes` where the option is none.
    """
    values = {**config.as_dict(), **effective}
    return _as_json({name: values[name] for name, option in OPTIONS.items() if option.on_resume != "free"})


def check_same_run(
    path: object,
    saved: Identity,
    now: Identity,
    intended: Collection[str],
    rates: Callable[[dict], Sequence[float] | None],
    made: int,
    fits: bool = True,
) -> dict[str, tuple]:
    """Raise an error if a checkpoint is of another run; what it does not record (None) is not compared.

    Args:
        path: The checkpoint, for messages.
        saved: The identity that the checkpoint records.
        now: The identity of the run that resumes.
        intended: Names of the options that may differ; "data_dir" stands for the training images.
        rates: Returns the learning rate of every update with some options set to other values; None where these values
            contradict the rest.
        made: Number of updates that the checkpoint's run has made.
        fits: Whether the checkpoint holds the state of the run that resumes; `--resume_changes` is no remedy if not.

    Returns:
        Old and new value of every option whose change only warrants a warning, by name, without the intended ones.

    Raises:
        ValueError: in one line, what differs and what to do.
    """
    changes = changed_options(saved.options, now.options or {}) if saved.options is not None else {}
    changes = {name: change for name, change in changes.items() if name not in intended}
    if refused := refused_options(changes, rates, made):
        named = (
            f"add --resume_changes {' '.join(refused)} if that is meant, " if fits and saved.steps == now.steps else ""
        )
        raise ValueError(
            f"{path} is of a run with other options: {describe_changes({name: changes[name] for name in refused})}: "
            f"resume with the run's own, {named}{START_ANEW}"
        )
    if saved.class_names is not None and now.class_names is not None and saved.class_names != now.class_names:
        raise ValueError(
            f"{path} is of a run with other classes: {_first_difference(saved.class_names, now.class_names)}: "
            f"resume with the run's own class names, {START_ANEW}"
        )
    if (
        saved.images is not None
        and now.images is not None
        and saved.images != now.images
        and "data_dir" not in intended
    ):
        raise ValueError(
            f"{path} is of a run on other training images: {_images_difference(saved.images, now.images)}: "
            "resume with the run's own and its on_bad_image, add --resume_changes data_dir if that is meant, "
            f"{START_ANEW}"
        )
    if saved.steps is not None and saved.steps != now.steps:
        raise ValueError(
            f"{path} is of a run with {saved.steps} steps an epoch, and now there are {now.steps}: resume with the "
            f"data, the batch size and the number of devices of the run, {START_ANEW}"
        )
    return {name: change for name, change in changes.items() if OPTIONS[name].on_resume == "warn"}


def changed_options(saved: Mapping, now: Mapping) -> dict[str, tuple]:
    """Return old and new value of every option in `now` that differs, by name, in the order of `now`.

    Both are options by name, as JSON values. An option that `saved` lacks had its default. Other spellings of the same
    meaning (one size for two equal ones) and options without effect (`ema_decay` without `ema`) do not count.
    """
    before = {**_as_json({name: OPTIONS[name].default for name in now}), **saved}
    old, new = canonical_options(before), canonical_options(now)
    return {
        name: (before[name], value) for name, value in now.items() if before[name] != value and old[name] != new[name]
    }


def canonical_options(options: Mapping) -> dict:
    """Return recorded options with one spelling for each meaning, and None for options without effect.

    Args:
        options: Recorded options by name, not changed.

    Returns:
        All of `options`, and of those that are missing and count as off only the ones that a rule here touches: compare
        two results option by option with `get`.
    """
    result = dict(options)
    for name in ("image_resize", "patch_size", "color_jitter", "re_value"):  # one value, or the same several times
        value = options.get(name)
        if isinstance(value, list) and len(set(value)) == 1:
            result[name] = value[0]
    result["color_jitter"] = result.get("color_jitter") or 0
    result["aug_repeats"] = max(options.get("aug_repeats") or 0, 1)
    if loss_scale_type := options.get("loss_scale_type"):
        dynamic = is_dynamic(loss_scale_type, options.get("amp_level"), options.get("amp_dtype"))
        result["loss_scale_type"] = "dynamic" if dynamic else "fixed"
    mixup, cutmix = options.get("mixup"), options.get("cutmix")
    is_used = {
        "clip_value": options.get("clip_grad"),
        "ema_decay": options.get("ema"),
        "cutmix_prob": mixup or cutmix,
        "mixup_switch_prob": mixup and cutmix,
        **{name: options.get("re_prob") for name in ("re_scale", "re_ratio", "re_value", "re_max_attempts")},
    }
    return {**result, **{name: None for name, used in is_used.items() if not used}}


def refused_options(
    changes: Mapping[str, tuple], rates: Callable[[dict], Sequence[float] | None], made: int
) -> list[str]:
    """Return the names of the changed options that a resumed run must not change, in the order of `changes`.

    They are those whose `on_resume` in `OPTIONS` is "refuse", and those of the schedule ("rates") if they change
    learning rates still to come. A run may become longer or shorter: of a new `epoch_size` only the epochs that both
    lengths have count. If none of these is left, all of them are compared, so that a finished schedule that depends on
    its length is not extended unnoticed.

    Args:
        changes: Old and new value of the changed options, by name.
        rates: Returns the learning rate of every update with some options set to other values; None if these values
            contradict the rest, which counts as changed rates.
        made: Number of updates that are made.
    """
    schedule = {name: old for name, (old, _) in changes.items() if OPTIONS[name].on_resume == "rates"}
    length = {name: schedule.pop(name) for name in ("epoch_size",) if name in schedule}
    refused = {name for name in changes if OPTIONS[name].on_resume == "refuse"}
    if schedule and not _agree(rates(schedule), rates({}), made):
        refused |= schedule.keys()
    if length and not _agree(rates({**schedule, **length}), rates(schedule), made):
        refused |= length.keys()
    return [name for name in changes if name in refused]


def describe_changes(changes: Mapping[str, tuple]) -> str:
    """Return changed options, old and new value by name, in words: "lr was 0.001 and is 0.0005 now"."""
    return ", ".join(f"{name} was {show(old)} and is {show(new)} now" for name, (old, new) in changes.items())


def _agree(rates: Sequence[float] | None, others: Sequence[float] | None, made: int) -> bool:
    """Whether both are known (not None) and equal in float32 after `made` updates, as far as the shorter one goes.

    If that leaves none to compare, all are compared.
    """
    if rates is None or others is None:
        return False
    common = min(len(rates), len(others))
    to_come = slice(made if made < common else 0, common)
    return np.array_equal(np.asarray(rates[to_come], np.float32), np.asarray(others[to_come], np.float32))


def _first_difference(saved: list[str], now: list[str]) -> str:
    """Return in words which class name differs first; the lists must differ."""
    differing = (pair for pair in enumerate(zip_longest(saved, now, fillvalue="missing")) if pair[1][0] != pair[1][1])
    number, (old, new) = next(differing)
    return f"class {number} was {old} and is {new} now"


def _images_difference(saved: tuple[int, str], now: tuple[int, str]) -> str:
    """Return in words how two training sets, each its size and digest, differ."""
    if saved[0] != now[0]:
        return f"there were {saved[0]:,} and are {now[0]:,} now"
    return f"there are {now[0]:,} as before, but some have another name or label"


def _as_json(values: dict) -> dict:
    """Return `values` as they are read back from JSON: tuples become lists."""
    return json.loads(json.dumps(values))
