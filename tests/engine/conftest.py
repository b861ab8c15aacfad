import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindcv.engine.ema import ModelEMA
from mindcv.engine.identity import Identity
from mindcv.engine.step import TrainStep
from mindcv.loss import create_loss
from mindcv.models import ConViT
from mindcv.models.layers import Linear
from mindcv.optim import create_optimizer

SMALL = {"image_size": 16, "patch_size": 4, "num_classes": 7, "num_heads": 4, "embed_dim": 16}


@pytest.fixture(scope="session")
def small_model():
    """Return a function that builds a two-block ConViT for 16 x 16 pixels, each time with the same weights."""

    def build(**kwargs):
        ms.set_seed(0)
        return ConViT(**{**SMALL, "depth": 2, "local_up_to_layer": 1, "drop_path_rate": 0.0, **kwargs})

    return build


def build_perceptron():
    """Return a small model for 16 x 16 pixels and 7 classes that compiles fast, always with the same weights."""
    ms.set_seed(0)
    model = nn.SequentialCell(nn.Flatten(), Linear(3 * 16 * 16, 8), nn.Tanh(), Linear(8, 7))
    for weight in (model[1].weight, model[3].weight):
        weight.set_data(weight * 10)
    return model


@pytest.fixture(scope="session")
def perceptron():
    """Return the function `build_perceptron`."""
    return build_perceptron


@pytest.fixture
def averaging_step():
    """Return a function that returns a training step of a model by SGD with moving averages."""

    def build(model, decay, **options):
        optimizer = create_optimizer(model, "sgd", lr=0.5, momentum=0.0)
        averages = ModelEMA(model.get_parameters(), decay)
        return TrainStep(model, create_loss("CE"), optimizer, ema=averages, **options).set_train()

    return build


@pytest.fixture
def identity():
    """Return the identity of a run on two classes whose epochs have one step."""
    return Identity(["cat", "dog"], 1, (2, "a"), {"seed": 42, "num_parallel_workers": 1, "num_devices": 1})


@pytest.fixture
def batch():
    """Return images (8, 3, 16, 16) and labels (8,) of 7 classes."""
    rng = np.random.default_rng(0)
    images = rng.standard_normal((8, 3, 16, 16)).astype(np.float32)
    return Tensor(images), Tensor(rng.integers(0, 7, 8), ms.int32)
