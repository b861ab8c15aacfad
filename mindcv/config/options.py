"""Every option, once. To add one, add a row: name, kind (type and allowed values), default, on_resume, help.

`on_resume` says what a changed value means where a run is resumed:

- "refuse": another run, for gradients, weights or the order of the data change;
- "warn": the same run, whose results will not equal those of an unbroken one;
- "rates": refused if the learning rates still to come change;
- "free": nothing. What data the run reads is compared image by image, wherever it lies.

`aliases` holds names that other tools give it: not accepted, but pointed from when someone types them.
"""

from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Literal

from mindcv.config.option_types import (
    Boolean,
    Choice,
    FilePath,
    FilePaths,
    Integer,
    ListOf,
    Number,
    OneOf,
    Optional,
    OptionType,
    Text,
)


@dataclass(frozen=True)
class Option:
    """One row of the table; `group` is the heading that `--help` shows it under.

    `only` names the scripts that it is for, where it would say nothing to the others.
    """

    name: str
    kind: OptionType
    default: object
    on_resume: Literal["refuse", "warn", "rates", "free"]
    help: str
    aliases: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    group: str = ""


def _group(title: str, *rows: Option) -> list[Option]:
    return [replace(row, group=title) for row in rows]


_flag = Boolean()
_count = Integer(at_least=1, at_most=1_000_000)
_few = Integer(at_least=1, at_most=1024)  # threads, batches and tries that take memory or time as they are
_many = Integer(at_least=1, at_most=1_000_000_000)
_share = Number(at_least=0, at_most=1)
_rate = Optional(Number(at_least=0, below=1))
_weight = Number(at_least=0)
_positive = Number(above=0)
_side = Integer(at_least=1, at_most=8192)
_size = OneOf(_side, ListOf(_side, (2,)))
_file = FilePath(may_be_empty=True)
_level = Choice("O0", "O1", "O2", "O3", "auto")

# fmt: off
_ROWS = [
    *_group(
        "Run",
        Option("config", _file, "", "free",
               "YAML recipe, by its path or a shipped one's name; the command line overrides it"),
        Option("mode", Choice(0, 1), 0, "warn",
               "0: graph mode, compiled; 1: PyNative, step by step"),
        Option("device_target", Choice("Ascend", "GPU", "CPU"), "Ascend", "warn",
               "device to run on", ("device", "device_type")),
        Option("distribute", _flag, False, "free",
               "train on several devices: train.py starts a worker for each; validate.py does, too, if this is on its "
               "command line", ("distributed",)),
        Option("num_devices", Integer(at_least=1, at_most=128), 8, "warn",
               "devices of this machine, under distribute", ("world_size", "nproc_per_node", "worker_num")),
        Option("num_nodes", _count, 1, "free",
               "machines that train together, each started by the same command with a node_rank of its own",
               ("nnodes",)),
        Option("node_rank", Integer(at_least=0), 0, "free",
               "number of this machine among them, from 0"),
        Option("master_addr", Text("HOST"), "127.0.0.1", "free",
               "address of machine 0, where the workers find each other", ("master_address",)),
        Option("master_port", Optional(Integer(at_least=1024, at_most=65535)), None, "free",
               "port there; none: a free one, or 8118 with several machines"),
        Option("max_restarts", Integer(at_least=0), 0, "free",
               "times that failed workers are started again from the last checkpoint"),
        Option("seed", Integer(at_least=0, below=2**31), 42, "refuse",
               "seed of every random choice"),
        Option("log_interval", _count, 100, "free",
               "steps between two updates of the progress line"),
        Option("dry_run", _flag, False, "free",
               "build all, print what the run would cost and stop; ckpt_save_dir is left alone", only=("train",)),
        Option("tensorboard", _flag, False, "free",
               "write event files for TensorBoard to ckpt_save_dir/tensorboard"),
        Option("log_gates", _flag, True, "free",
               "log gates and non-locality of every layer each epoch, on a few fixed images"),
        Option("debug", _flag, False, "free",
               "show the traceback of an error, not only its one line"),
    ),
    *_group(
        "Data",
        Option("dataset", Text("NAME"), "imagenet", "free",
               "imagenet (any folder split/class/image), mindrecord (packed by python -m mindcv.data pack), cifar10, "
               "cifar100, mnist or digits"),
        Option("data_dir", FilePath("FOLDER", may_be_empty=True), "./", "free",
               "folder of the dataset", ("data_path", "data", "root")),
        Option("train_split", Text("NAME"), "train", "refuse",
               "split to train on"),
        Option("val_split", Optional(Text("NAME")), None, "warn",
               "split to validate on; none: what the dataset has"),
        Option("val_list", _file, "", "free",
               "classes of the validation images where they lie in one folder: ImageNet's val.txt, "
               "LOC_val_solution.csv or a list of class names"),
        Option("val_partial", _flag, False, "free",
               "validate although val_split has no image of some classes"),
        Option("dataset_download", _flag, False, "free",
               "download the dataset if it is not in data_dir", ("download",)),
        Option("batch_size", _count, 128, "refuse",
               "images a device takes per step"),
        Option("num_parallel_workers", _few, 8, "warn",
               "threads that read and transform images, at most one a core", ("workers", "num_workers")),
        Option("prefetch_size", Optional(_few), None, "free",
               "batches made ahead; none: 2 to 16, as many as a sixteenth of the machine's memory holds",
               ("prefetch_factor", "prefetch")),
        Option("shuffle", _flag, True, "refuse",
               "shuffle the training images every epoch"),
        Option("num_samples", Optional(_many), None, "refuse",
               "training images an epoch, drawn anew for each under shuffle; none: all"),
        Option("sampling_ratio", Number(above=0, at_most=1), 1.0, "refuse",
               "train on this share of every class only, drawn by the seed"),
        Option("drop_remainder", _flag, True, "refuse",
               "leave out the last training batch if it is not full"),
        Option("eval_shuffle", _flag, False, "free",
               "shuffle the validation images"),
        Option("on_bad_image", Choice("raise", "skip"), "raise", "free",
               "what an unreadable image does: end the run, naming the file; or be left out, every image being decoded "
               "once before the first run on it"),
    ),
    *_group(
        "Augmentation",
        Option("image_resize", _size, 224, "refuse",
               "image size, of data and model, in pixels: the side, or height and width",
               ("img_size", "image_size", "input_size")),
        Option("scale", ListOf(Number(above=0, at_most=1), (2,), ordered=True), (0.08, 1.0), "refuse",
               "share of the image's area that a random crop keeps"),
        Option("ratio", ListOf(_positive, (2,), ordered=True), (0.75, 1.333), "refuse",
               "width over height of a random crop"),
        Option("hflip", _share, 0.5, "refuse",
               "probability of a horizontal flip"),
        Option("vflip", _share, 0.0, "refuse",
               "probability of a vertical flip"),
        Option("color_jitter", Optional(OneOf(_weight, ListOf(_weight, (3,)))), 0.4, "refuse",
               "strength of the change of colour: one for all, or of brightness, contrast, saturation"),
        Option("interpolation", Choice("nearest", "bilinear", "bicubic", "area", "pilcubic"), "bilinear", "refuse",
               "how images are resized; pilcubic: as Pillow does, without aliasing"),
        Option("auto_augment", Optional(Text("POLICY")), None, "refuse",
               "augmentation policy in place of color_jitter (3a has both): autoaug-mstd0.5, autoaugr, v0, 3a, "
               "randaug-m9-mstd0.5-inc1, trivialaugwide, augmix-m3-w3", ("aa",)),
        Option("aug_repeats", Integer(at_least=0), 0, "refuse",
               "copies of each image an epoch, on different devices, in place of as many other images; 0 or 1: off"),
        Option("aug_splits", Choice(0, 2, 3), 0, "refuse",
               "views of each image, the first without auto_augment, for cross-entropy with the Jensen-Shannon "
               "divergence between them; 0: off"),
        Option("re_prob", _share, 0.0, "refuse",
               "probability of erasing a random rectangle", ("reprob",)),
        Option("re_scale", ListOf(_share, (2,), ordered=True), (0.02, 0.33), "refuse",
               "share of the image's area that is erased"),
        Option("re_ratio", ListOf(_positive, (2,), ordered=True), (0.3, 3.3), "refuse",
               "aspect ratio of the erased rectangle"),
        Option("re_value", OneOf(Number(), ListOf(Number()), Choice("random")), 0.0, "refuse",
               "what fills the erased rectangle, in units of normalised pixels (0: the mean): a number, one of each "
               "channel, or noise"),
        Option("re_max_attempts", _few, 10, "refuse",
               "tries to place the erased rectangle"),
        Option("mixup", _weight, 0.0, "refuse",
               "alpha of mixup; 0: off"),
        Option("cutmix", _weight, 0.0, "refuse",
               "alpha of cutmix; 0: off"),
        Option("cutmix_prob", _share, 1.0, "refuse",
               "probability that a batch is mixed", ("mixup_prob",)),
        Option("mixup_switch_prob", _share, 0.5, "refuse",
               "probability of cutmix, not mixup, for a batch that is mixed, where both are on"),
        Option("mixup_off_epoch", Integer(at_least=0), 0, "refuse",
               "epochs after which images are no longer mixed; 0: never"),
        Option("mean", ListOf(Number()), (123.675, 116.28, 103.53), "refuse",
               "mean of each channel, on the scale of 0 to 255"),
        Option("std", ListOf(_positive), (58.395, 57.12, 57.375), "refuse",
               "standard deviation of each channel, on the scale of 0 to 255"),
        Option("crop_pct", Number(at_least=0.1, at_most=1), 0.875, "warn",
               "side of the centre crop over side of the resized image, in validation"),
    ),
    *_group(
        "Model",
        Option("model", Text("NAME"), "convit_tiny", "refuse",
               "name of the model", ("arch", "model_name")),
        Option("num_classes", Optional(_count), None, "refuse",
               "number of classes; none: what the dataset has"),
        Option("in_channels", _count, 3, "refuse",
               "channels of an image: 3, or 1 to see it in grey, with one mean and std", ("in_chans",)),
        Option("patch_size", _size, 16, "refuse",
               "patch size in pixels: the side, or height and width"),
        Option("drop_rate", _rate, None, "refuse",
               "dropout; none: the model's own", ("drop", "dropout")),
        Option("attn_drop_rate", _rate, None, "refuse",
               "dropout of the attention maps; none: the model's own"),
        Option("drop_path_rate", _rate, None, "refuse",
               "stochastic depth of the last block; none: the model's own", ("drop_path",)),
        Option("act", Optional(Choice("gelu", "gelu_tanh")), None, "refuse",
               "activation: gelu_tanh for checkpoints trained with the approximation; none: the model's own"),
        Option("norm_eps", Optional(_positive), None, "refuse",
               "epsilon of the layer norms; none: the model's own"),
        Option("attn_impl", Choice("separable", "plain", "flash"), "separable", "warn",
               "how attention is computed: fast and exact, as the paper writes it, or in half precision by the fused "
               "kernel of an Atlas A2"),
        Option("pretrained", OneOf(_flag, Choice("mindcv", "mindcv-910v2", "fb", "timm")), False, "refuse",
               "start from published weights: MindCV's, the ConViT authors' (fb) or timm's; True: MindCV's"),
    ),
    *_group(
        "Checkpoints",
        Option("ckpt_path", _file, "", "free",
               "weights to load: .ckpt, .safetensors or .pth, under MindCV's, the authors' or timm's names",
               ("checkpoint_path", "checkpoint", "initial_checkpoint")),
        Option("use_ema", _flag, False, "free",
               "take the moving averages in ckpt_path in place of its weights"),
        Option("keep_classifier", _flag, False, "free",
               "fine-tune the classifier in ckpt_path though its classes have other names, row by row"),
        Option("resume", _flag, False, "free",
               "go on exactly from the newest whole checkpoint in ckpt_save_dir, or from ckpt_path; without config, by "
               "the run's own config.yaml", ("auto_resume",)),
        Option("resume_opt", _flag, False, "free",
               "the same, by MindCV's name"),
        Option("resume_changes", Optional(ListOf(Text("OPTION"))), None, "free",
               "options that may differ from the resumed run's, as in lr min_lr; data_dir: also the training images"),
        Option("ckpt_save_dir", FilePath("FOLDER"), "./ckpt", "free",
               "folder the run writes to", ("output_dir",)),
        Option("ckpt_save_interval", _count, 1, "free",
               "epochs between two checkpoints"),
        Option("ckpt_save_interval_steps", Integer(at_least=0), 0, "free",
               "steps between two checkpoints inside an epoch; 0: none there"),
        Option("ckpt_save_policy", Choice("latest_k", "top_k"), "latest_k", "free",
               "which checkpoints are kept: the newest, or the best in validation"),
        Option("keep_checkpoint_max", _count, 10, "free",
               "how many checkpoints are kept"),
    ),
    *_group(
        "Training",
        Option("epoch_size", _count, 90, "rates",
               "epochs to train", ("epochs", "num_epochs")),
        Option("steps", Optional(_many), None, "free",
               "updates after which the run ends, with a checkpoint, before all its epochs; none: all epochs",
               ("max_steps", "max_iters", "num_steps")),
        Option("dataset_sink_mode", _flag, True, "warn",
               "feed whole epochs to the device, where it can; crops and colours then also follow from where a run was "
               "resumed"),
        Option("gradient_accumulation_steps", _count, 1, "refuse",
               "batches whose gradients are averaged in one step"),
        Option("recompute", _flag, False, "free",
               "compute each block again for its gradients, not keep what they need: less memory, more time",
               ("grad_checkpointing",)),
        Option("clip_grad", _flag, False, "refuse",
               "limit the gradients"),
        Option("clip_mode", Choice("norm", "value"), "norm", "refuse",
               "what is limited, under clip_grad: the global norm, or each number in the gradients"),
        Option("clip_value", _positive, 15.0, "refuse",
               "the limit, under clip_grad"),
        Option("skip_nonfinite", Integer(at_least=0), 0, "free",
               "steps in a row whose loss or gradients may be NaN or infinite: they are left out and counted"),
        Option("freeze", Optional(ListOf(Text("PART"))), None, "refuse",
               "what stays as it is loaded: backbone (all but the classifier), stem, blocks:3, blocks:0-5, or several",
               ("freeze_backbone",)),
        Option("ema", _flag, False, "refuse",
               "keep exponential moving averages of the weights, saved and validated; best.ckpt follows the weights",
               ("model_ema",)),
        Option("ema_decay", Number(at_least=0, below=1), 0.9999, "refuse",
               "decay of the averages; (1 + n) / (10 + n) in update n where that is less"),
    ),
    *_group(
        "Validation",
        Option("val_while_train", _flag, False, "free",
               "validate while training"),
        Option("val_interval", _count, 1, "free",
               "epochs between two validations"),
        Option("results_file", _file, "", "free",
               "JSON file that validate.py writes its figures to"),
    ),
    *_group(
        "Optimizer",
        Option("opt", Choice("sgd", "momentum", "nesterov", "adam", "adamw", "nadam", "rmsprop", "adagrad",
                             "lion", "adan", "lamb"), "adam", "refuse",
               "optimizer", ("optimizer", "optim")),
        Option("momentum", Number(at_least=0, below=1), 0.9, "refuse",
               "momentum, of the optimizers that have it"),
        Option("use_nesterov", _flag, False, "refuse",
               "Nesterov's momentum, of the optimizers that have it"),
        Option("weight_decay", _weight, 1e-6, "refuse",
               "weight decay", ("wd",)),
        Option("weight_decay_filter", Choice("disable", "auto", "norm_and_bias"), "disable", "refuse",
               "what weight decay spares: nothing; 1-D parameters, pos_embed and cls_token; norms and biases",
               ("filter_bias_and_bn",)),
        Option("layer_decay", Optional(Number(above=0, at_most=1)), None, "refuse",
               "learning-rate factor from a block to the one before it"),
        Option("head_lr_multiple", _positive, 1.0, "refuse",
               "learning rate of the classifier, as a multiple of the others'", ("head_lr",)),
        Option("eps", _positive, 1e-10, "refuse",
               "added to the optimizer's denominator", ("opt_eps",)),
    ),
    *_group(
        "Schedule",
        Option("scheduler", Choice("constant", "cosine_decay", "warmup_cosine_decay", "exponential_decay",
                                   "polynomial_decay", "step_decay", "multi_step_decay", "one_cycle",
                                   "cyclic"), "cosine_decay", "rates",
               "course of the learning rate", ("sched", "lr_scheduler")),
        Option("lr", _positive, 0.001, "rates",
               "peak learning rate", ("learning_rate", "base_lr")),
        Option("lr_scale", Optional(Choice("linear")), None, "rates",
               "linear: lr is meant for lr_base_batch images a step, and grows with the images of all devices"),
        Option("lr_base_batch", Optional(_count), None, "rates",
               "images a step that lr is meant for, under lr_scale"),
        Option("min_lr", _weight, 1e-6, "rates",
               "learning rate at the end of the decay"),
        Option("warmup_epochs", Integer(at_least=0), 3, "rates",
               "epochs of linear warm-up"),
        Option("warmup_factor", _share, 0.0, "rates",
               "learning rate at the start of the warm-up, as a share of the peak"),
        Option("warmup_prefix", _flag, True, "rates",
               "the decay begins after the warm-up; False: it begins with the run, and the warm-up takes the place of "
               "its beginning, as by default in timm"),
        Option("decay_epochs", _count, 100, "rates",
               "epochs of the decay, or of one step of step_decay"),
        Option("decay_rate", _positive, 0.9, "rates",
               "factor of the decay; polynomial_decay: its power"),
        Option("multi_step_decay_milestones", ListOf(_count, ordered=True), (30, 60, 90), "rates",
               "epochs at which multi_step_decay decays"),
        Option("lr_epoch_stair", _flag, False, "rates",
               "change the learning rate once an epoch, not every step"),
        Option("num_cycles", _count, 1, "rates",
               "cycles of the cosine and cyclic schedules"),
        Option("cycle_decay", _positive, 1.0, "rates",
               "factor from the peak of a cycle to the next"),
    ),
    *_group(
        "Loss",
        Option("loss", Choice("CE", "BCE"), "CE", "refuse",
               "cross-entropy, or binary cross-entropy"),
        Option("label_smoothing", Number(at_least=0, below=1), 0.0, "refuse",
               "label smoothing", ("smoothing",)),
        Option("aux_factor", _weight, 0.0, "refuse",
               "weight of auxiliary outputs, of the models that have them"),
        Option("reduction", Choice("mean", "sum"), "mean", "refuse",
               "how the losses of a batch become one"),
    ),
    *_group(
        "Precision",
        Option("amp_level", _level, "O0", "refuse",
               "mixed precision in training; O0: none, float32; O1: matrix products in half precision; auto: and what "
               "is between them; O2: all but LayerNorm and softmax; O3: these too; the loss is always in float32",
               ("amp",)),
        Option("val_amp_level", _level, "O0", "warn",
               "mixed precision in validation; O0: none, float32"),
        Option("amp_dtype", Choice("float16", "bfloat16"), "float16", "refuse",
               "which half precision; on a CPU, bfloat16 is float32 rounded to it"),
        Option("amp_cast_list", Optional(ListOf(Text("CELL"))), None, "refuse",
               "only these cells in half precision, with all that is in them: classes (Mlp, GPSA) or names "
               "(blocks.3.attn); none: all"),
        Option("loss_scale_type", Choice("fixed", "dynamic", "auto"), "fixed", "refuse",
               "whether loss_scale stays, or halves when gradients overflow (that update is left out) and doubles "
               "after 2000 updates without; auto: dynamic with float16, else fixed", ("dynamic_loss_scale",)),
        Option("loss_scale", _positive, 1.0, "refuse",
               "factor of the loss, taken out of the gradients again; dynamic: the first one, 65536 if this is 1"),
        Option("drop_overflow_update", _flag, False, "refuse",
               "leave out an update whose gradients overflow, and do not count it as failed; dynamic scales always do"),
    ),
    *_group(
        "Prediction",
        Option("image", Optional(FilePaths("FILE|FOLDER|GLOB")), None, "free",
               "images to classify: files, folders with all in them, or quoted patterns such as 'shots/*.jpg'",
               ("images", "image_path"), only=("infer",)),
        Option("topk", _count, 5, "free",
               "how many classes to give for an image", ("top_k",), only=("infer",)),
        Option("class_names", _file, "", "free",
               "text file of class names, one a line; without it those in the checkpoint, or ImageNet's",
               ("label_file", "class_map"), only=("infer", "export")),
        Option("output", _file, "", "free",
               "file to write: infer.py's predictions, .json or .csv; export.py's model, by default MODEL.FORMAT",
               only=("infer", "export")),
    ),
    *_group(
        "Export",
        Option("format", Choice("mindir", "onnx"), "mindir", "free",
               "format of the exported model", ("file_format",), only=("export",)),
        Option("dynamic_batch", _flag, False, "free",
               "let the exported model take any number of images at once; without it, one", only=("export",)),
        Option("fp16", _flag, False, "free",
               "half precision for the weights of the linear layers and the products with them", only=("export",)),
        Option("with_preprocess", _flag, False, "free",
               "export a model of resized and cropped images in uint8, (B, H, W, C), which normalises them itself",
               only=("export",)),
    ),
]
# fmt: on

OPTIONS: dict[str, Option] = {row.name: row for row in _ROWS}


def unknown_option(name: str) -> str:
    """The line for a name that is not in the table, with the nearest that is."""
    spoken = {alias: option.name for option in OPTIONS.values() for alias in (option.name, *option.aliases)}
    word = str(name).lower().replace("-", "_")
    near = [word] if word in spoken else get_close_matches(word, spoken, n=3)
    near = near or get_close_matches(word, spoken, n=1, cutoff=0)
    names = dict.fromkeys(spoken[alias] for alias in near)
    return f"unknown option {str(name)!r}; did you mean {' or '.join(names)}? (--help lists them all)"
