from contextlib import nullcontext

import mindspore.dataset as ds
import numpy as np
import pytest
from mindspore.dataset.transforms import OneHot
from PIL import Image

from mindcv.data import create_dataset, create_loader, create_transforms, epoch_order
from mindcv.data.datasets.arrays import ArraySource
from mindcv.data.datasets.subset import Subset

EVERYTHING = {"re_prob": 0.5, "re_value": "random", "vflip": 0.3}
MIXING = {"mixup": 0.2, "cutmix": 1.0, "cutmix_prob": 1.0, "num_classes": 10}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for i in range(24):
        folder = root / "train" / f"class{i % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        small = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        small.resize((60, 40), Image.BICUBIC).save(folder / f"{i:02}.jpg")
    return str(root)


def training(root, workers=2, batch_size=8, **where):
    name = "folder" if root else "digits"
    where = where if root else {"num_samples": 100, **where}
    dataset = create_dataset(name, root, num_parallel_workers=workers, **where)
    transform = create_transforms(name, 32, True, **EVERYTHING)
    return create_loader(dataset, batch_size, True, True, transform=transform, num_parallel_workers=workers, **MIXING)


def epoch(loader):
    return list(loader.create_tuple_iterator(num_epochs=1, output_numpy=True))


def same(first, second):
    return len(first) == len(second) and all(
        np.array_equal(a, b) for x, y in zip(first, second, strict=True) for a, b in zip(x, y, strict=True)
    )


def test_create_loader_training_batches_have_soft_labels(root):
    loader = training(root)
    assert loader.get_dataset_size() == 3
    assert loader.output_shapes() == [[8, 3, 32, 32], [8, 10]]
    for image, label in epoch(loader):
        assert image.shape == (8, 3, 32, 32) and image.dtype == np.float32
        assert label.shape == (8, 10) and label.dtype == np.float32
        np.testing.assert_allclose(label.sum(1), 1, atol=1e-6)
        assert (label[:, 3:] == 0).all()  # mixed, but not smoothed
    assert loader.create_dict_iterator(num_epochs=1).__next__().keys() == {"image", "label"}


def test_create_loader_evaluation_batches_keep_order_and_remainder(root):
    dataset = create_dataset("folder", root, shuffle=False)
    batches = epoch(create_loader(dataset, 10, transform=create_transforms("folder", 16)))
    assert [len(image) for image, _ in batches] == [10, 10, 4]
    assert np.concatenate([label for _, label in batches]).tolist() == [0] * 8 + [1] * 8 + [2] * 8
    assert batches[0][1].dtype == np.int32


@pytest.mark.parametrize("data", ["folder", "digits"])
@pytest.mark.parametrize("workers", [1, 2])
def test_create_loader_rebuilt_with_epoch_is_bit_identical(root, data, workers):
    root = root if data == "folder" else None
    loader = training(root, workers, seed=3)
    epochs = [epoch(loader) for _ in range(3)]
    assert not same(epochs[0], epochs[1])
    for i in range(3):
        assert same(epochs[i], epoch(training(root, workers, seed=3, epoch=i)))
    assert not same(epochs[0], epoch(training(root, workers, seed=4)))


def test_create_loader_augments_every_epoch_differently():
    """MindSpore's random operations differ between epochs, even without shuffling, mixing and erasing."""
    transform = create_transforms("digits", 8, True, hflip=0.5)
    dataset = create_dataset("digits", split="val", shuffle=False)
    loader = create_loader(dataset, 64, True, True, transform=transform, num_parallel_workers=2)
    first, second = epoch(loader), epoch(loader)
    assert all((a[0] != b[0]).any(axis=(1, 2, 3)).mean() > 0.9 for a, b in zip(first, second, strict=True))


def test_create_loader_mixes_every_batch_differently():
    def mixing_weights(passes):
        return [np.unique(label[0][label[0] > 0]).round(6).tolist() for batches in passes for _, label in batches]

    build = {"shuffle": False, "num_samples": 100}
    loader = training(None, **build)
    separately = mixing_weights(epoch(loader) for _ in range(3))
    iterator = training(None, **build).create_tuple_iterator(num_epochs=3, output_numpy=True)
    together = mixing_weights(list(iterator) for _ in range(3))
    assert separately == together  # one iterator of three passes, or three of one
    # CutMix's weights are whole pixels; the others are mixup's.
    blended = [tuple(weights) for weights in separately if 0.01 < weights[0] * 32**2 % 1 < 0.99]
    assert len(blended) > 5 and len(set(blended)) == len(blended)


def test_create_loader_with_mixup_off_epoch_stops_mixing():
    transform = create_transforms("digits", 8, True)
    dataset = create_dataset("digits", num_samples=32)
    loader = create_loader(dataset, 16, True, True, transform=transform, mixup_off_epoch=2, **MIXING)
    iterator = loader.create_tuple_iterator(num_epochs=3, output_numpy=True)
    passes = [np.concatenate([label for _, label in iterator]) for _ in range(3)]
    assert [set(np.unique(labels)) == {0, 1} for labels in passes] == [False, False, True]
    assert passes[2].shape == (32, 10) and passes[2].dtype == np.float32
    dataset = create_dataset("digits", num_samples=32, epoch=2)
    ((_, labels), _) = epoch(create_loader(dataset, 16, True, True, transform=transform, mixup_off_epoch=2, **MIXING))
    np.testing.assert_array_equal(labels, passes[2][:16])


def test_create_loader_shards_mix_differently_and_see_all_images():
    transform = create_transforms("digits", 8, crop_pct=1.0)
    build = {"transform": transform, "drop_remainder": True, "num_parallel_workers": 1}
    one_device = epoch(create_loader(create_dataset("digits", split="val", seed=1), 40, **build))
    shards = [
        epoch(create_loader(create_dataset("digits", split="val", seed=1, num_shards=4, shard_id=k), 10, **build))
        for k in range(4)
    ]
    assert len(one_device) == len(shards[0]) == 8
    for step, (images, _) in enumerate(one_device):
        together = np.concatenate([shard[step][0] for shard in shards])
        assert sorted(i.tobytes() for i in together) == sorted(i.tobytes() for i in images)
    mixed = [training(None, 1, num_shards=2, shard_id=k, shuffle=False) for k in range(2)]
    lam = [np.unique(label.round(4)) for _, label in map(next, map(iter, map(epoch, mixed)))]
    assert len(lam[0]) != len(lam[1]) or not np.allclose(lam[0], lam[1])


@pytest.mark.parametrize("shards, batch_size", [(1, 100), (2, 64), (3, 7)])
def test_create_loader_padded_evaluation_counts_every_image_once(shards, batch_size):
    transform = create_transforms("digits", 8)
    counts = np.zeros(10, int)
    for shard in range(shards):
        dataset = create_dataset(
            "digits",
            split="val",
            shuffle=False,
            pad_to=shards * batch_size,
            num_shards=shards,
            shard_id=shard,
        )
        batches = epoch(create_loader(dataset, batch_size, transform=transform, num_parallel_workers=1))
        assert {len(label) for _, label in batches} == {batch_size}
        counts += sum(np.bincount(label[label >= 0], minlength=10) for _, label in batches)
    np.testing.assert_array_equal(counts, np.bincount(create_dataset("digits", split="val").source.labels))


def test_create_loader_default_transform_decodes_files(root):
    assert epoch(create_loader(create_dataset("folder", root), 4))[0][0].shape == (4, 3, 224, 224)
    dataset = create_dataset("digits", split="val", num_samples=4)
    assert epoch(create_loader(dataset, 4, is_training=True))[0][0].shape == (4, 3, 224, 224)


def test_create_loader_applies_target_transform():
    dataset = create_dataset("digits", split="val", shuffle=False, num_samples=8)
    order = dataset.source.labels[epoch_order(len(dataset.source), num_samples=8)]
    transform = create_transforms("digits", 8)
    loader = create_loader(dataset, 8, transform=transform, target_transform=lambda y: np.int32(9 - y))
    np.testing.assert_array_equal(epoch(loader)[0][1], 9 - order)


def test_create_loader_accepts_other_data_sets_with_transform():
    images = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3), dtype=np.uint8)
    dataset = ds.NumpySlicesDataset((images, np.arange(10, dtype=np.int32)), ["image", "label"], shuffle=False)
    transform = create_transforms("digits", 8, crop_pct=1.0, mean=[0] * 3, std=[1] * 3)
    ((image, _), _) = epoch(create_loader(dataset, 5, transform=transform))
    np.testing.assert_allclose(image, images[:5].transpose(0, 3, 1, 2))


def test_create_loader_without_transform_decodes_a_mindspore_image_folder_with_a_warning(root):
    with pytest.warns(UserWarning, match="taken for encoded ones"):
        loader = create_loader(ds.ImageFolderDataset(f"{root}/train", shuffle=False), 4)
    ours = create_loader(create_dataset("folder", root, shuffle=False), 4)
    assert same(epoch(loader), epoch(ours))


def test_create_loader_takes_the_fine_labels_of_mindspores_cifar_100():
    columns = (np.zeros((4, 8, 8, 3), np.uint8), np.arange(4, dtype=np.int32), np.zeros(4, np.int32))
    dataset = ds.NumpySlicesDataset(columns, ["image", "fine_label", "coarse_label"], shuffle=False)
    ((_, labels),) = epoch(create_loader(dataset, 4, transform=create_transforms("digits", 8)))
    np.testing.assert_array_equal(labels, np.arange(4))


@pytest.mark.parametrize("target_transform", [None, OneHot(10)])
def test_create_loader_with_mixup_of_probability_0_softens_labels_and_mixes_no_image(target_transform):
    def batch(**more):
        dataset = create_dataset("digits", split="val", num_samples=8, shuffle=False)
        return create_loader(
            dataset, 8, is_training=True, num_classes=10, transform=create_transforms("digits", 8), **more
        )

    ((plain, indices),) = epoch(batch())
    with pytest.warns(UserWarning, match="never act: pass cutmix_prob above 0"):
        loader = batch(mixup=1, target_transform=target_transform)
    ((images, labels),) = epoch(loader)
    np.testing.assert_array_equal(images, plain)
    np.testing.assert_array_equal(labels, np.eye(10)[indices])


def test_create_loader_mixes_one_hot_labels_as_it_mixes_class_indices():
    build = {"transform": create_transforms("digits", 8), "is_training": True, "num_classes": 10, "mixup": 1.0}
    by_index, by_row = (
        epoch(
            create_loader(
                create_dataset("digits", split="val", num_samples=8, shuffle=False),
                8,
                cutmix_prob=1.0,
                target_transform=target,
                **build,
            )
        )
        for target in (None, OneHot(10))
    )
    assert same(by_index, by_row)


def test_create_loader_in_evaluation_ignores_mixing_and_views_with_a_warning():
    transform = create_transforms("digits", 8, False, "augmix", separate=True)
    plain = create_loader(create_dataset("digits", split="val", num_samples=8, shuffle=False), 8, transform=transform)
    dataset = create_dataset("digits", split="val", num_samples=8, shuffle=False)
    with pytest.warns(UserWarning) as warned:
        loader = create_loader(dataset, 8, transform=transform, mixup=1, cutmix_prob=1.0, separate=True)
    assert same(epoch(loader), epoch(plain))
    messages = [str(warning.message).split(":")[0] for warning in warned]
    assert messages == ["mixup 1 and cutmix 0.0 are for training", "separate views are for training"]


@pytest.mark.parametrize("color_jitter", [0.4, None])
def test_create_loader_separate_without_a_policy_jitters_the_colours_of_all_views_but_the_first(color_jitter):
    plain = {"scale": (1, 1), "ratio": (1, 1), "hflip": 0, "color_jitter": color_jitter}
    transform = create_transforms("digits", 8, True, separate=True, **plain)
    dataset = create_dataset("digits", split="val", num_samples=4, shuffle=False)
    context = nullcontext() if color_jitter else pytest.warns(UserWarning, match="views of an image are equal")
    with context:
        loader = create_loader(dataset, 4, is_training=True, transform=transform, separate=True)
    ((images, labels),) = epoch(loader)
    clean, second, third = np.split(images, 3)
    for other, image in ((clean, second), (clean, third), (second, third)):
        assert np.array_equal(image, other) is (color_jitter is None)
    np.testing.assert_array_equal(labels, np.tile(dataset.source.labels[:4], 3))


def policy_batches(workers=2, text="randaug-m9-mstd0.5-inc1", batch_size=8, passes=1, name="digits", **where):
    plain = {"scale": (1, 1), "ratio": (1, 1), "hflip": 0, "mean": [0] * 3, "std": [1] * 3}
    dataset = create_dataset(name, num_parallel_workers=workers, **{"num_samples": 40, "seed": 3, **where})
    transform = create_transforms("digits", 16, True, text, **plain)
    loader = create_loader(dataset, batch_size, True, True, transform=transform, num_parallel_workers=workers)
    assert loader.get_col_names() == ["image", "label"]
    iterator = loader.create_tuple_iterator(num_epochs=passes, output_numpy=True)
    return [list(iterator) for _ in range(passes)]


@pytest.mark.parametrize("text", ["randaug-m9-mstd0.5-inc1", "augmix-m3-w3"])
def test_create_loader_policy_does_not_depend_on_workers(text):
    passes = policy_batches(text=text, passes=2)
    assert not same(*passes)
    for number, batches in enumerate(passes):
        for workers in (1, 2):
            assert same(batches, policy_batches(workers, text, epoch=number)[0])
    assert not same(passes[0], policy_batches(text=text, seed=4)[0])


def test_create_loader_policy_draws_differently_for_every_image():
    """Show one image in all epochs, positions and shards."""

    class SameImage:
        encoded, class_names, splits, labels = False, ["a"], [], np.zeros(64, np.int32)

        def __len__(self):
            return 64

        def __getitem__(self, i):
            return np.arange(768, dtype=np.uint8).reshape(16, 16, 3), np.int32(0)

    def images(shard, epoch):
        where = {"num_samples": None, "num_shards": 2, "shard_id": shard, "epoch": epoch}
        ((batch, _),) = policy_batches(text="randaug-m9-mstd0.5-p1-n3", batch_size=32, name=SameImage(), **where)[0]
        return [image.tobytes() for image in batch]

    together = [image for shard in (0, 1) for epoch in (0, 1) for image in images(shard, epoch)]
    assert len(together) == 128 and len(set(together)) > 115


def test_create_loader_accepts_other_data_sets_with_policy():
    images = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3), dtype=np.uint8)
    dataset = ds.NumpySlicesDataset((images, np.arange(10, dtype=np.int32)), ["image", "label"], shuffle=False)
    loader = create_loader(dataset, 10, transform=create_transforms("digits", 8, True, "trivialaugwide"))
    first, second = epoch(loader)[0], epoch(loader)[0]
    assert not np.array_equal(first[0], second[0]) and np.array_equal(first[1], np.arange(10))


@pytest.mark.parametrize("separate, views", [(True, 3), (2, 2)])
def test_create_loader_separate_keeps_first_view_clean(separate, views):
    plain = {"scale": (1, 1), "ratio": (1, 1), "hflip": 0, "mean": [0] * 3, "std": [1] * 3}
    transform = create_transforms("digits", 8, True, "augmix-m9-w3", separate=True, re_prob=1.0, re_value=7, **plain)
    dataset = create_dataset("digits", num_samples=20, shuffle=False)
    loader = create_loader(dataset, 10, True, True, transform=transform, separate=separate)
    source = dataset.source
    for number, (images, labels) in enumerate(epoch(loader)):
        assert images.shape == (10 * views, 3, 8, 8) and images.dtype == np.float32
        np.testing.assert_array_equal(labels, np.tile(source.labels[10 * number : 10 * number + 10], views))
        clean = [source[10 * number + i][0].transpose(2, 0, 1) for i in range(10)]
        np.testing.assert_array_equal(images[:10], clean)  # neither augmented nor erased
        for view in range(1, views):
            others = images[10 * view : 10 * view + 10]
            assert ((others == 7).any(axis=(1, 2, 3))).all()
            assert not any(np.array_equal(a, b) for a, b in zip(images[:10], others, strict=True))


def test_create_loader_python_multiprocessing_gives_same_batches():
    dataset = create_dataset("digits", split="val", num_samples=8, seed=1)
    build = {"transform": create_transforms("digits", 8, True, re_prob=1.0), "num_parallel_workers": 1}
    threads = epoch(create_loader(dataset, 4, is_training=True, **build))
    dataset = create_dataset("digits", split="val", num_samples=8, seed=1)
    assert same(threads, epoch(create_loader(dataset, 4, is_training=True, python_multiprocessing=True, **build)))


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            {"batch_size": 25, "drop_remainder": True},
            "no full batch: 24 images for this device and a batch_size of 25",
        ),
        ({"batch_size": 0}, "batch_size is 0; it must be at least 1"),
        (
            {"batch_size": 4, "separate": True, "is_training": True, "transform": []},
            "need the three lists of create_transforms",
        ),
        (
            {"batch_size": 4, "separate": True, "is_training": True, "transform": ([], [1, 2], [])},
            "need one policy that makes them differ, got 2",
        ),
        (
            {"batch_size": 4, "separate": True, "is_training": True, "mixup": 0.2, "cutmix_prob": 1.0},
            "views and mixup or cutmix do not go together",
        ),
        ({"batch_size": 4, "transform": create_transforms("", 8)[::-1]}, "go last"),
    ],
)
def test_create_loader_with_invalid_argument_raises(root, arguments, message):
    with pytest.raises(ValueError, match=message):
        create_loader(create_dataset("folder", root), **arguments)


def test_create_loader_does_not_overwrite_batches_that_are_kept(root):
    """Memory of batches is reused, but only after they are deleted."""
    loader = training(root, 2, batch_size=2, seed=3)
    kept = epoch(loader)
    epoch(loader)
    assert same(kept, epoch(training(root, 2, batch_size=2, seed=3)))


def array_source(labels, class_names=("a", "b", "c")):
    """Return grey images with `labels`, which may be out of range."""
    source = ArraySource(np.zeros((len(labels), 8, 8), np.uint8), np.zeros(len(labels), int), class_names, [])
    source.labels = np.array(labels, np.int32)
    return source


@pytest.mark.parametrize("labels, message", [
    ([1, 2, 3, 1], "image 2 of the data: got label 3, wanted 0 to 2: num_classes is 3 and the data names 3 classes"),
    ([0, -1, 1, -100], r"image 1 of the data: got label -1 \(and 1 more such labels\), wanted 0 to 2: "),
])  # fmt: skip
def test_create_loader_label_out_of_range_raises_before_loading(labels, message):
    transform = create_transforms("digits", 8)
    with pytest.raises(ValueError, match=message):
        create_loader(create_dataset(array_source(labels)), 2, num_classes=3, transform=transform)


def test_create_loader_label_beyond_num_classes_names_the_file(root):
    dataset = create_dataset("folder", root)
    message = (
        r"class2/02.jpg: got label 2 \(and 7 more such labels\), wanted 0 to 1: num_classes is 2 and the data names 3"
    )
    with pytest.raises(ValueError, match=message):
        create_loader(dataset, 4, num_classes=2)
    with pytest.raises(ValueError, match="image 20 of the data: got label 1, wanted 0 to 0"):
        create_loader(create_dataset(Subset(array_source([0] * 20 + [1]), np.arange(20, 21))), 1, num_classes=1)


def loaded(dataset, **options):
    transform = create_transforms("digits", 8)
    return epoch(create_loader(dataset, 2, num_classes=3, transform=transform, num_parallel_workers=1, **options))


def mindspore_dataset(labels):
    """Return a data set that create_dataset did not make."""
    images = np.zeros((len(labels), 8, 8, 3), np.uint8)
    return ds.NumpySlicesDataset((images, np.array(labels)), ["image", "label"], shuffle=False)


def test_create_loader_checks_labels_of_other_data_sets_by_batch():
    for label in (3, -2):
        with pytest.raises(RuntimeError, match=rf"image 3 of the epoch: got label {label}, wanted 0 to 2"):
            loaded(mindspore_dataset([0, 1, 2, label, 0, 0]))
    assert loaded(mindspore_dataset([0, 1, 2, -1]))[-1][1].tolist() == [2, -1]
    with pytest.raises(RuntimeError, match="image 3 of the epoch: got label -1, wanted 0 to 2"):
        loaded(mindspore_dataset([0, 1, 2, -1]), is_training=True)


def test_create_loader_checks_labels_after_target_transform():
    dataset = create_dataset(array_source([1, 2, 3, 1]), shuffle=False)
    batches = loaded(dataset, target_transform=lambda label: label - np.int32(1))
    assert np.concatenate([labels for _, labels in batches]).tolist() == [0, 1, 2, 0]


@pytest.mark.parametrize(
    ("function", "argument", "message"),
    [
        (create_loader, "mixup_prob", "create_loader has no argument 'mixup_prob'; use cutmix_prob"),
        (create_loader, "batchsize", "create_loader has no argument 'batchsize'; did you mean 'batch_size'"),
        (create_dataset, "data_dir", "create_dataset has no argument 'data_dir'; use root"),
        (create_dataset, "shufle", "create_dataset has no argument 'shufle'; did you mean 'shuffle'"),
    ],
)
def test_unknown_argument_names_the_one_to_use(function, argument, message):
    with pytest.raises(TypeError, match=message):
        function(**{argument: 1})
