import copy
import pickle

import pytest

from mindcv.config import OPTIONS, Config, ConfigError, parse, resolve

CHANGED = {
    "lr": 7e-4,
    "min_lr": 1e-6,
    "scale": (0.5, 1.0),
    "image_resize": (256, 128),
    "color_jitter": None,
    "auto_augment": "autoaug-mstd0.5",
    "val_split": "no",
    "re_value": "random",
    "distribute": True,
    "ckpt_save_dir": "runs/a: b # c",
    "loss_scale": 1024.0,
}


def test_config_has_defaults_and_given_values():
    config = Config(lr=0.1, scale=[0.5, 1])
    assert config.lr == 0.1
    assert config.scale == (0.5, 1.0)
    assert config.epoch_size == 90
    assert config.as_dict() == {
        **{name: row.default for name, row in OPTIONS.items()},
        "lr": 0.1,
        "scale": (0.5, 1.0),
    }


def test_config_refuses_assignment_and_deletion():
    config = Config()
    with pytest.raises(AttributeError, match=r"read-only: config\.replace\(lr=…\)"):
        config.lr = 1.0
    with pytest.raises(AttributeError, match="read-only"):
        del config.lr
    assert config.lr == 0.001
    config.as_dict()["lr"] = 1.0
    assert config.lr == 0.001


def test_replace_checks_the_changes_and_keeps_the_rest():
    config = Config(CHANGED)
    other = config.replace(lr="2e-3", epoch_size=5)
    assert (other.lr, other.epoch_size, other.scale) == (0.002, 5, (0.5, 1.0))
    assert config.lr == 7e-4
    with pytest.raises(ConfigError, match="lr"):
        config.replace(lr=-1)


def test_config_equals_its_copies_and_pickles():
    config = Config(CHANGED)
    assert config == Config(CHANGED) != Config()
    assert hash(config) == hash(Config(CHANGED))
    assert copy.deepcopy(config) == config == pickle.loads(pickle.dumps(config))


def test_unknown_name_suggests_the_most_similar():
    with pytest.raises(ConfigError, match=r"'epoch_sise'.*epoch_size"):
        Config(epoch_sise=3)
    with pytest.raises(AttributeError, match=r"'batch_sise'.*batch_size"):
        _ = Config().batch_sise


def test_saved_config_reads_back_equal(tmp_path):
    config = Config(CHANGED)
    config.save(tmp_path / "new" / "options.yaml")
    again = resolve(["-c", str(tmp_path / "new" / "options.yaml")])
    assert again.replace(config="") == config
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["options.yaml"]


def test_windows_paths_survive_the_command_line_a_recipe_and_a_saved_config(tmp_path):
    paths = {
        "data_dir": r"C:\new images\train",
        "ckpt_save_dir": r"D:\runs\u0041",
        "val_list": r"\\server\share\val.txt",
    }
    words = [word for name, path in paths.items() for word in (f"--{name}", path)]
    (tmp_path / "recipe.yaml").write_text("\n".join(f"{name}: {path}" for name, path in paths.items()))
    Config(paths).save(tmp_path / "saved.yaml")
    for config in (resolve(words), *(resolve(["-c", str(tmp_path / f"{name}.yaml")]) for name in ("recipe", "saved"))):
        assert {name: getattr(config, name) for name in paths} == paths


def test_to_yaml_has_every_common_option_and_its_origin():
    recipe = Config(lr=0.1, origins={"lr": "recipe.yaml line 7"}).to_yaml()
    for name in OPTIONS:
        is_common = name != "config" and not OPTIONS[name].only
        assert is_common == (f"\n{name}: " in recipe)
    assert "\nlr: 0.1  # recipe.yaml line 7\n" in recipe
    assert "\nmin_lr: 1.0e-06\n" in recipe


def test_config_saved_by_one_script_is_read_by_the_others(tmp_path):
    (tmp_path / "a.ckpt").touch()
    given = {"ckpt_path": str(tmp_path / "a.ckpt"), "use_ema": True, "image": ("a b.jpg", "c,d.jpg")}
    Config(given).save(tmp_path / "infer.yaml")
    again = resolve(["-c", str(tmp_path / "infer.yaml")])
    assert (again.use_ema, again.image) == (True, ("a b.jpg", "c,d.jpg"))
    Config(lr=0.1).save(tmp_path / "train.yaml")
    for script in ("train", "validate", "infer", "export"):
        assert parse(["-c", str(tmp_path / "train.yaml")], prog=f"{script}.py").lr == 0.1


def test_save_that_fails_keeps_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "options.yaml"
    target.write_text("old")
    monkeypatch.setattr("os.fsync", _disk_full)
    with pytest.raises(OSError, match=f"cannot write {target}: No space left on device"):
        Config().save(target)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("options.yaml", "old")]


def _disk_full(_):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"ckpt_save_policy": "top_k"}, ["ckpt_save_policy", "val_while_train"]),
        ({"lr": 1e-7}, ["min_lr", "lr", "cosine_decay"]),
        ({"attn_impl": "flash"}, ["attn_impl flash", "--amp_level O2", "--attn_impl separable"]),
        ({"attn_impl": "flash", "amp_level": "O2", "val_while_train": True}, ["attn_impl flash", "--val_amp_level O2"]),
        ({"model_args": "patch_size=8"}, ["model_args", "--patch_size 8 instead"]),
        ({"model_args": "image_size=[8,4]"}, ["model_args", "--image_resize 8 4 instead"]),
        ({"model_args": "num_classes=8"}, ["model_args", "--num_classes 8 instead"]),
        ({"model_args": "features_only=True"}, ["model_args", "features_only is an argument of create_model"]),
        ({"mean": 127.5}, ["mean", "wanted"]),
        ({"mean": "127.5"}, ["mean has 1", "std has 3"]),
    ],
)
def test_contradicting_options_are_refused_by_name(options, names):
    with pytest.raises(ConfigError) as error:
        Config(options)
    assert all(name in str(error.value) for name in names)
    assert "\n" not in str(error.value)


def test_consistent_options_pass_the_checks():
    Config(ckpt_save_policy="top_k", val_while_train=True)
    Config(lr=1e-7, scheduler="constant")
    Config(attn_impl="flash", amp_level="O2")
    Config(attn_impl="flash", val_amp_level="O2")
    Config(attn_impl="flash", amp_level="O1", val_amp_level="O1", val_while_train=True)
    Config(epoch_size=1, warmup_epochs=5, decay_epochs=295)
