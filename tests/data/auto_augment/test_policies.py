"""Check what policies draw, by operations that record their amount instead of changing the image."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from mindcv.data.auto_augment import AugmentedViews, create_policy
from mindcv.data.auto_augment.augmix import CHAINED
from mindcv.data.auto_augment.operations import OPERATIONS, Operation, translate_x, translate_y
from mindcv.data.auto_augment.policy import Step
from mindcv.data.auto_augment.randaugment import WEIGHTS
from mindcv.data.auto_augment.trivial import WIDE
from mindcv.data.transforms import INTERPOLATIONS, create_transforms

NAMES = ("randaug-m9-mstd0.5-inc1", "rand-m5-n3-p1-w0", "autoaug-mstd0.5", "autoaugr", "originalr", "v0", "v0r", "3a",
         "trivialaugwide", "augmix-m3-w3", "augmix-m5-w4-d2-a0.5")  # fmt: skip


@pytest.fixture(scope="module")
def image():
    small = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((32, 24), Image.BICUBIC))


@pytest.fixture
def recorded(monkeypatch):
    """A list that receives (operation name, amount) for each call of an operation, which leaves the image unchanged."""
    calls = []

    def recording(name, operation):
        def record(image, amount, context):
            calls.append((name, amount))
            return image

        return Operation(record, operation.amount)

    for table in (OPERATIONS, WIDE):
        for name, operation in table.items():
            monkeypatch.setitem(table, name, recording(name, operation))
    return calls


def per_image(policy, image, recorded, count):
    calls = []
    for i in range(count):
        policy(image, np.random.default_rng(i))
        calls.append(tuple(recorded))
        recorded.clear()
    return calls


@pytest.mark.parametrize("text", NAMES)
def test_policy_with_one_seed_returns_the_same_image(text, image):
    policy = create_policy(text, color_jitter=[(0.6, 1.4)] * 3)
    outs = [[policy(image, np.random.default_rng(i)) for i in range(30)] for _ in range(2)]
    for first, second in zip(*outs, strict=True):
        assert first.shape == image.shape and first.dtype == np.uint8
        np.testing.assert_array_equal(first, second)
    assert len({out.tobytes() for out in outs[0]}) > 10
    assert len({policy(image).tobytes() for _ in range(30)}) > 5  # without rng, draws are unseeded


def test_randaugment_draws_uniformly_and_applies_half(image, recorded):
    calls = per_image(create_policy("randaug-m9"), image, recorded, 3000)
    counts = Counter(name for applied in calls for name, _ in applied)
    assert counts.keys() == WEIGHTS.keys()
    assert all(140 < count < 260 for count in counts.values())  # 3000 · 2 · 0.5 / 15 = 200
    assert np.mean([len(applied) for applied in calls]) == pytest.approx(1.0, abs=0.06)
    assert {amount for applied in calls for name, amount in applied if name == "Rotate"} == {27, -27}
    assert {amount for applied in calls for name, amount in applied if name == "Posterize"} == {3}


def test_randaugment_settings_change_count_variants_and_weights(image, recorded):
    assert {len(applied) for applied in per_image(create_policy("randaug-n4-p1"), image, recorded, 20)} == {4}
    names = {
        name for applied in per_image(create_policy("randaug-n15-p1-inc1"), image, recorded, 40) for name, _ in applied
    }
    assert {"SolarizeIncreasing", "ColorIncreasing", "Rotate", "Invert"} < names and "Solarize" not in names
    weighted = per_image(create_policy("randaug-p1-w0"), image, recorded, 2000)
    assert all(len({name for name, _ in applied}) == 2 for applied in weighted)
    counts = Counter(name for applied in weighted for name, _ in applied)
    assert counts["Rotate"] > counts["ShearX"] > counts["TranslateXRel"] > counts["Color"] > counts["Brightness"]
    assert not counts["Invert"] and not counts["Posterize"]


def angles(text, image, recorded):
    calls = per_image(create_policy(text), image, recorded, 2000)
    return np.abs([amount for applied in calls for name, amount in applied if name == "Rotate"])


def test_magnitude_std_sets_its_distribution(image, recorded):
    drawn = angles("randaug-m5-mstd0.5-p1", image, recorded)  # 3 degrees a magnitude
    assert drawn.mean() == pytest.approx(15, abs=0.3) and drawn.std() == pytest.approx(1.5, rel=0.2)
    uniform = angles("randaug-m6-mstd101-p1", image, recorded)
    assert uniform.min() < 1 and 17 < uniform.max() <= 18 and uniform.mean() == pytest.approx(9, abs=1)
    assert angles("randaug-m9-mstd2-p1", image, recorded).max() == 30  # cut off at magnitude 10
    assert angles("randaug-m9-mstd2-mmax8-p1", image, recorded).max() == 24
    assert set(angles("randaug-m15-p1", image, recorded)) == {30}


def test_autoaugment_applies_sub_policies_at_published_rates(image, recorded):
    calls = per_image(create_policy("autoaug"), image, recorded, 5000)
    names = Counter(name for applied in calls for name, _ in applied)
    assert names.keys() == {
        "PosterizeOriginal", "Rotate", "Solarize", "AutoContrast", "Equalize", "Invert", "Color", "Contrast",
        "Sharpness", "ShearX",
    }  # fmt: skip
    # The sum of its probabilities in the paper's table 9, over 25 sub-policies.
    for name, total in (
        ("Rotate", 3.6),
        ("Equalize", 11.2),
        ("ShearX", 0.6),
        ("Sharpness", 0.4),
        ("Contrast", 2.0),
    ):
        assert names[name] / 5000 == pytest.approx(total / 25, abs=0.02)
    pairs = {tuple(name for name, _ in applied) for applied in calls}
    assert ("ShearX", "Equalize") in pairs and ("Equalize", "ShearX") not in pairs
    assert {abs(amount) for applied in calls for name, amount in applied if name == "Rotate"} == {9, 24, 27}


def test_autoaugment_increasing_reverses_posterize(image, recorded):
    for text, bits in (("autoaug", {6, 7}), ("autoaugr", {1, 2}), ("v0", {0, 2}), ("v0r", {2, 4})):
        calls = per_image(create_policy(text), image, recorded, 1000)
        assert {amount for applied in calls for name, amount in applied if name.startswith("Posterize")} == bits, text


def test_three_augment_applies_one_of_three_then_color_jitter(image, recorded):
    calls = per_image(create_policy("3a"), image, recorded, 300)
    assert {len(applied) for applied in calls} == {1}
    assert {name for applied in calls for name, _ in applied} == {"Solarize", "Desaturate", "GaussianBlur"}
    assert {amount for applied in calls for name, amount in applied if name == "Solarize"} == {128}
    jittered = create_policy("3a", color_jitter=[(0.5, 1.5), (1.0, 1.0), (1.0, 1.0)])
    levels = [jittered(np.full((4, 4, 3), 100, np.uint8), np.random.default_rng(i)).mean() for i in range(100)]
    assert 49 < min(levels) < 55 and 145 < max(levels) < 151


def test_trivial_augment_draws_one_operation_of_its_space(image, recorded):
    calls = per_image(create_policy("trivialaugwide"), image, recorded, 4000)
    assert {len(applied) for applied in calls} == {1}
    counts = Counter(applied[0][0] for applied in calls)
    assert counts.keys() == WIDE.keys() and min(counts.values()) > 200  # 4000 / 14 = 286
    amounts = {name: [amount for ((n, amount),) in calls if n == name] for name in WIDE}
    for name, low, high in (("Rotate", -135, 135), ("Color", 0.01, 2), ("ShearY", -0.99, 0.99), ("TranslateX", -32, 32),
                            ("Posterize", 2, 8), ("Solarize", 0, 256)):  # fmt: skip
        assert min(amounts[name]) == pytest.approx(low) and max(amounts[name]) == pytest.approx(high)


def test_augmix_draws_uniformly_up_to_its_magnitude(image, recorded):
    calls = per_image(create_policy("augmix-m3-w1-d1"), image, recorded, 4000)
    counts = Counter(name for applied in calls for name, _ in applied)
    assert counts.keys() == {
        "AutoContrast", "Equalize", "Rotate", "PosterizeIncreasing", "SolarizeIncreasing", "ShearX", "ShearY",
        "ColorIncreasing", "ContrastIncreasing", "BrightnessIncreasing", "SharpnessIncreasing",
    }  # fmt: skip
    assert all(220 < count < 400 for count in counts.values())  # of 13 with the two translations: 308
    amounts = {name: [amount for applied in calls for n, amount in applied if n == name] for name in counts}
    for name, maximum in (("Rotate", 9), ("ShearX", 0.09), ("ShearY", 0.09)):
        assert max(amounts[name]) == pytest.approx(maximum, rel=0.05) and max(amounts[name]) <= maximum
        assert min(amounts[name]) == pytest.approx(-maximum, rel=0.05)
        assert np.mean(np.abs(amounts[name])) == pytest.approx(maximum / 2, rel=0.15)
    for function in (translate_x, translate_y):
        [operation] = [o for o in CHAINED if isinstance(o, Operation) and o.function is function]
        assert {round(operation.amount(0.3, np.random.default_rng(i)), 9) for i in range(9)} == {0.09, -0.09}


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_policy_accepts_every_interpolation(interpolation):
    transform = create_transforms("digits", 16, True, "randaug-m9-n4-p1", interpolation=interpolation)
    image = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    for operation in transform:
        image = operation(image)
    assert image.shape == (3, 16, 16) and np.isfinite(image).all()


def test_augmix_of_identity_chains_returns_the_image(image, recorded):
    policy = create_policy("augmix-m3-w3")
    fixed = create_policy("augmix-w4-d2")
    policy.steps = fixed.steps = [Step("Invert")]
    lengths = [len(applied) for applied in per_image(policy, image, recorded, 300)]
    assert min(lengths) == 3 and max(lengths) == 9  # three chains of one to three
    assert {len(applied) for applied in per_image(fixed, image, recorded, 10)} == {8}
    np.testing.assert_array_equal(policy(image, np.random.default_rng(0)), image)  # with chains that do nothing


def test_augmix_mixed_weight_is_uniform_for_alpha_1(image, monkeypatch):
    white = Operation(lambda image, amount, context: np.full_like(image, 255), lambda m, rng: m)
    policy = create_policy("augmix-d1")
    policy.steps = [Step(white)]
    black = np.zeros((2, 2, 3), np.uint8)
    weights = np.array([policy(black, np.random.default_rng(i))[0, 0, 0] for i in range(400)]) / 255
    assert weights.mean() == pytest.approx(0.5, abs=0.05) and weights.std() == pytest.approx(12**-0.5, abs=0.03)


def test_augmented_views_start_with_unchanged_images(image):
    views = AugmentedViews(create_policy("augmix-m9"), 3)([image, image + 1], np.random.default_rng(0))
    assert len(views) == 6 and len({view.tobytes() for view in views}) == 6
    np.testing.assert_array_equal(views[0], image)
    np.testing.assert_array_equal(views[1], image + 1)
    for second, third in ((2, 4), (3, 5)):
        assert views[second].shape == views[third].shape == image.shape
    with pytest.raises(ValueError, match="aug_splits is 1; it must be at least 2"):
        AugmentedViews(create_policy("3a"), 1)


@pytest.mark.parametrize("text, message", [
    ("randaugment-m9", "no policy 'randaugment'; did you mean 'randaug'"),
    ("xyz", "no policy 'xyz'; choose from autoaug, .*, 3a, randaug, rand, trivialaugwide, augmix"),
    ("", "no policy ''; choose from"),
    ("randaug-m9-q3", "cannot read 'q3'; its settings are m, n, p, w, mstd, mmax, inc, each followed by a number"),
    ("randaug-m", "cannot read 'm'"),
    ("randaug-m-9", "cannot read 'm'"),
    ("randaug-mmax11", "mmax must be a number, 0 to 10, got 11"),
    ("randaug-n1.5", "n must be an integer, 1 to 15, got 1.5"),
    ("randaug-w1", "w must be an integer, 0 to 0"),
    ("autoaug-m9", "cannot read 'm9'; its settings are mstd"),
    ("trivialaugwide-m31", "cannot read 'm31'; it has no settings"),
    ("augmix-w0", "w must be an integer, 1 to 10"),
])  # fmt: skip
def test_create_policy_with_invalid_text_raises_one_line(text, message):
    with pytest.raises(ValueError, match=f"^auto_augment {text!r}: {message}") as error:
        create_policy(text)
    assert "\n" not in str(error.value)
