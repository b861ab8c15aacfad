"""Build a model of one's own as MindCV's guide for new models does."""

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

import mindspore as ms
from mindspore import nn

from mindcv import weights
from mindcv.models.features import FeatureExtractWrapper, Features


def build_model_with_cfg(
    model_cls: Callable[..., nn.Cell],
    pretrained: bool,
    default_cfg: dict,
    features_only: bool = False,
    out_indices: Sequence[int] = (0, 1, 2, 3, 4),
    **kwargs,
) -> nn.Cell:
    """Return `model_cls(**kwargs)`, with published weights and as a backbone if that is asked for.

    Args:
        model_cls: A model's class.
        pretrained: Load the weights that `default_cfg` names.
        default_cfg: As for `load_pretrained`.
        features_only: Return feature maps instead of logits: a `Features` of a model with `hidden_states`, else a
            `FeatureExtractWrapper`.
        out_indices: Which feature maps.
        **kwargs: Arguments of the model.

    Raises:
        ValueError: The model has neither `hidden_states` nor `feature_info`, or the weights are unusable.
        OSError: The weights cannot be downloaded.
    """
    model = model_cls(**kwargs)
    if pretrained:
        load_pretrained(model, default_cfg)
    if not features_only:
        return model
    return (Features if hasattr(model, "hidden_states") else FeatureExtractWrapper)(model, out_indices)


def load_pretrained(
    model: nn.Cell, default_cfg: dict, num_classes: int = 1000, in_channels: int = 3, filter_fn: Callable | None = None
) -> None:
    """Download published weights once, and load those that fit into `model`; log a warning about the others.

    Args:
        model: A model; weights of another number of classes or channels are adapted to it.
        default_cfg: "url" of the weights, and optionally "sha256", "publisher" and "licence".
        num_classes: Not used; the model says it.
        in_channels: Not used; the model says it.
        filter_fn: Returns a changed copy of the weights, a dict of Parameters by name; that is loaded as it is.

    Raises:
        ValueError: There is no "url", or the file is not a checkpoint.
        OSError: The weights cannot be downloaded.
    """
    url = default_cfg.get("url")
    if not url:
        raise ValueError("no published weights: the model's default_cfg has no url")
    known = {"publisher": "their publisher", "licence": "not stated", "file": PurePosixPath(url).name}
    path = weights.fetch_published({**known, **default_cfg})
    if filter_fn is None:
        weights.load(model, path, strict=False, adapt=weights.ARGUMENTS)
    else:
        ms.load_param_into_net(model, filter_fn(ms.load_checkpoint(str(path))))
