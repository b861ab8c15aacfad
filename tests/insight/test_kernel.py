import numpy as np
import pytest

from mindcv.insight import attention_maps, effective_kernel
from mindcv.models import ConViT


def test_effective_kernel_of_a_new_model_is_a_convolution(both_modes):
    """Each head attends to one of the nine offsets of a 3 × 3 kernel, by the discrete Gaussian of the paper."""
    model = ConViT(image_size=40, patch_size=8, num_heads=9, embed_dim=36, depth=2, local_up_to_layer=1)
    kernel = effective_kernel(model, 0)
    assert kernel.shape == (9, 9, 9)
    dy, dx = np.mgrid[-4:5, -4:5]
    for head in range(9):
        x, y = head // 3 - 1, head % 3 - 1
        score = np.exp(-((dx - x) ** 2.0) - (dy - y) ** 2)
        np.testing.assert_allclose(kernel[head], score / score.sum(), rtol=1e-4, atol=1e-7)


def test_effective_kernel_agrees_with_positional_maps(random_model, images, pynative):
    """A query's map is the part of the kernel that lies on the grid, renormalised."""
    model = random_model()
    maps = attention_maps(model, images)
    for layer in range(2):
        kernel = effective_kernel(model, layer)
        assert kernel.shape == (4, 5, 3)
        for query in range(6):
            row, col = divmod(query, 2)
            part = kernel[:, 2 - row : 5 - row, 1 - col : 3 - col].reshape(4, 6)
            part = part / part.sum(-1, keepdims=True)
            np.testing.assert_allclose(maps[layer].position[0, :, query], part, rtol=1e-4, atol=1e-6)


def test_effective_kernel_of_another_layer_raises(random_model):
    for layer in (2, 3, -1):
        with pytest.raises(ValueError, match=rf"layer is {layer}; layers with positional attention are \[0, 1\]"):
            effective_kernel(random_model(), layer)
    with pytest.raises(ValueError, match="layers with positional attention are none"):
        effective_kernel(random_model(local_up_to_layer=0), 0)
