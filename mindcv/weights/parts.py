"""The parts of a checkpoint: weights, their moving averages, an optimizer's state, and a run's.

This project's training checkpoints name the parts by prefixes. PyTorch's training scripts put each part into a
dictionary. MindSpore (`ModelCheckpoint`, `save_checkpoint` of a training cell, MindCV's trainer) puts all of them side
by side: weights under their own names, the optimizer's slots under a slot's name and the weight's (`moments.…`,
`adam_m.…`, `mu_…`), counters such as `global_step` and `learning_rate`, and MindCV's averages under `ema.`. The names
may begin with those of cells, modules or dictionaries around the model: `module.`, `_orig_mod.`, `backbone.`, `0.`.
"""

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np

from mindcv.weights.adapt import FIRST_CONV
from mindcv.weights.state_dict import EMA, OPTIMIZER, RUN

_WRAPPERS = ("model.", "state_dict.")  # dictionaries of weights in PyTorch's training checkpoints, with others beside
_AVERAGES = (EMA, "model_ema.", "state_dict_ema.")
_PREFIXES = ("module.", "_orig_mod.", *_WRAPPERS)  # of DataParallel and torch.compile, and the former once more

# Slots of MindSpore's and MindCV's optimizers, for files that have weights under a prefix and slots without it: their
# names alone do not say which of the two are the weights.
_SLOT = re.compile(
    r"(^|\.)(moments?\d?|(n?adam|lamb|lion)_[mv]|accum(_update)?|stat|linear|vhat|mean_(square|grad)|exp_avg|ax_|"
    r"prev(_gradient)?|step_size|grad_accumulation)\."
)

Arrays = dict[str, np.ndarray]
Names = dict[str, str]  # from a name without prefixes to the name in the file


class Parts(NamedTuple):
    """Weights and their averages, under a model's names, and the names of what the file holds beside them."""

    weights: Arrays
    averages: Arrays
    optimizer: set[str]
    run: set[str]

    def chosen(self, ema: bool) -> Arrays:
        """Return the weights, or with `ema` their averages; ValueError where there are none."""
        if ema and not self.averages:
            raise ValueError("the checkpoint holds no moving averages: take its weights, without ema")
        if not ema and not self.weights:
            raise ValueError(f"the checkpoint holds no weights, but {self.beside()}: use another one")
        return self.averages if ema else self.weights

    def beside(self) -> str:
        """Return what there is beside the weights, with counts; "" for nothing."""
        parts = {"moving averages": self.averages, "optimizer state": self.optimizer, "run state": self.run}
        return ", ".join(f"{part} ({len(names)} tensors)" for part, names in parts.items() if names)

    def foreign(self) -> int:
        """Return how many tensors of an optimizer's and a run's state there are, if another program wrote them."""
        ours = any(name.startswith(RUN) for name in self.run)
        return 0 if ours else len(self.optimizer) + len(self.run)


def weights_of(contents: Arrays, ema: bool = False) -> Arrays:
    """Return the model's weights among the `contents` of a checkpoint: the trained ones, or their moving averages.

    Raises:
        ValueError: the checkpoint has none, or they may be under more than one prefix.
    """
    return parts_of(contents).chosen(ema)


def parts_of(contents: Arrays, known: Collection[str] = ()) -> Parts:
    """Return the parts of a checkpoint.

    Args:
        contents: Arrays by name, as `read` returns them.
        known: The names of the model's parameters, where there is a model; these are never taken for anything else.

    Raises:
        ValueError: the weights may be under more than one prefix.
    """
    prefix = next((prefix for prefix in _AVERAGES if any(name.startswith(prefix) for name in contents)), None)
    averages = _under(prefix, {name: name for name in contents}) if prefix else {}
    rest = {name: name for name in contents if not name.startswith(_AVERAGES)}
    weights, averages = (_weights(names, contents, known) for names in (rest, averages))
    beside = rest.keys() - weights.values()
    optimizer = {name for name in beside if name.startswith(OPTIMIZER) or _weight_in(name, weights)}
    return Parts(
        *({name: contents[full] for name, full in names.items()} for names in (weights, averages)),
        optimizer,
        beside - optimizer,
    )


def _weights(names: Names, contents: Arrays, known: Collection[str]) -> Names:
    """The names of weights among `names`, without prefixes."""
    if OPTIMIZER + "global_step" in names and not any(name.startswith(RUN) for name in contents):
        names = {name.removeprefix(OPTIMIZER): full for name, full in names.items()}  # MindSpore's, around weights too
    wrapped = next(filter(None, (_under(wrapper, names) for wrapper in _WRAPPERS)), names)
    names = _without_prefixes(names if _loses(wrapped, names, known) else wrapped, known)
    state = _state_of_mindspore({name: contents[full] for name, full in names.items()})
    state |= {name for name in names if name.startswith((OPTIMIZER, RUN))}
    return _without_prefixes({name: names[name] for name in names if name not in state or name in known}, known)


def _without_prefixes(names: Names, known: Collection[str]) -> Names:
    """`names` without the prefixes around a model, as long as that loses none that the model knows."""
    while prefix := _prefix(names, known):
        inner = _under(prefix, names)
        others = {name: full for name, full in names.items() if not name.startswith(prefix)}
        if others.keys() & inner.keys() or _loses(inner, names, known):
            break
        names = {**inner, **others}
    return names


def _loses(inner: Names, names: Names, known: Collection[str]) -> bool:
    return len(inner.keys() & known) < len(names.keys() & known)


def _prefix(names: Collection[str], known: Collection[str]) -> str:
    """The outermost prefix to strip from `names`; "" where there is none.

    Raises:
        ValueError: several prefixes come into question.
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
        raise ValueError(f"the weights may be those under {' or '.join(map(repr, roots))}: save the ones to load alone")
    return roots[0] if roots else ""


def _within(prefix: str, other: str) -> bool:
    """Whether the parts of `prefix` are in `other`, in their order: `network.` in `moments.network.`, its slots."""
    parts = iter(other.split("."))
    return all(part in parts for part in prefix.split("."))


def _state_of_mindspore(arrays: Arrays) -> set[str]:
    """Return the names of an optimizer's state and a trainer's counters that MindSpore saved beside weights.

    Files without a single whole number or text, such as `global_step`, have none. A slot's name is a prefix, then a dot
    or an underscore, then another name in the file; all names with that prefix are such, and no third name ends with
    the slot's. A counter has no dot in its name, at most one dimension, and no slots.
    """
    plain = {name: array for name, array in arrays.items() if "." not in name and array.ndim < 2}
    if not any(array.size == 1 and array.dtype.kind in "biuU" for array in plain.values()):
        return set()
    owners = {name: owner for name in arrays if (owner := _weight_in(name, arrays))}
    slots = {name: name.removesuffix(owner) for name, owner in owners.items() if name not in owners.values()}
    closed = {prefix for prefix in set(slots.values()) if all(n in slots for n in arrays if n.startswith(prefix))}
    slots = {name for name, prefix in slots.items() if prefix in closed}
    trained = {owners[name] for name in slots if name.endswith(f".{owners[name]}")}
    return slots | plain.keys() - trained


def _weight_in(name: str, weights: Collection[str]) -> str:
    """The longest name in `weights` that `name` ends with, after a dot or an underscore; "" if none."""
    return next((tail for tail in _tails(name) if tail in weights), "")


def _tails(name: str) -> Iterator[str]:
    return (name[match.end() :] for match in re.finditer("[._]", name))


def _under(prefix: str, names: Names) -> Names:
    return {name[len(prefix) :]: full for name, full in names.items() if name.startswith(prefix)}
