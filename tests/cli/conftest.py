"""What the tests of several commands share."""

import json

import numpy as np
import pytest
from PIL import Image

import mindcv
from mindcv import weights
from mindcv.config import resolve

SMALL = ["--device_target", "CPU", "--image_resize", "16", "--patch_size", "8", "--num_classes", "3"]


@pytest.fixture(scope="module")
def run_folder(shallow_tiny, tmp_path_factory):
    """The folder of a run, with a checkpoint, options and metrics, and an image in it."""
    folder = tmp_path_factory.mktemp("run")
    model = mindcv.create_model("convit_tiny", num_classes=3, image_size=16, patch_size=8)
    weights.write(folder / "best.ckpt", {p.name: p.asnumpy() for p in model.get_parameters()})
    resolve(SMALL).save(folder / "config.yaml")
    rng = np.random.default_rng(0)
    records = [
        {"epoch": e, "top_1": None, "gates": rng.random((1, 4)).tolist(), "non_locality": rng.random((2, 4)).tolist()}
        for e in (1, 2)
    ]
    (folder / "metrics.jsonl").write_text(
        "".join(json.dumps(record) + "\n" for record in [{"epoch": 0, "top_1": None}, *records])
    )
    Image.fromarray(rng.integers(0, 256, (20, 30, 3), np.uint8)).save(folder / "image.png")
    return folder
