"""Checks of options against each other.

Each check returns None, or one line that names the options and what to change.
"""

from collections.abc import Callable

from mindcv.config.option_types import show
from mindcv.config.options import OPTIONS, Options, unknown_option
from mindcv.errors import pixel_scale_mistake

_GIB = 2**30
_OPTION_OF = {  # arguments of `create_model` that options give; those of the heading Model have the same name
    "model_name": "model", "image_size": "image_resize", "checkpoint_path": "ckpt_path", "ema": "use_ema",
    **{name: name for name, option in OPTIONS.items() if option.group == "Model"},
}  # fmt: skip
_NOT_OF_THE_MODEL = ("adapt", "auto_mapping", "class_names", "features_only", "out_indices")  # but of create_model
_MAX_BATCH_BYTES, _MAX_PATCHES = 64 * _GIB, 2**16
DECAYING_TO_MIN_LR = ("cosine_decay", "warmup_cosine_decay", "one_cycle", "cyclic")


def _top_k_has_validation(config: Options) -> str | None:
    """Return a complaint about ckpt_save_policy top_k without validation, else None."""
    if config.ckpt_save_policy == "top_k" and not config.val_while_train:
        return "ckpt_save_policy top_k ranks checkpoints by validation: pass --val_while_train True as well"
    return None


def _decay_decreases(config: Options) -> str | None:
    """Return a complaint about a min_lr above lr, if the scheduler goes from lr to min_lr, else None."""
    if config.scheduler in DECAYING_TO_MIN_LR and config.min_lr > config.lr:
        return f"min_lr {config.min_lr} is above lr {config.lr}: {config.scheduler} goes from lr to min_lr"
    return None


def _channels_match(config: Options) -> str | None:
    """Return a complaint about in_channels not 1 or 3, or mean and std without a value per channel, else None."""
    if config.in_channels not in (1, 3):
        return f"in_channels is {config.in_channels}; it must be 3, for colour, or 1, for greyscale"
    if len(config.mean) != len(config.std):
        return f"mean has {len(config.mean)} values, std has {len(config.std)}: give one of each per channel"
    if len(config.mean) != config.in_channels:
        one_of_each = "--mean 119 --std 58" if config.in_channels == 1 else "--mean 124 116 104 --std 58 57 57"
        return (
            f"in_channels is {config.in_channels}, but mean and std have {len(config.mean)} values: give one of each "
            f"per channel, as in {one_of_each}"
        )
    return None


def _mean_and_std_are_for_0_to_255(config: Options) -> str | None:
    """Return a complaint about a mean and std for pixels of 0 to 1, else None."""
    return pixel_scale_mistake(config.mean, config.std)


def _batches_fit_in_memory(config: Options) -> str | None:
    """Return a complaint about float32 batches that take over 64 GiB, with those that are prepared ahead, else None."""
    height, width = _sides(config.image_resize)
    size = 4 * config.in_channels * height * width * config.batch_size
    if size * (config.prefetch_size or 1) > _MAX_BATCH_BYTES:
        return (
            f"batch_size {config.batch_size} of {height}x{width} images takes {size / _GIB:.3g} GiB, "
            f"with {config.prefetch_size or 1} of them prepared ahead: lower batch_size or prefetch_size to stay below "
            f"{_MAX_BATCH_BYTES // _GIB} GiB"
        )
    return None


def _patches_are_few_enough(config: Options) -> str | None:
    """Return a complaint about images of more than 65,536 patches, else None."""
    (height, width), (patch_height, patch_width) = _sides(config.image_resize), _sides(config.patch_size)
    patches = (height // patch_height) * (width // patch_width)
    if patches > _MAX_PATCHES:
        return (
            f"image_resize {height}x{width} has {patches} patches, too many for attention: at most {_MAX_PATCHES}; "
            "lower image_resize or raise patch_size"
        )
    return None


def _sides(size: int | tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) of `size`, pixels; one number is both."""
    return size if isinstance(size, tuple) else (size, size)


def _nodes_are_consistent(config: Options) -> str | None:
    """Return a complaint about a node_rank not below num_nodes, or about several nodes, else None.

    Several nodes need distribute, and a master_addr that is not this machine's loopback address.
    """
    if config.node_rank >= config.num_nodes:
        return f"node_rank is {config.node_rank}; it must be below num_nodes, which is {config.num_nodes}"
    if config.num_nodes > 1 and not config.distribute:
        return f"num_nodes {config.num_nodes} without distribute: pass --distribute True as well"
    if config.num_nodes > 1 and config.master_addr in ("127.0.0.1", "localhost"):
        return (
            f"num_nodes {config.num_nodes} with master_addr {config.master_addr}: pass the address of machine 0 on "
            "every machine"
        )
    return None


def _restarts_have_a_launcher(config: Options) -> str | None:
    """Return a complaint about max_restarts without distribute, else None."""
    if config.max_restarts and not config.distribute:
        return (
            f"max_restarts {config.max_restarts} without distribute: pass --distribute True as well, with "
            "--num_devices 1 for a single worker"
        )
    return None


def _scaled_lr_has_a_base(config: Options) -> str | None:
    """Return a complaint about one of lr_scale and lr_base_batch without the other, else None."""
    if (config.lr_scale is None) != (config.lr_base_batch is None):
        return (
            f"lr_scale {config.lr_scale or 'none'} and lr_base_batch {config.lr_base_batch or 'none'} belong together: "
            "pass both or neither"
        )
    return None


def _ema_has_a_checkpoint(config: Options) -> str | None:
    """Return a complaint about use_ema without a checkpoint to load or resume, else None."""
    if config.use_ema and not (config.ckpt_path or config.resume or config.resume_opt):
        return "use_ema loads the moving averages of a checkpoint: pass --ckpt_path FILE as well"
    return None


def _kept_classifier_has_a_checkpoint(config: Options) -> str | None:
    """Return a complaint about keep_classifier without a checkpoint to load or resume, else None."""
    if config.keep_classifier and not (config.ckpt_path or config.resume or config.resume_opt):
        return "keep_classifier keeps the classifier of a checkpoint: pass --ckpt_path FILE as well"
    return None


def _aug_splits_are_compatible(config: Options) -> str | None:
    """Return a complaint about aug_splits without auto_augment, with mixing or a loss other than CE, else None."""
    if config.aug_splits and config.auto_augment is None:
        return f"aug_splits {config.aug_splits} needs a policy for its views: pass --auto_augment augmix-m3-w3 as well"
    if config.aug_splits and (config.mixup or config.cutmix):
        return f"aug_splits {config.aug_splits} needs unmixed images: pass --mixup 0 --cutmix 0"
    if config.aug_splits and config.loss != "CE":
        return f"aug_splits {config.aug_splits} extends cross-entropy: pass --loss CE, not {config.loss}"
    return None


def _repeats_are_shuffled(config: Options) -> str | None:
    """Return a complaint about aug_repeats above 1 without shuffle, else None."""
    if config.aug_repeats > 1 and not config.shuffle:
        return f"aug_repeats {config.aug_repeats} would repeat the same images every epoch: pass --shuffle True as well"
    return None


def _mixup_is_on_before_off_epoch(config: Options) -> str | None:
    """Return a complaint about mixup_off_epoch without mixup and cutmix, else None."""
    if config.mixup_off_epoch and not (config.mixup or config.cutmix):
        return f"mixup_off_epoch is {config.mixup_off_epoch}, but nothing is mixed: pass --mixup 0.8, for example"
    return None


def _switch_has_mixup_and_cutmix(config: Options) -> str | None:
    """Return a complaint about a changed mixup_switch_prob unless mixup and cutmix are both on, else None."""
    if config.mixup_switch_prob != 0.5 and not (config.mixup and config.cutmix):
        return f"mixup_switch_prob {config.mixup_switch_prob} chooses between mixup and cutmix: pass both above 0"
    return None


def _amp_options_are_used(config: Options) -> str | None:
    """Return a complaint about a changed amp_cast_list or amp_dtype if all is computed in float32, else None."""
    if config.amp_level == config.val_amp_level == "O0":
        if config.amp_cast_list:
            return "amp_cast_list chooses what runs in half precision, but nothing does: pass --amp_level O1 as well"
        if config.amp_dtype != "float16":
            return f"amp_dtype is {config.amp_dtype}, but nothing runs in half precision: pass --amp_level O1 as well"
    return None


def _flash_attention_has_half_precision(config: Options) -> str | None:
    """Return a complaint about attn_impl flash in float32, everywhere or in a training run's validation, else None."""
    if config.attn_impl == "flash":
        if config.amp_level == config.val_amp_level == "O0":
            return "attn_impl flash computes in half precision: pass --amp_level O2 as well, or --attn_impl separable"
        if config.val_while_train and config.val_amp_level == "O0":
            return (
                "attn_impl flash computes in half precision, in validation too: pass --val_amp_level O2, or "
                "--attn_impl separable"
            )
    return None


def _engine_computes_in_float32(config: Options) -> str | None:
    """Return a complaint about engine onnxruntime with a val_amp_level other than O0, else None."""
    if config.engine == "onnxruntime" and config.val_amp_level != "O0":
        return "engine onnxruntime computes in float32: pass --val_amp_level O0, or --engine mindspore"
    return None


def _model_args_have_no_option(config: Options) -> str | None:
    """Return a complaint about the first of model_args that an option gives or that is not the model's, else None."""
    for name, value in (config.model_args or {}).items():
        if name in _OPTION_OF:
            return f"model_args: {name} has an option of its own: pass --{_OPTION_OF[name]} {show(value)} instead"
        if name in _NOT_OF_THE_MODEL:
            return f"model_args: {name} is an argument of create_model, not of a model's constructor: leave it out"
    return None


def _resume_changes_are_options(config: Options) -> str | None:
    """Return a complaint about the first name in resume_changes that is not an option, else None."""
    for name in config.resume_changes or ():
        if name not in OPTIONS:
            return f"resume_changes: {unknown_option(name)}"
    return None


def _clip_mode_is_used(config: Options) -> str | None:
    """Return a complaint about a changed clip_mode without clip_grad, else None."""
    if config.clip_mode != "norm" and not config.clip_grad:
        return f"clip_mode is {config.clip_mode}, but nothing is clipped: pass --clip_grad True as well"
    return None


CHECKS: tuple[Callable[[Options], str | None], ...] = (
    _top_k_has_validation,
    _decay_decreases,
    _channels_match,
    _mean_and_std_are_for_0_to_255,
    _batches_fit_in_memory,
    _patches_are_few_enough,
    _nodes_are_consistent,
    _restarts_have_a_launcher,
    _scaled_lr_has_a_base,
    _ema_has_a_checkpoint,
    _kept_classifier_has_a_checkpoint,
    _aug_splits_are_compatible,
    _repeats_are_shuffled,
    _mixup_is_on_before_off_epoch,
    _switch_has_mixup_and_cutmix,
    _amp_options_are_used,
    _flash_attention_has_half_precision,
    _clip_mode_is_used,
    _engine_computes_in_float32,
    _model_args_have_no_option,
    _resume_changes_are_options,
)
