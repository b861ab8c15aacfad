"""The labels must follow from the pixels: image i is filled with i + 1, so each pixel says whose it is."""

import numpy as np
import pytest

from mindcv.data import Mixup

B, C, SIDE = 6, 10, 32
LABELS = np.array([3, 1, 4, 1, 5, 9])


def mixed(seed=0, size=B, **options):
    images = np.broadcast_to(np.arange(1, size + 1, dtype=np.float32)[:, None, None, None], (size, 3, SIDE, SIDE))
    mixup = Mixup(label_smoothing=0.0, num_classes=C, **options)
    return mixup(images.copy(), LABELS[:size], np.random.default_rng(seed))


def own_share(images, labels, i):
    """How much of image i is its own, and how much of its label."""
    mirror = len(images) - 1 - i
    pixels = (images[i].astype(float).mean() - (mirror + 1)) / (i - mirror)
    return pixels, labels[i, LABELS[i]]


@pytest.mark.parametrize("mode", ["batch", "pair", "elem"])
@pytest.mark.parametrize("kind", ["mixup", "cutmix", "both", "minmax"])
@pytest.mark.parametrize("seed", range(5))
def test_labels_follow_the_pixels(mode, kind, seed):
    options = {
        "mixup": {"mixup_alpha": 1.0},
        "cutmix": {"mixup_alpha": 0.0, "cutmix_alpha": 1.0},
        "both": {"mixup_alpha": 1.0, "cutmix_alpha": 1.0},
        "minmax": {"mixup_alpha": 0.0, "cutmix_alpha": 1.0, "cutmix_minmax": (0.2, 0.6)},
    }[kind]
    images, labels = mixed(seed, mode=mode, **options)
    assert labels.shape == (B, C) and labels.dtype == np.float32 and images.dtype == np.float32
    np.testing.assert_allclose(labels.sum(1), 1, atol=1e-6)
    for i in range(B):
        pixels, label = own_share(images, labels, i)
        if LABELS[i] == LABELS[B - 1 - i]:
            assert label == 1
        else:
            np.testing.assert_allclose(label, pixels, atol=2e-6)
            np.testing.assert_allclose(labels[i, LABELS[B - 1 - i]], 1 - pixels, atol=2e-6)


@pytest.mark.parametrize("mode, different", [("batch", 1), ("pair", 3), ("elem", 6)])
def test_modes_draw_once_each(mode, different):
    images, labels = mixed(1, mode=mode, mixup_alpha=1.0)
    shares = [own_share(images, labels, i)[0] for i in range(B)]
    assert len(np.unique(np.round(shares, 4))) == different
    if mode == "pair":
        np.testing.assert_allclose(shares, shares[::-1], atol=1e-5)


def test_cutmix_puts_in_one_rectangle():
    images, _ = mixed(2, mixup_alpha=0.0, cutmix_alpha=1.0)
    foreign = images[0, 0] == B
    assert ((images[0] == 1) | (images[0] == B)).all() and 0 < foreign.sum() < SIDE**2
    assert foreign.sum() == foreign.any(0).sum() * foreign.any(1).sum()
    assert ((images[-1, 0] == 1) == foreign).all()


def test_uncorrected_lambda_is_the_drawn_one():
    drawn, corrected = (mixed(s, mixup_alpha=0.0, cutmix_alpha=1.0, correct_lam=c) for s in [3] for c in (False, True))
    np.testing.assert_array_equal(drawn[0], corrected[0])
    assert abs(drawn[1][0, 3] - corrected[1][0, 3]) > 1e-3


def test_probabilities():
    def kinds(**options):
        count = {"none": 0, "mixup": 0, "cutmix": 0}
        for seed in range(300):
            image = mixed(seed, **options)[0][0]
            whole = len(np.unique(image)) == 1
            count["cutmix" if not whole else "none" if image[0, 0, 0] == 1 else "mixup"] += 1
        return count

    count = kinds(mixup_alpha=1.0, cutmix_alpha=1.0, prob=0.5, switch_prob=0.8)
    assert abs(count["none"] / 300 - 0.5) < 0.12 and abs(count["cutmix"] / 150 - 0.8) < 0.2
    assert kinds(mixup_alpha=1.0, prob=0.0)["none"] == 300


def test_alpha_is_that_of_a_beta_distribution():
    shares = [own_share(*mixed(seed, mixup_alpha=0.2), 0)[0] for seed in range(1000)]
    # Var of Beta(a, a) = 1 / (4 (2a + 1))
    assert abs(np.mean(shares) - 0.5) < 0.05 and abs(np.var(shares) - 1 / (4 * 1.4)) < 0.015


def test_smoothing_and_odd_batches():
    images = np.zeros((5, 3, 4, 4), np.float32)
    _, labels = Mixup(prob=0.0, label_smoothing=0.1, num_classes=C)(images, LABELS[:5], np.random.default_rng(0))
    np.testing.assert_allclose(labels, np.eye(C)[LABELS[:5]] * 0.9 + 0.01, atol=1e-7)
    images, labels = mixed(0, size=5)
    assert (images[2] == 3).all() and labels[2, 4] == 1


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({"mode": "half"}, "mode must be one of batch, pair, elem"),
        ({"mixup_alpha": 0.0}, "mixup and cutmix"),
        ({"prob": 2}, "prob must be 0 to 1"),
        ({"label_smoothing": -1}, "label_smoothing"),
    ],
)
def test_senseless_arguments(arguments, said):
    with pytest.raises(ValueError, match=said):
        Mixup(**arguments)


def test_labels_beyond_the_classes():
    with pytest.raises(ValueError, match="labels 1 to 9 do not fit num_classes 9"):
        Mixup(num_classes=9)(np.zeros((6, 3, 4, 4), np.float32), LABELS)
