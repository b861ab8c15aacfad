"""Which devices use the compositions that are made for a CPU."""

import sys
from functools import wraps
from inspect import isclass

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from mindcv.models import ConViT

MODULES = [module for name, module in sys.modules.items() if name.startswith("mindcv.models.")]
# The compositions for a CPU: cells with a gradient of their own, and methods named `composed`.
CPU_METHODS = {
    (kind, "composed" if "composed" in vars(kind) else "construct")
    for module in MODULES
    for kind in vars(module).values()
    if isclass(kind) and not {"bprop", "composed"}.isdisjoint(vars(kind))
}


@pytest.mark.parametrize("fused", [True, False])
def test_layers_use_cpu_compositions_only_without_fused_kernels(fused, monkeypatch):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    used = set()

    def watch(kind, name):
        method = getattr(kind, name)

        @wraps(method)
        def watched(self, *args):
            used.add((kind, name))
            return method(self, *args)

        monkeypatch.setattr(kind, name, watched)

    for kind, name in CPU_METHODS:
        watch(kind, name)
    for module in MODULES:
        if hasattr(module, "has_fused_kernels"):
            monkeypatch.setattr(module, "has_fused_kernels", lambda: fused)
    model = ConViT(image_size=16, patch_size=8, num_classes=3, num_heads=4, embed_dim=64, depth=2, local_up_to_layer=1)

    def total(images):
        return model(images).sum()

    gradients = ms.grad(total, None, model.trainable_params())(Tensor(np.ones((1, 3, 16, 16)), ms.float32))
    assert len(gradients) == len(model.trainable_params())
    assert used == (set() if fused else CPU_METHODS)
