"""Test that the model card has the rows that benchmarks/ascend.py computes, and that their figures are right."""

from pathlib import Path

import pytest

from benchmarks.ascend import HEAD, TIME_HEAD, Device, activation_bytes, all_reduce_seconds, row, time_row
from mindcv.models import ConViT

CARD = Path(__file__).parents[2] / "configs/convit/README.md"


@pytest.mark.parametrize(("head", "make_row"), [(HEAD, row), (TIME_HEAD, time_row)])
@pytest.mark.parametrize("name", ["convit_tiny", pytest.param("convit_base_plus", marks=pytest.mark.slow)])
def test_row_is_in_model_card(name, head, make_row):
    lines = CARD.read_text().splitlines()
    table = lines[lines.index(head.splitlines()[0]) :]
    assert make_row(name) in table


def test_all_reduce_over_two_hosts_adds_links_and_network():
    """800 bytes: each of 8 devices sends and receives 7/8 of them by its links, and half of its share of 100 bytes."""
    device = Device(flops=1, memory=1, link=100, network=10)
    assert all_reduce_seconds(800, 8, device) == pytest.approx(2 * 700 / 100)
    assert all_reduce_seconds(800, 16, device) == pytest.approx(2 * 700 / 100 + 2 * 50 / 10)


def test_activation_bytes_of_small_model_match_hand_count():
    """Two heads of width 16 on 4 patches: a GPSA block, and an MHSA block that computes only its class token."""
    model = ConViT(image_size=16, patch_size=8, num_heads=2, embed_dim=32, depth=2, local_up_to_layer=1, num_classes=2)
    tokens, hidden = 4 * 32, 4 * 128
    local = 2 * tokens * (4 + 2) + 4 * tokens * 2 + 2 * hidden * 2
    keys, query = 5 * 32, 32
    last = (keys + query) * (4 + 2) + (2 * keys + 2 * query) * 2 + 2 * 128 * 2
    maps = 2 * 4 * 4 * (4 + 2) + 2 * 1 * 5 * (4 + 2)
    assert activation_bytes(model, 3, "plain") == 3 * (local + last + maps) + 2 * 4 * 4 * 4
    assert activation_bytes(model, 3, "separable") == 3 * (local + last + maps + 3 * tokens * 2)
    statistics = 2 * 2 * (4 + 1) * 8 * 4
    assert activation_bytes(model, 3, "flash") == 3 * (local + last + statistics + 3 * tokens * 2)
