import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor
from PIL import Image

import mindcv

# The smallest ConViT with both kinds of blocks, on a grid that is no square.
SMALL = {"image_size": (32, 24), "patch_size": 8, "embed_dim": 32, "depth": 3, "local_up_to_layer": 2}


@pytest.fixture(autouse=True)
def pynative():
    before = ms.get_context("mode")
    ms.set_context(mode=ms.PYNATIVE_MODE)
    yield
    ms.set_context(mode=before)


@pytest.fixture
def small_model():
    """A function that makes a very small ConViT whose parameters all count, as create_model takes arguments."""

    def create(num_classes=7, seed=0, **kwargs):
        model = mindcv.create_model("convit_tiny", num_classes=num_classes, **{**SMALL, **kwargs})
        rng = np.random.default_rng(seed)
        for parameter in model.get_parameters():
            noise = 0.2 * rng.standard_normal(parameter.shape).astype(np.float32)
            parameter.set_data(Tensor(parameter.asnumpy() + noise))
        return model

    return create


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """A folder with odd sizes and kinds of image files."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)

    def pixels(height, width, channels):
        coarse = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, channels), np.uint8)
        return np.kron(coarse, np.ones((8, 8, 1), np.uint8))[:height, :width]

    Image.fromarray(pixels(70, 50, 3)).save(folder / "a.jpg")
    Image.fromarray(pixels(33, 91, 3)).save(folder / "b.png")
    Image.fromarray(pixels(40, 40, 4), "RGBA").save(folder / "c.png")
    Image.fromarray(pixels(64, 48, 1)[..., 0]).save(folder / "d.bmp")
    turned = Image.fromarray(pixels(60, 80, 3))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(folder / "e.jpg", exif=exif)
    return folder
