"""Test the sdist and the wheel: their metadata, what they contain, and the installed package in an empty folder."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest
from packaging.metadata import Metadata

from mindcv.cli.models import model_names
from mindcv.config import recipe_names
from tests.images import write_image_folder

ROOT = Path(__file__).parents[1]
BUILD = "import sys, setuptools.build_meta as backend; getattr(backend, sys.argv[1])(sys.argv[2])"


def run(words: list, folder: Path, **environment: str) -> str:
    """Run a command in `folder`, without this repository on the path, and return its output."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, words)), cwd=folder, env={**inherited, **environment}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tracked():
    """Return the paths of the repository's files, new ones included."""
    if not (ROOT / ".git").exists():
        pytest.skip("an unpacked sdist does not know what the repository contains")
    listed = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], ROOT)
    return {name for name in listed.split("\0") if (ROOT / name).is_file()}


@pytest.fixture(scope="module")
def built(tracked, tmp_path_factory):
    """Build the sdist from a copy of the repository and the wheel from the unpacked sdist; return the paths of both."""
    source = tmp_path_factory.mktemp("source")
    for name in tracked:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name)
    run([sys.executable, "-c", BUILD, "build_sdist", source / "dist"], source)
    (sdist,) = (source / "dist").iterdir()
    with tarfile.open(sdist) as archive:
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # Python 3.10.12, 3.11.4 and later
        archive.extractall(source / "unpacked", **safely)
    (unpacked,) = (source / "unpacked").iterdir()
    run([sys.executable, "-c", BUILD, "build_wheel", source / "wheel"], unpacked)
    return sdist, *(source / "wheel").iterdir()


def test_sdist_has_exactly_the_files_of_the_repository(built, tracked):
    with tarfile.open(built[0]) as archive:
        names = {member.name.split("/", 1)[1] for member in archive if member.isfile()}
    generated = {name for name in names if name.startswith("mindcv_convit.egg-info/")} | {"PKG-INFO", "setup.cfg"}
    assert names - generated == tracked


def test_wheel_has_exactly_the_package_and_its_recipes(built, tracked):
    with zipfile.ZipFile(built[1]) as wheel:
        names = set(wheel.namelist())
    recipes = {name for name in tracked if Path(name).match("configs/*/*.yaml")}
    expected = {name for name in tracked if name.startswith("mindcv/")}
    expected |= {name.replace("configs", "mindcv/recipes") for name in recipes}
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert {"mindcv/py.typed", "mindcv/recipes/deit/deit_tiny.yaml", "mindcv/data/datasets/digits.npz"} <= names
    assert {Path(name).stem for name in recipes} == set(recipe_names())
    assert len(recipes) == len(recipe_names()), "no two recipes have the same name"


def metadata_of(wheel: Path) -> Metadata:
    """Return the metadata of a wheel; raise an ExceptionGroup that lists what is invalid."""
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Metadata.from_email(archive.read(path))


def test_metadata_of_the_wheel_is_valid(built):
    metadata = metadata_of(built[1])
    assert (metadata.license_expression, metadata.license_files) == ("Apache-2.0", ["LICENSE"])
    assert metadata.description == (ROOT / "README.md").read_text(encoding="utf-8")


def test_wheel_lists_the_models_and_reads_a_recipe_by_name(built, tmp_path):
    with zipfile.ZipFile(built[1]) as wheel:
        wheel.extractall(tmp_path / "lib")
    (tmp_path / "empty").mkdir()
    code = (
        "import sys; from mindcv.__main__ import main; from mindcv.config import resolve; main(['list']); "
        "print(resolve(['--config', 'convit_tiny_digits']).dataset)"
    )
    printed = run([sys.executable, "-c", code], tmp_path / "empty", PYTHONPATH=str(tmp_path / "lib"))
    assert printed.split() == [*model_names(), "digits"]


def test_dockerfile_installs_the_wheel_from_the_files_that_it_copies(built, tmp_path):
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = [word for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]]
    ignored, *sent = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert (ignored, sorted(sent)) == ("*", sorted([*(f"!{name}" for name in copied), "**/__pycache__"]))
    for name in copied:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, tmp_path / name)
    run([sys.executable, "-c", BUILD, "build_wheel", tmp_path / "wheel"], tmp_path)
    with zipfile.ZipFile(built[1]) as wheel, zipfile.ZipFile(*(tmp_path / "wheel").iterdir()) as docker_wheel:
        assert sorted(docker_wheel.namelist()) == sorted(wheel.namelist())


def test_dockerfile_installs_as_the_install_page_does_with_a_supported_mindspore(built):
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (command,) = re.findall(r"^RUN (.*)$", text, re.M)
    assert command.replace(" --no-cache-dir", "").removesuffix(" mindspore==${MINDSPORE}") == "pip install ."
    assert "\npip install .\n" in (ROOT / "docs/install.md").read_text(encoding="utf-8")
    (mindspore,) = (needed for needed in metadata_of(built[1]).requires_dist if needed.name == "mindspore")
    versions = re.findall(r"MINDSPORE=(\S+)", text)
    assert len(versions) == 2
    assert all(version in mindspore.specifier for version in versions)


@pytest.mark.slow
def test_wheel_in_an_environment_of_its_own_trains_and_uses_a_model_in_an_empty_folder(built, tmp_path):
    run([sys.executable, "-m", "venv", tmp_path / "env"], tmp_path)
    folder = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin")
    run([folder / "python", "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", built[1]], tmp_path)
    site_packages = sysconfig.get_path("purelib", vars={"base": str(tmp_path / "env")})
    dependencies = [path for path in sys.path if path.endswith("-packages")]  # not the checkout
    (Path(site_packages) / "dependencies.pth").write_text("\n".join(dependencies), encoding="utf-8")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run([folder / "python", "-c", "import mindcv; print(mindcv.__file__)"], empty).startswith(site_packages)
    write_image_folder(tmp_path / "images", {"val": 1}, ["one"])

    assert run([folder / "mindcv", "list"], empty).split() == model_names()
    recipe = ["-c", "convit_tiny_digits"]
    run([folder / "mindcv", "train", *recipe, "--steps", "2", "--ckpt_save_dir", "run"], empty)
    (checkpoint,) = (path for path in (empty / "run").glob("*.ckpt") if "-" in path.name)
    trained = [*recipe, "--ckpt_path", checkpoint]
    assert "Top_1_Accuracy: " in run([folder / "mindcv", "validate", *trained], empty)
    assert "0.jpg" in run([folder / "mindcv", "infer", *trained, "--image", tmp_path / "images"], empty)
    run([folder / "mindcv", "export", *trained], empty)
    assert (empty / "convit_tiny.mindir").stat().st_size > 1e6
