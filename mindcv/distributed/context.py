"""The workers that train together, seen from one of them."""

import logging
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, communication, ops

from mindcv.config import Config


@dataclass(frozen=True)
class DistributedContext:
    """`size` workers, of which this is number `rank`; one that is alone is 0 of 1.

    `leads` says of one worker on each machine that it does what one is enough for.
    """

    rank: int = 0
    size: int = 1
    is_local_main: bool = True

    @property
    def is_main(self) -> bool:
        """Whether this worker is the one that prints and writes files."""
        return self.rank == 0

    def broadcast_parameters(self, parameters: Iterable[Parameter]) -> None:
        """Give every worker the values that the first one has. Before the first step only."""
        if self.size > 1:
            broadcast = ops.Broadcast(0)
            for parameter in parameters:
                parameter.set_data(broadcast((parameter.value(),))[0])

    def broadcast(self, numbers: list[float]) -> list[float]:
        """The first worker's `numbers`, on every worker; as exact as float32 is, unless they are below 2^24."""
        if self.size == 1:
            return numbers
        return ops.Broadcast(0)((Tensor(np.array(numbers, np.float32)),))[0].asnumpy().tolist()

    def any(self, says_so: bool) -> bool:
        """Whether one of the workers, or more, says so; all have to come here, and get the same answer."""
        if self.size == 1:
            return says_so
        return bool(ops.AllReduce()(Tensor([float(says_so)], ms.float32)).asnumpy()[0] > 0)

    def wait(self) -> None:
        """Go on when every worker has come here."""
        self.any(False)

    @contextmanager
    def name_lost_workers(self) -> Iterator[None]:
        """Say in one line that another worker is gone, where MindSpore names an operation or counts nodes.

        What waits for the others is MindSpore's operations, which have a limit: on a CPU they fail half a minute after
        a worker stopped answering.
        """
        try:
            yield
        except RuntimeError as error:
            if self.size == 1 or not _WAITED.search(str(error)):
                raise
            raise RuntimeError(
                "waited for the other workers in vain: one of them has ended or does not answer; see its log, on its "
                "machine in ckpt_save_dir/logs"
            ) from error

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """The first worker does what is inside before the others do: it downloads, they find it there."""
        if not self.is_main:
            with self.name_lost_workers():
                self.wait()
        yield
        if self.is_main:
            self.wait()


ALONE = DistributedContext()
_WAITED = re.compile(r"AllReduce|Broadcast|state of the cluster is error")


def init_distributed(config: Config) -> DistributedContext:
    """Be one of the workers that a launcher made (this package's, `msrun` or `mpirun`), or alone.

    Raises:
        RuntimeError: the others did not come in time; MindSpore says how long it waited.
    """
    if not config.distribute or not _was_launched():
        return ALONE
    communication.init()
    rank = communication.get_rank()
    distributed = DistributedContext(rank, communication.get_group_size(), is_local_main=rank % config.num_devices == 0)
    ms.set_auto_parallel_context(
        parallel_mode=ms.ParallelMode.DATA_PARALLEL, gradients_mean=True, device_num=distributed.size
    )
    if not distributed.is_main:
        logging.getLogger("mindcv").setLevel(logging.WARNING)
    return distributed


def _was_launched() -> bool:
    return any(name in os.environ for name in ("MS_ROLE", "OMPI_COMM_WORLD_RANK", "RANK_TABLE_FILE"))
