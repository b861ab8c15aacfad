"""The public names of `mindcv.models`."""

from mindcv.models.convit import (
    GPSA,
    MHSA,
    ConViT,
    convit_base,
    convit_base_plus,
    convit_small,
    convit_small_plus,
    convit_tiny,
    convit_tiny_plus,
)
from mindcv.models.factory import create_model
from mindcv.models.features import FeatureInfo, Features
from mindcv.models.flops import count_flops
from mindcv.models.freezing import freeze
from mindcv.models.precision import set_precision
from mindcv.models.registry import (
    get_pretrained_cfg,
    get_pretrained_cfg_value,
    has_pretrained_cfg_key,
    is_model,
    is_model_in_modules,
    is_model_pretrained,
    list_models,
    list_modules,
    load_model_module,
    model_entrypoint,
    register_model,
)
from mindcv.models.summary import summary
from mindcv.models.vit import VisionTransformer, deit_base, deit_small, deit_tiny

__all__ = [
    "GPSA",
    "MHSA",
    "ConViT",
    "FeatureInfo",
    "Features",
    "VisionTransformer",
    "convit_base",
    "convit_base_plus",
    "convit_small",
    "convit_small_plus",
    "convit_tiny",
    "convit_tiny_plus",
    "count_flops",
    "create_model",
    "deit_base",
    "deit_small",
    "deit_tiny",
    "freeze",
    "get_pretrained_cfg",
    "get_pretrained_cfg_value",
    "has_pretrained_cfg_key",
    "is_model",
    "is_model_in_modules",
    "is_model_pretrained",
    "list_models",
    "list_modules",
    "load_model_module",
    "model_entrypoint",
    "register_model",
    "set_precision",
    "summary",
]
