"""Graphs that earlier processes compiled, kept in files.

MindSpore's own compile cache makes a second start several times as fast, but it is not safe to leave on: it numbers the
compilations of a process, and loads the graph of number n for the n-th one, whatever cell it is, with whatever options.
Here it is on for one compilation at a time, in an empty folder, into which only the graph of that very cell is put.
"""

import gzip
import hashlib
import logging
import os
import platform
import shutil
import sys
import sysconfig
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from mindcv.graph.fingerprint import Fingerprint, UnknownObject, is_described_by_version
from mindcv.io.download import get_download_root
from mindcv.io.files import atomic_write
from mindcv.mindspore_hooks import compile_cache, graph_settings, prepare_compile_cache

MIN_FREE_BYTES = 2**28  # MindSpore leaves a graph cut off, without an error, when the disk is full
MAX_GRAPHS = 32  # files to keep; beyond, those are deleted that were not used for the longest time
_HOUR = 3600.0
_BEGIN = time.time()  # of the process, nearly
_WORK = "compiling-"
_CLUSTER = ("MS_SCHED_", "MS_NODE_")  # variables that differ from start to start: where several workers meet
_log = logging.getLogger("mindcv")


class GraphCache:
    """Compiles cells, or loads the graph that an earlier process compiled for the same cell.

    Files that cannot be read or written cost time, and nothing else: the cell is compiled.

    Args:
        folder: Where the graphs are kept; it need not exist.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.process = os.getpid()  # a fork would share the work folder with its parent
        self.work_folder: Path | None = None  # MindSpore's, one in the life of a process
        self.compilations = 0  # with MindSpore's cache
        self.loads = True  # MindSpore decides at the first compilation of a process whether it loads graphs

    def compile(self, cell: nn.Cell, args: tuple, compile_anew: Callable[[], None], load: Callable[[], None]) -> None:
        """Load the graph of `cell` for inputs `args` if it is kept; else compile it by `compile_anew`, and keep it.

        `load` makes MindSpore load it; it may be `compile_anew` without its search for repeated cells.
        """
        key = graph_key(cell, args)
        graph = self._prepare() if key and os.getpid() == self.process else None
        if not graph or not self.work_folder:
            return compile_anew()
        path = self.folder / f"{key}.mindir.gz"
        is_kept = self.loads and _unpack(path, graph)
        if not self.compilations:
            self.loads = is_kept
        self.compilations += 1
        try:
            with compile_cache(self.work_folder):
                (load if is_kept else compile_anew)()
        except Exception:
            if not is_kept:
                raise
            _log.debug("%s could not be loaded", path, exc_info=True)
            path.unlink(missing_ok=True)
            compile_anew()
        else:
            if not is_kept:
                _pack(graph, path)
        finally:
            shutil.rmtree(self.work_folder, ignore_errors=True)

    def _prepare(self) -> Path | None:
        """Create MindSpore's folder and return the path of the next graph; None if the disk is full or not writable."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if (free := shutil.disk_usage(self.folder).free) < MIN_FREE_BYTES:
                raise OSError(f"{self.folder} has {free} bytes of free space, wanted {MIN_FREE_BYTES}")
            if self.work_folder is None:
                self.work_folder = Path(tempfile.mkdtemp(prefix=_WORK, dir=self.folder))
                _clean(self.folder)
            return prepare_compile_cache(self.work_folder, self.compilations)
        except OSError as error:
            _log.debug("no compiled graphs are kept: %s", error)
            return None


def _clean(folder: Path) -> None:
    """Delete graphs beyond `MAX_GRAPHS`, and the folders of processes that were killed while they compiled."""
    for path in folder.glob(f"{_WORK}*"):
        if path.stat().st_mtime < time.time() - _HOUR:
            shutil.rmtree(path, ignore_errors=True)
    graphs = sorted(folder.glob("*.mindir.gz"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in graphs[MAX_GRAPHS:]:
        path.unlink(missing_ok=True)


def _unpack(path: Path, graph: Path) -> bool:
    """Write the graph kept in `path` to the file `graph`; return whether it was there, complete and undamaged."""
    try:
        contents = gzip.decompress(path.read_bytes())
        graph.write_bytes(contents)
        os.utime(path)
    except (OSError, EOFError, zlib.error):
        contents = b""
    if not contents:
        graph.unlink(missing_ok=True)
    return bool(contents)


def _pack(graph: Path, path: Path) -> None:
    """Keep the file `graph` in `path`, compressed, if MindSpore wrote it."""
    with suppress(OSError), atomic_write(path) as temporary:
        temporary.write_bytes(gzip.compress(graph.read_bytes()))


def graph_key(cell: nn.Cell, args: tuple) -> str:
    """Return a digest of everything that the graph of `cell` for inputs `args` depends on; "" if it is not all known.

    It is that of what the cell holds and the names of its parameters, see `Fingerprint`; of the shapes and dtypes of
    the inputs; of the source code of this package, of the user's modules and of those that define what the cell holds;
    of the versions of MindSpore, NumPy and Python; and of MindSpore's settings and environment variables, its seed
    among them if the cell holds code of others.
    """
    try:
        fingerprint = Fingerprint(cell, for_other_processes=True)
        sources = _sources(fingerprint.modules)
    except Exception as error:  # whatever a cell holds, it is compiled
        _log.debug("the graph of %s is not kept: %s", type(cell).__name__, error)
        return ""
    if not fingerprint.has_only(cell.parameters_dict().values()):  # where a loaded graph finds them, by their names
        return ""
    if not all(isinstance(arg, Tensor) and not getattr(arg, "const_arg", False) for arg in args):
        return ""
    digest = hashlib.sha256(fingerprint.digest.encode())
    variables = sorted(
        (name, value) for name, value in os.environ.items() if name.startswith("MS_") and not name.startswith(_CLUSTER)
    )
    inputs = [(arg.shape, str(arg.dtype)) for arg in args]
    # MindSpore's random functions, which this package does not use, make the seed a constant of the graph.
    seed = None if fingerprint.is_of_this_package() else ms.get_seed()
    for part in (
        inputs, seed, graph_settings(), variables, ms.__version__, np.__version__, platform.python_version(), *sources
    ):  # fmt: skip
        digest.update(repr(part).encode())
    return digest.hexdigest()[:32]


def _sources(modules: Iterable[str]) -> list[tuple[str, str]]:
    """Return the source files that the graph of a cell may depend on, with their digests, sorted.

    Args:
        modules: Names of the modules that define what the cell holds. The loaded modules of the same packages count
            too, and those outside of Python's folders for packages, as they may be the user's.

    Raises:
        UnknownObject: one of `modules` has no source file, as a notebook has none, or a file was changed after this
            process began: MindSpore reads the source when it compiles.
    """
    packages = {name.partition(".")[0] for name in modules if not is_described_by_version(name)}
    installed = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
    files = set(Path(__file__).parents[1].rglob("*.py"))  # this package's
    for name, module in list(sys.modules.items()):
        file, is_used = getattr(module, "__file__", None), name.partition(".")[0] in packages
        if file and not is_described_by_version(name) and (is_used or not file.startswith(installed)):
            files.add(Path(file))
    for name in modules:
        if not is_described_by_version(name) and not getattr(sys.modules.get(name), "__file__", None):
            raise UnknownObject(f"module {name} without a file")
    if changed := [file for file in files if file.stat().st_mtime > _BEGIN]:
        raise UnknownObject(f"{changed[0]}, changed since the process began")
    return sorted((str(file), hashlib.sha256(file.read_bytes()).hexdigest()) for file in files)


def graph_cache() -> GraphCache | None:
    """Return the cache of this process, in `compiled/` of `get_download_root()`; None if no graphs are kept.

    None are kept on other devices than a CPU, where this was never tried; with a variable MS_COMPILER_CACHE_ENABLE in
    the environment, or MindSpore's own cache on, which leave it to MindSpore; and for a user without a home folder.
    """
    is_set = "MS_COMPILER_CACHE_ENABLE" in os.environ or ms.get_context("enable_compile_cache") is True
    if ms.get_context("device_target") != "CPU" or is_set:
        return None
    with suppress(RuntimeError, ValueError):
        return _open(Path(get_download_root(), "compiled"))
    return None


_open = lru_cache(GraphCache)
