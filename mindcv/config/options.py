"""All options, each declared once. To add one, add a field to the class of its heading.

A declaration is `name: annotation = option(type, default, on_resume, help)`. The annotation is what editors and type
checkers see of the resolved value; the option type reads and checks what a user gave.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from mindcv.config.option_types import (
    Boolean,
    Choice,
    FilePath,
    FilePaths,
    Integer,
    ListOf,
    NamedValues,
    Number,
    OneOf,
    Optional,
    OptionType,
    Text,
)
from mindcv.errors import closest

OnResume = Literal["refuse", "warn", "rates", "free"]


@dataclass(frozen=True)
class Option:
    """The declaration of one option.

    Attributes:
        type: Reads and checks a given value.
        default: Value where none is given.
        on_resume: What a changed value means when a run is resumed. "refuse": it is another run, since gradients,
            weights or the order of the data change; "warn": the same run, but its results will differ from those of an
            uninterrupted one; "rates": refused if learning rates that are still to come change; "free": no effect.
            (Paths are free: the images are compared one by one, wherever they lie.)
        help: Description for --help.
        aliases: Names that other tools use. They are not accepted, but point a user to this option.
        only: Scripts that the option is for ("train", "infer", …); empty for all.
        name: Name of the option, that of the class attribute.
        group: Heading in --help, the name of the class.
    """

    type: OptionType
    default: Any
    on_resume: OnResume
    help: str
    aliases: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    name: str = field(default="", init=False)
    group: str = field(default="", init=False)

    def __set_name__(self, heading, name: str) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "group", heading.__name__)


def option(
    type: OptionType,
    default: Any,
    on_resume: OnResume,
    help: str,
    aliases: tuple[str, ...] = (),
    only: tuple[str, ...] = (),
) -> Any:
    """Return an `Option` with these attributes, for a class whose name is the option's heading in --help.

    `on_resume` says what a changed value means to a resumed run, `aliases` are names that error messages point from,
    and `only` are the scripts that have the option, () for all. The result is typed Any so that type checkers take a
    field's type from its annotation.
    """
    return Option(type, default, on_resume, help, aliases, only)


_bool = Boolean()
_count = Integer(at_least=1, at_most=1_000_000)
_small_count = Integer(at_least=1, at_most=1024)  # of what takes memory or time at once: threads, batches
_large_count = Integer(at_least=1, at_most=1_000_000_000)
_fraction = Number(at_least=0, at_most=1)
_optional_rate = Optional(Number(at_least=0, below=1))
_non_negative = Number(at_least=0)
_positive = Number(above=0)
_pixels = Integer(at_least=1, at_most=8192)
_size = OneOf(_pixels, ListOf(_pixels, (2,)))
_file = FilePath(may_be_empty=True)
_amp_level = Choice("O0", "O1", "O2", "O3", "auto")


# fmt: off
class Run:
    """Device, workers, logging."""

    config: str = option(_file, "", "free",
        "YAML recipe: a path, or the name of a shipped recipe; the command line overrides it")
    mode: int = option(Choice(0, 1), 0, "warn", "0: graph mode, compiled; 1: PyNative, step by step")
    engine: str = option(Choice("mindspore", "onnxruntime"), "mindspore", "free",
        "what computes the predictions; onnxruntime: on the CPU, in float32, from a graph that is written and verified "
        "once", only=("validate", "infer"))
    jit_level: str | None = option(Optional(Choice("O0", "O1", "O2")), None, "warn",
        "MindSpore's level of compilation in graph mode; none: O2 on Ascend, as MindCV's scripts have it, and "
        "MindSpore's default elsewhere")
    device_target: str = option(Choice("Ascend", "GPU", "CPU"), "Ascend", "warn",
        "device to run on", aliases=("device", "device_type"))
    distribute: bool = option(_bool, False, "free",
        "train on several devices: train.py starts one worker per device; validate.py does so only if this is on its "
        "command line", aliases=("distributed",))
    num_devices: int = option(Integer(at_least=1, at_most=128), 8, "warn",
        "devices to use on this machine, with distribute", aliases=("world_size", "nproc_per_node", "worker_num"))
    num_nodes: int = option(_count, 1, "free",
        "machines that train together; run the same command on each, with its own node_rank", aliases=("nnodes",))
    node_rank: int = option(Integer(at_least=0), 0, "free", "index of this machine, from 0")
    master_addr: str = option(Text("HOST"), "127.0.0.1", "free",
        "address of machine 0, where the workers connect", aliases=("master_address",))
    master_port: int | None = option(Optional(Integer(at_least=1024, at_most=65535)), None, "free",
        "port on machine 0; none: a free one, or 8118 with several machines")
    max_restarts: int = option(Integer(at_least=0), 0, "free",
        "how often failed workers are restarted from the last checkpoint")
    seed: int = option(Integer(at_least=0, below=2**31), 42, "refuse", "seed of all random choices")
    log_interval: int = option(_count, 100, "free",
        "steps between two updates of the progress bar, or two lines in an output that is not a terminal")
    dry_run: bool = option(_bool, False, "free",
        "build everything, print the cost of the run and stop; ckpt_save_dir is not changed", only=("train",))
    tensorboard: bool = option(_bool, False, "free", "write event files for TensorBoard to ckpt_save_dir/tensorboard")
    log_gates: bool = option(_bool, True, "free",
        "log the gates and the non-locality of every layer once per epoch, on a few fixed images")
    debug: bool = option(_bool, False, "free", "show the traceback of an error, not only one line")


class Data:
    """What is read, and how."""

    dataset: str = option(Text("NAME", may_be_empty=True), "imagenet", "free",
        "imagenet or '' (any folder split/class/image), mindrecord (packed by mindcv data pack), cifar10, cifar100, "
        "mnist or digits, in upper or lower case")
    data_dir: str = option(FilePath("FOLDER", may_be_empty=True), "./", "free",
        "folder of the dataset", aliases=("data_path", "data", "root"))
    train_split: str = option(Text("NAME"), "train", "refuse", "split to train on")
    val_split: str | None = option(Optional(Text("NAME")), None, "warn",
        "split to validate on; none: the dataset's default")
    val_list: str = option(_file, "", "free",
        "file with the classes of validation images that lie in one folder: ImageNet's val.txt, LOC_val_solution.csv "
        "or a list of class names")
    val_partial: bool = option(_bool, False, "free", "validate even if val_split has no images of some classes")
    dataset_download: bool = option(_bool, False, "free",
        "download the dataset if it is not in data_dir", aliases=("download",))
    batch_size: int = option(_count, 128, "refuse", "images per device and step")
    num_parallel_workers: int | None = option(Optional(_small_count), None, "warn",
        "workers that read and transform images, at most one per core; none: the cores divided by the run's devices on "
        "the machine, at most 24", aliases=("workers", "num_workers"))
    prefetch_size: int | None = option(Optional(_small_count), None, "free",
        "batches to prepare ahead; none: 2 to 16, as many as fit in a sixteenth of the machine's memory",
        aliases=("prefetch_factor", "prefetch"))
    shuffle: bool = option(_bool, True, "refuse", "shuffle the training images every epoch")
    num_samples: int | None = option(Optional(_large_count), None, "refuse",
        "training images per epoch, drawn anew for each epoch under shuffle; none: all")
    sampling_ratio: float = option(Number(above=0, at_most=1), 1.0, "refuse",
        "fraction of every class to train on, drawn by the seed")
    drop_remainder: bool = option(_bool, True, "refuse", "drop the last training batch if it is incomplete")
    eval_shuffle: bool = option(_bool, False, "free", "shuffle the validation images")
    on_bad_image: str = option(Choice("raise", "skip"), "raise", "free",
        "what to do about an unreadable image: raise ends the run and names the file; skip leaves it out, after "
        "decoding every image once before the first run")
    max_image_pixels: int = option(_large_count, 178956970, "free",
        "largest image that is read, in pixels; larger ones are refused, and those above half of it are named")


class Augmentation:
    """What training changes in an image, and how images are normalised."""

    image_resize: int | tuple[int, int] = option(_size, 224, "refuse",
        "image size of data and model in pixels: one side, or height and width",
        aliases=("img_size", "image_size", "input_size"))
    scale: tuple[float, float] = option(ListOf(Number(above=0, at_most=1), (2,), ordered=True), (0.08, 1.0), "refuse",
        "fraction of the image's area that a random crop keeps")
    ratio: tuple[float, float] = option(ListOf(_positive, (2,), ordered=True), (0.75, 1.333), "refuse",
        "width / height of a random crop")
    hflip: float = option(_fraction, 0.5, "refuse", "probability of a horizontal flip")
    vflip: float = option(_fraction, 0.0, "refuse", "probability of a vertical flip")
    color_jitter: float | tuple[float, float, float] | None = option(Optional(OneOf(_non_negative,
        ListOf(_non_negative, (3,)))), 0.4, "refuse",
        "strength of the colour jitter: one value, or one each for brightness, contrast and saturation")
    interpolation: str = option(Choice("nearest", "bilinear", "bicubic", "area", "pilcubic"), "bilinear", "refuse",
        "how images are resized; pilcubic: as Pillow does, with anti-aliasing")
    auto_augment: str | None = option(Optional(Text("POLICY")), None, "refuse",
        "augmentation policy, used instead of color_jitter (3a uses both): autoaug-mstd0.5, autoaugr, v0, 3a, "
        "randaug-m9-mstd0.5-inc1, trivialaugwide, augmix-m3-w3", aliases=("aa",))
    aug_repeats: int = option(Integer(at_least=0), 0, "refuse",
        "copies of each image per epoch, on different devices, replacing as many other images; 0 or 1: off")
    aug_splits: int = option(Choice(0, 2, 3), 0, "refuse",
        "views of each image, the first without auto_augment, for cross-entropy plus the Jensen-Shannon divergence "
        "between the views; 0: off")
    re_prob: float = option(_fraction, 0.0, "refuse", "probability of erasing a random rectangle", aliases=("reprob",))
    re_scale: tuple[float, float] = option(ListOf(_fraction, (2,), ordered=True), (0.02, 0.33), "refuse",
        "fraction of the image's area that is erased")
    re_ratio: tuple[float, float] = option(ListOf(_positive, (2,), ordered=True), (0.3, 3.3), "refuse",
        "width / height of the erased rectangle")
    re_value: float | tuple[float, ...] | str = option(OneOf(Number(), ListOf(Number()),
        Choice("random", "const", "pixel")), 0.0, "refuse",
        "fill of the erased rectangle, in units of normalised pixels (0 or const: the mean): one number, one number "
        "per channel, or random (or pixel) noise")
    re_max_attempts: int = option(_small_count, 10, "refuse", "attempts to place the erased rectangle")
    mixup: float = option(_non_negative, 0.0, "refuse", "alpha of mixup; 0: off")
    cutmix: float = option(_non_negative, 0.0, "refuse", "alpha of cutmix; 0: off")
    cutmix_prob: float = option(_fraction, 1.0, "refuse",
        "probability that a batch is mixed by mixup or cutmix", aliases=("mixup_prob",))
    mixup_switch_prob: float = option(_fraction, 0.5, "refuse",
        "probability of cutmix, rather than mixup, for a mixed batch, where both are on")
    mixup_off_epoch: int = option(Integer(at_least=0), 0, "refuse",
        "epochs after which mixup and cutmix are switched off; 0: never")
    mean: tuple[float, ...] = option(ListOf(Number()), (123.675, 116.28, 103.53), "refuse",
        "mean of each channel, for pixels from 0 to 255")
    std: tuple[float, ...] = option(ListOf(_positive), (58.395, 57.12, 57.375), "refuse",
        "standard deviation of each channel, for pixels from 0 to 255")
    crop_pct: float = option(Number(at_least=0.1, at_most=1), 0.875, "warn",
        "side of the centre crop / side of the resized image, in validation")


class Model:
    """Which model, and its arguments."""

    model: str = option(Text("NAME"), "convit_tiny", "refuse", "name of the model", aliases=("arch", "model_name"))
    model_module: str = option(_file, "", "free",
        "Python file of your own that registers models, for model to name one of them")
    num_classes: int | None = option(Optional(_count), None, "refuse", "number of classes; none: that of the dataset")
    in_channels: int = option(_count, 3, "refuse",
        "channels of an image: 3, or 1 for greyscale, with one mean and std", aliases=("in_chans",))
    patch_size: int | tuple[int, int] = option(_size, 16, "refuse",
        "patch size in pixels: one side, or height and width")
    drop_rate: float | None = option(_optional_rate, None, "refuse",
        "dropout rate; none: the model's default", aliases=("drop", "dropout"))
    attn_drop_rate: float | None = option(_optional_rate, None, "refuse",
        "dropout rate of the attention maps; none: the model's default")
    drop_path_rate: float | None = option(_optional_rate, None, "refuse",
        "stochastic depth rate of the last block; none: the model's default", aliases=("drop_path",))
    act: str | None = option(Optional(Choice("gelu", "gelu_tanh")), None, "refuse",
        "activation: gelu_tanh for checkpoints trained with the approximation; none: the model's default")
    norm_eps: float | None = option(Optional(_positive), None, "refuse",
        "epsilon of the layer norms; none: the model's default")
    attn_impl: str = option(Choice("separable", "plain", "flash"), "separable", "warn",
        "attention implementation: separable is fast and exact, plain follows the paper's formula, flash is the half- "
        "precision fused kernel of an Atlas A2")
    model_args: dict | None = option(Optional(NamedValues()), None, "refuse",
        "other arguments of the model's constructor, such as local_up_to_layer=5 locality_strength=0.5; a mapping in "
        "YAML; if none are given, those recorded in ckpt_path")
    pretrained: bool | str = option(OneOf(_bool, Choice("mindcv", "mindcv-910v2", "fb", "timm")), False, "refuse",
        "start from published weights: MindCV's, the authors' (fb) or timm's; True: ConViT's by MindCV, DeiT's by timm")


class Checkpoints:
    """What is loaded, resumed and saved."""

    ckpt_path: str = option(_file, "", "free",
        "weights to load: .ckpt, .safetensors or .pth, under MindCV's, the authors' or timm's names",
        aliases=("checkpoint_path", "checkpoint", "initial_checkpoint"))
    use_ema: bool = option(_bool, False, "free", "load the moving averages in ckpt_path instead of its weights")
    keep_classifier: bool = option(_bool, False, "free",
        "keep the classifier in ckpt_path, row by row, although its classes have other names")
    resume: bool = option(_bool, False, "free",
        "continue exactly from the newest complete checkpoint in ckpt_save_dir, or from ckpt_path; without config, "
        "with the options in the run's own config.yaml", aliases=("auto_resume",))
    resume_opt: bool = option(_bool, False, "free", "the same as resume, under MindCV's name")
    resume_changes: tuple[str, ...] | None = option(Optional(ListOf(Text("OPTION"))), None, "free",
        "options that may differ from the resumed run's, such as lr min_lr; data_dir also permits other training "
        "images")
    ckpt_save_dir: str = option(FilePath("FOLDER"), "./ckpt", "free",
        "folder the run writes to", aliases=("output_dir",))
    ckpt_save_interval: int = option(_count, 1, "free", "epochs between two checkpoints")
    ckpt_save_interval_steps: int = option(Integer(at_least=0), 0, "free",
        "steps between two checkpoints within an epoch; 0: none")
    ckpt_save_policy: str | None = option(Optional(Choice("latest_k", "top_k")), "latest_k", "free",
        "which checkpoints to keep: the latest, or the best in validation; none: all")
    keep_checkpoint_max: int = option(_count, 10, "free", "how many checkpoints to keep")


class Training:
    """How long, and how one update is made."""

    epoch_size: int = option(_count, 90, "rates", "epochs to train", aliases=("epochs", "num_epochs"))
    steps: int | None = option(Optional(_large_count), None, "free",
        "updates after which the run ends with a checkpoint, even before its last epoch; none: all epochs",
        aliases=("max_steps", "max_iters", "num_steps"))
    dataset_sink_mode: bool = option(_bool, True, "warn",
        "feed whole epochs to the device, where possible; crops and colours then also depend on where a run was "
        "resumed")
    gradient_accumulation_steps: int = option(_count, 1, "refuse",
        "batches whose gradients are averaged for one update")
    recompute: bool = option(_bool, False, "free",
        "recompute each block's activations in the backward pass instead of keeping them: less memory, more time",
        aliases=("grad_checkpointing",))
    clip_grad: bool = option(_bool, False, "refuse", "clip the gradients")
    clip_mode: str = option(Choice("norm", "value"), "norm", "refuse",
        "what clip_grad limits: the global norm, or each value")
    clip_value: float = option(_positive, 15.0, "refuse", "limit of clip_grad")
    skip_nonfinite: int = option(Integer(at_least=0), 0, "free",
        "how many steps in a row may have a NaN or infinite loss or gradient; they are skipped and counted")
    freeze: tuple[str, ...] | None = option(Optional(ListOf(Text("PART"))), None, "refuse",
        "parts that stay as loaded: backbone (all but the classifier), stem, blocks:3, blocks:0-5, gates or gpsa of a "
        "ConViT, or several",
        aliases=("freeze_backbone",))
    ema: bool = option(_bool, False, "refuse",
        "keep exponential moving averages of the weights, saved and validated; best.ckpt follows the weights",
        aliases=("model_ema",))
    ema_decay: float = option(Number(at_least=0, below=1), 0.9999, "refuse",
        "decay of the averages; (1 + n) / (10 + n) in update n where that is less")


class Validation:
    """When the model is validated."""

    val_while_train: bool = option(_bool, False, "free", "validate while training")
    val_interval: int = option(_count, 1, "free", "epochs between two validations")
    results_file: str = option(_file, "", "free",
        "file for the results of validate.py: .json; with ckpt_paths also .csv or .md")
    ckpt_paths: tuple[str, ...] | None = option(Optional(FilePaths("CKPT")), None, "free",
        "checkpoints, or folders of them, to score one after the other; the best comes first in the table",
        only=("validate",))
    class_subset: str = option(_file, "", "free",
        "file with the classes to score, one a line, by name or number: the model's other outputs are left out",
        only=("validate",))
    per_class: str = option(FilePath("FOLDER", may_be_empty=True), "", "free",
        "folder for precision, recall and F1 by class and the confusion matrix", only=("validate",))
    save_predictions: str = option(_file, "", "free", "CSV file for what is predicted for every image",
        only=("validate",))


class Optimizer:
    """How gradients change the weights."""

    opt: str = option(Choice("sgd", "momentum", "nesterov", "adam", "adamw", "nadam", "rmsprop", "adagrad", "lion",
        "adan", "lamb"), "adam", "refuse",
        "optimizer", aliases=("optimizer", "optim"))
    momentum: float = option(Number(at_least=0, below=1), 0.9, "refuse", "momentum, for optimizers that have it")
    use_nesterov: bool = option(_bool, False, "refuse", "Nesterov momentum, for optimizers that have it")
    weight_decay: float = option(_non_negative, 1e-6, "refuse", "weight decay", aliases=("wd",))
    weight_decay_filter: str = option(Choice("disable", "auto", "norm_and_bias"), "disable", "refuse",
        "parameters without weight decay: none (disable); 1-D parameters, pos_embed and cls_token (auto); norms and "
        "biases (norm_and_bias)", aliases=("filter_bias_and_bn",))
    layer_decay: float | None = option(Optional(Number(above=0, at_most=1)), None, "refuse",
        "learning-rate factor from a block to the one before it")
    head_lr_multiple: float = option(_positive, 1.0, "refuse",
        "learning rate of the classifier, as a multiple of the others'", aliases=("head_lr",))
    eps: float = option(_non_negative, 1e-10, "refuse", "epsilon in the optimizer's denominator", aliases=("opt_eps",))


class Schedule:
    """The learning rate over time."""

    scheduler: str = option(Choice("constant", "cosine_decay", "warmup_cosine_decay", "exponential_decay",
        "polynomial_decay", "step_decay", "multi_step_decay", "one_cycle", "cyclic"), "cosine_decay", "rates",
        "learning rate schedule", aliases=("sched", "lr_scheduler"))
    lr: float = option(_non_negative, 0.001, "rates", "peak learning rate", aliases=("learning_rate", "base_lr"))
    lr_scale: str | None = option(Optional(Choice("linear")), None, "rates",
        "linear: lr is given for lr_base_batch images per step, and grows in proportion to the images of all devices")
    lr_base_batch: int | None = option(Optional(_count), None, "rates",
        "images per step that lr is given for, with lr_scale")
    min_lr: float = option(_non_negative, 1e-6, "rates", "learning rate at the end of the decay")
    warmup_epochs: int = option(Integer(at_least=0), 3, "rates", "epochs of linear warm-up")
    warmup_factor: float = option(_fraction, 0.0, "rates",
        "learning rate at the start of the warm-up, as a fraction of the peak")
    warmup_prefix: bool = option(_bool, True, "rates",
        "start the decay after the warm-up; False: start it with the run, the warm-up replacing its beginning, as "
        "timm does by default")
    decay_epochs: int = option(_count, 100, "rates", "epochs of the decay, or of one step of step_decay")
    decay_rate: float = option(_positive, 0.9, "rates", "factor of the decay; polynomial_decay: its power")
    multi_step_decay_milestones: tuple[int, ...] = option(ListOf(_count, ordered=True), (30, 60, 90), "rates",
        "epochs at which multi_step_decay decays")
    lr_epoch_stair: bool = option(_bool, False, "rates", "change the learning rate once per epoch, not every step")
    num_cycles: int = option(_count, 1, "rates", "cycles of the cosine and cyclic schedules")
    cycle_decay: float = option(_positive, 1.0, "rates", "factor from the peak of one cycle to the next")


class Loss:
    """What is minimised."""

    loss: str = option(Choice("CE", "BCE"), "CE", "refuse", "cross-entropy, or binary cross-entropy")
    label_smoothing: float = option(Number(at_least=0, below=1), 0.0, "refuse",
        "label smoothing", aliases=("smoothing",))
    aux_factor: float = option(_non_negative, 0.0, "refuse",
        "weight of the auxiliary outputs, for models that have them")
    reduction: str = option(Choice("mean", "sum"), "mean", "refuse", "how the losses of a batch are reduced to one")


class Precision:
    """What is computed in half precision."""

    amp_level: str = option(_amp_level, "O0", "refuse",
        "mixed precision in training; O0: none, float32; O1: matrix products in half precision; auto: also the "
        "operations between them; O2: all but LayerNorm and softmax; O3: these too; the loss is always in float32",
        aliases=("amp",))
    val_amp_level: str = option(_amp_level, "O0", "warn", "mixed precision in validation; O0: none, float32")
    amp_dtype: str = option(Choice("float16", "bfloat16"), "float16", "refuse",
        "half-precision type; on a CPU, bfloat16 is float32 rounded to it")
    amp_cast_list: tuple[str, ...] | None = option(Optional(ListOf(Text("CELL"))), None, "refuse",
        "only these cells, with all they contain, in half precision: classes (Mlp, GPSA) or names (blocks.3.attn); "
        "none: all")
    loss_scale_type: str = option(Choice("fixed", "dynamic", "auto"), "fixed", "refuse",
        "fixed: loss_scale is constant; dynamic: it halves when gradients overflow (that update is skipped) and "
        "doubles after 2000 updates without overflow; auto: dynamic with float16, else fixed",
        aliases=("dynamic_loss_scale",))
    loss_scale: float = option(_positive, 1.0, "refuse",
        "factor of the loss, divided out of the gradients again; dynamic: the first one, 65536 if this is 1")
    drop_overflow_update: bool = option(_bool, False, "refuse",
        "skip an update whose gradients overflow, without counting it as failed; dynamic loss scales always do")


class Prediction:
    """What infer.py reads and writes."""

    image: tuple[str, ...] | None = option(Optional(FilePaths("FILE|FOLDER|GLOB")), None, "free",
        "images to classify: files, folders with all images in them, or quoted patterns such as 'shots/*.jpg'",
        aliases=("images",), only=("infer",))
    topk: int = option(_count, 5, "free",
        "how many classes to report for an image", aliases=("top_k",), only=("infer",))
    class_names: str = option(_file, "", "free",
        "text file of class names, one per line; without it those in the checkpoint, or ImageNet's",
        aliases=("label_file", "class_map"), only=("infer", "export"))
    output: str = option(_file, "", "free",
        "file to write: predictions of infer.py, .json or .csv; model of export.py, by default MODEL.FORMAT",
        only=("infer", "export"))


class Export:
    """What export.py writes."""

    format: str = option(Choice("mindir", "onnx"), "mindir", "free",
        "format of the exported model", aliases=("file_format",), only=("export",))
    dynamic_batch: bool = option(_bool, False, "free",
        "let the exported model take batches of any size; without it, one image", only=("export",))
    fp16: bool = option(_bool, False, "free",
        "half precision for the weights of the linear layers and the products with them", only=("export",))
    with_preprocess: bool = option(_bool, False, "free",
        "export a model that takes resized and cropped uint8 images, (B, H, W, C), and normalises them itself",
        only=("export",))
# fmt: on


class Options(
    Run, Data, Augmentation, Model, Checkpoints, Training, Validation, Optimizer, Schedule, Loss, Precision, Prediction,
    Export,
):  # fmt: skip
    """All options as typed fields, in the order of the headings; `Config` gives them values."""


OPTIONS: dict[str, Option] = {
    name: row for heading in Options.__bases__ for name, row in vars(heading).items() if isinstance(row, Option)
}


def unknown_option(name: str) -> str:
    """Return the error message for a name that is not an option: the option that it is an alias of, or similar ones."""
    names = {alias: row.name for row in OPTIONS.values() for alias in (row.name, *row.aliases)}
    word = str(name).lower().replace("-", "_")
    near = [word] if word in names else closest(word, names, n=3) or closest(word, names, cutoff=0)
    meant = dict.fromkeys(names[alias] for alias in near)
    return f"unknown option {str(name)!r}; did you mean {' or '.join(meant)}? (--help lists them all)"
