"""Training steps of a ConViT against the authors' code in float64."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

import mindcv
from mindcv.engine.step import TrainStep
from mindcv.loss import create_loss
from mindcv.models import ConViT
from mindcv.optim import create_optimizer
from tests.conftest import slow_in_graph_mode
from tests.golden import rule


def at_64_pixels(name, shape):
    """Return the shape of a convit_tiny parameter for 16 patches and 10 classes."""
    return {"pos_embed": (1, 16, 192), "head.weight": (10, 192), "head.bias": (10,)}.get(name, tuple(shape))


@pytest.mark.parametrize(
    ("name", "mode", "updates"),
    [
        ("adamw_filter", ms.PYNATIVE_MODE, 5),
        ("adamw_all_smooth_clip", ms.PYNATIVE_MODE, 5),
        ("sgd_nesterov_accum2", ms.PYNATIVE_MODE, 3),
        pytest.param("adamw_filter", ms.PYNATIVE_MODE, None, marks=pytest.mark.slow),
        pytest.param("adamw_all_smooth_clip", ms.GRAPH_MODE, None, marks=pytest.mark.slow),
        pytest.param("sgd_nesterov_accum2", ms.PYNATIVE_MODE, None, marks=pytest.mark.slow),
    ],
)
def test_train_step_gives_the_losses_and_final_norms_of_the_authors_code(name, mode, updates, golden):
    """Of the first `updates`, or of all with None; there are norms of the final weights only."""
    ms.set_context(mode=mode)
    case, reference = golden.facts("trajectory")[name], golden.array("trajectory")
    shapes = {n: at_64_pixels(n, s) for n, s in golden.facts("manifest")["convit_tiny"]["shapes"].items()}
    model = mindcv.create_model("convit_tiny", num_classes=10, image_size=64, drop_path_rate=0.0)
    weights = rule.mindcv_weights({"shapes": shapes, "salt": case["salt"]})
    for parameter in model.get_parameters():
        parameter.set_data(Tensor(weights[parameter.name]))

    optimizer = create_optimizer(
        model,
        "nesterov" if case["opt"] == "sgd" else case["opt"],
        lr=case["lr"],
        weight_decay=case["wd"],
        momentum=0.9,
        weight_decay_filter="disable" if case["decay_all"] else "auto",
        **({"eps": 1e-8} if case["opt"] == "adamw" else {}),
    )
    loss = create_loss("CE", label_smoothing=case["smoothing"])
    step = TrainStep(model, loss, optimizer, accumulation=case["accum"], clip_norm=case["clip"]).set_train()
    losses = []
    for batch in range((updates or case["steps"]) * case["accum"]):
        images, labels = rule.inputs(case["salt"] * 1000 + batch, case["batch"], case["image"], case["classes"])
        losses.append(float(step(Tensor(images), Tensor(labels, ms.int32)).asnumpy()))
    np.testing.assert_allclose(losses, reference[f"{name}/losses"][: len(losses)], rtol=1e-3)
    if updates:
        return

    final = {p.name: p.asnumpy().astype(np.float64) for p in model.get_parameters()}
    for torch_name, norm in zip(shapes, reference[f"{name}/final_norm"], strict=True):
        if torch_name.endswith("pos_proj.bias"):
            continue  # there it drifts by Adam's rounding noise; here it has no gradient
        parts = [final[n].ravel() for n in rule.to_mindcv(torch_name, np.empty(shapes[torch_name]))]
        assert np.linalg.norm(np.concatenate(parts)) == pytest.approx(norm, rel=1e-3), torch_name


# Losses of three steps and the logits of an image afterwards, computed by this package when every layer was still
# given the random state as an argument.
DROPOUT = {
    "maps": (
        {"drop_rate": 0.2, "attn_drop_rate": 0.3, "drop_path_rate": 0.4},
        [4.46898937, 4.47831488, 2.06866932],
        [-1.5217594, 1.4676528, -0.14010048, -3.232436, -2.8300037, -2.3511555, 4.669046],
    ),
    "separable": (
        {"drop_rate": 0.2, "drop_path_rate": 0.4},
        [4.66746473, 4.12399101, 2.97328448],
        [-3.072857, 2.0504408, -1.9311396, -1.967374, -2.8867166, -3.8998911, 2.7560716],
    ),
}  # fmt: skip


@slow_in_graph_mode
@pytest.mark.parametrize("case", DROPOUT)
def test_train_step_with_dropout_draws_what_it_always_drew(case, both_modes):
    """So that a run that an earlier version checkpointed goes on as it would have."""
    rates, wanted_losses, wanted_logits = DROPOUT[case]
    shape = {"image_size": 16, "patch_size": 4, "num_classes": 7, "num_heads": 4, "embed_dim": 64, "depth": 3}
    model = ConViT(**shape, local_up_to_layer=2, **rates)
    for i, parameter in enumerate(model.get_parameters()):
        draw = 0.2 * np.random.default_rng(i).standard_normal(parameter.shape) + parameter.name.endswith("gamma")
        parameter.set_data(Tensor(draw.astype(np.float32)))
    model.rng_state.set_data(Tensor([20260729, 11], ms.int32))
    step = TrainStep(model, create_loss("CE"), create_optimizer(model, "sgd", lr=0.1)).set_train()
    rng = np.random.default_rng(0)
    losses = []
    for _ in range(3):
        images, labels = rng.standard_normal((4, 3, 16, 16)).astype(np.float32), rng.integers(0, 7, 4)
        losses.append(float(step(Tensor(images), Tensor(labels, ms.int32)).asnumpy()))
    np.testing.assert_allclose(losses, wanted_losses, rtol=1e-5)
    assert model.rng_state.asnumpy().tolist() == [20260729, 14]
    logits = model.set_train(False)(Tensor(images)).asnumpy()
    np.testing.assert_allclose(logits[0], wanted_logits, rtol=2e-5, atol=2e-5)
