"""The base class of the vision transformers."""

from mindspore import Parameter, Tensor, nn

from mindcv.device import synchronize_pynative_on_cpu
from mindcv.graph import CompiledCell
from mindcv.mindspore_hooks import clear_compile_cache
from mindcv.models.layers import Linear, PolicyCell, expand_as


class Transformer(CompiledCell, PolicyCell):
    """Base class of ConViT and VisionTransformer: what does not depend on the kind of attention.

    Subclasses set `num_features`, C, `pos_embed` and `random_state`, and call `reset_classifier`. Their parameters are
    named "cls_token", "pos_embed", "patch_embed.…", "blocks.NUMBER.…", "norm.…" and "classifier.…".

    The forward pass is the subclasses', even where it is the same: MindSpore's "O1" does not see layers that a method
    of a base class calls.
    """

    num_prefix_tokens = 1  # the class token

    def __init__(self):
        super().__init__()
        synchronize_pynative_on_cpu()

    def add_position(self, x: Tensor) -> Tensor:
        """Return tokens `x` (B, N, C) plus the position embedding `pos_embed` (1, N, C)."""
        return x + expand_as(self.cast(self.pos_embed, self.policy.residual), x)

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the classifier by a newly initialised one; call it before `set_precision` and the optimizer.

        The new parameters are other objects than the old ones, with the same names and no dtype policy yet.

        Args:
            num_classes: Classes; 0 removes the classifier, and the model then returns features (B, C).

        Raises:
            ValueError: `num_classes` is negative.
        """
        if num_classes < 0:
            raise ValueError(f"num_classes is {num_classes}; it must be at least 1, or 0 for no classifier")
        self.num_classes = num_classes
        self.classifier = Linear(self.num_features, num_classes) if num_classes else nn.Identity()
        self.classifier.update_parameters_name("classifier.")
        clear_compile_cache(self)

    @property
    def rng_state(self) -> Parameter:
        """Random state of dropout and stochastic depth: int32 (seed, step). A checkpoint of a run must include it.

        It is not among `get_parameters()`. The seed is drawn by numpy; each training step adds 1 to the step.
        """
        return self.random_state.rng_state[0]

    def no_weight_decay(self) -> set[str]:
        """Return {"pos_embed", "cls_token"}: the parameters, besides the 1-D ones, to exempt from weight decay."""
        return {"pos_embed", "cls_token"}

    def group_matcher(self, coarse: bool = False) -> dict:
        """Return regular expressions that sort parameter names into groups, as timm's models do.

        Args:
            coarse: Ignored; the stem and each block are one group either way.

        Returns:
            "stem": a pattern for the embeddings and the class token. "blocks": a list of two pairs, a pattern whose
            first group is the block's number, with None, and one of the last LayerNorm, with (99999,), which puts it
            into the last block's layer. The classifier matches no pattern.
        """
        del coarse
        return {
            "stem": r"^cls_token|pos_embed|patch_embed",
            "blocks": [(r"^blocks\.(\d+)", None), (r"^norm", (99999,))],
        }
