"""Compute the golden figures of DeiT with timm, in float64, on the weights and inputs of `rule.py`.

    python -m tests.golden.make_deit

It needs PyTorch and timm, without MindSpore, and writes `deit.json` and `deit_*.npz` to this folder. The figures here
are those of timm 1.0.31 on PyTorch 2.13.0.
"""

import json
import sys
from pathlib import Path

import numpy as np

from benchmarks.peers import TorchvisionStub
from tests.golden import rule

_SALTS = {"deit_tiny": 11, "deit_small": 12, "deit_base": 13}


def main() -> None:
    """Write the parameters' names and shapes of the three models to `deit.json`, and their figures to `deit_*.npz`."""
    sys.meta_path.insert(0, TorchvisionStub())
    import timm

    folder = Path(__file__).parent
    cases = {}
    for name, salt in _SALTS.items():
        model = timm.create_model(f"{name}_patch16_224").double().eval()
        shapes = {parameter: list(value.shape) for parameter, value in model.named_parameters()}
        cases[name] = {"salt": salt, "shapes": shapes}
        np.savez_compressed(folder / f"{name}.npz", **figures(model, salt))
    rows = (f"{json.dumps(name)}: {json.dumps(case)}" for name, case in cases.items())
    (folder / "deit.json").write_text("{\n" + ",\n".join(rows) + "\n}\n")


def figures(model, salt: int) -> dict[str, np.ndarray]:
    """Return the figures of timm's `model`, a torch module in float64, whose weights are replaced by those of the rule.

    "loss" is the mean cross-entropy of the logits (B, 1000), "features" (B, C) are what the head reads.
    "block_first_token" (12, B, C) and "block_rms" (12,) describe the tokens after each block. "grad_norm" and
    "grad_probe" have an element for each parameter, in order; see `rule.gradient_probe`.
    """
    import torch

    names, parameters = zip(*model.named_parameters(), strict=True)
    with torch.no_grad():
        for name, parameter in zip(names, parameters, strict=True):
            parameter.copy_(torch.from_numpy(rule.weight(name, tuple(parameter.shape), salt)))
    states = []
    for block in model.blocks:
        block.register_forward_hook(lambda _block, _inputs, tokens: states.append(tokens.detach().numpy()))
    images, labels = (torch.from_numpy(array) for array in rule.inputs(salt))
    features = model.forward_head(model.forward_features(images.double()), pre_logits=True)
    logits = model.head(features)
    loss = torch.nn.functional.cross_entropy(logits, labels)
    loss.backward()
    gradients = [parameter.grad.numpy().ravel() for parameter in parameters]
    return {
        "loss": loss.detach().numpy(),
        "logits": logits.detach().numpy(),
        "features": features.detach().numpy(),
        "block_first_token": np.stack([tokens[:, 0] for tokens in states]),
        "block_rms": np.array([np.sqrt((tokens**2).mean()) for tokens in states]),
        "grad_norm": np.array([np.linalg.norm(gradient) for gradient in gradients]),
        "grad_probe": np.array(
            [g @ rule.gradient_probe(name, g.size) for name, g in zip(names, gradients, strict=True)]
        ),
    }


if __name__ == "__main__":
    main()
