import os
import signal
import sys
import time

import numpy as np
import psutil
import pytest

from mindcv.data import create_dataset, create_loader, create_transforms
from mindcv.data.datasets.arrays import ArraySource
from mindcv.data.processes import ProcessPool, SharedMemory, Task, shared_pool

MIXING = {"mixup": 0.2, "cutmix": 1.0, "cutmix_prob": 1.0, "num_classes": 10}
IMAGES = [np.full((2, 3), i, np.uint8) for i in range(4)]


class Scaled:
    """Multiplies images; small enough to be sent to a worker as it is."""

    operations = ()

    def __call__(self, images, labels, factor):
        if factor < 0:
            raise ValueError(f"factor is {factor}; it must be at least 0")
        return np.stack(images)[::-1] * np.float32(factor), labels


@pytest.fixture(scope="module")
def pool():
    return shared_pool(2)


def workers_of(pool):
    """Return the processes of the workers, once all have started."""
    pool.run(Task(Scaled()), IMAGES, None, 1)  # before, a child may be one that MindSpore's import starts
    deadline = time.monotonic() + 60
    while len(workers := psutil.Process(pool.process.pid).children()) < len(pool) and time.monotonic() < deadline:
        time.sleep(0.05)
    return workers


def batches(multiprocessing, passes=1, skip=0, separate=False, **where):
    dataset = create_dataset("digits", num_samples=40, seed=3, num_parallel_workers=2, **where)
    crop = {"scale": (1, 1), "ratio": (1, 1), "re_prob": 0.5, "re_value": "random"}
    transform = create_transforms("digits", 16, True, "augmix-m3-w3", separate=separate, **crop)
    loader = create_loader(
        dataset, 8, True, True, transform=transform, num_parallel_workers=2, separate=separate,
        python_multiprocessing=multiprocessing, **({} if separate else MIXING),
    )  # fmt: skip
    iterator = loader.skip(skip).create_tuple_iterator(num_epochs=passes, output_numpy=True)
    return [batch for _ in range(passes) for batch in iterator]


def assert_same(first, second):
    assert len(first) == len(second) > 0
    for one, other in zip(first, second, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b, strict=True)


def test_processes_give_the_batches_of_threads_also_after_a_resume():
    expected = batches(False, passes=2)
    assert_same(batches(True, passes=2), expected)
    assert_same(batches(True, epoch=1, skip=2), expected[7:])
    assert_same(batches(True, separate=True), batches(False, separate=True))


def test_run_returns_what_the_transform_does_and_keeps_results_apart(pool):
    task = Task(Scaled())
    results = [pool.run(task, IMAGES, np.arange(4), factor) for factor in range(6)]
    for factor, (images, labels) in enumerate(results):
        np.testing.assert_array_equal(images, np.stack(IMAGES)[::-1] * np.float32(factor), strict=True)
        np.testing.assert_array_equal(labels, np.arange(4))
    del results, images  # their memory is used again, for a larger batch, too
    images, _ = pool.run(task, IMAGES * 1000, None, 1)
    np.testing.assert_array_equal(images, np.stack(IMAGES * 1000)[::-1].astype(np.float32), strict=True)


def test_run_raises_the_error_of_the_transform_and_the_worker_goes_on(pool):
    task = Task(Scaled())
    for _ in range(3):
        with pytest.raises(ValueError, match=r"^factor is -1; it must be at least 0$"):
            pool.run(task, IMAGES, None, -1)
    assert pool.run(task, IMAGES, None, 2)[0].max() == 6


def test_workers_outlive_the_signals_of_their_group(pool):
    for worker in workers_of(pool):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            worker.send_signal(number)
    time.sleep(0.1)
    assert len(workers_of(pool)) == 2
    assert pool.run(Task(Scaled()), IMAGES, None, 2)[0].max() == 6


def test_task_that_processes_cannot_know_raises(monkeypatch):
    with pytest.raises(ValueError, match=r"transform cannot be sent to a process: .*python_multiprocessing=False"):
        Task(lambda images: images)
    of_script = type("OfScript", (), {"__module__": "__main__"})
    monkeypatch.setattr(sys.modules["__main__"], "OfScript", of_script, raising=False)
    with pytest.raises(ValueError, match=r"classes of the main script, unknown to processes; .*=False"):
        Task(of_script())


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, *(pytest.param(n, marks=pytest.mark.slow) for n in (signal.SIGINT, signal.SIGTERM))]
)
def test_parent_that_a_signal_ends_leaves_no_process_and_no_shared_memory(number):
    before, (read_end, write_end) = set(os.listdir("/dev/shm")), os.pipe()
    if (parent := os.fork()) == 0:
        for usual in (signal.SIGINT, signal.SIGTERM):
            signal.signal(usual, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
        pool = ProcessPool(2)
        pids = [pool.process.pid, *(worker.pid for worker in workers_of(pool))]
        os.write(write_end, " ".join(map(str, pids)).encode())
        time.sleep(60)
        os._exit(0)
    processes = [psutil.Process(int(pid)) for pid in os.read(read_end, 100).split()]
    assert len(processes) == 3
    os.kill(parent, number)
    assert os.waitstatus_to_exitcode(os.waitpid(parent, 0)[1]) == -number
    _, alive = psutil.wait_procs(processes, 10)
    assert not alive
    assert set(os.listdir("/dev/shm")) <= before


def test_worker_that_is_killed_raises_and_the_next_pool_works():
    pool = shared_pool(1)
    (worker,) = workers_of(pool)
    worker.kill()
    with pytest.raises(RuntimeError, match="a loader process ended, perhaps for lack of memory: lower num_parallel"):
        pool.run(Task(Scaled()), IMAGES, None, 1)
    pool.wait()
    assert pool.process.returncode == 0
    assert shared_pool(1) is not pool


def test_shared_memory_has_no_name_and_grows():
    ours = SharedMemory()
    ours.array((2,), np.uint8)[:] = 7
    theirs = SharedMemory(os.dup(ours.fd))
    assert theirs.array((2,), np.uint8).tolist() == [7, 7]
    ours.array((1000, 1000), np.uint8)[-1] = 5
    assert theirs.array((1000, 1000), np.uint8)[-1].tolist() == [5] * 1000
    assert os.fstat(ours.fd).st_nlink == 0


def test_error_in_a_worker_arrives_as_the_error_of_the_loader():
    source = ArraySource(np.zeros((4, 8, 8), np.uint8), np.zeros(4, int), ["a"], [])
    transform = [*create_transforms("digits", 8)[:-1], Failing()]
    loader = create_loader(create_dataset(source), 2, transform=transform, python_multiprocessing=True)
    with pytest.raises(RuntimeError, match="this operation fails"):
        list(loader.create_tuple_iterator(num_epochs=1))


class Failing:
    batchwise = True

    def __call__(self, images, rng, views):
        raise ValueError("this operation fails")
