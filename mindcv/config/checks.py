"""What no single option can tell: values that contradict each other. Each check returns its complaint."""

_USE_MIN_LR = ("cosine_decay", "warmup_cosine_decay", "one_cycle", "cyclic")


def _top_k_needs_scores(config):
    if config.ckpt_save_policy == "top_k" and not config.val_while_train:
        return "ckpt_save_policy top_k ranks checkpoints by validation: pass --val_while_train True as well"


def _decay_goes_down(config):
    if config.scheduler in _USE_MIN_LR and config.min_lr > config.lr:
        return f"min_lr {config.min_lr} is above lr {config.lr}: {config.scheduler} goes from lr to min_lr"


def _mean_and_std_agree(config):
    if len(config.mean) != len(config.std):
        return f"mean has {len(config.mean)} values, std has {len(config.std)}: give one of each per channel"


CHECKS = (_top_k_needs_scores, _decay_goes_down, _mean_and_std_agree)
