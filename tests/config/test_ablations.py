"""The recipes of the paper's ablations against its tables, written here a second time."""

import re
from pathlib import Path

import pytest

from mindcv.config import resolve

FOLDER = Path(__file__).parents[2] / "configs/convit/ablations"
RECIPES = sorted(FOLDER.glob("*.yaml"))

# Table 3: model arguments, what is frozen, top-1 with all images and with 10 % of them.
TABLE_3 = {
    "convit_small_plus": (None, None, "82.2", "59.7"),
    "no_gating": ({"gate_init": 0}, ("gates",), "82.0", "57.4"),
    "no_conv_init": ({"conv_init": False}, None, "81.4", "56.9"),
    "no_gating_no_conv_init": ({"conv_init": False, "gate_init": 0}, ("gates",), "81.6", "54.6"),
    "deit_small_plus": ({"embed_dim": 576, "num_heads": 9}, None, "79.1", "47.8"),
    "frozen_gpsa": ({"gate_init": 0}, ("gpsa",), "78.6", "54.3"),
    "frozen_gpsa_no_conv_init": ({"conv_init": False, "gate_init": 0}, ("gpsa",), "73.7", "44.8"),
}
TABLE_2 = {"convit_small_sampled": "47.8, 59.6, 73.7, 78.2, 81.4", "deit_small_sampled": "34.8, 48.0, 66.1, 74.6, 79.9"}
FIGURE_8 = {"gpsa_layers": {"local_up_to_layer": 3}, "locality_strength": {"locality_strength": 0.1}}


def test_every_ablation_is_tested():
    assert {path.stem for path in RECIPES} == {*TABLE_3, *TABLE_2, *FIGURE_8}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_ablation_opens_with_a_command_and_is_said_not_to_be_measured(path):
    opening = path.read_text().split("\n\n")[0]
    assert "Not measured by this project" in " ".join(opening.replace("#", "").split())
    [words] = re.findall(r"python train.py (.*)", opening)
    assert resolve(words.replace("configs/convit", str(FOLDER.parent)).split()).config == str(path)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_ablation_is_the_papers_recipe_but_for_what_it_states(path):
    config, base = resolve(["-c", str(path)]), resolve(["-c", str(FOLDER.parent / "convit_small_paper.yaml")])
    changed = {name for name, value in config.as_dict().items() if value != getattr(base, name)}
    assert changed | {"model"} == {*re.findall(r"^(\w+):", path.read_text(), re.M), "model"}


@pytest.mark.parametrize("name", TABLE_3)
def test_ablation_of_table_3_states_its_figures_and_changes(name):
    arguments, frozen, full, tenth = TABLE_3[name]
    opening = " ".join((FOLDER / f"{name}.yaml").read_text().split("\n\n")[0].replace("#", "").split())
    assert f"{full} % top-1 on ImageNet-1K, {tenth} % with 10 % of its images" in opening
    config = resolve(["-c", str(FOLDER / f"{name}.yaml")])
    assert (config.model_args, config.freeze, config.lr) == (arguments, frozen, 4e-4)
    assert config.model == ("deit_small" if name == "deit_small_plus" else "convit_small_plus")


@pytest.mark.parametrize("name", TABLE_2)
def test_sampled_training_states_table_2_and_keeps_the_updates(name):
    opening = " ".join((FOLDER / f"{name}.yaml").read_text().split("\n\n")[0].replace("#", "").split())
    assert all(figures in opening for figures in TABLE_2.values())
    config = resolve(["-c", str(FOLDER / f"{name}.yaml")])
    assert config.sampling_ratio * config.epoch_size == pytest.approx(300)
    assert (config.decay_epochs, config.model) == (config.epoch_size, name.removesuffix("_sampled"))


@pytest.mark.parametrize("name", FIGURE_8)
def test_ablation_of_figure_8_sets_its_argument_and_quotes_no_figure(name):
    config = resolve(["-c", str(FOLDER / f"{name}.yaml")])
    assert (config.model, config.num_classes, config.model_args) == ("convit_small_plus", 100, FIGURE_8[name])
    assert "top-1 on ImageNet" not in (FOLDER / f"{name}.yaml").read_text()
