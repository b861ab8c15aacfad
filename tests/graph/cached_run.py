"""Train and validate a small model; print the seconds until the graphs were ready, and a digest of all results.

    python cached_run.py SEED [OPTION …]

An option is an argument of the model, such as drop_path_rate=0.3, or a word that `main` looks for.
"""

import hashlib
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import mindspore as ms
import numpy as np
import yaml
from mindspore import Tensor

from mindcv.engine.build import recompute_blocks
from mindcv.engine.ema import ModelEMA
from mindcv.engine.loss_scale import LossScale
from mindcv.engine.scores import EvalStep
from mindcv.engine.step import TrainStep
from mindcv.loss import create_loss
from mindcv.models import ConViT, set_precision
from mindcv.optim import create_optimizer
from tests.engine.conftest import SMALL


def main(seed: int, *options: str) -> None:
    """Run three steps and a validation with `options`; everything random follows from `seed`."""
    ms.set_context(mode=ms.GRAPH_MODE)
    np.random.seed(seed)
    ms.set_seed(seed)
    arguments = {name: yaml.safe_load(value) for name, value in (o.split("=") for o in options if "=" in o)}
    model = ConViT(**{**SMALL, "depth": 2, "local_up_to_layer": 1, "drop_path_rate": 0.0, **arguments})
    set_precision(model, "O2" if "O2" in options else "O0", "float16")
    if "recompute" in options:
        recompute_blocks(model)
    layer_decay = 0.9 if "layer_decay" in options else None
    optimizer = create_optimizer(model, "adamw", [0.01, 0.02, 0.03], layer_decay=layer_decay)
    ema = ModelEMA(model.trainable_params(), 0.9) if "ema" in options else None
    step = TrainStep(
        model, create_loss("CE"), optimizer, LossScale(1024.0, dynamic="dynamic" in options), ema=ema,
        accumulation=2 if "accumulate" in options else 1, clip_norm=0.1 if "clip" in options else None,
        skip_nonfinite=2 if "skip" in options else 0,
    ).set_train()  # fmt: skip
    evaluate = EvalStep(model, create_loss("CE", reduction="none"))
    images = Tensor(np.random.standard_normal((4, 3, 16, 16)).astype(np.float32))
    labels = Tensor(np.arange(4), ms.int32)
    start = time.perf_counter()
    results = [step(images, labels).asnumpy()]
    seconds = time.perf_counter() - start
    results += [step(images, labels).asnumpy() for _ in range(2)]
    evaluate.set_train(False)
    start = time.perf_counter()
    results.append(evaluate(images, labels).asnumpy())
    seconds += time.perf_counter() - start
    state = {**optimizer.state_parameters(), **step.state_parameters(), **model.parameters_dict()}
    results += [state[name].asnumpy() for name in sorted(state)]
    results += [average.asnumpy() for average in ema.averages] if ema else []
    print(seconds, hashlib.sha256(b"".join(result.tobytes() for result in results)).hexdigest(), *results[:3])


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
