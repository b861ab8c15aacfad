import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn

from mindcv.graph import graph_cache as module
from mindcv.graph.graph_cache import MAX_GRAPHS, MIN_FREE_BYTES, GraphCache, graph_cache, graph_key
from mindcv.models.layers import Linear

X = Tensor(np.ones((2, 3), np.float32))
PROGRAM = Path(__file__).with_name("cached_run.py")


@pytest.fixture(autouse=True)
def _began_after_all_files_were_written(monkeypatch):
    monkeypatch.setattr(module, "_BEGIN", float("inf"))


USERS = """
import users_settings
from mindspore import nn

SCALE = 1

def scaled(x):
    return x * SCALE

class Users(nn.Cell):
    offset = 1

    def construct(self, x):
        return [scaled(x) * users_settings.FACTOR + self.offset for _ in range(2)]
"""


@pytest.fixture
def cell():
    """Return a layer of two inputs and three outputs."""
    return Linear(3, 2)


@pytest.fixture
def users_module(tmp_path, monkeypatch):
    """Return a class of a user's module, and the module's file."""
    file = tmp_path / "users_module.py"
    (tmp_path / "users_settings.py").write_text("FACTOR = 1\n")
    file.write_text(USERS)
    monkeypatch.syspath_prepend(tmp_path)
    yield __import__("users_module").Users, file
    del sys.modules["users_module"], sys.modules["users_settings"]


def test_graph_key_of_equal_cells_is_equal(cell):
    assert graph_key(cell, (X,)) == graph_key(Linear(3, 2), (X,)) != ""


def test_graph_key_depends_on_what_a_graph_depends_on(cell, users_module, monkeypatch):
    kind, file = users_module
    keys = [graph_key(cell, (X,)), graph_key(Linear(3, 2, has_bias=False), (X,))]
    keys += [graph_key(cell, (Tensor(np.ones(shape, np.float32)),)) for shape in ((4, 3), (2, 2, 3))]
    keys.append(graph_key(cell, (X.astype(ms.float16),)))
    monkeypatch.setenv("MS_ANYTHING", "1")
    keys.append(graph_key(cell, (X,)))
    monkeypatch.setattr(module.ms, "__version__", "2.99")
    keys.append(graph_key(cell, (X,)))
    monkeypatch.setattr(module, "graph_settings", lambda: ["others"])
    keys.append(graph_key(cell, (X,)))
    cell.weight.name = "other"
    keys += [graph_key(cell, (X,)), graph_key(kind(), (X,))]
    file.write_text(file.read_text() + "# changed\n")
    keys += [graph_key(cell, (X,)), graph_key(kind(), (X,))]
    assert "" not in keys
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    "name", ["users_module.SCALE", "users_settings.FACTOR", "users_module.Users.offset", "users_module.scaled"]
)
def test_graph_key_depends_on_variables_that_the_code_uses(name, users_module, monkeypatch):
    before = graph_key(users_module[0](), (X,))
    monkeypatch.setattr(name, (lambda x: x) if name.endswith("scaled") else 2)
    assert graph_key(users_module[0](), (X,)) != before != ""


def test_graph_key_does_not_depend_on_where_workers_meet(cell, monkeypatch):
    before = graph_key(cell, (X,))
    monkeypatch.setenv("MS_SCHED_PORT", "1234")
    assert graph_key(cell, (X,)) == before


class Holder(nn.Cell):
    """A cell that holds one object."""

    def __init__(self, held):
        super().__init__()
        self.held = (held,)


@pytest.mark.parametrize(
    ("held", "args"),
    [(object(), (X,)), ([Parameter(X, name="hidden")], (X,)), (1, (1,))],
    ids=["an unknown object", "a parameter that MindSpore does not see", "an input that is no tensor"],
)
def test_graph_key_of_what_is_not_all_known_is_empty(held, args):
    assert graph_key(Holder(held), args) == ""


def test_graph_key_of_a_class_without_a_file_is_empty(users_module):
    kind, _file = users_module
    sys.modules["users_module"].__file__ = None
    assert graph_key(kind(), (X,)) == ""


def test_graph_key_of_code_that_changed_after_the_process_began_is_empty(users_module, monkeypatch):
    kind, file = users_module
    assert graph_key(kind(), (X,))
    monkeypatch.setattr(module, "_BEGIN", file.stat().st_mtime - 1)
    assert graph_key(kind(), (X,)) == ""


def test_graph_key_of_a_users_cell_depends_on_mindspores_seed(users_module, cell, monkeypatch):
    kind, _file = users_module
    before = graph_key(kind(), (X,)), graph_key(cell, (X,))
    monkeypatch.setattr(module.ms, "get_seed", lambda: 12345)
    assert graph_key(kind(), (X,)) != before[0]
    assert graph_key(cell, (X,)) == before[1], "which draws by its random state"


def test_graph_key_depends_on_dynamic_shapes_and_is_empty_for_constant_inputs(cell):
    before = graph_key(cell, (X,))
    cell.set_inputs(Tensor(shape=[None, 3], dtype=ms.float32))
    assert graph_key(cell, (X,)) != before
    assert graph_key(Linear(3, 2), (Tensor(np.ones((2, 3), np.float32), const_arg=True),)) == ""


class Compiler:
    """Stands for MindSpore: writes or reads the graph of each compilation, and records which it was."""

    def __init__(self, cache):
        self.cache, self.done, self.error = cache, [], None

    def graph(self):
        assert os.environ["MS_COMPILER_CACHE_ENABLE"] == "1"
        folder = Path(os.environ["MS_COMPILER_CACHE_PATH"], "rank_0", "graph_cache")
        return folder / f"compile_cache_{self.cache.compilations - 1}.mindir"

    def compile_anew(self):
        self.done.append("compiled")
        if os.environ["MS_COMPILER_CACHE_ENABLE"] == "1":
            self.graph().write_bytes(b"a graph")

    def load(self):
        self.done.append(self.graph().read_bytes())
        if self.error:
            raise self.error

    def __call__(self, cell):
        self.cache.compile(cell, (X,), self.compile_anew, self.load)
        return self.done


@pytest.fixture
def start(tmp_path):
    """Return a function that stands for the start of a process: it returns a new cache's `Compiler`."""
    return lambda: Compiler(GraphCache(tmp_path / "compiled"))


def kept(tmp_path):
    return sorted(tmp_path.glob("compiled/*"))


def test_cache_loads_in_the_next_process_what_it_compiled(start, cell, tmp_path):
    others = [Linear(3, 4), Linear(3, 5)]
    first, second, third = start(), start(), start()
    assert [first(cell), first(others[0])][-1] == ["compiled", "compiled"]
    assert [path.suffixes for path in kept(tmp_path)] == [[".mindir", ".gz"]] * 2
    assert [second(cell), second(others[1]), second(others[0])][-1] == [b"a graph", "compiled", b"a graph"]
    assert [third(others[1]), third(cell)][-1] == [b"a graph", b"a graph"]
    assert len(kept(tmp_path)) == 3


def test_cache_whose_first_graph_is_not_kept_loads_none(start, cell):
    start()(cell)
    later = start()
    assert [later(Linear(3, 4)), later(cell)][-1] == ["compiled", "compiled"], "as MindSpore would not"


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: data[:-9] + b"?" * 9, lambda data: b""])
def test_cache_with_a_damaged_file_compiles_and_writes_it_anew(damage, start, cell, tmp_path):
    start()(cell)
    (path,) = kept(tmp_path)
    good = path.read_bytes()
    path.write_bytes(damage(good))
    assert start()(cell) == ["compiled"]
    assert start()(cell) == [b"a graph"]


def test_cache_whose_graph_cannot_be_loaded_compiles_and_deletes_it(start, cell, tmp_path):
    start()(cell)
    later = start()
    later.error = RuntimeError("cannot be loaded")
    assert later(cell) == [b"a graph", "compiled"]
    assert not kept(tmp_path)


def test_cache_passes_on_an_error_of_a_compilation(start, cell, tmp_path):
    compiler = start()
    with pytest.raises(ZeroDivisionError):
        compiler.cache.compile(cell, (X,), lambda: 1 / 0, compiler.load)
    assert not kept(tmp_path)
    assert os.environ["MS_COMPILER_CACHE_ENABLE"] == "0", "what it was before"


def test_cache_in_a_fork_compiles(start, cell, tmp_path, monkeypatch):
    compiler = start()
    compiler.cache.process = os.getppid()
    assert compiler(cell) == ["compiled"]
    assert not kept(tmp_path)


def test_cache_in_a_folder_that_cannot_be_written_to_compiles(start, cell, tmp_path):
    (tmp_path / "compiled").write_text("a file")
    assert start()(cell) == ["compiled"]


def test_cache_on_a_nearly_full_disk_compiles_and_keeps_nothing(start, cell, tmp_path, monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: SimpleNamespace(free=MIN_FREE_BYTES - 1))
    assert start()(cell) == ["compiled"]
    assert not kept(tmp_path)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: SimpleNamespace(free=MIN_FREE_BYTES))
    start()(cell)
    assert len(kept(tmp_path)) == 1


def test_cache_deletes_graphs_beyond_the_limit_and_folders_of_killed_processes(start, cell, tmp_path):
    folder = tmp_path / "compiled"
    (folder / "compiling-killed").mkdir(parents=True)
    (folder / "compiling-now").mkdir()
    for age in range(MAX_GRAPHS + 2):
        path = folder / f"{age}.mindir.gz"
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    os.utime(folder / "compiling-killed", (time.time() - 7200,) * 2)
    start()(cell)
    names = {path.name for path in kept(tmp_path)}
    assert {"compiling-now", f"{MAX_GRAPHS - 1}.mindir.gz"} <= names
    assert not {"compiling-killed", f"{MAX_GRAPHS}.mindir.gz", f"{MAX_GRAPHS + 1}.mindir.gz"} & names


def test_graph_cache_is_off_where_mindspores_variable_is_set_or_there_is_no_home(monkeypatch):
    assert graph_cache() is None
    monkeypatch.delenv("MS_COMPILER_CACHE_ENABLE")
    monkeypatch.setenv("MINDCV_HOME", "/tmp/somewhere")
    assert graph_cache().folder == Path("/tmp/somewhere/compiled")
    assert graph_cache() is graph_cache()
    monkeypatch.setenv("MINDCV_HOME", "$NOT_SET/somewhere")
    assert graph_cache() is None


def run(tmp_path, options):
    """Return what a new process prints: the seconds until its graphs are ready, and the digest of its results."""
    environment = {name: value for name, value in os.environ.items() if name != "MS_COMPILER_CACHE_ENABLE"}
    environment["MINDCV_HOME"] = str(tmp_path)
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *options], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(["local_up_to_layer=0", "drop_path_rate=0.3", "clip"], id="stochastic depth"),
        pytest.param(["drop_rate=0.1", "accumulate", "ema"], id="dropout", marks=pytest.mark.slow),
        pytest.param(["drop_path_rate=0.3", "O2", "dynamic", "skip"], id="O2, loss scale", marks=pytest.mark.slow),
        pytest.param(["attn_impl=plain", "recompute", "layer_decay"], id="plain, recompute", marks=pytest.mark.slow),
    ],
)
def test_loaded_graphs_compute_the_same_with_other_weights_and_seeds(options, tmp_path):
    first = run(tmp_path, ["1", *options])
    kept = sorted(tmp_path.glob("compiled/*.gz"))
    assert len(kept) == 2, "of the training step and the validation"
    loaded = run(tmp_path, ["2", *options])
    assert sorted(tmp_path.glob("compiled/*")) == kept
    compiled = run(tmp_path / "other", ["2", *options])
    assert loaded[1:] == compiled[1:] != first[1:]
    assert float(loaded[0]) < 0.6 * float(compiled[0])
