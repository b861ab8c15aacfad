"""Split a checkpoint into weights, their moving averages, an optimizer's state and a run's state.

- This project's training checkpoints name the parts by prefixes.
- PyTorch's training scripts put each part into a dictionary.
- MindSpore (`ModelCheckpoint`, `save_checkpoint` of a training cell, MindCV's trainer) saves all parts in one flat
  list: weights under their own names, the optimizer's slots under a slot's name followed by the weight's (`moments.…`,
  `adam_m.…`, `mu_…`), counters such as `global_step` and `learning_rate`, and MindCV's averages under `ema.`.

In each of them the names may be prefixed by those of cells, modules or dictionaries around the model: `module.`,
`_orig_mod.`, `backbone.`, `0.`.
"""

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np

from mindcv.weights.adapt import FIRST_CONV
from mindcv.weights.state_dict import EMA, OPTIMIZER, RUN

_WRAPPERS = (
    "model.",
    "state_dict.",
)  # dictionaries of weights in PyTorch's training checkpoints
_AVERAGES = (EMA, "model_ema.", "state_dict_ema.")
_PREFIXES = ("module.", "_orig_mod.", *_WRAPPERS)  # of DataParallel, torch.compile, and the above

# Slots of MindSpore's and MindCV's optimizers, for files whose weights have a prefix and whose slots do not: otherwise
# nothing tells which of the two are the weights.
_SLOT = re.compile(
    r"(^|\.)(moments?\d?|(n?adam|lamb|lion)_[mv]|accum(_update)?|stat|linear|vhat|mean_(square|grad)|exp_avg|ax_|"
    r"prev(_gradient)?|step_size|grad_accumulation)\."
)

Arrays = dict[str, np.ndarray]
Names = dict[str, str]  # from names without prefixes to names in the file


class Parts(NamedTuple):
    """The parts of a checkpoint.

    Attributes:
        weights, averages: Arrays, by names without prefixes.
        optimizer, run: Names in the file of the optimizer's state, and of everything else.
    """

    weights: Arrays
    averages: Arrays
    optimizer: set[str]
    run: set[str]

    def select(self, ema: bool) -> Arrays:
        """Return the weights, or with `ema` their moving averages; raise a ValueError if there are none."""
        if ema and not self.averages:
            raise ValueError("the checkpoint holds no moving averages: take its weights, without ema")
        if not ema and not self.weights:
            raise ValueError(f"the checkpoint holds no weights, but {self.describe_others()}: use another one")
        return self.averages if ema else self.weights

    def describe_others(self) -> str:
        """Return the names of the parts other than weights, with numbers of tensors; "" if there are none.

        An example is "moving averages (190 tensors), run state (8 tensors)".
        """
        parts = {"moving averages": self.averages, "optimizer state": self.optimizer, "run state": self.run}
        return ", ".join(f"{part} ({len(names)} tensors)" for part, names in parts.items() if names)

    def num_foreign(self) -> int:
        """Return the number of tensors of optimizer and run state if another program wrote them, else 0."""
        is_ours = any(name.startswith(RUN) for name in self.run)
        return 0 if is_ours else len(self.optimizer) + len(self.run)


def weights_of(contents: Arrays, ema: bool = False) -> Arrays:
    """Return the model's weights in a checkpoint, by names without prefixes, still MindCV's or PyTorch's.

    Args:
        contents: All arrays of the checkpoint by name, as `read` returns them.
        ema: Return the moving averages of the weights instead.

    Raises:
        ValueError: the checkpoint has none, or several prefixes may be those of the weights.
    """
    return split_parts(contents).select(ema)


def require_finite(weights: Arrays) -> None:
    """Raise a ValueError that names the first of the weights, by name, that holds NaN or an infinite value."""
    for name, array in weights.items():
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds NaN or infinite values: use another checkpoint")


def split_parts(contents: Arrays, known: Collection[str] = ()) -> Parts:
    """Split a checkpoint into weights, moving averages, optimizer state and everything else; any may be empty.

    Weights and averages are named without the prefixes around the model; the names stay MindCV's or PyTorch's.

    Args:
        contents: All arrays of the checkpoint by name, as `read` returns them.
        known: The names of the model's parameters, if there is a model; these are always taken to be weights.

    Raises:
        ValueError: several prefixes may be those of the weights.
    """
    prefix = next((prefix for prefix in _AVERAGES if any(name.startswith(prefix) for name in contents)), None)
    averages = _under(prefix, {name: name for name in contents}) if prefix else {}
    rest = {name: name for name in contents if not name.startswith(_AVERAGES)}
    weights, averages = _weights(rest, contents, known), _weights(averages, contents, known)
    others = rest.keys() - weights.values()
    optimizer = {name for name in others if name.startswith(OPTIMIZER) or _weight_in(name, weights)}
    return Parts(
        {name: contents[full] for name, full in weights.items()},
        {name: contents[full] for name, full in averages.items()},
        optimizer,
        others - optimizer,
    )


def _weights(names: Names, contents: Arrays, known: Collection[str]) -> Names:
    """Return the weights among `names`: their names in the file, by names without any prefix.

    Args:
        names: Names in the file to choose from, by names without the prefixes found so far.
        contents: All arrays of the checkpoint, by their names in the file.
        known: The names of the model's parameters, which always count as weights; () without a model.

    Raises:
        ValueError: several prefixes may be those of the weights.
    """
    if OPTIMIZER + "global_step" in names and not any(name.startswith(RUN) for name in contents):
        # MindSpore's optimizer gives its own name to the weights too
        names = {name.removeprefix(OPTIMIZER): full for name, full in names.items()}
    wrapped = next(filter(None, (_under(wrapper, names) for wrapper in _WRAPPERS)), names)
    names = _without_prefixes(names if _loses_known(wrapped, names, known) else wrapped, known)
    state = _state_of_mindspore({name: contents[full] for name, full in names.items()})
    state |= {name for name in names if name.startswith((OPTIMIZER, RUN))}
    return _without_prefixes({name: names[name] for name in names if name not in state or name in known}, known)


def _without_prefixes(names: Names, known: Collection[str]) -> Names:
    """Return `names` (names in the file, by shorter names) with the prefixes around a model stripped from the keys.

    Stops where a name that the model knows would be lost, or two names would become the same. Names that lack a prefix
    stay. Raises a ValueError if several prefixes are possible.
    """
    while prefix := _prefix(names, known):
        inner = _under(prefix, names)
        others = {name: full for name, full in names.items() if not name.startswith(prefix)}
        if others.keys() & inner.keys() or _loses_known(inner, names, known):
            break
        names = {**inner, **others}
    return names


def _loses_known(inner: Names, names: Names, known: Collection[str]) -> bool:
    """Return whether fewer of the model's `known` names are keys of `inner` than of `names`."""
    return len(inner.keys() & known) < len(names.keys() & known)


def _prefix(names: Collection[str], known: Collection[str]) -> str:
    """Return the outermost prefix of `names` that is not in the model's `known` names, "" if there is none.

    Raises:
        ValueError: several prefixes are possible.
    """
    for prefix in _PREFIXES:
        if names and all(name.startswith(prefix) for name in names):
            return prefix
    anchor = FIRST_CONV if not known or FIRST_CONV in known else max(known, key=len)
    roots = [name.removesuffix(anchor) for name in names if f".{name}".endswith(f".{anchor}")]
    roots = [root for root in roots if not any(other != root and _within(other, root) for other in roots)]
    if len(roots) > 1:
        roots = [root for root in roots if not _SLOT.search(root)]
    if len(roots) > 1:
        raise ValueError(f"the weights may be under {' or '.join(map(repr, roots))}: save only the ones to load")
    return roots[0] if roots else ""


def _within(prefix: str, other: str) -> bool:
    """Return whether the components of `prefix` occur in `other`, in order: `network.` in a slot's `mu.network.`."""
    components = iter(other.split("."))
    return all(component in components for component in prefix.split("."))


def _state_of_mindspore(arrays: Arrays) -> set[str]:
    """Return the names of optimizer state and counters in a flat list of arrays that MindSpore saved.

    - A file without a scalar integer or text, such as `global_step`, has no state.
    - A slot is named by a prefix, a dot or an underscore, and another name in the file. All names with that prefix are
      of this form, and no third name ends with the slot's.
    - A counter has no dot in its name, at most one dimension, and no slots.
    """
    plain = {name: array for name, array in arrays.items() if "." not in name and array.ndim < 2}
    if not any(array.size == 1 and array.dtype.kind in "biuU" for array in plain.values()):
        return set()
    owners = {name: owner for name in arrays if (owner := _weight_in(name, arrays))}
    prefixes = {name: name.removesuffix(owner) for name, owner in owners.items() if name not in owners.values()}
    closed = {prefix for prefix in set(prefixes.values()) if all(n in prefixes for n in arrays if n.startswith(prefix))}
    slots = {name for name, prefix in prefixes.items() if prefix in closed}
    trained = {owners[name] for name in slots if name.endswith(f".{owners[name]}")}
    return slots | plain.keys() - trained


def _weight_in(name: str, weights: Collection[str]) -> str:
    """Return the longest name in `weights` that `name` ends with after a dot or an underscore, "" if none."""
    return next((tail for tail in _tails(name) if tail in weights), "")


def _tails(name: str) -> Iterator[str]:
    """Return what follows each dot or underscore of `name`, longest first."""
    return (name[match.end() :] for match in re.finditer("[._]", name))


def _under(prefix: str, names: Names) -> Names:
    """Return the `names` that start with `prefix`, without it; {} if there are none."""
    return {name[len(prefix) :]: full for name, full in names.items() if name.startswith(prefix)}
