import subprocess
import sys
from pathlib import Path

import pytest

from mindcv.config import OPTIONS, Config, ConfigError, as_recipe, parse, resolve

ROOT = Path(__file__).parents[2]

COUNTS = [
    "batch_size", "num_samples", "steps", "epoch_size", "decay_epochs", "num_cycles", "multi_step_decay_milestones",
    "prefetch_size", "num_devices", "image_resize", "patch_size", "topk", "num_parallel_workers", "re_max_attempts",
    "num_classes",
]  # fmt: skip


@pytest.fixture
def recipe(tmp_path):
    """A function that writes a recipe and returns its path."""

    def write(text: str | bytes) -> str:
        path = tmp_path / "recipe.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


def error_line(argv) -> str:
    with pytest.raises(ConfigError) as error:
        resolve(argv)
    line = str(error.value)
    assert "\n" not in line
    return line


def test_resolve_lets_the_command_line_override_the_recipe_and_the_recipe_the_defaults(recipe):
    path = recipe("lr: 7e-4\nbatch_size: 64\n")
    config = resolve(["-c", path, "--batch_size", "32"])
    assert (config.lr, config.batch_size, config.epoch_size) == (7e-4, 32, 90)
    assert config.origin("lr") == f"{path} line 1"
    assert config.origin("batch_size") == "command line"
    assert config.origin("epoch_size") == "default"
    assert config.config == path


def test_resolve_lets_a_typed_default_override_the_recipe(recipe):
    assert resolve(["-c", recipe("lr: 0.1"), "--lr", "0.001"]).lr == 0.001


def test_resolve_reads_yaml_values_as_options(recipe):
    config = resolve(
        [
            "-c",
            recipe(
                "lr: 7e-4\nmin_lr: 1e-6\nweight_decay: .05\nepoch_size: 1_000\n"
                "distribute: no\nval_while_train: yes\nshuffle: FALSE\n"
                "auto_augment: null\ndrop_rate: ~\nnum_samples: None\nval_split:\nckpt_path:\n"
                "scale: [0.08, 1]\nratio: (0.75, 1.333)\nmean:\n  - 1.5\n  - 2\n  - 3\n"
                "color_jitter: [0.4, 0.4, 0.4]\ndevice_target: 'CPU'\nmode: 1\n"
            ),
        ]
    )
    assert (config.lr, config.min_lr, config.weight_decay, config.epoch_size) == (7e-4, 1e-6, 0.05, 1000)
    assert (config.distribute, config.val_while_train, config.shuffle) == (False, True, False)
    assert (config.auto_augment, config.drop_rate, config.num_samples, config.val_split) == (None,) * 4
    assert config.ckpt_path == ""
    assert (config.scale, config.ratio, config.mean) == ((0.08, 1.0), (0.75, 1.333), (1.5, 2.0, 3.0))
    assert config.color_jitter == (0.4, 0.4, 0.4)
    assert (config.device_target, config.mode) == ("CPU", 1)


@pytest.mark.parametrize(
    ("argv", "name", "value"),
    [
        ("--distribute", "distribute", True),
        ("--distribute False", "distribute", False),
        ("--distribute=false --seed 1", "distribute", False),
        ("--distribute --seed 1", "distribute", True),
        ("--scale 0.1 0.9 --seed 1", "scale", (0.1, 0.9)),
        ("--scale 0.1,0.9", "scale", (0.1, 0.9)),
        ("--scale=[0.1,0.9]", "scale", (0.1, 0.9)),
        ("--mean -1 0 -1.5", "mean", (-1.0, 0.0, -1.5)),
        ("--mean -1e1 -.5e1 -1E-1", "mean", (-10.0, -5.0, -0.1)),
        ("--mean -1,-2,-3", "mean", (-1.0, -2.0, -3.0)),
        ("--mean 0 0 0 --std 1 1 1", "std", (1.0, 1.0, 1.0)),
        ("--mean 0 0 0 --std 255 255 255", "mean", (0.0, 0.0, 0.0)),
        ("--image_resize 256 128", "image_resize", (256, 128)),
        ("--image_resize 96", "image_resize", 96),
        ("--multi_step_decay_milestones 3", "multi_step_decay_milestones", (3,)),
        ("--auto_augment none", "auto_augment", None),
        ("--lr 1e-3 --lr 2e-3", "lr", 0.002),
        ("--pretrained", "pretrained", True),
        ("--pretrained --seed 1", "pretrained", True),
        ("--pretrained fb", "pretrained", "fb"),
        ("--device_target cpu", "device_target", "CPU"),
        ("--opt AdamW", "opt", "adamw"),
        ("--ckpt_save_policy None", "ckpt_save_policy", None),
        ("--eps 0", "eps", 0.0),
        ("--lr 0 --min_lr 0", "lr", 0.0),
        ("--re_value pixel", "re_value", "pixel"),
        ("--image_path a.jpg b.jpg", "image", ("a.jpg", "b.jpg")),
    ],
)
def test_resolve_reads_a_command_line(argv, name, value):
    assert getattr(resolve(argv.split()), name) == value


def test_resolve_reads_a_list_in_one_quoted_word():
    assert resolve(["--scale", "[0.1, 0.9]"]).scale == (0.1, 0.9)


@pytest.mark.parametrize(
    ("argv", "parts"),
    [
        ("--lrr 0.1", ["'lrr'", "did you mean lr?"]),
        ("--batch-size 4", ["'batch-size'", "batch_size"]),
        ("--learning_rate 0.1", ["'learning_rate'", "did you mean lr?"]),
        ("--filter_bias_and_bn True", ["weight_decay_filter"]),
        ("--qqqq 1", ["'qqqq'", "did you mean"]),
        ("--epoch 1", ["'epoch'", "epoch_size"]),
        ("dataset=cifar10", ["'dataset=cifar10'", "--name value"]),
        ("-x", ["'-x'", "--name value"]),
        ("--lr fast", ["lr (command line)", "'fast'", "a number of at least 0"]),
        ("--lr", ["lr (command line)", "nothing", "a number of at least 0"]),
        ("--config", ["config", "nothing"]),
        ("--lr=-1e-3", ["'-1e-3'", "at least 0"]),
        ("--lr nan", ["lr", "'nan'"]),
        ("--batch_size 2.5", ["batch_size", "'2.5'", "an integer of at least 1"]),
        ("--batch_size 0", ["batch_size", "'0'", "at least 1"]),
        ("--hflip 1.5", ["hflip", "'1.5'", "at least 0, at most 1"]),
        ("--mode 2", ["mode", "'2'", "one of 0, 1"]),
        ("--opt adamm", ["opt", "'adamm'", "lamb", "did you mean adam?"]),
        ("--amp_level O22", ["amp_level", "O0, O1, O2, O3, auto", "did you mean O2?"]),
        ("--scale 0.5", ["scale", "'0.5'", "2 values"]),
        ("--scale 1 0.5", ["scale", "1 0.5", "the smaller first"]),
        ("--scale a b", ["scale", "a b"]),
        ("--distribute maybe", ["distribute", "'maybe'", "True or False"]),
        ("--image_resize 0", ["image_resize", "'0'", "at least 1"]),
        ("--norm_eps 0", ["norm_eps", "above 0, or none"]),
        ("--lr 1" + "0" * 400, ["lr", "a number of at least 0"]),
        ("--seed 1" + "0" * 400, ["seed", "below 2147483648"]),
        ("--config " + "a" * 5000, ["config", "no file"]),
        ("--ckpt_path " + "a" * 5000, ["ckpt_path", "no file"]),
        ("--mean -inf 0 0", ["mean", "'-inf 0 0'"]),
        ("--lr -nan", ["lr", "'-nan'"]),
        ("---lr 1", ["'-lr'", "did you mean lr"]),
        ("--", ["unexpected '--'", "--name value"]),
        ("-- --lr 1", ["unexpected '--'"]),
        ("--=1", ["unexpected '--=1'"]),
        ("--lr [0.1]", ["lr", "'[0.1]'", "a number of at least 0"]),
        ("--lr 1.7e308", ["lr", "'1.7e308'", "single precision computes with 1e-30 to 1e30"]),
        ("--eps 1e-300", ["eps", "single precision"]),
        ("--scale 1e-300 1e-300", ["scale", "1e-300 1e-300", "single precision"]),
        ("--re_value -1e300", ["re_value", "'-1e300'"]),
        ("--crop_pct 1e-20", ["crop_pct", "at least 0.1"]),
        ("--mean 0.5 0.5 0.5 --std 0.5 0.5 0.5", ["mean 127.5 127.5 127.5, std 127.5 127.5 127.5"]),
        ("--mean 0.5 0.5 0.5", ["multiply both by 255"]),
        ("--mean 0 0 0 --std 0.9 1 1", ["multiply both by 255"]),
        ("--batch_size 1000000", ["batch_size 1000000 of 224x224", "561 GiB", "lower batch_size"]),
        ("--batch_size 4096 --prefetch_size 1024", ["1024 of them", "prefetch_size"]),
        ("--image_resize 8192 --batch_size 1", ["262144 patches", "patch_size"]),
        ("--image_resize 10000", ["image_resize", "at most 8192"]),
        ("--num_devices 129", ["num_devices", "at most 128"]),
        *[(f"--{name} 1000000001", [name, "at most"]) for name in COUNTS],
        ("--seed 9999999999", ["seed", "below 2147483648"]),
    ],
)
def test_resolve_refuses_a_bad_command_line_in_one_line(argv, parts):
    line = error_line(argv.split())
    assert all(part in line for part in parts), line


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["empty", "model: convit_tiny"]),
        ("# only a comment\n", ["empty"]),
        ("- lr\n- 0.1\n", ["holds a list"]),
        ("just words", ["holds text"]),
        ("lr: 0.1\nepoch_size: [3\nmode: 0\n", ["recipe.yaml line 3", "not valid YAML"]),
        ("lr: 0.1\n\tmode: 0\n", ["recipe.yaml line 2", "not valid YAML"]),
        ("lr: 0.1\n---\nlr: 0.2\n", ["line 2", "not valid YAML"]),
        ("mode: 0\nlr: 0.1\n\nlr: 0.2\n", ["recipe.yaml line 4", "lr is given twice", "line 2"]),
        ("mode: 0\nlearning_rate: 0.1\n", ["recipe.yaml line 2", "'learning_rate'", "did you mean lr?"]),
        ("mode: 0\nlr: fast\n", ["lr", "recipe.yaml line 2", "'fast'", "a number of at least 0"]),
        ("lr: {peak: 0.1}\n", ["lr", "line 1", "flat list"]),
        ("scale: [[0.1, 0.2], 1]\n", ["scale", "line 1", "flat list"]),
        ("scale: [0.1, 0.2, 0.3]\n", ["scale", "line 1", "0.1 0.2 0.3", "2 values"]),
        ("model: [a, b]\n", ["model", "'[a, b]'", "a string"]),
        ("lr: [0.1]\n", ["lr", "line 1", "'[0.1]'", "a number of at least 0"]),
        ("image_resize: [224]\n", ["image_resize", "'[224]'", "or 2 values"]),
        ("scale: [1.0]\n", ["scale", "'[1.0]'", "2 values"]),
        ("mean: [0.485, 0.456, 0.406]\nstd: [0.229, 0.224, 0.225]\n", ["123.675 116.28 103.53, std 58.395", "by 255"]),
        ("model:\n", ["model", "None", "a string"]),
        ("lr:\n", ["lr", "None", "a number of at least 0"]),
        ("mode: 0\nfilter_bias_and_bn: some\n", ["line 2", "filter_bias_and_bn", "'some'", "True or False"]),
        ("filter_bias_and_bn: True\nweight_decay_filter: auto\n", ["line 2", "weight_decay_filter is given twice"]),
        ("distribute: 2\n", ["distribute", "'2'", "True or False"]),
        ("[1, 2]: 3\n", ["line 1", "the name of an option"]),
        ("config: other.yaml\n", ["line 1", "config"]),
        ("lr: &a [*a]\n", ["line 1"]),
        (b"\x89PNG\r\n\xff\xfe\x00\x00", ["not valid YAML"]),
        (b"lr: \x00\x01", ["not valid YAML"]),
        ("lr: " + "[" * 3000, ["not valid YAML"]),
        ('scale: ["a\\nb", 1]', ["scale", "line 1"]),
        ("lr: *nowhere", ["line 1", "not valid YAML"]),
    ],
)
def test_resolve_refuses_a_bad_recipe_with_its_file_and_line(recipe, text, parts):
    path = recipe(text)
    line = error_line(["--config", path])
    assert "recipe.yaml" in line or "mean" in text
    assert all(part in line for part in parts), line


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("filter_bias_and_bn: True", "weight_decay_filter", "norm_and_bias"),
        ("filter_bias_and_bn: False", "weight_decay_filter", "disable"),
        ("dynamic_loss_scale: True", "loss_scale_type", "dynamic"),
        ("scheduler: 'warmup_cosine_decay_lr'", "scheduler", "warmup_cosine_decay"),
    ],
)
def test_resolve_translates_an_older_mindcv_recipe_and_names_the_new_option(recipe, caplog, line, name, value):
    assert getattr(resolve(["--config", recipe(f"mode: 0\n{line}\n")]), name) == value
    assert f"recipe.yaml line 2: {line.replace(chr(39), '')} is now written {name}: {value}" in caplog.text


def test_dataset_may_be_the_empty_string():
    assert resolve(["--dataset", ""]).dataset == ""


@pytest.mark.parametrize("option", [row for row in OPTIONS.values() if row.type.annotation in (bool, bool | str)])
def test_every_switch_alone_means_true(option):
    assert getattr(resolve([f"--{option.name}", "--ckpt_path", "pyproject.toml"]), option.name) is True


@pytest.mark.parametrize(("prog", "use_ema"), [("validate.py", True), ("infer.py", True), ("train.py", False)])
def test_ema_on_the_command_line_loads_the_averages_except_in_training(prog, use_ema):
    words = ["--ema", "--ckpt_path", "pyproject.toml"]
    assert parse(words, prog=prog).use_ema is use_ema


def test_resolve_executes_no_yaml_tag(recipe, tmp_path):
    mark = tmp_path / "mark"
    error_line(["-c", recipe(f"lr: !!python/object/apply:os.mkdir ['{mark}']\n")])
    assert not mark.exists()


def test_resolve_names_a_missing_file_and_the_most_similar_one(tmp_path):
    (tmp_path / "best.ckpt").touch()
    (tmp_path / "recipe.yaml").write_text("lr: 1")
    for option, typo, near in (
        ("config", "recip.yaml", "recipe.yaml"),
        ("ckpt_path", "bst.ckpt", "best.ckpt"),
    ):
        line = error_line([f"--{option}", str(tmp_path / typo)])
        assert option in line
        assert str(tmp_path / typo) in line
        assert str(tmp_path / near) in line
    assert "Is a directory" in error_line(["-c", str(tmp_path)])
    assert f"{str(tmp_path)!r} is a folder: name a file in it" in error_line(["--ckpt_path", str(tmp_path)])
    assert "no file" in error_line(["-c", str(tmp_path / "no" / "such" / "folder.yaml")])


def test_parse_ends_with_one_line_and_exit_code_2(capsys):
    with pytest.raises(SystemExit) as end:
        parse(["--lr", "fast"], prog="train.py")
    assert end.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "train.py: error: lr (command line): got 'fast', wanted a number of at least 0\n"


@pytest.mark.parametrize("script", ["train", "validate", "infer", "export"])
def test_help_lists_the_options_of_the_script_by_group(script, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as end:
        parse(["--help"], prog=f"{script}.py", description="Train a model.")
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: {script}.py [-c RECIPE.yaml] [--option value …]\n\nTrain a model.\n")
    own = {name: option for name, option in OPTIONS.items() if not option.only or script in option.only}
    for name in OPTIONS:
        assert (f"\n  --{name} " in text or f", --{name} " in text) == (name in own)
    for option in own.values():
        assert f"\n{option.group}:\n" in text
    assert ("\nExport:\n" in text) == (script == "export")


def test_help_shows_defaults_and_limits(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        parse(["--help"], prog="train.py")
    text = capsys.readouterr().out
    words = " ".join(text.split())
    assert "-c FILE, --config FILE" in words
    assert "--lr X peak learning rate (at least 0; default: 0.001)" in words
    assert "--loss {CE,BCE}" in words
    assert "--scale X [X ...]" in words
    assert "default: 0.08 1.0)" in words
    assert "--val_split NAME split to validate on; none: the dataset's default (default: none)" in words
    assert "one of constant, cosine_decay" in words
    assert "'[0.08, 1.0]'" in words
    assert max(map(len, text.splitlines())) <= 100


OPTIONS_OF_OTHERS = {
    "train": (["--topk", "3"], "topk is an option of infer.py only: leave it out"),
    "validate": (["--fp16"], "fp16 is an option of export.py only: leave it out"),
    "infer": (["--format=onnx"], "format is an option of export.py only: leave it out"),
    "export": (["--image", "a.jpg"], "image is an option of infer.py only: leave it out"),
}


@pytest.mark.parametrize("script", OPTIONS_OF_OTHERS)
def test_parse_refuses_an_option_of_another_script(script, tmp_path, capsys):
    words, line = OPTIONS_OF_OTHERS[script]
    name, value = words[0].lstrip("-").split("=")[0], ([*words, "True"])[1]
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"{name}: {'onnx' if name == 'format' else value}\n")
    for argv, where in ((words, ""), (["-c", str(recipe)], f"{recipe} line 1: ")):
        with pytest.raises(SystemExit) as end:
            parse(argv, prog=f"{script}.py")
        assert end.value.code == 2
        assert capsys.readouterr().err == f"{script}.py: error: {where}{line}\n"


def test_parse_names_all_scripts_of_an_option(capsys):
    with pytest.raises(SystemExit):
        parse(["--class_names", "a.txt"], prog="train.py")
    assert "class_names is an option of infer.py, export.py only" in capsys.readouterr().err


def test_use_ema_and_keep_classifier_need_a_checkpoint():
    with pytest.raises(ConfigError, match="use_ema loads the moving averages of a checkpoint: pass --ckpt_path"):
        resolve(["--use_ema"])
    with pytest.raises(ConfigError, match="keep_classifier keeps the classifier of a checkpoint: pass --ckpt_path"):
        resolve(["--keep_classifier"])
    resolve(["--use_ema", "--keep_classifier", "--resume"])  # the resumed run began with them


@pytest.mark.parametrize("script", ["train", "validate", "infer", "export"])
def test_every_script_accepts_use_ema(script, tmp_path):
    (tmp_path / "a.ckpt").touch()
    assert parse(["--use_ema", "--ckpt_path", str(tmp_path / "a.ckpt")], prog=f"{script}.py").use_ema


def test_image_keeps_spaces_and_commas_in_file_names():
    assert resolve(["--image", "a b.jpg", "c,d.jpg"]).image == ("a b.jpg", "c,d.jpg")
    assert resolve(["--image", "one file.jpg"]).image == ("one file.jpg",)
    with pytest.raises(ConfigError, match=r"image .*got nothing"):
        resolve(["--image"])


def test_resolve_does_not_import_mindspore():
    code = "import sys, mindcv.config as c; c.resolve([]); print({'mindspore', 'numpy'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


@pytest.fixture
def run_folder(tmp_path):
    """A folder with the options and a checkpoint of a run that began from another checkpoint."""
    folder = tmp_path / "run"
    (tmp_path / "start.ckpt").touch()
    config = resolve(
        ["--lr", "0.02", "--seed", "7", "--ckpt_path", str(tmp_path / "start.ckpt"), "--resume_changes", "lr"]
    )
    config.save(folder / "config.yaml")
    (folder / "convit_tiny-1_3.ckpt").touch()
    return folder


def test_resume_without_config_reads_the_runs_options_below_the_command_line(run_folder):
    config = resolve(["--resume", "--ckpt_save_dir", str(run_folder), "--lr", "0.03"])
    assert (config.lr, config.seed, config.ckpt_save_dir) == (0.03, 7, str(run_folder))
    assert (config.ckpt_path, config.resume_changes) == ("", None), "these were for the start only"
    assert config.origin("resume_changes") == "default"
    named = resolve(["-c", f"{run_folder}/config.yaml"])
    assert (named.resume_changes, named.origin("resume_changes")) == (None, "default")
    assert config.origin("seed").startswith(f"{run_folder}/config.yaml line ")
    assert config.config == f"{run_folder}/config.yaml"


def test_resume_without_config_leaves_out_the_options_of_one_start(run_folder):
    given = {"steps": 5, "resume": True, "resume_opt": True, "dry_run": True, "use_ema": True, "epoch_size": 3}
    Config(given).save(run_folder / "config.yaml")
    config = resolve(["--resume", "--ckpt_save_dir", str(run_folder)])
    assert config.replace(**dict.fromkeys(("config", "ckpt_save_dir"), "x")) == Config(
        resume=True, epoch_size=3, config="x", ckpt_save_dir="x"
    )


def test_as_recipe_of_a_resumed_run_begins_a_new_one():
    started = Config(lr=0.1, steps=5, ckpt_path="start.ckpt", use_ema=True)
    assert as_recipe(started) == started
    for name in ("resume", "resume_opt"):
        assert as_recipe(started.replace(**{name: True})) == Config(lr=0.1, steps=5)


def test_resume_from_a_checkpoint_reads_the_options_in_its_folder(run_folder, tmp_path):
    path = str(run_folder / "convit_tiny-1_3.ckpt")
    config = resolve(["--resume_opt", "True", "--ckpt_path", path])
    assert (config.seed, config.ckpt_path, config.ckpt_save_dir) == (7, path, str(run_folder))
    forked = resolve(["--resume", "--ckpt_path", path, "--ckpt_save_dir", str(tmp_path / "other")])
    assert (forked.seed, forked.ckpt_save_dir) == (7, str(tmp_path / "other"))
    alone = resolve(["--resume", "--ckpt_path", str(tmp_path / "start.ckpt"), "--ckpt_save_dir", str(run_folder)])
    assert alone.seed == 7


def test_resume_from_a_link_reads_the_options_beside_its_target(run_folder, tmp_path):
    (tmp_path / "last.ckpt").symlink_to(run_folder / "convit_tiny-1_3.ckpt")
    config = resolve(["--resume", "--ckpt_path", str(tmp_path / "last.ckpt")])
    assert (config.seed, config.ckpt_save_dir) == (7, str(run_folder))


def test_resume_in_the_default_folder_reads_its_options(run_folder, monkeypatch):
    run_folder.rename(run_folder.with_name("ckpt"))
    monkeypatch.chdir(run_folder.parent)
    assert resolve(["--resume"]).seed == 7


@pytest.mark.parametrize("words", [["--resume", "-c", "RECIPE"], ["--resume", "False"], []])
def test_resolve_ignores_a_runs_options_with_config_or_without_resume(words, run_folder, recipe):
    words = [recipe("lr: 0.5\n") if word == "RECIPE" else word for word in words]
    config = resolve([*words, "--ckpt_save_dir", str(run_folder)])
    assert config.seed == 42
    assert config.lr == (0.5 if "-c" in words else 0.001)


def test_resume_reads_a_runs_options_for_training_only(run_folder):
    assert parse(["--resume", "--ckpt_save_dir", str(run_folder)], prog="validate.py").seed == 42
    assert parse(["--resume", "--ckpt_save_dir", str(run_folder)], prog="mindcv train").seed == 7


def test_resume_with_damaged_options_names_file_and_line(run_folder):
    (run_folder / "config.yaml").write_text("lr: 0.1\nmixup: much\n")
    assert error_line(["--resume", "--ckpt_save_dir", str(run_folder)]) == (
        f"mixup ({run_folder}/config.yaml line 2): got 'much', wanted a number of at least 0"
    )


def test_resume_changes_refuses_an_unknown_option():
    line = error_line(["--resume", "--resume_changes", "lr", "min_lrr"])
    assert line == "resume_changes: unknown option 'min_lrr'; did you mean min_lr? (--help lists them all)"
    assert resolve(["--resume_changes", "lr,min_lr"]).resume_changes == ("lr", "min_lr")


EXTREME = "1e-300 1.7e308 -1e308 1000000001 inf -inf nan -1 -1e1 0 [] [0.1] ~ $NO_SUCH -- ---x 1,2"
PATHS = ["config", "data_dir", "val_list", "ckpt_path", "ckpt_save_dir", "results_file", "class_names", "output"]


@pytest.mark.parametrize("home", ["~", "$HOME", "${HOME}"])
@pytest.mark.parametrize("name", [*PATHS, "image"])
def test_path_option_expands_home(recipe, tmp_path, monkeypatch, name, home):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.yaml").write_text("lr: 0.5\n")
    wanted = str(tmp_path / "a.yaml")
    config = resolve([f"--{name}", f"{home}/a.yaml"])
    assert getattr(config, name) == ((wanted,) if name == "image" else wanted)
    assert (config.lr == 0.5) == (name == "config")
    if name != "config":
        assert getattr(resolve(["-c", recipe(f"{name}: {home}/a.yaml\n")]), name) == getattr(config, name)


def test_image_expands_home_in_patterns(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert resolve(["--image", "~/a b/*.jpg", "$HOME/c.png"]).image == ("/home/me/a b/*.jpg", "/home/me/c.png")


@pytest.mark.parametrize("path", ["$NO_SUCH/a", "${NO_SUCH}/a", "x/$NO_SUCH", "~no_such_user/a"])
def test_path_option_refuses_an_unknown_variable_or_user(monkeypatch, path):
    monkeypatch.delenv("NO_SUCH", raising=False)
    line = error_line(["--ckpt_save_dir", path])
    assert line.startswith(f"ckpt_save_dir (command line): got {path!r}, wanted a path; ")
    assert line.endswith(f"in {path!r} is not known here")


@pytest.mark.parametrize("name", ["cost$.jpg", "$NO_SUCH.jpg", "~old.jpg", "a~b.jpg"])
def test_path_option_keeps_an_existing_path_as_written(monkeypatch, tmp_path, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).touch()
    assert resolve(["--image", name]).image == (name,)


@pytest.mark.parametrize("value", [*EXTREME.split(), "", "\0", "9" * 5000])
def test_every_option_accepts_or_refuses_extreme_values(value):
    for name in OPTIONS:
        for given in (value, [value], [value, value]):
            try:
                read = getattr(Config({name: given}), name)
            except ConfigError as error:
                assert "\n" not in str(error)
            else:
                assert not isinstance(read, float) or abs(read) <= 1e30


def test_model_args_of_a_recipe_are_a_mapping_and_saved_as_one(recipe, tmp_path):
    path = recipe("model_args: {local_up_to_layer: 5, locality_strength: 5e-1, act2: ~}\n")
    config = resolve(["-c", str(path)])
    assert config.model_args == {"local_up_to_layer": 5, "locality_strength": 0.5, "act2": None}
    config.save(tmp_path / "saved.yaml")
    assert resolve(["-c", str(tmp_path / "saved.yaml")]).model_args == config.model_args
    assert resolve(["-c", str(path), "--model_args", "depth=3"]).model_args == {"depth": 3}
    assert resolve(["-c", str(path), "--model_args", "none"]).model_args is None


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("model_args: {a: {b: 1}}", "model_args (FILE line 1): got nested values"),
        ("model_args: {a: 1, a: 2}", "a is given twice"),
        ("model_args: {a b: 1}", "wanted one or more NAME=VALUE"),
        ("model_args: {}", "wanted one or more NAME=VALUE"),
        ("model: {a: 1}", "model (FILE line 1): got nested values"),
    ],
)
def test_resolve_refuses_a_bad_mapping_in_one_line(recipe, text, part):
    path = str(recipe(text))
    with pytest.raises(ConfigError) as error:
        resolve(["-c", path])
    assert part.replace("FILE", path) in str(error.value)
    assert "\n" not in str(error.value)


def test_recipe_overrides_the_recipe_that_it_names(recipe, tmp_path):
    (tmp_path / "base.yaml").write_text("lr: 0.1\nepoch_size: 7\n")
    (tmp_path / "ablations").mkdir()
    own = tmp_path / "ablations/own.yaml"
    own.write_text("config: ../base.yaml\nlr: 0.2\n")
    config = resolve(["-c", str(own)])
    assert (config.lr, config.epoch_size, config.config) == (0.2, 7, str(own))
    assert config.origin("lr") == f"{own} line 2"
    assert config.origin("epoch_size") == f"{tmp_path}/ablations/../base.yaml line 2"


@pytest.mark.parametrize(
    ("base", "message"),
    [("config: own.yaml\n", "the base of another recipe cannot name one itself"), (None, "no file")],
)
def test_recipe_with_a_bad_base_is_refused(base, message, tmp_path):
    if base:
        (tmp_path / "base.yaml").write_text(base)
    (tmp_path / "own.yaml").write_text("config: base.yaml\n")
    with pytest.raises(ConfigError, match=message):
        resolve(["-c", str(tmp_path / "own.yaml")])
