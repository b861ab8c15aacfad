"""What no single option can tell: values that contradict each other. Each check returns its complaint."""

from mindcv.config.options import OPTIONS, unknown_option
from mindcv.errors import pixel_scale_mistake

_GIB = 2**30
_MOST_BYTES, _MOST_PATCHES = 64 * _GIB, 2**16
DECAYING_TO_MIN_LR = ("cosine_decay", "warmup_cosine_decay", "one_cycle", "cyclic")


def _top_k_needs_scores(config):
    if config.ckpt_save_policy == "top_k" and not config.val_while_train:
        return "ckpt_save_policy top_k ranks checkpoints by validation: pass --val_while_train True as well"


def _decay_goes_down(config):
    if config.scheduler in DECAYING_TO_MIN_LR and config.min_lr > config.lr:
        return f"min_lr {config.min_lr} is above lr {config.lr}: {config.scheduler} goes from lr to min_lr"


def _channels_agree(config):
    if config.in_channels not in (1, 3):
        return f"in_channels is {config.in_channels}; images are read in colour, which is 3, or in grey, which is 1"
    if len(config.mean) != len(config.std):
        return f"mean has {len(config.mean)} values, std has {len(config.std)}: give one of each per channel"
    if len(config.mean) != config.in_channels:
        one_of_each = "--mean 119 --std 58" if config.in_channels == 1 else "--mean 124 116 104 --std 58 57 57"
        return (
            f"in_channels is {config.in_channels}, but mean and std have {len(config.mean)} values: give one of each "
            f"per channel, as in {one_of_each}"
        )


def _mean_and_std_are_of_0_to_255(config):
    return pixel_scale_mistake(config.mean, config.std)


def _batches_fit_in_memory(config):
    height, width = _sides(config.image_resize)
    size = 4 * config.in_channels * height * width * config.batch_size
    if size * (config.prefetch_size or 1) > _MOST_BYTES:
        return (
            f"batch_size {config.batch_size} of {height}x{width} images takes {size / _GIB:.3g} GiB, "
            f"{config.prefetch_size or 1} of them made ahead: lower batch_size or prefetch_size to stay below "
            f"{_MOST_BYTES // _GIB} GiB"
        )


def _patches_can_be_compared(config):
    (height, width), (patch_height, patch_width) = _sides(config.image_resize), _sides(config.patch_size)
    patches = (height // patch_height) * (width // patch_width)
    if patches > _MOST_PATCHES:
        return (
            f"image_resize {height}x{width} has {patches} patches, and attention compares each with all: at most "
            f"{_MOST_PATCHES}; lower image_resize or raise patch_size"
        )


def _sides(size):
    return size if isinstance(size, tuple) else (size, size)


def _nodes_make_sense(config):
    if config.node_rank >= config.num_nodes:
        return f"node_rank {config.node_rank} is not one of num_nodes {config.num_nodes}: they count from 0"
    if config.num_nodes > 1 and not config.distribute:
        return f"num_nodes {config.num_nodes} without distribute: pass --distribute True as well"
    if config.num_nodes > 1 and config.master_addr in ("127.0.0.1", "localhost"):
        return f"num_nodes {config.num_nodes} with master_addr {config.master_addr}: give machine 0's address to all"


def _restarts_need_a_launcher(config):
    if config.max_restarts and not config.distribute:
        return (
            f"max_restarts {config.max_restarts} without distribute: pass --distribute True too, and to train alone "
            "--num_devices 1"
        )


def _scaled_rate_has_a_base(config):
    if (config.lr_scale is None) != (config.lr_base_batch is None):
        return (
            f"lr_scale {config.lr_scale or 'none'} and lr_base_batch {config.lr_base_batch or 'none'} go together: "
            "pass both, or neither"
        )


def _averages_are_in_a_checkpoint(config):
    if config.use_ema and not (config.ckpt_path or config.resume or config.resume_opt):
        return "use_ema takes the moving averages of a checkpoint: pass --ckpt_path FILE as well"


def _classifier_is_in_a_checkpoint(config):
    if config.keep_classifier and not (config.ckpt_path or config.resume or config.resume_opt):
        return "keep_classifier keeps the classifier of a checkpoint: pass --ckpt_path FILE as well"


def _views_differ(config):
    if config.aug_splits and config.auto_augment is None:
        return f"aug_splits {config.aug_splits} shows views made by a policy: pass --auto_augment augmix-m3-w3 as well"
    if config.aug_splits and (config.mixup or config.cutmix):
        return f"aug_splits {config.aug_splits} compares views of one image: pass --mixup 0 --cutmix 0"
    if config.aug_splits and config.loss != "CE":
        return f"aug_splits {config.aug_splits} adds to cross-entropy: pass --loss CE, not {config.loss}"


def _repeats_need_a_shuffle(config):
    if config.aug_repeats > 1 and not config.shuffle:
        return f"aug_repeats {config.aug_repeats} would show the same images every epoch: pass --shuffle True as well"


def _mixing_can_be_switched_off(config):
    if config.mixup_off_epoch and not (config.mixup or config.cutmix):
        return f"mixup_off_epoch is {config.mixup_off_epoch}, but nothing is mixed: pass --mixup 0.8, say"


def _mixup_and_cutmix_switch(config):
    if config.mixup_switch_prob != 0.5 and not (config.mixup and config.cutmix):
        return f"mixup_switch_prob {config.mixup_switch_prob} chooses between mixup and cutmix: pass both above 0"


def _half_precision_is_used(config):
    if config.amp_level == config.val_amp_level == "O0":
        if config.amp_cast_list:
            return "amp_cast_list says what runs in half precision, but nothing does: pass --amp_level O1 as well"
        if config.amp_dtype != "float16":
            return f"amp_dtype is {config.amp_dtype}, but nothing runs in it: pass --amp_level O1 as well"


def _flash_attention_is_in_half_precision(config):
    if config.attn_impl == "flash":
        if config.amp_level == config.val_amp_level == "O0":
            return "attn_impl flash computes in half precision: pass --amp_level O2 too, or --attn_impl separable"
        if config.val_while_train and config.val_amp_level == "O0":
            return (
                "attn_impl flash computes in half precision, in validation too: pass --val_amp_level O2, or "
                "--attn_impl separable"
            )


def _changes_name_options(config):
    for name in config.resume_changes or ():
        if name not in OPTIONS:
            return f"resume_changes: {unknown_option(name)}"


def _clipping_is_on(config):
    if config.clip_mode != "norm" and not config.clip_grad:
        return f"clip_mode is {config.clip_mode}, but nothing is clipped: pass --clip_grad True as well"


CHECKS = (
    _top_k_needs_scores,
    _decay_goes_down,
    _channels_agree,
    _mean_and_std_are_of_0_to_255,
    _batches_fit_in_memory,
    _patches_can_be_compared,
    _nodes_make_sense,
    _restarts_need_a_launcher,
    _scaled_rate_has_a_base,
    _averages_are_in_a_checkpoint,
    _classifier_is_in_a_checkpoint,
    _views_differ,
    _repeats_need_a_shuffle,
    _mixing_can_be_switched_off,
    _mixup_and_cutmix_switch,
    _half_precision_is_used,
    _flash_attention_is_in_half_precision,
    _clipping_is_on,
    _changes_name_options,
)
