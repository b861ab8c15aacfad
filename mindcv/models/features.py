"""A model as a backbone: feature maps after chosen blocks, in place of logits."""

from collections.abc import Sequence

from mindspore import Tensor, nn


class FeatureInfo:
    """Facts about feature maps, in their order, under timm's names.

    Args:
        facts: One dict a map: "num_chs", its channels; "reduction", pixels of the image to one of the map, along the
            height and width (one number where they are equal); "module", the block that it comes from.
    """

    def __init__(self, facts: list[dict]):
        self.facts = facts

    def __len__(self) -> int:
        return len(self.facts)

    def __getitem__(self, i: int) -> dict:
        return self.facts[i]

    def channels(self) -> list[int]:
        """Channels of each map."""
        return [fact["num_chs"] for fact in self.facts]

    def reduction(self) -> list[int | tuple[int, int]]:
        """Pixels of the image to one of each map."""
        return [fact["reduction"] for fact in self.facts]


class Features(nn.Cell):
    """Images (B, in_channels, H, W) to the patches' tokens after each chosen block, as maps (B, C, rows, cols).

    The class token is left out, and no LayerNorm follows. Parameters keep the model's names; what comes after the last
    chosen block is dropped.

    Args:
        model: One with `hidden_states`, `blocks` and `grid`; it is changed.
        out_indices: Blocks, from 0 or, negative, from the end, in rising order; or how many of the last.

    Raises:
        ValueError: there is no such block, or none is named, or they do not rise.
    """

    def __init__(self, model: nn.Cell, out_indices: int | Sequence[int] = (-1,)):
        super().__init__(auto_prefix=False)
        depth = len(model.blocks)
        asked = range(-out_indices, 0) if isinstance(out_indices, int) else out_indices
        chosen = [index + depth if index < 0 else index for index in asked]
        if not chosen or min(chosen) < 0 or max(chosen) >= depth or chosen != sorted(set(chosen)):
            raise ValueError(
                f"out_indices is {out_indices}; it can be numbers of blocks, 0 to {depth - 1} or -{depth} to -1, each "
                f"higher than the one before, or how many of the last, 1 to {depth}"
            )
        model.reset_classifier(0)
        model.norm = nn.Identity()
        model.blocks = nn.CellList(list(model.blocks)[: chosen[-1] + 1], auto_prefix=False)
        self.model = model
        self.chosen = chosen
        self.grid_size = model.grid_size
        rows, cols = (side // patches for side, patches in zip(model.image_size, model.grid_size, strict=True))
        reduction = rows if rows == cols else (rows, cols)
        self.feature_info = FeatureInfo(
            [{"num_chs": model.num_features, "reduction": reduction, "module": f"blocks.{i}"} for i in chosen]
        )
        self.set_train(False)

    def construct(self, images: Tensor) -> tuple[Tensor, ...]:
        states = self.model.hidden_states(images)
        patches = self.grid_size[0] * self.grid_size[1]
        maps = ()
        for index in self.chosen:
            tokens = states[index][:, -patches:].swapaxes(1, 2)
            maps += (tokens.reshape(tokens.shape[:2] + self.grid_size),)
        return maps
