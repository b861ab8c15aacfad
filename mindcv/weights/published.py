"""Download published weights once and keep them.

They are kept in `weights/` of the download folder, `$MINDCV_HOME` or `~/.cache/mindcv`. `$MINDCV_MIRROR` is the address
of a mirror, such as `https://mirror.example/files`, which is tried first, at the path of the original's URL.
`$HF_ENDPOINT` names a mirror of the Hugging Face hub.
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mindcv.io.download import DownloadError, fetch, get_download_root

_log = logging.getLogger("mindcv")


def get_weights_download_root() -> str:
    """Return the folder for published weights, `weights` in `get_download_root()`. It may not exist yet.

    Raises:
        ValueError: `$MINDCV_HOME` contains a variable that is not set or a user that does not exist.
    """
    return str(Path(get_download_root()) / "weights")


def fetch_published(source: Mapping[str, Any]) -> Path:
    """Return the path of a published file of weights; download it first if it is not there, and log its licence.

    Args:
        source: A dictionary with `url`, or `hub` ("owner/repository/file" on the Hugging Face hub); `file`, the name to
            keep it under; `publisher`; `licence`; and `sha256`, the digest's first digits, if one is published.

    Raises:
        DownloadError: the file cannot be downloaded, or its digest is wrong; the message names the address, and the
            path to put the file at by hand.
        OSError: the folder cannot be written to.
        ValueError: the file is on the hub, and huggingface_hub is not installed.
    """
    path = Path(get_weights_download_root()) / source["file"]
    sha256 = source.get("sha256", "")
    if path.is_file():
        return fetch(source.get("url", ""), path, sha256=sha256)
    if "hub" in source:
        url, sha256 = _locate_on_hub(source["hub"], path)
        addresses = [url]
    else:
        addresses = [source["url"]]
        if mirror := os.environ.get("MINDCV_MIRROR"):
            addresses.insert(0, mirror.rstrip("/") + urlsplit(source["url"]).path)
    _log.warning("fetching weights of %s, licence: %s", source["publisher"], source["licence"])
    return fetch(addresses, path, sha256=sha256)


def _locate_on_hub(name: str, path: Path) -> tuple[str, str]:
    """Return the URL and the SHA-256 ("" if unknown) of the file "owner/repository/file" on the Hugging Face hub.

    Args:
        name: "owner/repository/file".
        path: Where the user may put the file by hand, for error messages.

    Raises:
        DownloadError: the hub cannot be reached or does not have the file.
        ValueError: huggingface_hub is not installed.
    """
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
        metadata = huggingface_hub.get_hf_file_metadata(url)
    except Exception as error:  # the client raises its own classes and those of its transport
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DownloadError(
            f"cannot fetch {url}: {reason}; to go on without a network, put the file at {path}"
        ) from error
    is_sha256 = metadata.etag and len(metadata.etag) == 64  # of large files; small ones have a shorter Git hash
    return url, metadata.etag if is_sha256 else ""
