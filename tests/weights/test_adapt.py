"""Each adaptation against what the adapted model must compute."""

import numpy as np
import pytest
from mindspore import Tensor

from mindcv import weights
from mindcv.weights import adapt
from mindcv.weights.resample import resample


@pytest.fixture
def images():
    return np.random.default_rng(0).standard_normal((2, 3, 32, 16)).astype(np.float32)


@pytest.fixture
def saved(tiny, values, tmp_path):
    """A function that writes a tiny model with random weights and returns the path and the model."""

    def save(**arguments):
        model = tiny(**arguments)
        rng = np.random.default_rng(1)
        for parameter in model.get_parameters():
            parameter.set_data(Tensor(rng.standard_normal(parameter.shape).astype(np.float32)))
        weights.write(tmp_path / "a.ckpt", values(model))
        return str(tmp_path / "a.ckpt"), model

    return save


def run(model, images):
    return model(Tensor(images)).asnumpy()


def test_adapt_num_classes_initialises_the_classifier_anew(saved, tiny, values, caplog):
    path, model = saved()
    other = tiny(num_classes=5, checkpoint_path=path)
    assert "a.ckpt: num_classes is 3 in the file and 5 in the model: the classifier starts afresh" in caplog.text
    found = values(other)
    assert found["classifier.weight"].shape == (5, 16)
    assert 0.005 < found["classifier.weight"].std() < 0.05  # initialised with a standard deviation of 0.02
    assert not found["classifier.bias"].any()
    for name, array in values(model).items():
        if not name.startswith("classifier"):
            np.testing.assert_array_equal(found[name], array)


def test_adapt_class_names_match_the_classifiers_rows(saved, tiny, values):
    """Rows are matched by name if both are known, else by position; rows without a name stay where they are."""
    path, model = saved()
    rows = values(model)["classifier.weight"]
    weights.write(path, {**values(model), "run.class_names": np.array('["cat", "dog"]')})
    for names, order in ((None, [0, 1, 2]), (["cat", "dog"], [0, 1, 2]), (["dog", "cat"], [1, 0, 2])):
        found = values(tiny(checkpoint_path=path, class_names=names))["classifier.weight"]
        np.testing.assert_array_equal(found, rows[order])
    other = values(tiny(checkpoint_path=path, class_names=["cat", "cow"]))["classifier.weight"]
    assert np.abs(other).max() < 0.2 < np.abs(rows).max()
    with pytest.raises(ValueError, match=r"num_classes is 3 \(dog\) in the file and 3 \(cow\) in the model"):
        tiny(checkpoint_path=path, class_names=["cat", "cow"], adapt=[])


@pytest.mark.parametrize("reverse", [False, True])
def test_adapt_fewer_class_names_says_how_many_outputs_are_named(reverse):
    names, texts = [["a", "b", "c"], ["a", "b"]], ["3 (c)", "3 (only 2 named)"]
    if reverse:
        names, texts = names[::-1], texts[::-1]
    head = {"classifier.weight": np.zeros((3, 4), np.float32)}
    adapted = adapt.adapt_weights(head, {"classifier.weight": (3, 4)}, [], {"num_classes": tuple(names)})
    assert adapted.refused == [f"num_classes is {texts[0]} in the file and {texts[1]} in the model"]


def test_load_class_names_that_the_checkpoint_lacks_are_logged(saved, tiny, caplog):
    caplog.set_level("INFO")
    path, _ = saved()
    tiny(checkpoint_path=path, class_names=["cat", "dog", "eel"])
    assert "a.ckpt does not name its classes: the classifier's rows are taken in their order" in caplog.text


def test_adapt_num_classes_0_drops_the_classifier(saved, tiny, images, caplog):
    path, model = saved()
    features = run(tiny(num_classes=0, checkpoint_path=path), images)
    assert "num_classes is 3 in the file and 0 in the model: its classifier is left out" in caplog.text
    np.testing.assert_allclose(features, model.forward_features(Tensor(images)).asnumpy(), rtol=1e-6, atol=1e-6)


def test_adapt_in_channels_1_sums_kernels(saved, tiny, images, caplog):
    """Grey images give the logits of three equal channels."""
    path, model = saved()
    grey = images[:, :1]
    found = run(tiny(in_channels=1, checkpoint_path=path), grey)
    assert "in_channels is 3 in the file and 1 in the model: the channels' weights are summed" in caplog.text
    np.testing.assert_allclose(found, run(model, np.repeat(grey, 3, 1)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("channels", [2, 4, 6, 7])
def test_adapt_in_channels_repeats_and_scales_kernels(channels, saved, tiny, values, images, caplog):
    """Kernels are repeated in order and scaled, so that n equal channels have the same effect as three."""
    path, model = saved()
    found = tiny(in_channels=channels, checkpoint_path=path)
    assert f"repeated and scaled by 3/{channels}" in caplog.text
    old, new = (values(m)["patch_embed.proj.weight"] for m in (model, found))
    for channel in range(channels):
        np.testing.assert_allclose(new[:, channel], old[:, channel % 3] * 3 / channels, rtol=1e-6)
    if channels % 3 == 0:
        np.testing.assert_allclose(
            run(found, np.tile(images, (1, channels // 3, 1, 1))), run(model, images), rtol=1e-4, atol=1e-4
        )


def test_adapt_in_channels_of_a_grey_model_computes_the_same(saved, tiny, images):
    path, model = saved(in_channels=1)
    found = tiny(checkpoint_path=path, adapt=["in_channels"])
    grey = images[:, :1]
    np.testing.assert_allclose(run(found, np.repeat(grey, 3, 1)), run(model, grey), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("old", "new"), [((32, 32), (48, 48)), ((32, 32), (24, 16)), ((32, 32), (16, 64))])
def test_adapt_image_size_resamples_the_position_embedding(old, new, saved, tiny, values, caplog):
    path, model = saved(image_size=old)
    found = tiny(image_size=new, checkpoint_path=path)
    grid = (new[0] // 8, new[1] // 8)
    if new == (16, 64):  # the number of positions is the same, and the file does not store its grid
        expected = values(model)["pos_embed"]
    else:
        assert f"image_size is 4x4 patches in the file and {grid[0]}x{grid[1]} patches in the model" in caplog.text
        expected = resample(values(model)["pos_embed"], (4, 4), grid)
    np.testing.assert_array_equal(values(found)["pos_embed"], expected)
    for name, array in values(model).items():
        if name != "pos_embed":
            np.testing.assert_array_equal(values(found)[name], array)
    assert np.isfinite(run(found, np.ones((1, 3, *new), np.float32))).all()


def test_adapt_image_size_of_an_oblong_grid_needs_the_stored_grid(saved, tiny, values):
    """Without a stored grid only squares are assumed."""
    path, model = saved(image_size=(32, 16))
    with pytest.raises(
        ValueError, match=r"1 of another shape \(pos_embed \(1, 8, 16\), the model's is \(1, 16, 16\)\)"
    ):
        tiny(image_size=(32, 32), checkpoint_path=path)
    for new in ((32, 32), (16, 32)):
        weights.write(path, {**values(model), "run.grid": np.array([4, 2], np.int32)})
        found = tiny(image_size=new, checkpoint_path=path)
        expected = resample(values(model)["pos_embed"], (4, 2), (new[0] // 8, new[1] // 8))
        np.testing.assert_array_equal(values(found)["pos_embed"], expected)


def test_load_grid_argument_resamples_equal_numbers_of_positions(saved, tiny, values):
    path, model = saved(image_size=(32, 32))
    other = tiny(image_size=(16, 64))
    weights.load(other, path, adapt=["image_size"], grid=(4, 4))
    expected = resample(values(model)["pos_embed"], (4, 4), (2, 8))
    np.testing.assert_array_equal(values(other)["pos_embed"], expected)


def test_adapt_local_up_to_layer_lower_drops_positional_attention(saved, tiny, values, caplog):
    path, model = saved(local_up_to_layer=1)
    found = values(tiny(local_up_to_layer=0, checkpoint_path=path))
    assert "local_up_to_layer is 1 in the file and 0 in the model: blocks without positional attention" in caplog.text
    kept = {name: array for name, array in values(model).items() if "gating" not in name and "pos_proj" not in name}
    assert found.keys() == kept.keys()
    for name, array in kept.items():
        np.testing.assert_array_equal(found[name], array)


def test_adapt_local_up_to_layer_higher_initialises_positional_attention(saved, tiny, values, caplog):
    path, model = saved(local_up_to_layer=0)
    found = values(tiny(local_up_to_layer=1, checkpoint_path=path))
    assert "0 in the file and 1 in the model: new positional attention starts afresh" in caplog.text
    for name, array in values(model).items():
        np.testing.assert_array_equal(found[name], array)
    assert found["blocks.0.attn.gating_param"].tolist() == [1.0] * 4
    assert found["blocks.0.attn.pos_proj.weight"].tolist() == [[-1, -1, -1], [-1, 1, -1], [1, -1, -1], [1, 1, -1]]


def test_adapt_local_up_to_layer_and_back_keeps_all_other_weights(saved, tiny, values):
    path, model = saved(local_up_to_layer=1)
    weights.write(path, values(tiny(local_up_to_layer=0, checkpoint_path=path)))
    again = values(tiny(local_up_to_layer=1, checkpoint_path=path, adapt=["local_up_to_layer"]))
    for name, array in values(model).items():
        if "gating" not in name and "pos_proj" not in name:
            np.testing.assert_array_equal(again[name], array)


def test_adapt_all_differences_at_once(saved, tiny, values, caplog):
    path, _ = saved(image_size=32)
    found = tiny(num_classes=7, in_channels=1, image_size=(24, 48), local_up_to_layer=0, checkpoint_path=path)
    assert [record.message.split(": ")[1].split(" is ")[0] for record in caplog.records] == [
        *weights.ARGUMENTS,
        "local_up_to_layer",
    ]
    assert run(found, np.ones((1, 1, 24, 48), np.float32)).shape == (1, 7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 5}, "num_classes is 3 in the file and 5 in the model"),
        ({"in_channels": 1}, "in_channels is 3 in the file and 1 in the model"),
        ({"image_size": (32, 32)}, "image_size is 3x3 patches in the file and 4x4 patches in the model"),
        ({"local_up_to_layer": 0}, "local_up_to_layer is 1 in the file and 0 in the model"),
    ],
)
def test_load_difference_not_in_adapt_is_refused(arguments, message, saved, tiny, values):
    path, _ = saved(image_size=24)
    other = tiny(**{"image_size": 24, **arguments})
    before = values(other)
    with pytest.raises(ValueError, match=message + ".* name what to adapt"):
        weights.load(other, path)
    with pytest.raises(ValueError, match=message):
        allowed = {*weights.ARGUMENTS, "local_up_to_layer"} - arguments.keys()
        weights.load(other, path, adapt=allowed)
    for name, array in values(other).items():
        np.testing.assert_array_equal(array, before[name])


def test_load_unknown_adaptation_is_refused(saved, tiny):
    path, model = saved()
    with pytest.raises(ValueError, match="cannot be adapted in 'num_class'; did you mean 'num_classes'\\?"):
        weights.load(model, path, adapt=["num_class"])


def test_load_another_width_is_refused(saved, tiny):
    path, _ = saved()
    with pytest.raises(ValueError, match=r"of another shape"):
        tiny(embed_dim=32, num_classes=5, checkpoint_path=path)


def test_adapt_weights_keeps_the_dtype():
    kernel = np.ones((2, 3, 4, 4), np.float16)
    adapted = adapt.adapt_weights(
        {"patch_embed.proj.weight": kernel}, {"patch_embed.proj.weight": (2, 1, 4, 4)}, ["in_channels"]
    )
    assert adapted.weights["patch_embed.proj.weight"].dtype == np.float16
    assert adapted.weights["patch_embed.proj.weight"].tolist() == np.full((2, 1, 4, 4), 3.0).tolist()


@pytest.mark.parametrize(("old", "new", "grid"), [((4, 4), (6, 6), None), ((2, 8), (4, 4), (2, 8))])
def test_adapt_image_size_keeps_the_position_of_a_class_token(old, new, grid):
    embedding = np.random.default_rng(0).standard_normal((1, 1 + 16, 8)).astype(np.float32)
    shapes = {"pos_embed": (1, 1 + new[0] * new[1], 8)}
    adapted = adapt.adapt_weights({"pos_embed": embedding}, shapes, ["image_size"], {"image_size": (grid, new)})
    found = adapted.weights["pos_embed"]
    np.testing.assert_array_equal(found[:, :1], embedding[:, :1])
    np.testing.assert_array_equal(found[:, 1:], resample(embedding[:, 1:], old, new))
