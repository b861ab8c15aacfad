import pytest

from mindcv.config import OPTIONS, Config, ConfigError, refuse_not_yet
from mindcv.config.not_yet import _WORKING


def test_all_of_them_are_named_at_once_with_what_to_pass_instead():
    config = Config(val_amp_level="O1", amp_level="O2", lr=0.1)
    with pytest.raises(ConfigError) as error:
        refuse_not_yet(config, "train")
    line = str(error.value)
    assert "amp_level O2, val_amp_level O1" in line
    assert line.endswith("pass --amp_level O0 --val_amp_level O0")
    assert "\n" not in line


def test_validation_does_not_mind_what_only_training_uses():
    config = Config(amp_level="O2")
    refuse_not_yet(config, "validate")
    with pytest.raises(ConfigError, match="--val_amp_level O0"):
        refuse_not_yet(config.replace(val_amp_level="O1"), "validate")


@pytest.mark.parametrize("script", _WORKING)
def test_the_defaults_work_and_every_remedy_is_one(script):
    refuse_not_yet(Config(), script)
    for name, works in _WORKING[script].items():
        for value in works:
            assert getattr(Config({name: value}), name) == value
        assert OPTIONS[name].default in works
