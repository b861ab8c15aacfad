"""The notebooks run from top to bottom and are easy to read."""

import hashlib
import http.server
import re
import threading
from functools import partial

import nbformat
import pytest
from nbclient import NotebookClient

import mindcv
from mindcv import weights
from mindcv.models import convit
from tests.documents.reading import ROOT

NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
_LONGEST = 14  # lines in a cell


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def weights_server(tmp_path, monkeypatch):
    """Serve weights in place of the published ones to the notebooks' kernels; return where they are downloaded to."""
    files, profile = tmp_path / "files", tmp_path / "ipython/profile_default/startup"
    files.mkdir()
    profile.mkdir(parents=True)
    file = convit.default_cfgs["convit_tiny"]["file"]
    model = mindcv.create_model("convit_tiny")
    weights.write(files / file, {p.name: p.asnumpy() for p in model.get_parameters()})
    digest = hashlib.sha256((files / file).read_bytes()).hexdigest()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=files))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/{file}"
    (profile / "weights_server.py").write_text(
        "import os\n"
        "os.environ['GLOG_v'] = '3'\n"  # as the notebooks have it, but before MindSpore is imported here
        "from mindcv.models import convit\n"
        f"convit.default_cfgs['convit_tiny']['sources']['mindcv'].update(url={url!r}, sha256={digest[:8]!r})\n"
    )
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("MINDCV_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield tmp_path / "home/weights" / file
    server.shutdown()
    server.server_close()


def marked(path):
    """Return the notebook as a test parameter; the one that trains is marked slow."""
    return pytest.param(path, marks=[pytest.mark.slow] * ("train" in path.stem), id=path.stem)


@pytest.mark.parametrize("path", map(marked, NOTEBOOKS))
def test_notebook_runs_without_warnings_and_draws(path, weights_server, tmp_path):
    notebook = nbformat.read(path, 4)
    before = [cell.source for cell in notebook.cells]
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    assert [cell.source for cell in notebook.cells] == before
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    pictures = sum("image/png" in output.get("data", {}) for cell in code for output in cell.outputs)
    assert pictures >= 1
    messages = [
        out.text for cell in code for out in cell.outputs if out.output_type == "stream" and out.name == "stderr"
    ]
    assert not [text for text in messages if "WARNING" in text or "ERROR" in text]
    if "published" in path.stem:
        assert weights_server.is_file()
    if "train" in path.stem:
        [accuracy] = re.findall(r"never saw: ([\d.]+)%", str(code))
        assert float(accuracy) > 30  # by chance 10


def test_notebooks_are_numbered_1_to_3():
    assert [path.name[0] for path in NOTEBOOKS] == ["1", "2", "3"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_small_and_has_short_cells(path):
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    assert path.stat().st_size < 400_000
    assert notebook.cells[0].cell_type == "markdown" and notebook.cells[0].source.startswith("# ")
    for cell in notebook.cells:
        assert len(cell.source.splitlines()) <= _LONGEST, cell.source
