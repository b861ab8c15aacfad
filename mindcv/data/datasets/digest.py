"""Tell whether two data sets hold the same labelled images, from their lists alone."""

from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mindcv.data.datasets import Source


def list_digest(source: "Source") -> str:
    """Digest the names and labels of all images of `source`, as 32 hexadecimal digits.

    The sum of one hash per image, so that neither the order nor the folder's place matters: a folder and the
    MindRecord files packed from it have the same digest. Image files are not read; 1.28 million take about 2 s.
    """
    pairs = zip(source.names(), source.labels.tolist(), strict=True)
    hashes = (blake2b(b"%d %b" % (label, name), digest_size=16).digest() for name, label in pairs)
    total = sum(int.from_bytes(each, "big") for each in hashes)
    return f"{total % 2**128:032x}"
