import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from mindcv.config import OPTIONS, Config
from mindcv.config.options import OnResume, Options

ROOT = Path(__file__).parents[2]
MINDCV = json.loads((Path(__file__).parent / "mindcv_options.json").read_text())
DIFFERENT_DEFAULTS = {"model": "convit_tiny", "val_split": None, "num_parallel_workers": None}


@pytest.mark.parametrize("name", MINDCV)
def test_option_of_mindcv_keeps_its_name_default_and_choices(name):
    default = DIFFERENT_DEFAULTS.get(name, MINDCV[name]["default"])
    default = tuple(default) if isinstance(default, list) else default
    assert OPTIONS[name].default == (pytest.approx(default) if isinstance(default, tuple) else default)
    for choice in MINDCV[name].get("choices", []):
        assert getattr(Config({name: choice}), name) == choice


@pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS)
def test_default_is_accepted_unchanged_by_its_own_type(option):
    read = option.type.read(option.default)
    assert read == option.default
    assert type(read) is type(option.default)


@pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS)
def test_on_resume_is_one_of_four_words_and_free_outside_training(option):
    assert option.on_resume in get_args(OnResume)
    if option.only and "train" not in option.only:
        assert option.on_resume == "free"


def test_aliases_are_unique_and_not_options():
    aliases = [alias for option in OPTIONS.values() for alias in option.aliases]
    assert len(aliases) == len(set(aliases))
    assert not set(aliases) & set(OPTIONS)


def test_every_option_is_a_field_annotated_with_what_its_type_returns():
    hints = get_type_hints(Config)
    assert {name: hints[name] for name in OPTIONS} == {name: row.type.annotation for name, row in OPTIONS.items()}
    assert hints.keys() - OPTIONS.keys() == {"_origins"}


def test_options_are_declared_once_and_hide_no_method_of_config():
    declared = [name for heading in Options.__bases__ for name in heading.__annotations__]
    assert declared == list(OPTIONS)
    assert not OPTIONS.keys() & vars(Config).keys()


def test_type_checker_knows_the_fields_and_refuses_unknown_names(tmp_path):
    mypy = shutil.which("mypy", path=str(Path(sys.executable).parent)) or pytest.skip("mypy is not installed")
    source = tmp_path / "uses_config.py"
    source.write_text(
        "from mindcv.config import Config\n"
        "lr: float = Config().lr\n"
        "size: int | tuple[int, int] = Config().image_resize\n"
        "wrong: str = Config().lr\n"
        "unknown = Config().batch_sise\n"
    )
    command = [mypy, "--ignore-missing-imports", "--follow-imports=silent", "--cache-dir", tmp_path / "cache", source]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
    assert [line.split(":")[1] for line in found.splitlines() if ": error:" in line] == ["4", "5"], found


def test_top_level_config_module_has_the_same_options(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    import config

    assert config.OPTIONS is OPTIONS
