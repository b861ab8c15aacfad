import json
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from mindcv.config import OPTIONS, Config, Option

MINDCV = json.loads((Path(__file__).parent / "mindcv_options.json").read_text())
MEANT_TO_DIFFER = {"model": "convit_tiny", "val_split": None}


@pytest.mark.parametrize("name", MINDCV)
def test_mindcvs_options_keep_their_names_and_defaults(name):
    default = MEANT_TO_DIFFER.get(name, MINDCV[name]["default"])
    default = tuple(default) if isinstance(default, list) else default
    assert OPTIONS[name].default == (pytest.approx(default) if isinstance(default, tuple) else default)
    for choice in MINDCV[name].get("choices", []):
        assert getattr(Config({name: choice}), name) == choice


@pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS)
def test_every_default_is_a_value_its_own_kind_accepts_and_keeps(option):
    read = option.kind.read(option.default)
    assert read == option.default
    assert type(read) is type(option.default)


@pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS)
def test_every_option_says_what_a_change_at_resume_means(option):
    assert option.on_resume in get_args(get_type_hints(Option)["on_resume"])
    if option.only and "train" not in option.only:
        assert option.on_resume == "free"


def test_names_known_elsewhere_point_to_one_option_and_are_none_themselves():
    aliases = [alias for option in OPTIONS.values() for alias in option.aliases]
    assert len(aliases) == len(set(aliases))
    assert not set(aliases) & set(OPTIONS)


def test_the_top_level_module_hands_on_the_same_table(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    import config

    assert config.OPTIONS is OPTIONS
