"""Whether a checkpoint belongs to the run that resumes from it: functions of names and values, without a model."""

import json

import pytest

from mindcv.config import OPTIONS, Config
from mindcv.engine.build import learning_rates
from mindcv.engine.identity import Identity, changed_options, check_same_run, read_identity, recorded_options

STEPS = 4


def identity(config, classes=("cat", "dog"), steps=STEPS, images=(16, "aa")):
    return Identity(list(classes), steps, images, recorded_options(config))


def check(saved, now, made=0, intended=()):
    """Call `check_same_run` with two configurations, or identities, after `made` updates."""
    config = now if isinstance(now, Config) else Config()

    def rates(changes):
        try:
            other = config.replace(**changes)
            return learning_rates(other, STEPS, other.lr)
        except ValueError:
            return None

    saved, now = (identity(each) if isinstance(each, Config) else each for each in (saved, now))
    return check_same_run("1.ckpt", saved, now, intended, rates, made)


def complaint(*args, **more):
    """Return the one line with which `check` fails."""
    with pytest.raises(ValueError) as error:
        check(*args, **more)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_read_identity_returns_what_entries_recorded():
    saved = identity(Config(scale=(0.5, 1.0), freeze=("stem",), mixup=0.2))
    assert read_identity(saved.entries()) == saved
    assert read_identity({}) == Identity(None, None, None, None)


@pytest.mark.parametrize(
    ("changes", "described"),
    [
        ({"opt": "adamw"}, "opt was adam and is adamw now"),
        ({"seed": 7}, "seed was 42 and is 7 now"),
        ({"mixup": 0.8}, "mixup was 0.0 and is 0.8 now"),
        ({"loss": "BCE"}, "loss was CE and is BCE now"),
        ({"ema": True}, "ema was False and is True now"),
        ({"scale": (0.5, 1.0)}, "scale was 0.08 1.0 and is 0.5 1.0 now"),
        ({"drop_rate": 0.1}, "drop_rate was none and is 0.1 now"),
        (
            {"batch_size": 64, "num_samples": 640},
            "batch_size was 128 and is 64 now, num_samples was none and is 640 now",
        ),
    ],
)
def test_check_of_a_changed_option_names_both_values_and_resume_changes(changes, described):
    line = complaint(Config(), Config(changes))
    assert line == (
        f"1.ckpt is of a run with other options: {described}: resume with the run's own, add --resume_changes "
        f"{' '.join(changes)} if that is meant, or load weights alone, without --resume"
    )
    assert check(Config(), Config(changes), intended=changes) == {}


@pytest.mark.parametrize("name", [name for name, option in OPTIONS.items() if option.on_resume == "free"])
def test_recorded_options_leave_out_options_that_may_change(name):
    assert name not in recorded_options(Config())


def test_check_of_two_changed_options_names_the_one_that_is_not_intended():
    line = complaint(Config(), Config(opt="adamw", seed=7), intended=["seed"])
    assert "opt was adam and is adamw now: " in line
    assert "seed" not in line


def test_check_of_mode_and_device_returns_them_as_warnings():
    assert check(Config(), Config(device_target="CPU", mode=1)) == {"mode": (0, 1), "device_target": ("Ascend", "CPU")}


def test_changed_options_takes_an_unrecorded_option_for_its_default():
    now = recorded_options(Config(mixup=0.2))
    saved = {name: value for name, value in now.items() if name not in ("mixup", "cutmix")} | {"long_gone": 3}
    assert changed_options(saved, now) == {"mixup": (0.0, 0.2)}


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({"image_resize": 32, "patch_size": 8}, {"image_resize": (32, 32), "patch_size": (8, 8)}),
        ({"aug_repeats": 0}, {"aug_repeats": 1}),
        ({"color_jitter": 0.0}, {"color_jitter": None}),
        ({"color_jitter": 0.0}, {"color_jitter": (0, 0, 0)}),
        ({"color_jitter": 0.4}, {"color_jitter": (0.4, 0.4, 0.4)}),
        ({"re_prob": 0.2, "re_value": 0}, {"re_prob": 0.2, "re_value": (0, 0, 0)}),
        ({"loss_scale_type": "fixed"}, {"loss_scale_type": "auto"}),
        ({"amp_level": "O2", "loss_scale_type": "dynamic"}, {"amp_level": "O2", "loss_scale_type": "auto"}),
        ({}, {"clip_value": 1.0, "ema_decay": 0.9, "cutmix_prob": 0.5, "re_scale": (0.1, 0.2), "re_max_attempts": 3}),
    ],
)
def test_changed_options_leaves_out_other_spellings_and_options_without_effect(before, now):
    assert changed_options(recorded_options(Config(before)), recorded_options(Config(now))) == {}


@pytest.mark.parametrize(
    ("common", "name", "old", "new"),
    [
        ({}, "image_resize", 32, (32, 48)),
        ({}, "aug_repeats", 1, 2),
        ({}, "color_jitter", None, 0.4),
        ({"re_prob": 0.2}, "re_value", 0.0, "random"),
        ({"amp_level": "O2"}, "loss_scale_type", "fixed", "auto"),
        ({"clip_grad": True}, "clip_value", 1.0, 2.0),
        ({"ema": True}, "ema_decay", 0.9, 0.99),
        ({"mixup": 0.2}, "cutmix_prob", 0.5, 1.0),
        ({"mixup": 0.2, "cutmix": 1.0}, "mixup_switch_prob", 0.3, 0.5),
    ],
)
def test_changed_options_has_every_option_with_another_effect(common, name, old, new):
    before, now = (recorded_options(Config(common, **{name: value})) for value in (old, new))
    assert changed_options(before, now) == {name: (before[name], now[name])}


COSINE = {"scheduler": "cosine_decay", "warmup_epochs": 0, "decay_epochs": 10, "epoch_size": 10}


@pytest.mark.parametrize(
    ("before", "changes", "made"),
    [
        (COSINE, {"epoch_size": 12}, 8),
        (COSINE, {"epoch_size": 5}, 8),
        (COSINE, {"epoch_size": 12}, 40),
        (COSINE, {"epoch_size": 12, "lr": 0.01}, 40),
        ({"scheduler": "constant", "warmup_epochs": 2, "epoch_size": 10}, {"warmup_epochs": 1}, 8),
        ({"scheduler": "constant", "warmup_epochs": 0, "epoch_size": 10}, {"decay_epochs": 7}, 0),
        (
            {
                "scheduler": "multi_step_decay",
                "warmup_epochs": 0,
                "multi_step_decay_milestones": (1, 8),
                "epoch_size": 9,
            },
            {"multi_step_decay_milestones": (2, 8)},
            8,
        ),
    ],
)
def test_check_of_a_changed_schedule_with_equal_remaining_rates_passes(before, changes, made):
    before = Config(before)
    assert check(before, before.replace(**changes), made) == {}


@pytest.mark.parametrize(
    ("before", "changes", "made", "named"),
    [
        (COSINE, {"lr": 0.01}, 8, ["lr"]),
        (COSINE, {"lr": 0.01, "epoch_size": 12}, 8, ["lr"]),
        (COSINE, {"decay_epochs": 12, "epoch_size": 12}, 40, ["decay_epochs"]),
        (COSINE, {"decay_epochs": 12, "epoch_size": 12}, 8, ["decay_epochs"]),
        ({"scheduler": "one_cycle", "epoch_size": 10}, {"epoch_size": 12}, 8, ["epoch_size"]),
        ({"scheduler": "one_cycle", "epoch_size": 10}, {"epoch_size": 12}, 40, ["epoch_size"]),
        ({"scheduler": "cyclic", "epoch_size": 10}, {"epoch_size": 12}, 40, ["epoch_size"]),
        ({"scheduler": "constant", "warmup_epochs": 2, "epoch_size": 10}, {"warmup_epochs": 1}, 7, ["warmup_epochs"]),
        (COSINE, {"lr": 1e-5, "min_lr": 1e-6, "decay_epochs": 9}, 8, ["lr", "decay_epochs"]),
    ],
)
def test_check_of_a_changed_schedule_with_other_remaining_rates_names_the_options(before, changes, made, named):
    before = Config(before)
    line = complaint(before, before.replace(**changes), made)
    assert f"--resume_changes {' '.join(named)} if" in line
    assert check(before, before.replace(**changes), made, intended=named) == {}


def test_check_of_an_intended_rate_still_refuses_another_schedule_option():
    before = Config(COSINE)
    now = before.replace(lr=0.01, decay_epochs=9)
    assert "--resume_changes decay_epochs if" in complaint(before, now, 8, intended=["lr"])


def test_check_of_a_saved_schedule_that_contradicts_the_new_options_fails():
    now = Config(lr=1e-5, min_lr=1e-6)
    assert "--resume_changes min_lr if" in complaint(Config(lr=1e-2, min_lr=1e-3), now, intended=["lr"])


@pytest.mark.parametrize(
    ("classes", "described"),
    [
        (("dog", "zebra"), "class 0 was cat and is dog now"),
        (("cat", "zebra"), "class 1 was dog and is zebra now"),
        (("cat", "dog", "eel"), "class 2 was missing and is eel now"),
        (("cat",), "class 1 was dog and is missing now"),
    ],
)
def test_check_of_other_classes_names_the_first_difference(classes, described):
    now = identity(Config(), classes)
    line = complaint(identity(Config()), now, intended=["data_dir"])
    assert line == (
        f"1.ckpt is of a run with other classes: {described}: resume with the run's own class names, or load weights "
        "alone, without --resume"
    )


@pytest.mark.parametrize(
    ("images", "described"),
    [
        ((1700, "aa"), "there were 16 and are 1,700 now"),
        ((16, "bb"), "there are 16 as before, but some have another name or label"),
    ],
)
def test_check_of_other_training_images_says_how_they_differ(images, described):
    now = identity(Config(), images=images)
    line = complaint(identity(Config()), now)
    assert f"1.ckpt is of a run on other training images: {described}: resume with the run's own and its on_bad" in line
    assert check(identity(Config()), now, intended=["data_dir"]) == {}


def test_check_of_another_number_of_steps_does_not_offer_resume_changes():
    line = complaint(identity(Config()), identity(Config(batch_size=64), steps=8))
    assert line.endswith(
        "batch_size was 128 and is 64 now: resume with the run's own, or load weights alone, without --resume"
    )
    now = identity(Config(batch_size=64), steps=8)
    assert "with 4 steps an epoch, and now there are 8" in complaint(identity(Config()), now, intended=["batch_size"])


def test_check_of_a_checkpoint_without_the_runs_state_does_not_offer_resume_changes():
    saved, now = identity(Config()), identity(Config(ema=True))
    with pytest.raises(ValueError, match="ema was False and is True now: resume with the run's own, or load weights"):
        check_same_run("1.ckpt", saved, now, (), lambda changes: [], 0, fits=False)


def test_check_of_a_checkpoint_without_options_compares_classes_and_steps():
    old = Identity(["cat", "dog"], STEPS)
    assert check(old, Config(opt="adamw")) == {}
    assert "class 0 was cat" in complaint(old, identity(Config(), classes=("dog", "zebra")))
    assert "4 steps an epoch" in complaint(old, identity(Config(), steps=5))


def test_recorded_options_hold_effective_values_as_json():
    options = recorded_options(Config(num_devices=8), num_devices=1, num_classes=10)
    assert (options["num_devices"], options["num_classes"]) == (1, 10)
    assert options == json.loads(json.dumps(options))
