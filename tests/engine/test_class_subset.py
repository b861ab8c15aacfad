"""Which classes a file lists, and the logits of them alone."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindcv.deploy import imagenet_names
from mindcv.engine.class_subset import Subset, read_subset


def test_read_subset_takes_names_and_numbers_of_classes(tmp_path):
    (tmp_path / "classes.txt").write_text("owl\n0\n")
    assert read_subset(str(tmp_path / "classes.txt"), 3, ["cat", "dog", "owl"]) == (["owl", "0"], [2, 0])
    (tmp_path / "classes.txt").write_text("cat\n4")
    assert read_subset(str(tmp_path / "classes.txt"), 5, ["cat", "dog"]) == (["cat", "4"], [0, 4])


def test_read_subset_without_names_takes_those_of_imagenet(tmp_path):
    ids = list(imagenet_names())
    (tmp_path / "classes.txt").write_text(f"{ids[7]}\n{ids[3]}")
    assert read_subset(str(tmp_path / "classes.txt"), 1000, None) == ([ids[7], ids[3]], [7, 3])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cat\ndgo", r"^class_subset: .*classes\.txt line 2: the model has no class 'dgo'; did you mean 'dog'"),
        ("3", r"line 1: the model has no class '3'"),
        ("cat\n0", r"line 2: 0 is the class cat once more"),
        ("", r"^class_subset: .* line 1"),
    ],
)
def test_read_subset_of_a_wrong_file_names_the_line(text, message, tmp_path):
    (tmp_path / "classes.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_subset(str(tmp_path / "classes.txt"), 3, ["cat", "dog", "owl"])


def test_subset_keeps_the_logits_of_the_listed_outputs(both_modes):
    logits = np.arange(8, dtype=np.float32).reshape(2, 4)
    kept = Subset(nn.Identity(), [3, 1])(Tensor(logits, ms.float32))
    np.testing.assert_array_equal(kept.asnumpy(), logits[:, [3, 1]])
