"""The calls of MindCV's training and validation scripts, from the command line to the batches and the optimizer."""

import pytest

from mindcv.data import create_dataset, create_loader, create_transforms
from mindcv.loss import create_loss
from mindcv.models import ConViT
from mindcv.optim import create_optimizer
from mindcv.scheduler import create_scheduler
from mindcv.utils import get_metrics, parse_args, require_customized_train_step
from tests.images import write_image_folder

COMMAND = (
    "--dataset ImageNet --device_target cpu --image_resize 32 --batch_size 4 --epoch_size 2 --num_samples 100 "
    "--mixup 0.2 --scale [0.08, 1.0] --color_jitter [0.4, 0.4, 0.4] --re_prob 0.5 --val_while_train "
    "--num_parallel_workers 1"
)


@pytest.fixture
def folder(tmp_path):
    return write_image_folder(tmp_path, {"train": 5, "val": 1}, ["dogs", "wolves"])


@pytest.mark.parametrize("recipe", ["", "dataset: ''\nfilter_bias_and_bn: True\nweight_decay: 0.1\nopt: adamw\n"])
def test_calls_of_mindcvs_scripts_go_through(folder, tmp_path, recipe):
    words = COMMAND.split()
    if recipe:
        (tmp_path / "recipe.yaml").write_text(recipe)
        words = ["-c", str(tmp_path / "recipe.yaml"), *words[2:]]
    args = parse_args([*words, "--data_dir", str(folder)])
    common = {"name": args.dataset, "root": args.data_dir, "num_shards": None, "shard_id": None,
              "num_parallel_workers": args.num_parallel_workers, "download": args.dataset_download}  # fmt: skip
    training = create_dataset(
        split=args.train_split, shuffle=args.shuffle, num_samples=args.num_samples, num_aug_repeats=args.aug_repeats,
        **common,
    )  # fmt: skip
    assert training.num_classes() == 2 and training.get_dataset_size() == 10
    names = "scale ratio hflip vflip color_jitter interpolation auto_augment mean std re_prob re_scale re_value"
    options = {name: getattr(args, name) for name in names.split()}
    transform = create_transforms(args.dataset, args.image_resize, is_training=True, separate=False, **options)
    loader = create_loader(
        dataset=training, batch_size=args.batch_size, drop_remainder=args.drop_remainder, is_training=True,
        mixup=args.mixup, cutmix=args.cutmix, cutmix_prob=args.cutmix_prob, num_classes=2, transform=transform,
        num_parallel_workers=args.num_parallel_workers, separate=False,
    )  # fmt: skip
    shapes = [(images.shape, labels.shape) for images, labels in loader.create_tuple_iterator()]
    assert shapes == [((4, 3, 32, 32), (4, 2))] * 2
    evaluation = create_dataset(split=args.val_split, **common)
    assert evaluation.num_classes() == 2 and evaluation.get_dataset_size() == 2

    model = ConViT(image_size=32, patch_size=16, embed_dim=32, depth=2, num_heads=2, local_up_to_layer=1, num_classes=2)
    with pytest.warns(UserWarning, match="takes 103 epochs and is cut at num_epochs 2"):
        rates = create_scheduler(
            loader.get_dataset_size(), scheduler=args.scheduler, lr=args.lr, min_lr=args.min_lr,
            warmup_epochs=args.warmup_epochs, warmup_factor=args.warmup_factor, decay_epochs=args.decay_epochs,
            decay_rate=args.decay_rate, milestones=args.multi_step_decay_milestones, num_epochs=args.epoch_size,
            num_cycles=args.num_cycles, cycle_decay=args.cycle_decay, lr_epoch_stair=args.lr_epoch_stair,
        )  # fmt: skip
    assert len(rates) == 4
    optimizer = create_optimizer(
        model, opt=args.opt, lr=rates, weight_decay=args.weight_decay, momentum=args.momentum,
        nesterov=args.use_nesterov, weight_decay_filter=args.weight_decay_filter, layer_decay=args.layer_decay,
        loss_scale=args.loss_scale, checkpoint_path="", eps=args.eps,
    )  # fmt: skip
    assert set(optimizer.weight_decays) == ({0.0, 0.1} if recipe else {1e-6})
    assert int(optimizer.global_step.asnumpy()[0]) == 0 and optimizer.dynamic_lr
    create_loss(args.loss, reduction=args.reduction, label_smoothing=args.label_smoothing, aux_factor=args.aux_factor)
    assert len(get_metrics(training.num_classes())) == 1
    assert not require_customized_train_step(
        args.ema, args.clip_grad, args.gradient_accumulation_steps, args.amp_cast_list
    )
