"""What models there are: `mindcv list` and `mindcv info`."""

import os
import re
import sys
from fnmatch import fnmatchcase
from pathlib import Path

from mindcv.cli.parser import Parser
from mindcv.cli.scripts import LOG_LEVEL, USER_ERROR
from mindcv.cli.terminal import bold
from mindcv.config import find_recipe, read_recipe, recipe_names
from mindcv.errors import did_you_mean


def show_list(words: list[str]) -> int:
    """Run `mindcv list` with `words`; the exit code."""
    parser = Parser(prog="mindcv list", description="Print the names of the models there are, one a line.")
    parser.add_argument("pattern", nargs="?", default="*", metavar="PATTERN", help="such as '*_plus', or a part: tiny")
    pattern = parser.parse_args(words).pattern
    found = [name for name in model_names() if pattern in name or fnmatchcase(name, pattern)]
    if not found:
        print(
            f"mindcv list: no model matches {pattern!r}{did_you_mean(pattern.strip('*'), model_names())}",
            file=sys.stderr,
        )
        return USER_ERROR
    print("\n".join(found))
    return 0


def show_info(words: list[str]) -> int:
    """Run `mindcv info` with `words`; the exit code."""
    parser = Parser(
        prog="mindcv info", description="Say what a model is, what weights are published, what recipes ship."
    )
    parser.add_argument("model", metavar="MODEL", help=f"one of {', '.join(model_names())}")
    name = parser.parse_args(words).model
    if name not in model_names():
        print(f"mindcv info: no model is called {name!r}{did_you_mean(name, model_names())}", file=sys.stderr)
        return USER_ERROR
    os.environ.setdefault(LOG_LEVEL, "4")
    lines = []
    for heading, said in about(name).items():
        for i, line in enumerate(said):
            lines.append(f"{bold(heading) if i == 0 else ' ' * len(heading)}{'':{12 - len(heading)}}{line}")
    print("\n".join(lines))
    return 0


def model_names() -> list[str]:
    """The models of the package, sorted, as `mindcv.list_models()` has them, but without waiting for MindSpore."""
    sources = sorted((Path(__file__).parents[1] / "models").glob("*.py"))
    return sorted(
        name for source in sources for name in re.findall(r"^@register_model\ndef (\w+)", source.read_text(), re.M)
    )


def about(name: str) -> dict[str, list[str]]:
    """What there is to say about the model `name`, a list of lines under each heading."""
    from mindcv import models

    model = models.create_model(name)
    flops = models.count_flops(model)
    gpsa = model.local_up_to_layer
    heads = model.blocks[0].attn.num_heads
    (height, width), (rows, cols) = model.image_size, model.grid_size
    return {
        "model": [name],
        "blocks": [
            f"{gpsa} GPSA and {len(model.blocks) - gpsa} MHSA, {heads} heads of width {model.num_features // heads}, "
            f"{model.num_features} channels"
        ],
        "image": [f"{height}x{width}, {rows * cols} patches of {height // rows}x{width // cols}"],
        "parameters": [f"{sum(p.size for p in model.get_parameters()):,}"],
        "FLOPs": [f"{flops / 1e9:.2f} G an image ({flops / 2e9:.2f} G multiplications with their additions)"],
        "weights": [_weights(*source) for source in models.get_pretrained_cfg(name).get("sources", {}).items()],
        "recipes": [recipe for recipe in recipe_names() if read_recipe(find_recipe(recipe))[0].get("model") == name],
    }


def _weights(name: str, source: dict) -> str:
    top_5 = f", Top-5 {source['top_5']:.2f} %" if "top_5" in source else ""
    return (
        f"--pretrained {name}: of {source['publisher']}, who give Top-1 {source['top_1']:.2f} %{top_5}; "
        f"{source['file']}; {source['licence']}"
    )
