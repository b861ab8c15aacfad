"""The workers that train together, as one of them sees them."""

import logging
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, communication, ops

from mindcv.config import Config


@dataclass(frozen=True)
class DistributedContext:
    """This process among the workers that train together. A process that works alone is worker 0 of 1.

    Attributes:
        rank: Number of this worker, from 0.
        size: Number of workers.
        is_local_main: Whether this is the one worker of its machine that does what needs doing once a machine.
    """

    rank: int = 0
    size: int = 1
    is_local_main: bool = True

    @property
    def is_main(self) -> bool:
        """Whether this worker is the one that prints and writes files."""
        return self.rank == 0

    def broadcast_parameters(self, parameters: Iterable[Parameter]) -> None:
        """Set the parameters of every worker, in place, to the values of worker 0. Call it before the first step.

        All workers must call it, with the same parameters in the same order.
        """
        if self.size > 1:
            broadcast = ops.Broadcast(0)
            for parameter in parameters:
                parameter.set_data(broadcast((parameter.value(),))[0])

    def broadcast(self, numbers: Sequence[float]) -> Sequence[float]:
        """Return the `numbers` of worker 0 on every worker, rounded to float32 (integers below 2²⁴ stay exact).

        All workers must call it, with lists of one length. A process that works alone gets `numbers` itself.
        """
        if self.size == 1:
            return numbers
        return ops.Broadcast(0)((Tensor(np.array(numbers, np.float32)),))[0].asnumpy().tolist()

    def any(self, value: bool) -> bool:
        """Return whether `value` is true on any worker. All workers must call it, and all get the same answer."""
        if self.size == 1:
            return value
        return bool(ops.AllReduce()(Tensor([float(value)], ms.float32)).asnumpy()[0] > 0)

    def wait(self) -> None:
        """Wait until every worker has called this."""
        self.any(False)

    @contextmanager
    def name_lost_workers(self) -> Iterator[None]:
        """Inside the context, raise one line about a lost worker instead of MindSpore's error about an operation.

        Other errors pass unchanged, and so do all errors of a process that works alone. MindSpore's collective
        operations wait for the other workers for a limited time: on a CPU they fail 30 s after a worker stopped
        answering.

        Raises:
            RuntimeError: another worker has ended or does not answer.
        """
        try:
            yield
        except RuntimeError as error:
            if self.size == 1 or not _COLLECTIVE_FAILED.search(str(error)):
                raise
            raise RuntimeError(
                "waited for the other workers in vain: one of them has ended or does not answer; see its log, on its "
                "machine in ckpt_save_dir/logs"
            ) from error

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """Let worker 0 run the body before the others do: it downloads, and the others find the files.

        All workers must enter it and run the body.

        Raises:
            RuntimeError: worker 0 has ended, or has not finished its body before the others' wait timed out.
        """
        if not self.is_main:
            with self.name_lost_workers():
                self.wait()
        yield
        if self.is_main:
            self.wait()


ALONE = DistributedContext()
_COLLECTIVE_FAILED = re.compile(r"AllReduce|Broadcast|state of the cluster is error")


def init_distributed(config: Config) -> DistributedContext:
    """Join the workers that a launcher started (this package's, `msrun` or `mpirun`), and return this one's context.

    A process that no launcher started, or with `config.distribute` off, works alone: it gets `ALONE`, and nothing is
    changed. Among several workers MindSpore is set to data parallelism with gradients averaged, and all workers but
    worker 0 log warnings only.

    Raises:
        RuntimeError: the other workers did not start in time.
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
    """Whether a launcher started this process, by the variables that it sets in the environment."""
    return any(name in os.environ for name in ("MS_ROLE", "OMPI_COMM_WORLD_RANK", "RANK_TABLE_FILE"))
