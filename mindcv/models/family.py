"""The contract between a model family and the rest of the package.

`Model` is what the package asks of a model, and `Family` what a family may bring besides. A family is one file beside
this one, with its class, the functions that `register_model` registers, and its record `family`, and one entry in
`MODULES`. What takes more room, such as an ONNX graph, stands in files beside it. A model from a user's own file needs
no record. What a model or its family lacks is refused in one line where it is asked for.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from mindcv.weights.checkpoint_format import CheckpointFormat

if TYPE_CHECKING:
    from mindspore import Parameter, Tensor, nn

MODULES = ("convit_family", "vit_family")  # of this folder, with a `family`; read without importing MindSpore


class Model(Protocol):
    """A cell that maps images (B, in_channels, H, W) to logits (B, num_classes), or to features (B, num_features).

    Only the call is required. `create_model` sets `num_classes` and `in_channels`, and a script `image_size`, if the
    model lacks them. The classifier's parameters begin with "classifier.", so that fine-tuning can replace them.
    """

    family: "Family"  # class attribute; without it the model is of a family that brings nothing
    num_classes: int  # 0: no classifier
    in_channels: int
    image_size: tuple[int, int]  # height and width, in pixels
    num_features: int  # channels of what the classifier reads
    rng_state: "Parameter"  # int32 (seed, step) of all random layers; without it dropout is not resumed bit for bit
    blocks: "nn.CellList"  # for `recompute`, and with `hidden_states` and `norm` for `Features`
    grid_size: tuple[int, int]  # rows and columns of patches
    num_prefix_tokens: int  # tokens before the patches in the last block, such as a class token

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the classifier, 0 classes for none; for `Features`."""

    def hidden_states(self, images: "Tensor") -> "tuple[Tensor, ...]":
        """Return the tokens (B, prefix + rows·cols, C) after each block; for `Features`."""

    def attention_inputs(self, images: "Tensor") -> "tuple[Tensor, ...]":
        """Return the input of each block's attention, (B, prefix + rows·cols, C), in evaluation; for `mindcv.insight`.

        `blocks[i].attn.attention_maps(x)` then returns (content, position, mixed) of the input `x`: the maps
        (B, h, N, N) that it attends by, (h, N, N) by position alone or None, and the one that is used. A layer with
        positional attention has `gate()` and `axis_softmax(dy, dx)` too, as `mindcv.insight.gates` and
        `effective_kernel` ask for. The number of prefix tokens may grow from block to block. A layer whose weights are
        read without calling it is named in `uncalled_layers` of the cell around it, for exports in float16.
        """

    def group_matcher(self, coarse: bool = False) -> dict:
        """Return patterns of parameter names, as timm's models do; for `freeze`, `layer_decay`, `head_lr_multiple`."""

    def freezable_parts(self) -> dict[str, str]:
        """Return patterns of parameter names, by names of parts that only this family has; for `freeze`."""

    def no_weight_decay(self) -> set[str]:
        """Return the parameters, besides the 1-D ones, that `weight_decay_filter` auto exempts."""


@dataclass(frozen=True)
class Family:
    """What a model family brings; every part may be missing.

    Attributes:
        name: Name for messages, such as "ConViT".
        module: The module whose functions are registered, such as "mindcv.models.convit"; its `default_cfgs` describes
            their published weights.
        models: Names of these functions.
        arguments: Options that the functions' `**kwargs` take, such as "drop_rate"; those among their named parameters
            are known anyway. An option that a model does not take is refused if the user sets it.
        checkpoints: Names and shapes of the family's checkpoints, and how its weights are adapted.
        describe: Maps a model to the text after "blocks" in `mindcv info`.
        flops_by_layer: Maps a model to the floating-point operations of its layers for one image, by name, two for a
            multiplication and its addition.
        summary_rows: Maps a model to (name, kind, output shape) of its layers, all text, in the order of computation.
        write_onnx: Called with a `GraphBuilder`, a model and the name of the images; adds the model to the graph and
            returns the name of its output.
    """

    name: str
    module: str = ""
    models: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    checkpoints: CheckpointFormat = field(default_factory=CheckpointFormat)
    describe: Callable[[Any], str] | None = None
    flops_by_layer: Callable[[Any], dict[str, int]] | None = None
    summary_rows: Callable[[Any], list[tuple[str, str, str]]] | None = None
    write_onnx: Callable[[Any, Any, str], str] | None = None


def families() -> list[Family]:
    """Return the records of the package's families, without importing MindSpore."""
    return [import_module(f"mindcv.models.{module}").family for module in MODULES]


def family_of(model: "nn.Cell") -> Family:
    """Return the family of a model; one that brings nothing, named after the model's class, if it has none."""
    return getattr(model, "family", None) or Family(type(model).__name__)


def family_of_function(function: Callable) -> Family:
    """Return the `family` of the module that defines a registered function; one that brings nothing without it."""
    return getattr(sys.modules[function.__module__], "family", None) or Family(function.__name__)


def part_of(model: "nn.Cell", part: str, what: str) -> Callable:
    """Return the attribute `part` of the model's family, or raise a TypeError that it has no `what`."""
    family = family_of(model)
    if (found := getattr(family, part)) is None:
        raise TypeError(f"got a {family.name}, which has no {what}")
    return found


def require(model: "nn.Cell", what: str, *names: str) -> "nn.Cell":
    """Return `model`, or raise a TypeError that ends with `what` if it lacks one of the attributes `names`."""
    if missing := [name for name in names if not hasattr(model, name)]:
        raise TypeError(f"got a {family_of(model).name}, which has no {' and no '.join(missing)}: {what}")
    return model
