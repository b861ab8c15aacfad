"""A model as a backbone: feature maps after chosen blocks instead of logits."""

import warnings
from collections.abc import Sequence

from mindspore import Tensor, nn

from mindcv.models.family import require


class FeatureInfo:
    """Description of the feature maps of a backbone, in their order, under timm's names.

    Args:
        info: One dict per map. "num_chs": its channels; "reduction": image pixels per pixel of the map, an int, or
            (vertical, horizontal) where they differ; "module": name of the block it comes from, such as "blocks.3".
    """

    def __init__(self, info: list[dict]):
        self.info = info

    def __len__(self) -> int:
        return len(self.info)

    def __getitem__(self, i: int) -> dict:
        return self.info[i]

    def channels(self) -> list[int]:
        """Return the number of channels of each map."""
        return [feature_map["num_chs"] for feature_map in self.info]

    def reduction(self) -> list[int | tuple[int, int]]:
        """Return the image pixels per pixel of each map: an int, or (vertical, horizontal) where they differ."""
        return [feature_map["reduction"] for feature_map in self.info]


class Features(nn.Cell):
    """A backbone: images to the patches' tokens after each chosen block, as feature maps (B, C, rows, cols).

    The class token is left out, and no LayerNorm is applied to the maps. Parameters keep the model's names.

    Args:
        model: A model with `hidden_states`, `blocks` and `grid_size`, such as ConViT. It is changed: its classifier,
            its last LayerNorm and the blocks after the last chosen one are removed.
        out_indices: Numbers of the chosen blocks in rising order, from 0, or from -1 backwards; or an int n for the
            last n blocks.

    Attributes:
        feature_info: A `FeatureInfo` of the maps.
        grid_size: Rows and columns of the maps.

    Raises:
        TypeError: The model has no `hidden_states`, `blocks`, `grid_size` or `reset_classifier`.
        ValueError: `out_indices` is empty, not rising, or names a block that the model does not have.
    """

    def __init__(self, model: nn.Cell, out_indices: int | Sequence[int] = (-1,)):
        super().__init__(auto_prefix=False)
        require(model, "there are no feature maps", "hidden_states", "blocks", "grid_size", "reset_classifier")
        depth = len(model.blocks)
        indices = range(-out_indices, 0) if isinstance(out_indices, int) else out_indices
        chosen = [index + depth if index < 0 else index for index in indices]
        if not chosen or min(chosen) < 0 or max(chosen) >= depth or chosen != sorted(set(chosen)):
            raise ValueError(
                f"out_indices is {out_indices}; it can be numbers of blocks, 0 to {depth - 1} or -{depth} to -1, in "
                f"rising order, or an int for that many of the last blocks, 1 to {depth}"
            )
        model.reset_classifier(0)
        model.norm = nn.Identity()
        model.blocks = nn.CellList(list(model.blocks)[: chosen[-1] + 1], auto_prefix=False)
        self.model = model
        self.chosen = chosen
        self.grid_size = model.grid_size
        vertical, horizontal = (side // count for side, count in zip(model.image_size, model.grid_size, strict=True))
        reduction = vertical if vertical == horizontal else (vertical, horizontal)
        self.feature_info = FeatureInfo(
            [{"num_chs": model.num_features, "reduction": reduction, "module": f"blocks.{i}"} for i in chosen]
        )
        self.set_train(False)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the maps: a deprecated name of `grid_size`, which warns."""
        warnings.warn("Features.grid is deprecated: use grid_size", DeprecationWarning, stacklevel=2)
        return self.grid_size

    def construct(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return one map (B, C, rows, cols) per chosen block, first block first.

        Args:
            images: (B, in_channels, H, W), normalised, float32, float16 or bfloat16, and of the model's size.

        Raises:
            ValueError: The images are not of the model's size or channels, or have no batch axis.
            TypeError: The images are of another type.
        """
        states = self.model.hidden_states(images)
        patches = self.grid_size[0] * self.grid_size[1]
        maps: tuple[Tensor, ...] = ()
        for index in self.chosen:
            tokens = states[index][:, -patches:].swapaxes(1, 2)
            maps += (tokens.reshape(tokens.shape[:2] + self.grid_size),)
        return maps


class FeatureExtractWrapper(nn.Cell):
    """The outputs of some of a cell's parts, as MindCV's class of this name returns them.

    The parts are applied in the order in which they were assigned, each to the output of the one before it.

    Args:
        net: A cell whose attribute `feature_info` lists dicts with "name", the part's name, and "chs", the channels of
            its output. With the attribute `flatten_sequential`, the parts inside a `SequentialCell` count singly, under
            names such as "layers.2"; with `is_rewritten`, the cell itself returns all outputs.
        out_indices: Indices in `feature_info` of the outputs to return.

    Attributes:
        out_channels: Channels of each output.

    Raises:
        ValueError: The cell has no `feature_info`.
    """

    def __init__(self, net: nn.Cell, out_indices: Sequence[int] = (0, 1, 2, 3, 4)):
        super().__init__(auto_prefix=False)
        if not hasattr(net, "feature_info"):
            raise ValueError(f"{type(net).__name__} has no feature_info: use create_model(…, features_only=True)")
        chosen = {info["name"]: info["chs"] for i, info in enumerate(net.feature_info) if i in out_indices}
        self.out_channels = list(chosen.values())
        self.is_rewritten = getattr(net, "is_rewritten", False)
        if self.is_rewritten:
            self.net, self.indices = net, list(out_indices)
        else:
            parts = _parts(net, getattr(net, "flatten_sequential", False))
            self.indices = [i for i, name in enumerate(parts) if name in chosen]
            self.parts = nn.CellList(list(parts.values())[: self.indices[-1] + 1], auto_prefix=False)

    def construct(self, x: Tensor) -> list[Tensor]:
        """Return the chosen outputs for an input `x`, in the order of the parts."""
        outputs = []
        if self.is_rewritten:
            maps = self.net(x)
            for i in self.indices:
                outputs.append(maps[i])
        else:
            for i, part in enumerate(self.parts):
                x = part(x)
                if i in self.indices:
                    outputs.append(x)
        return outputs


def _parts(net: nn.Cell, flatten_sequential: bool) -> dict[str, nn.Cell]:
    """Return the outermost cells of `net` by name; with `flatten_sequential`, those inside of `SequentialCell`s."""
    parts: dict[str, nn.Cell] = {}
    for name, cell in net.name_cells().items():
        inner = cell.name_cells() if flatten_sequential and isinstance(cell, nn.SequentialCell) else None
        parts |= {f"{name}.{key}": part for key, part in inner.items()} if inner else {name: cell}
    return parts
