"""What a checkpoint of a run holds, and how a run takes it back."""

import json
from pathlib import Path

import numpy as np
from mindspore import Parameter, Tensor, nn

from mindcv.engine.checkpoints import TrainPosition
from mindcv.engine.identity import START_ANEW, Identity
from mindcv.engine.step import TrainStep
from mindcv.mindspore_hooks import aligned
from mindcv.weights.classes import CLASS_NAMES
from mindcv.weights.state_dict import GRID, OPTIMIZER, RUN

EPOCH, STEP, BEST = RUN + "epoch", RUN + "step", RUN + "best"


def model_entries(model: nn.Cell, class_names: list[str] | None) -> dict[str, np.ndarray]:
    """Return the checkpoint entries of a model: parameters, the grid of patches if it has one, and class names."""
    parameters = {parameter.name: parameter.asnumpy() for parameter in model.get_parameters()}
    grid = {GRID: np.array(model.grid_size, np.int32)} if hasattr(model, "grid_size") else {}
    return {**parameters, **grid, CLASS_NAMES: np.array(json.dumps(class_names))}


class TrainState:
    """All that the next step depends on besides the options: weights, optimizer, random state, and position.

    The order and the augmentation of an epoch's images follow from the seed and the epoch, for a given number of
    workers and of loader threads. Where data sink into the device, crops and colours also follow from the epoch that
    the run was started at.

    Args:
        step: The training step, whose cells hold the state.
        identity: What checkpoints record about the run.
    """

    def __init__(self, step: TrainStep, identity: Identity):
        self.step = step
        self.identity = identity

    def parameters(self) -> dict[str, Parameter]:
        """Return the parameters that hold the state, themselves and not copies, by their names in a checkpoint."""
        model, optimizer = self.step.model, self.step.optimizer.state_parameters()
        averages = self.step.ema.averages if self.step.ema else ()
        return {
            **{parameter.name: parameter for parameter in (*model.get_parameters(), *averages)},
            **{OPTIMIZER + name: parameter for name, parameter in optimizer.items()},
            **{RUN + name: parameter for name, parameter in self.step.state_parameters().items()},
            **({RUN + "randomness": model.rng_state} if hasattr(model, "rng_state") else {}),
        }

    def arrays(self, position: TrainPosition, best: float) -> dict[str, np.ndarray]:
        """Return the contents of a checkpoint by name: the model, all state, the run's identity, position and score.

        Args:
            position: Position of the run.
            best: Best top-1 so far in per cent; -inf if the run was not validated.
        """
        return {
            **model_entries(self.step.model, self.identity.class_names),
            **self.identity.entries(),
            **{name: parameter.asnumpy() for name, parameter in self.parameters().items()},
            EPOCH: np.array(position.epoch, np.int32),
            STEP: np.array(position.step, np.int32),
            BEST: np.array(best, np.float64),
        }

    def missing_entries(self, arrays: dict[str, np.ndarray]) -> list[str]:
        """Return the names of the entries that `restore` needs and that `arrays` lacks or has in another shape."""
        wanted = self.parameters()
        missing = [name for name, p in wanted.items() if name not in arrays or arrays[name].shape != p.shape]
        return missing + [name for name in (EPOCH, STEP, BEST) if name not in arrays]

    def restore(self, path: Path, arrays: dict[str, np.ndarray]) -> tuple[TrainPosition, float]:
        """Set the state to `arrays`, the contents of the checkpoint `path`. Call it before the first step.

        Returns:
            The checkpoint's position, and the best top-1 until then in per cent.

        Raises:
            ValueError: the checkpoint does not hold such a state. Nothing is changed then.
        """
        if missing := self.missing_entries(arrays):
            raise ValueError(
                f"{path} holds no state that this run could go on from: {missing[0]} is missing or of another shape; "
                f"resume with the options of the run, from another checkpoint of it, {START_ANEW}"
            )
        for name, parameter in self.parameters().items():
            parameter.set_data(Tensor(aligned(arrays[name]), parameter.dtype))
        return TrainPosition(int(arrays[EPOCH]), int(arrays[STEP])), float(arrays[BEST])
