"""The mistakes of docs/errors.md, one function a row.

Each function gets a `Bench`, prepares the mistake in its folder, and returns the script's name and its arguments.
"""

import gzip
import json
import os
import pickle
import socket
import sqlite3
import struct
import zipfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mindcv import weights
from mindcv.data.datasets import open_source
from mindcv.data.pack import pack
from mindcv.io.lock import file_lock

RECIPE = str(Path(__file__).parents[2] / "configs/convit/convit_tiny_digits.yaml")
IMAGENET = str(Path(__file__).parents[2] / "configs/convit/convit_tiny_ascend.yaml")
ALONE = ["--device_target", "CPU", "--distribute", "False", "--amp_level", "O0", "--batch_size", "2"]
QUICK = ["--mode", "1", "--image_resize", "16", "--patch_size", "8", "--epoch_size", "1", "--num_parallel_workers", "1"]

ROWS = {}


@dataclass
class Bench:
    """A place to prepare a mistake.

    Attributes:
        folder: Folder for files.
        trained: Folder of a run of one epoch, to copy checkpoints from.
        keep: What the test closes after the script has run, such as a socket.
    """

    folder: Path
    trained: Path
    keep: list

    def file(self, name: str, data: str | bytes) -> str:
        """Write `data` to the file `name` in the folder and return its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return str(path)

    def images(self, classes=("cat", "dog"), val=("cat", "dog"), each=2) -> Path:
        """Write `each` images of every class to train and val, and return their folder."""
        for split, names in (("train", classes), ("val", val)):
            for name in names:
                folder = self.folder / "images" / split / name
                folder.mkdir(parents=True, exist_ok=True)
                for i in range(each):
                    path = folder / f"{i}.png"
                    pixels = np.random.default_rng(i).integers(0, 255, (20, 20, 3)).astype(np.uint8)
                    Image.fromarray(pixels).save(path)
        return self.folder / "images"

    def checkpoint(self, change=lambda data: data) -> str:
        """Write a copy of the run's checkpoint, changed by `change` (bytes to bytes), and return its path."""
        return self.file("changed.ckpt", change((self.trained / "convit_tiny-1_3.ckpt").read_bytes()))


def linked(run: Path, folder: Path) -> Path:
    """Make `folder` a twin of the folder `run`, with hard links to its files, and return it."""
    folder.mkdir()
    for path in run.glob("[!.]*"):
        os.link(path, folder / path.name)
    return folder


def row(what: str):
    """Register the decorated function as the row `what`."""

    def register(function):
        ROWS[what] = function
        return function

    return register


def train(*words):
    """Return the command that trains on the digits."""
    return "train", ["-c", RECIPE, *QUICK, *map(str, words)]


def validate(*words):
    """Return the command that validates on the digits."""
    return "validate", ["-c", RECIPE, *QUICK, *map(str, words)]


def train_on(folder, *words):
    """Return the command that trains on a folder of images."""
    return "train", ["-c", IMAGENET, *ALONE, *QUICK, "--data_dir", str(folder), *map(str, words)]


def options(what: str, *words: str):
    """Register a row whose mistake is in the options alone."""
    ROWS[what] = lambda bench: train(*words)


options("an unknown option", "--learning_rat", "0.1")
options("an option's name in another tool", "--epochs", "5")
options("a word without an option", "fast")
options("text for a number", "--lr", "fast")
options("a fraction for an integer", "--batch_size", "2.5")
options("a number out of range", "--label_smoothing", "1.5")
options("a count of zero", "--batch_size", "0")
options("text for a probability", "--hflip", "often")
options("an unknown choice", "--opt", "adamv")
options("too few values", "--scale", "0.5")
options("values in the wrong order", "--scale", "1.0", "0.5")
options("an option without a value", "--lr")
options("a count that is too large", "--epoch_size", "1000000000")
options("too many steps for a schedule", "--epoch_size", "1000000")
options("a batch too large for memory", "--batch_size", "1000000", "--image_resize", "224")
options("too many patches for attention", "--image_resize", "1024", "--patch_size", "2")
options("a number outside single precision", "--lr", "1.7e308")
options("two dashes alone", "--")
options("three dashes", "---lr", "1")
options("a list for a single value", "--lr", "[0.1]")
options("a path with a variable that is not set", "--ckpt_save_dir", "$NO_SUCH_FOLDER/runs")
options(
    "mean and std for pixels from 0 to 1", *["--mean", "0.485", "0.456", "0.406", "--std", "0.229", "0.224", "0.225"]
)
options("min_lr above lr", "--lr", "1e-8")
options("top_k without validation", "--ckpt_save_policy", "top_k", "--val_while_train", "False")
options("mean and std of unequal length", "--mean", "0", "0")
options("an unknown model", "--model", "convit_tinny")
options("an unknown dataset", "--dataset", "digitz")
options("an unknown option in resume_changes", "--resume_changes", "lr", "min_lrr")
options("an erasing value for other channels", "--re_prob", "1", "--re_value", "1", "2")
options("greyscale images with mean and std for colour", "--in_channels", "1")
options("an unsupported number of channels", "--in_channels", "4")
options("a node_rank out of range", "--node_rank", "1")
options("several machines without distribute", "--num_nodes", "2")
options("restarts without distribute", "--max_restarts", "3")
options("lr_scale without lr_base_batch", "--lr_scale", "linear")
options("a patch that does not divide the image", "--patch_size", "5")
options("fused attention in float32", "--attn_impl", "flash")
options("fused attention on a device without it", "--attn_impl", "flash", "--amp_level", "O2", "--val_amp_level", "O2")
options("an argument that the model does not have", "--model_args", "local_up_to_laier=5")
options("a model's argument of the wrong type", "--model_args", "depth=deep")
options("a model's argument without a value", "--model_args", "depth")
options("a model's argument that has an option of its own", "--model_args", "drop_path_rate=0.2")
options("a part to freeze that does not exist", "--freeze", "gate")
options("auxiliary loss of a model that has none", "--aux_factor", "0.4")
options("an option of another script", "--results_file", "a.json")
options("more accumulation than an epoch has batches", "--gradient_accumulation_steps", "100", "--num_samples", "64")
options("a batch larger than the data", "--batch_size", "2000")
options("a device that is not here", "--device_target", "Ascend")


@row("a model's file that is missing")
def _(bench):
    return train("--model_module", bench.folder / "nets.py")


@row("a model's file that fails")
def _(bench):
    return train("--model_module", bench.file("nets.py", "import no_such_package\n"))


@row("a model's file without a model")
def _(bench):
    return train("--model_module", bench.file("nets.py", "from mindcv.models import register_model\n"))


@row("a missing recipe")
def _(bench):
    return "train", ["-c", str(Path(RECIPE).with_name("convit_tiny_digit.yaml"))]


@row("a folder as a recipe")
def _(bench):
    return "train", ["-c", str(bench.folder)]


@row("an empty recipe")
def _(bench):
    return "train", ["-c", bench.file("empty.yaml", "")]


@row("a recipe that is not valid YAML")
def _(bench):
    return "train", ["-c", bench.file("bad.yaml", "lr: [0.1, \nmodel: x")]


@row("a recipe that is a list")
def _(bench):
    return "train", ["-c", bench.file("list.yaml", "- lr: 0.1\n")]


@row("a binary file as a recipe")
def _(bench):
    return "train", ["-c", bench.file("bytes.yaml", b"\xff\xfe\x00")]


@row("an unknown option in a recipe")
def _(bench):
    return "train", ["-c", bench.file("unknown.yaml", "model: convit_tiny\nlerning_rate: 0.1\n")]


@row("a recipe with an option twice")
def _(bench):
    return "train", ["-c", bench.file("twice.yaml", "lr: 0.1\nlr: 0.2\n")]


@row("nested values in a recipe")
def _(bench):
    return "train", ["-c", bench.file("nested.yaml", "lr:\n  peak: 0.1\n")]


@row("a list of one value in a recipe")
def _(bench):
    return "train", ["-c", bench.file("list.yaml", "lr: [0.1]\n")]


@row("a wrong type in a recipe")
def _(bench):
    return "train", ["-c", bench.file("type.yaml", "batch_size: many\n")]


@row("a missing data folder")
def _(bench):
    return train_on(bench.folder / "nowhere")


@row("an unknown split")
def _(bench):
    return train_on(bench.images(), "--train_split", "training")


@row("no class folders")
def _(bench):
    (bench.folder / "train").mkdir()
    return train_on(bench.folder)


@row("an empty class")
def _(bench):
    folder = bench.images()
    (folder / "train" / "eel").mkdir()
    return train_on(folder)


@row("class folders without images")
def _(bench):
    return train_on(bench.images(each=0))


@row("a dead link in place of a class folder")
def _(bench):
    folder = bench.images()
    (folder / "train" / "eel").symlink_to(bench.folder / "nowhere")
    return train_on(folder)


@row("more classes than num_classes")
def _(bench):
    return train_on(bench.images(), "--num_classes", "1")


@row("a class in val that train does not have")
def _(bench):
    return train_on(bench.images(val=("cat", "emu")), "--num_classes", "2", "--val_while_train")


@row("a class without images in val")
def _(bench):
    return train_on(bench.images(val=("cat",)), "--num_classes", "2", "--val_while_train")


@row("fewer classes in val than num_classes, without class names")
def _(bench):
    folder = bench.images(classes=(), val=("cat",))
    arrays = weights.read(bench.trained / "convit_tiny-1_3.ckpt")
    weights.write(bench.folder / "nameless.ckpt", {n: a for n, a in arrays.items() if not n.endswith("class_names")})
    words = ["--ckpt_path", str(bench.folder / "nameless.ckpt"), "--data_dir", str(folder), "--num_classes", "2"]
    return "validate", ["-c", IMAGENET, *ALONE, *QUICK, *words]


def listed(what: str, *lines: str):
    """Register a row whose mistake is in the lines of a val_list."""

    @row(what)
    def _(bench):
        folder = bench.images(val=("",))
        listing = bench.file("list.txt", "\n".join(lines))
        return train_on(folder, "--val_list", listing, "--num_classes", "2", "--val_while_train")


listed("a list with a label out of range", "0.png 0", "1.png 99999999999")
listed("a list that names an image twice", "0.png 0", "1.png 1", "0.png 1")
listed("a list that names a missing image", "0.png 0", "1.png 1", "2.png 1")
listed("a list that omits an image", "0.png 0")
listed("a list with two labels in a line", "0.png 0", "1.png 1 0")


@row("packed images with missing rows")
def _(bench):
    pack(open_source("folder", str(bench.images()), "train"), bench.folder / "packed/train", 1)
    with closing(sqlite3.connect(bench.folder / "packed/train/00000.mindrecord.db")) as index:
        index.execute("DELETE FROM INDEXES WHERE ROW_ID = 0")
        index.commit()
    return train_on(bench.folder / "packed", "--dataset", "mindrecord")


@row("packed images with a label out of range")
def _(bench):
    pack(open_source("folder", str(bench.images()), "train"), bench.folder / "packed/train", 1)
    with closing(sqlite3.connect(bench.folder / "packed/train/00000.mindrecord.db")) as index:
        index.execute("UPDATE INDEXES SET label_0 = -1 WHERE ROW_ID = 0")
        index.commit()
    return train_on(bench.folder / "packed", "--dataset", "mindrecord")


@row("packed images with a damaged manifest")
def _(bench):
    bench.file("packed/train/pack.json", '{"images": 4, "sha')
    return train_on(bench.folder / "packed", "--dataset", "mindrecord")


@row("a list in UTF-16")
def _(bench):
    listing = bench.file("list.txt", "0.png 0\n1.png 1\n".encode("utf-16-le"))
    return train_on(bench.images(val=("",)), "--val_list", listing, "--num_classes", "2", "--val_while_train")


@row("MNIST cut off")
def _(bench):
    pixels = struct.pack(">4B3I", 0, 0, 8, 3, 2, 28, 28) + bytes(2 * 28 * 28)
    bench.file("train-images-idx3-ubyte.gz", gzip.compress(pixels)[:-6])
    return train_on(bench.folder, "--dataset", "mnist")


def mnist(what: str, *labels: int):
    """Register a row about two MNIST images with the given labels."""

    @row(what)
    def _(bench):
        bench.file("train-images-idx3-ubyte", struct.pack(">4B3I", 0, 0, 8, 3, 2, 28, 28) + bytes(2 * 28 * 28))
        bench.file("train-labels-idx1-ubyte", struct.pack(">4BI", 0, 0, 8, 1, len(labels)) + bytes(labels))
        return train_on(bench.folder, "--dataset", "mnist")


mnist("MNIST with a label out of range", 5, 200)
mnist("MNIST with more images than labels", 5)


def unreadable(what: str, data):
    """Register a row about an image file with the contents `data(jpeg)`, for the bytes of a JPEG file."""

    @row(what)
    def _(bench):
        folder = bench.images(each=4)
        Image.effect_noise((64, 64), 60).convert("RGB").save(bench.folder / "intact.jpg")
        jpeg = (bench.folder / "intact.jpg").read_bytes()
        bench.file("images/train/cat/odd.jpg", data(jpeg))
        return train_on(folder, "--num_classes", "2")


unreadable("a text named .jpg", lambda jpeg: b"a text")
unreadable("an empty image file", lambda jpeg: b"")
unreadable("a JPEG truncated in its pixels", lambda jpeg: jpeg[: len(jpeg) // 2])
unreadable("a JPEG truncated in its header", lambda jpeg: jpeg[:150])


@row("a PNG with a wrong checksum")
def _(bench):
    folder = bench.images(each=4)
    data = bytearray((folder / "train/cat/0.png").read_bytes())
    data[data.index(b"IDAT") + 9] ^= 1
    bench.file("images/train/cat/odd.png", bytes(data))
    return train_on(folder, "--num_classes", "2")


@row("an image with too many pixels")
def _(bench):
    return train_on(bench.images(), "--num_classes", "2", "--max_image_pixels", "399")


@row("an image that cannot be opened")
def _(bench):
    folder = bench.images(each=4)
    (folder / "train" / "cat" / "gone.png").symlink_to(bench.folder / "nowhere.png")
    return train_on(folder, "--num_classes", "2")


@row("too many unreadable images")
def _(bench):
    folder = bench.images(each=4)
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            for i in range(4):
                bench.file(f"images/{split}/{name}/odd{i}.jpg", "a text")
    return train_on(folder, "--num_classes", "2", "--on_bad_image", "skip")


@row("a class with unreadable images only")
def _(bench):
    folder = bench.images(classes=("dog",), each=20)
    bench.file("images/train/cat/odd.jpg", "a text")
    return train_on(folder, "--num_classes", "2", "--on_bad_image", "skip")


@row("a data set that was not downloaded")
def _(bench):
    return train_on(bench.folder, "--dataset", "cifar10")


@row("a checkpoint that is not there")
def _(bench):
    return train("--ckpt_path", bench.folder / "a.ckpt")


@row("validation without a checkpoint")
def _(bench):
    return validate()


@row("an empty checkpoint")
def _(bench):
    return validate("--ckpt_path", bench.checkpoint(lambda data: b""))


@row("a checkpoint cut off")
def _(bench):
    return validate("--ckpt_path", bench.checkpoint(lambda data: data[: len(data) // 2]))


@row("a checkpoint cut in its last bytes")
def _(bench):
    return validate("--ckpt_path", bench.checkpoint(lambda data: data[:-14]))


@row("a checkpoint with one bit changed")
def _(bench):
    def flip(data):
        middle = len(data) // 2
        return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]

    return validate("--ckpt_path", bench.checkpoint(flip))


@row("a PyTorch file with one bit changed")
def _(bench):
    with zipfile.ZipFile(bench.folder / "a.pth", "w") as archive:
        archive.writestr("a/data.pkl", bytes(50))
    data = bytearray((bench.folder / "a.pth").read_bytes())
    data[50] ^= 1
    return validate("--ckpt_path", bench.file("changed.pth", bytes(data)))


@row("a file that is not a checkpoint")
def _(bench):
    return validate("--ckpt_path", bench.file("letter.ckpt", "Dear reader"))


@row("a pickle that would run code")
def _(bench):
    class Trap:
        def __reduce__(self):
            return (Path(bench.folder / "it_ran").touch, ())

    return validate("--ckpt_path", bench.file("trap.pth", pickle.dumps(Trap())))


@row("a checkpoint of another model")
def _(bench):
    return validate("--ckpt_path", bench.checkpoint(), "--model", "convit_small")


@row("a checkpoint of other classes")
def _(bench):
    return validate("--ckpt_path", bench.checkpoint(), "--num_classes", "12")


@row("a checkpoint of another patch size")
def _(bench):
    return validate("--ckpt_path", bench.checkpoint(), "--patch_size", "4")


@row("a checkpoint of other layers")
def _(bench):
    arrays = weights.read(bench.trained / "convit_tiny-1_3.ckpt")
    path = bench.folder / "fewer.ckpt"
    weights.write(path, {name: array for name, array in arrays.items() if ".mlp." not in name})
    return validate("--ckpt_path", path)


def not_finite(bench) -> str:
    """Write a checkpoint whose classifier is NaN and return its path."""
    arrays = weights.read(bench.trained / "convit_tiny-1_3.ckpt")
    arrays["classifier.weight"] = np.full_like(arrays["classifier.weight"], np.nan)
    weights.write(bench.folder / "nan.ckpt", arrays)
    return str(bench.folder / "nan.ckpt")


@row("validating weights that are not finite")
def _(bench):
    return validate("--ckpt_path", not_finite(bench), "--results_file", "nan.json")


@row("predicting with weights that are not finite")
def _(bench):
    image = str(bench.images() / "val/cat/0.png")
    return "infer", [*validate("--ckpt_path", not_finite(bench))[1], "--image", image, "--output", "nan.json"]


@row("a checkpoint with two models in it")
def _(bench):
    arrays = weights.weights_of(weights.read(bench.trained / "convit_tiny-1_3.ckpt"))
    twice = {f"{prefix}{name}": array for prefix in ("student.", "teacher.") for name, array in arrays.items()}
    weights.write(bench.folder / "twice.ckpt", twice)
    return validate("--ckpt_path", bench.folder / "twice.ckpt")


@row("a checkpoint with training state only")
def _(bench):
    arrays = weights.read(bench.trained / "convit_tiny-1_3.ckpt")
    state = {name: array for name, array in arrays.items() if name.startswith(("optimizer.", "run."))}
    weights.write(bench.folder / "state.ckpt", state)
    return validate("--ckpt_path", bench.folder / "state.ckpt")


@row("a classifier to keep for another number of classes")
def _(bench):
    return train_on(bench.images(), "--num_classes", "2", "--ckpt_path", bench.checkpoint(), "--keep_classifier")


@row("a classifier to keep, but from where")
def _(bench):
    return train("--keep_classifier")


@row("moving averages that a checkpoint does not have")
def _(bench):
    return validate("--ckpt_path", bench.checkpoint(), "--use_ema")


@row("resuming in a folder without checkpoints")
def _(bench):
    return train("--resume", "--ckpt_save_dir", bench.folder)


@row("a checkpoint without training state to resume from")
def _(bench):
    arrays = weights.read(bench.trained / "convit_tiny-1_3.ckpt")
    path = bench.folder / "weights.ckpt"
    weights.write(path, {name: array for name, array in arrays.items() if not name.startswith(("run.", "optimizer."))})
    return train("--resume", "--ckpt_path", path, "--num_samples", "96", "--epoch_size", "3")


@row("resuming with another optimizer")
def _(bench):
    more = ["--opt", "sgd", "--eps", "1e-10", "--num_samples", "96", "--epoch_size", "3"]
    return train("--resume", "--ckpt_path", bench.checkpoint(), *more)


@row("resuming at another image size")
def _(bench):
    path = bench.checkpoint()
    return train("--resume", "--ckpt_path", path, "--num_samples", "96", "--image_resize", "24", "--epoch_size", "3")


@row("resuming with another batch size")
def _(bench):
    path = bench.checkpoint()
    return train("--resume", "--ckpt_path", path, "--num_samples", "96", "--batch_size", "16", "--epoch_size", "3")


@row("resuming with another number of steps an epoch")
def _(bench):
    more = ["--num_samples", "96", "--batch_size", "16", "--epoch_size", "3", "--resume_changes", "batch_size"]
    return train("--resume", "--ckpt_path", bench.checkpoint(), *more)


@row("resuming with another schedule")
def _(bench):
    more = ["--num_samples", "96", "--lr", "5e-4", "--decay_epochs", "3", "--epoch_size", "3"]
    return train("--resume", "--ckpt_path", bench.checkpoint(), *more)


def resumed_with_another(what: str, entry: str, value: object):
    """Register a row about a checkpoint with another value in one of its entries."""

    @row(what)
    def _(bench):
        path = bench.folder / "changed.ckpt"
        arrays = weights.read(bench.trained / "convit_tiny-1_3.ckpt")
        weights.write(path, {**arrays, entry: np.array(json.dumps(value))})
        return train("--resume", "--ckpt_path", path, "--num_samples", "96", "--epoch_size", "3")


resumed_with_another("resuming with renamed classes", "run.class_names", ["nil", *"123456789"])
resumed_with_another("resuming on other training images", "run.training_images", [1437, "0" * 32])
resumed_with_another("resuming on renamed training images", "run.training_images", [1438, "0" * 32])


@row("resuming a complete run")
def _(bench):
    return train("--resume", "--ckpt_path", bench.checkpoint(), "--num_samples", "96")


@row("resuming in the folder of another run")
def _(bench):
    return train("--resume", "--ckpt_path", bench.checkpoint(), "--num_samples", "96", "--epoch_size", "3")


@row("results under a checkpoint's name")
def _(bench):
    return validate("--ckpt_path", bench.checkpoint(), "--results_file", bench.trained / "best.ckpt")


@row("a folder without checkpoints to score")
def _(bench):
    return validate("--ckpt_paths", str(bench.images()))


@row("a damaged checkpoint among several to score")
def _(bench):
    return validate("--ckpt_paths", bench.file("empty.ckpt", ""), bench.checkpoint(), "--batch_size", "180")


@row("a class subset with a class that the model lacks")
def _(bench):
    return validate("--ckpt_path", bench.checkpoint(), "--class_subset", bench.file("classes.txt", "3\nthre\n"))


@row("scores by image over another file")
def _(bench):
    notes = bench.file("images.csv", "mine")
    return validate("--ckpt_path", bench.checkpoint(), "--save_predictions", notes)


@row("results over another file")
def _(bench):
    notes = bench.file("notes.json", '{"images": 5}')
    return validate("--ckpt_path", bench.checkpoint(), "--results_file", notes)


@row("predictions over another file")
def _(bench):
    labels = bench.file("labels.json", '{"images": [], "annotations": []}')
    return "infer", ["--ckpt_path", bench.checkpoint(), "--image", str(bench.images()), "--output", labels]


@row("an exported model over another file")
def _(bench):
    return "export", ["--ckpt_path", bench.checkpoint(), "--output", bench.file("a.mindir", "mine")]


@row("a description of an exported model over another file")
def _(bench):
    bench.file("a.mindir.json", '{"format": "mine"}')
    return "export", ["--ckpt_path", bench.checkpoint(), "--output", str(bench.folder / "a.mindir")]


@row("an output below a file")
def _(bench):
    return validate("--ckpt_path", bench.checkpoint(), "--results_file", bench.file("notes.txt", "mine") + "/a.json")


@row("a lock file of another program")
def _(bench):
    return train("--ckpt_save_dir", str(Path(bench.file(".lock", "mine")).parent))


@row("a folder with the name of a checkpoint")
def _(bench):
    (bench.folder / "run/convit_tiny-1_3.ckpt").mkdir(parents=True)
    return train("--ckpt_save_dir", bench.folder / "run")


@row("two runs in one folder")
def _(bench):
    bench.keep.append(file_lock(bench.folder / ".lock"))
    return train("--ckpt_save_dir", bench.folder)


@row("a file with the name of the run's folder")
def _(bench):
    return train("--ckpt_save_dir", bench.file("taken", "x"))


@row("a port in use")
def _(bench):
    other = socket.socket()
    other.bind(("127.0.0.1", 0))
    other.listen()
    bench.keep.append(other)
    port = other.getsockname()[1]
    return train("--distribute", "True", "--master_port", port, "--ckpt_save_dir", bench.folder / "x")


@row("a new run from the weights in its own folder")
def _(bench):
    folder = linked(bench.trained, bench.folder / "run")
    return train("--ckpt_path", folder / "best.ckpt", "--ckpt_save_dir", folder)


def first_machine(what: str, address: str):
    """Register a row about a wrong address of the first machine."""

    @row(what)
    def _(bench):
        words = ["--distribute", "True", "--num_nodes", "2", "--master_addr", address]
        return train(*words, "--ckpt_save_dir", bench.folder / "x")


first_machine("an unknown machine name", "no such host")
first_machine("an address of another machine", "192.0.2.1")


@row("a learning rate at which the loss diverges")
def _(bench):
    return train("--lr", "1e30", "--warmup_epochs", "0", "--num_samples", "96", "--ckpt_save_dir", bench.folder / "x")
