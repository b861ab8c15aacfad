"""`CheckpointManager`: write checkpoints, and keep the newest or the best."""

from pathlib import Path

from mindspore import Tensor, nn

from mindcv import weights


class CheckpointManager:
    """Writes checkpoints and deletes those that are too many.

    Args:
        ckpt_save_policy: "latest_k" keeps the newest ones, "top_k" those with the highest metrics, None all.

    Attributes:
        ckpoint_filelist: Paths of the checkpoints, the oldest first; with "top_k" (path, metric), the best first.
    """

    def __init__(self, ckpt_save_policy: str | None = None):
        if ckpt_save_policy not in (None, "top_k", "latest_k"):
            raise ValueError(f"ckpt_save_policy is {ckpt_save_policy!r}; it can be top_k, latest_k or None")
        self.ckpt_save_policy = ckpt_save_policy
        self.ckpoint_filelist: list = []

    def save_ckpoint(self, network: nn.Cell, num_ckpt: int = 10, metric=None, save_path: str = "") -> list | None:
        """Write the parameters of `network` to `save_path`, and delete what is more than `num_ckpt` checkpoints.

        With "top_k", which needs a `metric` (a number or a Tensor), one that is not among the best is not written.

        Returns:
            `ckpoint_filelist`, or None without a policy.
        """
        policy, files = self.ckpt_save_policy, self.ckpoint_filelist
        if policy == "top_k":
            if metric is None:
                raise ValueError("ckpt_save_policy top_k ranks checkpoints: pass a metric")
            metric = float(metric.asnumpy() if isinstance(metric, Tensor) else metric)
            files = sorted([*files, (save_path, metric)], key=lambda entry: entry[1], reverse=True)
            kept = files[:num_ckpt]
        else:
            files = [*files, save_path]
            kept = files[-num_ckpt:] if policy else []
        if not policy or save_path in [_path(entry) for entry in kept]:
            write_parameters(network, save_path)
        for entry in files if policy else ():
            if entry not in kept:
                Path(_path(entry)).unlink(missing_ok=True)
        self.ckpoint_filelist = kept
        return kept if policy else None


def _path(entry: str | tuple[str, float]) -> str:
    return entry[0] if isinstance(entry, tuple) else entry


def write_parameters(network: nn.Cell, path: str | Path) -> None:
    """Write the parameters of a cell, by name, as a MindSpore checkpoint, completely or not at all."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    weights.write(path, {parameter.name: parameter.asnumpy() for parameter in network.get_parameters()})
