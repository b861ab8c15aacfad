"""The command `mindcv doctor`: once as it is, with a small model, otherwise with stand-ins for its checks."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mindcv.cli.doctor import command
from mindcv.cli.doctor.processes import CHECKS
from mindcv.cli.doctor.result import FAILED, OK, SKIPPED, Result

ROOT = Path(__file__).parents[3]
SMALL = ["--image_resize", "16", "--patch_size", "8", "--num_classes", "3", "--batch_size", "2"]
SHALLOW = ["--model_args", "depth=2", "local_up_to_layer=1"]


def doctor(out, *words):
    """Run `mindcv doctor` in a process, in the folder of `out`, and return its process and its report in `out`."""
    line = [sys.executable, "-m", "mindcv", "doctor", "--device_target", "CPU", "--json", out.name, *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, cwd=out.parent, env=environment, capture_output=True, text=True, timeout=240)
    return done, json.loads(out.read_text())


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """The report, in a folder of its own."""
    return tmp_path_factory.mktemp("doctor") / "report.json"


@pytest.fixture(scope="module")
def examined(out, all_cores):
    """Return what `doctor` returns for the checks that take a few seconds here, with a small model."""
    names = ["golden_pynative", "train_pynative", "loader", "collective"]
    return doctor(out, "--only", *names, *SMALL, *SHALLOW)


def test_doctor_on_a_cpu_finds_no_fault(examined):
    done, report = examined
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    *lines, summary, where = done.stdout.splitlines()
    assert (summary, where) == ("no check failed", "report: report.json")
    titles = [
        "versions",
        "CANN or CUDA",
        "device",
        "golden logits, PyNative",
        "training, PyNative",
        "loader",
        "collective",
    ]
    assert [line[:23].strip() for line in lines] == [record["check"] for record in report["checks"]] == titles
    assert {line[87:] for line in lines} == {"ok", "skipped: neither is found"}, "aligned"


def test_doctor_measures_the_device(examined):
    _, report = examined
    figures = {record["check"]: record["figures"] for record in report["checks"]}
    assert figures["device"]["device_target"] == "CPU"
    assert figures["device"]["total_memory"] > figures["device"]["free_memory"] > 1e8
    assert figures["golden logits, PyNative"]["relative_error"] < 2e-6
    trained = figures["training, PyNative"]
    assert trained["images_per_second"] == pytest.approx(2000 / trained["milliseconds"])
    assert trained["losses"][-1] < trained["losses"][0]
    assert 10 < figures["loader"]["images_per_second"] < 1e5
    assert figures["collective"]["bytes"] == 4 << 20
    assert figures["collective"]["milliseconds"] > 0


def test_doctor_leaves_nothing_behind_but_its_report(examined, out):
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.slow
def test_whole_doctor_on_a_cpu_finds_no_fault(tmp_path):
    done, report = doctor(tmp_path / "report.json", *SMALL, *SHALLOW)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert [record["check"] for record in report["checks"][2:]] == [check.title for check in CHECKS]
    assert {record["verdict"] for record in report["checks"][2:]} == {OK}
    assert report["checks"][4]["figures"]["compile_seconds"] > 1


@pytest.fixture
def outcomes(monkeypatch):
    """Return a list of results, of which each check gets the next."""
    results = []
    monkeypatch.setattr(command, "run_checks", lambda _options, _seconds, checks: zip(checks, results, strict=False))
    monkeypatch.setattr(command, "accelerator_versions", lambda: {"CANN": "8.2.RC1", "Ascend driver": "25.2.0"})
    return results


def test_failed_check_is_named_in_its_line_and_the_exit_code_is_1(outcomes, capsys, tmp_path):
    outcomes += [Result(OK, text="CPU"), Result(FAILED, "no kernel", log=["a", "b"]), Result(SKIPPED, "one device")]
    out = tmp_path / "report.json"
    assert command.main(["--device_target", "Ascend", "--json", str(out)]) == 1
    _, accelerator, device, golden, trained, summary, _ = capsys.readouterr().out.splitlines()
    assert accelerator.split("  ")[0] == "CANN or CUDA"
    assert "CANN 8.2.RC1, Ascend driver 25.2.0" in accelerator
    assert device.startswith("device  ")
    assert device.endswith("  ok")
    assert golden.endswith("  FAILED: no kernel")
    assert trained.endswith("  skipped: one device")
    assert summary == "1 of 5 checks failed"
    assert json.loads(out.read_text())["checks"][3]["log"] == ["a", "b"]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("Ascend", "FAILED: CANN is not found: source the set_env.sh of its folder, which sets ASCEND_HOME_PATH"),
        ("GPU", "FAILED: CUDA is not found: set CUDA_HOME to its folder"),
        ("CPU", "skipped: neither is found"),
    ],
)
def test_missing_software_of_the_device_is_a_failure(target, message, outcomes, capsys, monkeypatch):
    monkeypatch.setattr(command, "accelerator_versions", dict)
    assert command.main(["--device_target", target]) == int(target != "CPU")
    assert capsys.readouterr().out.splitlines()[1].endswith(f"  {message}")


def test_unsuitable_version_is_a_failure(outcomes, capsys, monkeypatch):
    monkeypatch.setattr(command, "complaint", lambda _versions: "NumPy is 2.0.1, with which MindSpore crashes")
    assert command.main([]) == 1
    assert capsys.readouterr().out.splitlines()[0].endswith("  FAILED: NumPy is 2.0.1, with which MindSpore crashes")


def test_report_has_no_names_of_the_user_or_the_machine(outcomes, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/alice")
    monkeypatch.setattr(command.getpass, "getuser", lambda: "alice")
    monkeypatch.setattr(command.socket, "gethostname", lambda: "node7")
    log = ['File "/home/alice/x.py", line 1', "/data/alice/venv/lib", "alice's node7:8118", "node70 stays"]
    outcomes.append(Result(FAILED, "no file /home/alice/a b.yaml", log=log))
    out = tmp_path / "report.json"
    command.main(["--json", str(out), "--model_module", "/home/alice/nets.py"])
    report = json.loads(out.read_text())
    record = report["checks"][-1]
    assert record["reason"] == "no file ~/a b.yaml"
    assert record["log"] == ['File "~/x.py", line 1', "/data/USER/venv/lib", "alice's HOST:8118", "node70 stays"]
    assert report["options"] == ["--model_module", "~/nets.py"]


def test_report_replaces_an_older_one(outcomes, tmp_path):
    out = tmp_path / "report.json"
    for _ in range(2):
        assert command.main(["--json", str(out)]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--json", "README.md"], "README.md exists and is not a report of mindcv doctor: name another file"),
        (["--model", "convit_tinny"], "no model is called 'convit_tinny'; did you mean 'convit_tiny'?"),
        (["--timeout", "0"], "argument --timeout: got '0', wanted a number of seconds above 0"),
        (["--only", "golden"], "argument --only: invalid choice: 'golden' (choose from 'golden_graph'"),
        (["--device_target", "NPU"], "device_target (command line): got 'NPU', wanted one of Ascend, GPU, CPU"),
        (["--batch_sizes", "2"], "unknown option 'batch_sizes'; did you mean batch_size or"),
    ],
)
def test_mistake_is_one_line_and_exit_code_2(words, message, outcomes, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("README.md").write_text("mine")
    try:
        code = command.main(words)
    except SystemExit as end:
        code = end.code
    out, error = capsys.readouterr()
    assert (code, out) == (2, "")
    assert message in error
    assert error.count("\n") == 1
    assert Path("README.md").read_text() == "mine"


@pytest.mark.parametrize("page", ["devices.md", "devices.zh.md"])
def test_guide_shows_every_check_and_its_name(page):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    shown = [line for line in text.splitlines() if line.endswith(("  ok", "  skipped: neither is found"))]
    assert [line[:23].strip() for line in shown[2:]] == [check.title for check in CHECKS]
    for check in CHECKS[1:]:
        assert re.search(rf"[` ]{check.name}[` ]", text)
