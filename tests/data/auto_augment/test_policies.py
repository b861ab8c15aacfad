"""What the policies draw, seen by operations that write down what they are asked for."""

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
def diary(monkeypatch):
    """(operation, amount) of everything done to an image, in place of doing it."""
    done = []

    def noting(name, operation):
        def act(image, amount, context):
            done.append((name, amount))
            return image

        return Operation(act, operation.amount)

    for table in (OPERATIONS, WIDE):
        for name, operation in table.items():
            monkeypatch.setitem(table, name, noting(name, operation))
    return done


def per_image(policy, image, diary, count):
    notes = []
    for i in range(count):
        policy(image, np.random.default_rng(i))
        notes.append(tuple(diary))
        diary.clear()
    return notes


@pytest.mark.parametrize("text", NAMES)
def test_an_image_stays_an_image_and_follows_from_its_draws_alone(text, image):
    policy = create_policy(text, color_jitter=[(0.6, 1.4)] * 3)
    outs = [[policy(image, np.random.default_rng(i)) for i in range(30)] for _ in range(2)]
    for first, second in zip(*outs, strict=True):
        assert first.shape == image.shape and first.dtype == np.uint8
        np.testing.assert_array_equal(first, second)
    assert len({out.tobytes() for out in outs[0]}) > 10
    assert len({policy(image).tobytes() for _ in range(30)}) > 5  # without any, they go on from their own


def test_randaugment_draws_evenly_and_applies_half(image, diary):
    notes = per_image(create_policy("randaug-m9"), image, diary, 3000)
    counts = Counter(name for note in notes for name, _ in note)
    assert counts.keys() == WEIGHTS.keys()
    assert all(140 < count < 260 for count in counts.values())  # 3000 · 2 · 0.5 / 15 = 200
    assert np.mean([len(note) for note in notes]) == pytest.approx(1.0, abs=0.06)
    assert {amount for note in notes for name, amount in note if name == "Rotate"} == {27, -27}
    assert {amount for note in notes for name, amount in note if name == "Posterize"} == {3}


def test_randaugment_settings(image, diary):
    assert {len(note) for note in per_image(create_policy("randaug-n4-p1"), image, diary, 20)} == {4}
    names = {name for note in per_image(create_policy("randaug-n15-p1-inc1"), image, diary, 40) for name, _ in note}
    assert {"SolarizeIncreasing", "ColorIncreasing", "Rotate", "Invert"} < names and "Solarize" not in names
    weighted = per_image(create_policy("randaug-p1-w0"), image, diary, 2000)
    assert all(len({name for name, _ in note}) == 2 for note in weighted)
    counts = Counter(name for note in weighted for name, _ in note)
    assert counts["Rotate"] > counts["ShearX"] > counts["TranslateXRel"] > counts["Color"] > counts["Brightness"]
    assert not counts["Invert"] and not counts["Posterize"]


def angles(text, image, diary):
    notes = per_image(create_policy(text), image, diary, 2000)
    return np.abs([amount for note in notes for name, amount in note if name == "Rotate"])


def test_spread_of_the_magnitude(image, diary):
    drawn = angles("randaug-m5-mstd0.5-p1", image, diary)  # 3 degrees a magnitude
    assert drawn.mean() == pytest.approx(15, abs=0.3) and drawn.std() == pytest.approx(1.5, rel=0.2)
    uniform = angles("randaug-m6-mstd101-p1", image, diary)
    assert uniform.min() < 1 and 17 < uniform.max() <= 18 and uniform.mean() == pytest.approx(9, abs=1)
    assert angles("randaug-m9-mstd2-p1", image, diary).max() == 30  # cut off at magnitude 10
    assert angles("randaug-m9-mstd2-mmax8-p1", image, diary).max() == 24
    assert set(angles("randaug-m15-p1", image, diary)) == {30}


def test_autoaugment_applies_pairs_at_their_rates(image, diary):
    notes = per_image(create_policy("autoaug"), image, diary, 5000)
    names = Counter(name for note in notes for name, _ in note)
    assert names.keys() == {
        "PosterizeOriginal", "Rotate", "Solarize", "AutoContrast", "Equalize", "Invert", "Color", "Contrast",
        "Sharpness", "ShearX",
    }  # fmt: skip
    # The sum of its probabilities in the paper's table 9, over 25 sub-policies.
    for name, share in (("Rotate", 3.6), ("Equalize", 11.2), ("ShearX", 0.6), ("Sharpness", 0.4), ("Contrast", 2.0)):
        assert names[name] / 5000 == pytest.approx(share / 25, abs=0.02)
    pairs = {tuple(name for name, _ in note) for note in notes}
    assert ("ShearX", "Equalize") in pairs and ("Equalize", "ShearX") not in pairs
    assert {abs(amount) for note in notes for name, amount in note if name == "Rotate"} == {9, 24, 27}


def test_increasing_posterise(image, diary):
    for text, bits in (("autoaug", {6, 7}), ("autoaugr", {1, 2}), ("v0", {0, 2}), ("v0r", {2, 4})):
        notes = per_image(create_policy(text), image, diary, 1000)
        assert {amount for note in notes for name, amount in note if name.startswith("Posterize")} == bits, text


def test_three_augment_is_one_of_three_and_then_jitter(image, diary):
    notes = per_image(create_policy("3a"), image, diary, 300)
    assert {len(note) for note in notes} == {1}
    assert {name for note in notes for name, _ in note} == {"Solarize", "Desaturate", "GaussianBlur"}
    assert {amount for note in notes for name, amount in note if name == "Solarize"} == {128}
    jittered = create_policy("3a", color_jitter=[(0.5, 1.5), (1.0, 1.0), (1.0, 1.0)])
    levels = [jittered(np.full((4, 4, 3), 100, np.uint8), np.random.default_rng(i)).mean() for i in range(100)]
    assert 49 < min(levels) < 55 and 145 < max(levels) < 151


def test_trivial_augment_draws_one_of_its_space(image, diary):
    notes = per_image(create_policy("trivialaugwide"), image, diary, 4000)
    assert {len(note) for note in notes} == {1}
    counts = Counter(note[0][0] for note in notes)
    assert counts.keys() == WIDE.keys() and min(counts.values()) > 200  # 4000 / 14 = 286
    seen = {name: [amount for ((n, amount),) in notes if n == name] for name in WIDE}
    for name, low, high in (("Rotate", -135, 135), ("Color", 0.01, 2), ("ShearY", -0.99, 0.99), ("TranslateX", -32, 32),
                            ("Posterize", 2, 8), ("Solarize", 0, 256)):  # fmt: skip
        assert min(seen[name]) == pytest.approx(low) and max(seen[name]) == pytest.approx(high)


def test_augmix_draws_evenly_from_its_table_at_magnitudes_up_to_its_own(image, diary):
    notes = per_image(create_policy("augmix-m3-w1-d1"), image, diary, 4000)
    counts = Counter(name for note in notes for name, _ in note)
    assert counts.keys() == {
        "AutoContrast", "Equalize", "Rotate", "PosterizeIncreasing", "SolarizeIncreasing", "ShearX", "ShearY",
        "ColorIncreasing", "ContrastIncreasing", "BrightnessIncreasing", "SharpnessIncreasing",
    }  # fmt: skip
    assert all(220 < count < 400 for count in counts.values())  # of 13 with the two translations: 308
    seen = {name: [amount for note in notes for n, amount in note if n == name] for name in counts}
    for name, most in (("Rotate", 9), ("ShearX", 0.09), ("ShearY", 0.09)):
        assert max(seen[name]) == pytest.approx(most, rel=0.05) and max(seen[name]) <= most
        assert min(seen[name]) == pytest.approx(-most, rel=0.05)
        assert np.mean(np.abs(seen[name])) == pytest.approx(most / 2, rel=0.15)
    for act in (translate_x, translate_y):
        [operation] = [o for o in CHAINED if isinstance(o, Operation) and o.act is act]
        assert {round(operation.amount(0.3, np.random.default_rng(i)), 9) for i in range(9)} == {0.09, -0.09}


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_policies_turn_images_under_every_interpolation(interpolation):
    transform = create_transforms("digits", 16, True, "randaug-m9-n4-p1", interpolation=interpolation)
    image = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    for operation in transform:
        image = operation(image)
    assert image.shape == (3, 16, 16) and np.isfinite(image).all()


def test_augmix_is_a_convex_mixture(image, diary):
    policy = create_policy("augmix-m3-w3")
    fixed = create_policy("augmix-w4-d2")
    policy.steps = fixed.steps = [Step("Invert")]
    lengths = [len(note) for note in per_image(policy, image, diary, 300)]
    assert min(lengths) == 3 and max(lengths) == 9  # three chains of one to three
    assert {len(note) for note in per_image(fixed, image, diary, 10)} == {8}
    np.testing.assert_array_equal(policy(image, np.random.default_rng(0)), image)  # with chains that do nothing


def test_augmix_weights(image, monkeypatch):
    white = Operation(lambda image, amount, context: np.full_like(image, 255), lambda m, rng: m)
    policy = create_policy("augmix-d1")
    policy.steps = [Step(white)]
    black = np.zeros((2, 2, 3), np.uint8)
    shares = np.array([policy(black, np.random.default_rng(i))[0, 0, 0] for i in range(400)]) / 255
    assert shares.mean() == pytest.approx(0.5, abs=0.05) and shares.std() == pytest.approx(12**-0.5, abs=0.03)


def test_views_begin_with_the_images_as_they_are(image):
    views = AugmentedViews(create_policy("augmix-m9"), 3)([image, image + 1], np.random.default_rng(0))
    assert len(views) == 6 and len({view.tobytes() for view in views}) == 6
    np.testing.assert_array_equal(views[0], image)
    np.testing.assert_array_equal(views[1], image + 1)
    for second, third in ((2, 4), (3, 5)):
        assert views[second].shape == views[third].shape == image.shape
    with pytest.raises(ValueError, match="aug_splits must be 2 or more"):
        AugmentedViews(create_policy("3a"), 1)


@pytest.mark.parametrize("text, said", [
    ("randaugment-m9", "no policy 'randaugment'; did you mean randaug"),
    ("xyz", "no policy 'xyz'; known are autoaug, .*, 3a, randaug, rand, trivialaugwide, augmix"),
    ("", "no policy ''; known are"),
    ("randaug-m9-q3", "cannot read 'q3'; it may set m, n, p, w, mstd, mmax, inc, each followed by a number"),
    ("randaug-m", "cannot read 'm'"),
    ("randaug-m-9", "cannot read 'm'"),
    ("randaug-mmax11", "mmax must be a number, 0 to 10, got 11"),
    ("randaug-n1.5", "n must be a whole number, 1 to 15, got 1.5"),
    ("randaug-w1", "w must be a whole number, 0 to 0"),
    ("autoaug-m9", "cannot read 'm9'; it may set mstd"),
    ("trivialaugwide-m31", "cannot read 'm31'; it has nothing to set"),
    ("augmix-w0", "w must be a whole number, 1 to 10"),
])  # fmt: skip
def test_bad_strings_are_one_line(text, said):
    with pytest.raises(ValueError, match=f"^auto_augment {text!r}: {said}") as error:
        create_policy(text)
    assert "\n" not in str(error.value)
