"""A digest that tells whether two data sets have the same labelled images, without reading image files."""

from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mindcv.data.datasets import Source


def list_digest(source: "Source") -> str:
    """Return a digest of the names and labels of all images of `source`, as 32 hexadecimal digits.

    It is the sum of one hash per image, so it depends neither on their order nor on the data set's location: a folder
    and the MindRecord files packed from it have the same digest. It takes about 2 s for 1.28 million images.
    """
    pairs = zip(source.names(), source.labels.tolist(), strict=True)
    hashes = (blake2b(b"%d %b" % (label, name), digest_size=16).digest() for name, label in pairs)
    total = sum(int.from_bytes(each, "big") for each in hashes)
    return f"{total % 2**128:032x}"
