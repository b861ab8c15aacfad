"""Published weights, fetched once and kept.

They lie in `weights/` under the folder for everything fetched, `$MINDCV_HOME` or `~/.cache/mindcv`. `$MINDCV_MIRROR`
names an address, such as `https://mirror.example/files`, that is asked first, for the same path as the original's;
the Hugging Face hub's own mirrors are named by `$HF_ENDPOINT`.
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from mindcv.io.download import DownloadError, fetch, get_download_root

_log = logging.getLogger("mindcv")


def get_weights_download_root() -> str:
    """The folder for published weights: `weights` in `get_download_root()`."""
    return str(Path(get_download_root()) / "weights")


def fetch_published(source: Mapping[str, object]) -> Path:
    """The file of weights that `source` describes, from the folder or the network; its licence is said when fetched.

    Args:
        source: `url`, or `hub` ("owner/repository/file") on the Hugging Face hub; `file`, the name to keep it under;
            `licence`; `publisher`; and `sha256`, the digest's first digits, where one is published.

    Raises:
        DownloadError: it cannot be had, or is not what was published; names the address and where to put the file.
        ValueError: it is on the hub, and huggingface_hub is not installed.
    """
    path = Path(get_weights_download_root()) / source["file"]
    sha256 = source.get("sha256", "")
    if path.is_file():
        return fetch(source.get("url", ""), path, sha256=sha256)
    if "hub" in source:
        url, sha256 = _on_hub(source["hub"], path)
        addresses = [url]
    else:
        addresses = [source["url"]]
        if mirror := os.environ.get("MINDCV_MIRROR"):
            addresses.insert(0, mirror.rstrip("/") + urlsplit(source["url"]).path)
    _log.warning("fetching weights of %s, licence: %s", source["publisher"], source["licence"])
    return fetch(addresses, path, sha256=sha256)


def _on_hub(name: str, path: Path) -> tuple[str, str]:
    """Address and SHA-256 of a file on the Hugging Face hub; it knows those of large files."""
    try:
        import huggingface_hub
    except ImportError:
        raise ValueError(
            f"{name} is on the Hugging Face hub: install its client (pip install huggingface_hub), "
            f"or put the file at {path}"
        ) from None
    owner, repository, file = name.split("/")
    url = huggingface_hub.hf_hub_url(f"{owner}/{repository}", file)
    try:
        about = huggingface_hub.get_hf_file_metadata(url)
    except Exception as error:  # the client's own kinds, and those of its transport
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DownloadError(
            f"cannot fetch {url}: {reason}; to go on without a network, put the file at {path}"
        ) from error
    return url, about.etag if about.etag and len(about.etag) == 64 else ""
