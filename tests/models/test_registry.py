"""The registry: list, look up and register models."""

import sys
import warnings
from importlib.util import module_from_spec, spec_from_file_location

import pytest

import mindcv
from mindcv.models.registry import register_model

CONVIT = ["convit_base", "convit_base_plus", "convit_small", "convit_small_plus", "convit_tiny", "convit_tiny_plus"]
DEIT = ["deit_base", "deit_small", "deit_tiny"]


def test_list_models_filters_by_pattern_module_and_weights():
    assert mindcv.list_models() == mindcv.list_models(pretrained=True) == CONVIT + DEIT
    assert mindcv.list_models("convit*") == CONVIT
    assert mindcv.list_models("*tiny*") == ["convit_tiny", "convit_tiny_plus", "deit_tiny"]
    assert mindcv.list_models(["convit_tiny", "*base"]) == ["convit_base", "convit_tiny", "deit_base"]
    assert mindcv.list_models("*tiny*", exclude_filters="*plus") == ["convit_tiny", "deit_tiny"]
    assert mindcv.list_models(exclude_filters=["*plus", "*small", "deit*"]) == ["convit_base", "convit_tiny"]
    assert mindcv.list_models(module="vit", pretrained=True) == DEIT
    assert mindcv.list_models(module="resnet") == []


def test_registry_queries_answer_for_known_and_unknown_models():
    assert mindcv.is_model("convit_tiny")
    assert not mindcv.is_model("resnet50")
    assert mindcv.list_modules() == ["convit", "vit"]
    assert mindcv.is_model_in_modules("convit_tiny", ["convit"])
    assert not mindcv.is_model_in_modules("convit_tiny", ["vit"])
    assert mindcv.is_model_pretrained("convit_base_plus")
    assert mindcv.model_entrypoint("convit_small").__name__ == "convit_small"


def test_get_pretrained_cfg_returns_a_copy():
    cfg = mindcv.get_pretrained_cfg("convit_small")
    assert cfg["crop_pct"] == 0.915
    assert cfg["top_1"] == 81.63
    cfg["crop_pct"] = 0
    assert mindcv.get_pretrained_cfg_value("convit_small", "crop_pct") == 0.915
    assert mindcv.has_pretrained_cfg_key("convit_small", "mean")
    assert not mindcv.has_pretrained_cfg_key("convit_small", "no such key")
    assert mindcv.get_pretrained_cfg_value("convit_small", "no such key") is None


def test_create_model_with_unknown_name_or_argument_suggests_a_similar_one():
    with pytest.raises(ValueError, match="'convit_smal'; did you mean 'convit_small'"):
        mindcv.create_model("convit_smal")
    with pytest.raises(ValueError, match=r"'resnet50'; choose from convit_base, .*convit_tiny_plus"):
        mindcv.get_pretrained_cfg("resnet50")
    with pytest.raises(TypeError, match="'drop_pathrate'; did you mean 'drop_path_rate'"):
        mindcv.create_model("convit_tiny", drop_pathrate=0.1)


def test_register_model_makes_a_model_creatable_by_name(monkeypatch):
    from mindcv.models import registry

    monkeypatch.setattr(registry, "_entrypoints", dict(registry._entrypoints))
    monkeypatch.setattr(registry, "_cfgs", dict(registry._cfgs))

    @register_model
    def convit_shallow(pretrained=False, num_classes=1000, in_channels=3, **kwargs):
        return mindcv.create_model("convit_tiny", num_classes, pretrained, in_channels, depth=2, local_up_to_layer=1)

    assert "convit_shallow" in mindcv.list_models()
    assert not mindcv.is_model_pretrained("convit_shallow")
    assert len(mindcv.create_model("convit_shallow", num_classes=3).blocks) == 2


def test_register_model_of_a_file_imported_again_keeps_the_first():
    """MindSpore's O1 imports the files of a model's classes as modules of their own."""
    first = mindcv.model_entrypoint("convit_tiny")
    spec = spec_from_file_location("convit", first.__code__.co_filename)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        spec.loader.exec_module(sys.modules.setdefault("convit", module_from_spec(spec)))
    del sys.modules["convit"]
    assert mindcv.model_entrypoint("convit_tiny") is first
