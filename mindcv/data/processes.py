"""Processes that finish batches: policies, flips, normalisation, erasing and mixing.

MindSpore's C++ operations hold Python's global lock when called one by one, so that policies gain nothing from threads.
MindSpore's own worker processes copy every batch several times and fork the process that trains.

Here the workers are fresh processes. Pixels lie in shared memory without a name, everything else goes over a socket.
Both vanish with the processes that have them open, however those end: when the parent ends, even by SIGKILL, the system
closes its sockets, and the workers exit.
"""

import atexit
import math
import mmap
import os
import pickle
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from typing import Any

import numpy as np

from mindcv.data.normalize import Normalize

SUPPORTED = os.name == "posix"  # elsewhere sockets do not carry file descriptors
_BOOT = "import sys; sys.path[:] = sys.argv.pop().split(':'); from mindcv.data.processes import main; main()"
_pools: dict[tuple[int, int], "ProcessPool"] = {}  # by process and number of workers
_lock = threading.Lock()


class SharedMemory:
    """Memory that two processes share through a file without a name.

    Args:
        fd: Descriptor of such a file; None to create one.
    """

    def __init__(self, fd: int | None = None):
        self.fd = _create_nameless_file() if fd is None else fd
        self._map: mmap.mmap | None = None

    def at_least(self, size: int) -> mmap.mmap:
        """Return the memory, at least `size` bytes of it; the file is extended if it is shorter."""
        if self._map is None or len(self._map) < size:
            if os.fstat(self.fd).st_size < size:
                os.ftruncate(self.fd, size)
            self._map = mmap.mmap(self.fd, size)
        return self._map

    def array(self, shape: tuple[int, ...], dtype: np.dtype, offset: int = 0) -> np.ndarray:
        """Return an array in the memory, `offset` bytes after its start."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        return np.ndarray(shape, dtype, self.at_least(max(1, offset + size)), offset)


def _create_nameless_file() -> int:
    """Return the descriptor of an empty file without a name: in memory on Linux, elsewhere in the temporary folder."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("mindcv-batch")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class ProcessPool:
    """Worker processes that run one transform of batches at a time each.

    Args:
        count: Number of workers.

    Attributes:
        process: The process that starts the workers, and ends after the last of them.
    """

    def __init__(self, count: int):
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._workers, descriptors, remote_ends = [], [], []
        for _ in range(count):
            ours, theirs = socket.socketpair()
            images = SharedMemory()
            self._workers.append(_Worker(Connection(ours.detach()), images))
            remote_ends.append(theirs)
            descriptors += [theirs.fileno(), images.fd]
        command = [sys.executable, "-c", _BOOT, *map(str, descriptors), ":".join(sys.path)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=descriptors)
        for end in remote_ends:
            end.close()
        for worker in self._workers:
            self._idle.put(worker)

    def __len__(self) -> int:
        return len(self._workers)

    def run(self, transform: "Task", images: list[np.ndarray], *arguments) -> tuple[np.ndarray, np.ndarray]:
        """Return transform(images, *arguments) computed by an idle worker, after waiting for one.

        Args:
            transform: What to run, with a result (images, labels).
            images: A batch.
            arguments: Further arguments, small ones.

        Raises:
            RuntimeError: The worker has ended.
            Exception: What `transform` raised.
        """
        worker = self._idle.get()
        try:
            return worker.run(transform, images, arguments)
        except (EOFError, ConnectionError) as error:
            self.close()
            raise RuntimeError(
                "a loader process ended, perhaps for lack of memory: lower num_parallel_workers or batch_size"
            ) from error
        finally:
            self._idle.put(worker)

    def close(self) -> None:
        """End the workers, each after the batch that it works on; the pool is not used again."""
        with _lock:
            for key in [key for key, pool in _pools.items() if pool is self]:
                del _pools[key]
        for worker in self._workers:
            worker.close()

    def wait(self) -> None:
        """Wait until all workers have ended, for up to 10 seconds."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(10)


def shared_pool(count: int) -> ProcessPool:
    """Return this process's pool of `count` workers; the first call starts it."""
    with _lock:
        key = os.getpid(), count
        if key not in _pools:
            _pools[key] = ProcessPool(count)
        return _pools[key]


@atexit.register
def _end_pools() -> None:
    """End the workers of this process."""
    pools = [pool for (pid, _), pool in _pools.items() if pid == os.getpid()]
    for pool in pools:
        pool.close()
    for pool in pools:
        pool.wait()


class Task:
    """A transform of batches that can be sent to workers.

    Args:
        transform: Called as transform(images, *arguments), with a result (images, labels); its attribute `operations`
            lists the batchwise operations.

    Raises:
        ValueError: It cannot be pickled, or has functions or classes that are defined in the main script.
    """

    def __init__(self, transform: Callable):
        try:
            self.pickled = pickle.dumps(transform)
        except Exception as error:
            raise ValueError(f"transform cannot be sent to a process: {error}; {_REMEDY}") from error
        if b"__main__" in self.pickled:
            raise ValueError(f"transform has functions or classes of the main script, unknown to processes; {_REMEDY}")


_REMEDY = "define its functions in a module, or pass python_multiprocessing=False"


class _Worker:
    """The parent's side of a worker.

    Args:
        connection: The parent's end of its socket.
        images: Memory in which it gets batches.
    """

    def __init__(self, connection: Connection, images: SharedMemory):
        self._connection, self._images = connection, images
        self._task: Task | None = None
        self._results = 0
        self._free_results: deque[tuple[int, SharedMemory]] = deque()

    def run(self, task: Task, images: list[np.ndarray], arguments: tuple) -> tuple[np.ndarray, np.ndarray]:
        """Return images and labels after `task`; the memory of the images is reused once their array is deleted."""
        layout, size = [(image.shape, image.dtype.str) for image in images], 0
        self._images.at_least(sum(image.nbytes for image in images))
        for image, (shape, dtype) in zip(images, layout, strict=True):
            np.copyto(self._images.array(shape, dtype, size), image)
            size += image.nbytes
        number, result = self._free_results.pop() if self._free_results else (self._results, SharedMemory())
        self._connection.send((None if task is self._task else task.pickled, layout, arguments, number))
        self._task = task
        if number == self._results:
            send_handle(self._connection, result.fd, None)
            self._results += 1
        error, *answer = self._connection.recv()
        if error:
            self._free_results.append((number, result))
            raise error from RuntimeError(answer[0])
        shape, dtype, labels = answer
        out = result.array(shape, dtype)
        weakref.finalize(out, self._free_results.append, (number, result)).atexit = False
        return out, labels

    def close(self) -> None:
        """Close the socket, by which the worker ends."""
        self._connection.close()


def main() -> None:
    """Start the workers whose descriptors, of a socket and of memory each, are this program's arguments; wait for them.

    The workers are forks of this process, so that they share the memory of what it has imported.
    """
    import mindcv.data.loader  # noqa: F401  before the forks, since a transform needs it

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # sent to the whole group; the parent decides
        signal.signal(number, signal.SIG_IGN)
    descriptors = list(map(int, sys.argv[1:]))
    for i in range(0, len(descriptors), 2):
        if os.fork() == 0:
            for other in descriptors[:i] + descriptors[i + 2 :]:
                os.close(other)
            with suppress(EOFError, ConnectionError):
                _serve(Connection(descriptors[i]), SharedMemory(descriptors[i + 1]))
            os._exit(0)
    for descriptor in descriptors:
        os.close(descriptor)
    with suppress(ChildProcessError):
        while True:
            os.wait()


def _serve(connection: Connection, inputs: SharedMemory) -> None:
    """Run what is asked for over `connection`, with batches in `inputs`, until the other end is closed."""
    results: dict[int, SharedMemory] = {}
    while True:
        pickled, layout, arguments, number = connection.recv()
        if number not in results:
            results[number] = SharedMemory(recv_handle(connection))
        try:
            if pickled:
                transform = pickle.loads(pickled)
            images, size = [], 0
            inputs.at_least(sum(math.prod(shape) * np.dtype(dtype).itemsize for shape, dtype in layout))
            for shape, dtype in layout:
                images.append(inputs.array(shape, dtype, size))
                size += images[-1].nbytes
            answer: tuple = None, *_run_into(results[number], transform, images, arguments)
        except Exception as error:
            answer = _portable(error), traceback.format_exc()
        connection.send(answer)


def _run_into(
    result: SharedMemory, transform: Any, images: list[np.ndarray], arguments: tuple
) -> tuple[tuple[int, ...], str, np.ndarray]:
    """Run `transform` with its resulting images in `result`; return their shape, their type, and the labels.

    `Normalize` writes into `result`; what else makes the resulting array has it copied.
    """
    for operation in transform.operations:
        if isinstance(operation, Normalize):
            operation.result = result
    out, labels = transform(images, *arguments)
    shared = result.array(out.shape, out.dtype)
    if out.ctypes.data != shared.ctypes.data or out.strides != shared.strides:
        np.copyto(shared, out)
    return out.shape, out.dtype.str, labels


def _portable(error: Exception) -> Exception:
    """Return `error`, or a RuntimeError with its type and message if it cannot be pickled."""
    try:
        return pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
