"""Compare labels with pixels: image i is filled with i + 1, so that each pixel tells which image it is from."""

import numpy as np
import pytest

from mindcv.data import Mixup

B, C, SIDE = 6, 10, 32
LABELS = np.array([3, 1, 4, 1, 5, 9])


def mixed(seed=0, size=B, **options):
    images = np.broadcast_to(np.arange(1, size + 1, dtype=np.float32)[:, None, None, None], (size, 3, SIDE, SIDE))
    mixup = Mixup(label_smoothing=0.0, num_classes=C, **options)
    return mixup(images.copy(), LABELS[:size], np.random.default_rng(seed))


def own_fractions(images, labels, i):
    """Return the fraction of image i that is its own, and the weight of its own label."""
    mirror = len(images) - 1 - i
    pixels = (images[i].astype(float).mean() - (mirror + 1)) / (i - mirror)
    return pixels, labels[i, LABELS[i]]


@pytest.mark.parametrize("mode", ["batch", "pair", "elem"])
@pytest.mark.parametrize("kind", ["mixup", "cutmix", "both", "minmax"])
@pytest.mark.parametrize("seed", range(5))
def test_mixup_labels_match_pixel_fractions(mode, kind, seed):
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
        pixels, label = own_fractions(images, labels, i)
        if LABELS[i] == LABELS[B - 1 - i]:
            assert label == 1
        else:
            np.testing.assert_allclose(label, pixels, atol=2e-6)
            np.testing.assert_allclose(labels[i, LABELS[B - 1 - i]], 1 - pixels, atol=2e-6)


@pytest.mark.parametrize("mode, different", [("batch", 1), ("pair", 3), ("elem", 6)])
def test_mixup_mode_sets_the_number_of_draws(mode, different):
    images, labels = mixed(1, mode=mode, mixup_alpha=1.0)
    fractions = [own_fractions(images, labels, i)[0] for i in range(B)]
    assert len(np.unique(np.round(fractions, 4))) == different
    if mode == "pair":
        np.testing.assert_allclose(fractions, fractions[::-1], atol=1e-5)


def test_cutmix_replaces_one_rectangle():
    images, _ = mixed(2, mixup_alpha=0.0, cutmix_alpha=1.0)
    foreign = images[0, 0] == B
    assert ((images[0] == 1) | (images[0] == B)).all() and 0 < foreign.sum() < SIDE**2
    assert foreign.sum() == foreign.any(0).sum() * foreign.any(1).sum()
    assert ((images[-1, 0] == 1) == foreign).all()


def test_cutmix_without_correct_lam_keeps_drawn_lambda():
    drawn, corrected = (mixed(s, mixup_alpha=0.0, cutmix_alpha=1.0, correct_lam=c) for s in [3] for c in (False, True))
    np.testing.assert_array_equal(drawn[0], corrected[0])
    assert abs(drawn[1][0, 3] - corrected[1][0, 3]) > 1e-3


def test_mixup_probabilities_set_the_frequencies():
    def kinds(**options):
        count = {"none": 0, "mixup": 0, "cutmix": 0}
        for seed in range(300):
            image = mixed(seed, **options)[0][0]
            is_uniform = len(np.unique(image)) == 1
            count["cutmix" if not is_uniform else "none" if image[0, 0, 0] == 1 else "mixup"] += 1
        return count

    count = kinds(mixup_alpha=1.0, cutmix_alpha=1.0, prob=0.5, switch_prob=0.8)
    assert abs(count["none"] / 300 - 0.5) < 0.12 and abs(count["cutmix"] / 150 - 0.8) < 0.2
    assert kinds(mixup_alpha=1.0, prob=0.0)["none"] == 300


def test_mixup_lambda_has_the_variance_of_beta():
    fractions = [own_fractions(*mixed(seed, mixup_alpha=0.2), 0)[0] for seed in range(1000)]
    # Var of Beta(a, a) = 1 / (4 (2a + 1))
    assert abs(np.mean(fractions) - 0.5) < 0.05 and abs(np.var(fractions) - 1 / (4 * 1.4)) < 0.015


def test_mixup_smooths_labels_and_accepts_odd_batches():
    images = np.zeros((5, 3, 4, 4), np.float32)
    _, labels = Mixup(prob=0.0, label_smoothing=0.1, num_classes=C)(images, LABELS[:5], np.random.default_rng(0))
    np.testing.assert_allclose(labels, np.eye(C)[LABELS[:5]] * 0.9 + 0.01, atol=1e-7)
    images, labels = mixed(0, size=5)
    assert (images[2] == 3).all() and labels[2, 4] == 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"mode": "half"}, "mode is 'half'; it must be one of batch, pair, elem"),
        ({"mixup_alpha": 0.0}, "mixup is 0.0 and cutmix is 0.0; both must"),
        ({"prob": 2}, "prob is 2; it must be at least 0 and at most 1"),
        ({"label_smoothing": -1}, "label_smoothing"),
        ({"cutmix_minmax": (0.5, 2.0)}, "must be \\(minimum, maximum\\), both from 0 to 1"),
        ({"cutmix_minmax": (0.8, 0.2)}, "cutmix_minmax is \\(0.8, 0.2\\)"),
    ],
)
def test_mixup_with_invalid_argument_raises(arguments, message):
    with pytest.raises(ValueError, match=message):
        Mixup(**arguments)


def test_mixup_label_beyond_num_classes_raises():
    with pytest.raises(ValueError, match="labels 1 to 9 do not fit num_classes 9"):
        Mixup(num_classes=9)(np.zeros((6, 3, 4, 4), np.float32), LABELS)
