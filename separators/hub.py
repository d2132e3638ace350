"""Files from the Hugging Face hub: from this machine, or at once, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .libraries import no_library

_PATIENCE_S = 10.0


def fetch(repository: str, files: Sequence[str]) -> Path:
    """Downloads files, but for those that an earlier call left on this machine.

    The hub is asked for something small first: where there is no way to it, a download tries again
    for half a minute a file, and says so each time.

    Returns:
        A folder that has them all.

    Raises:
        ImportError: huggingface_hub is not installed, or broken.
        OSError: the hub cannot be reached, or has no such files.
    """
    try:
        from huggingface_hub import HfApi, hf_hub_download
    except ImportError as error:
        raise no_library(
            "huggingface_hub, the hub's library,", "huggingface_hub", "export", error
        ) from error
    try:
        try:
            found = [hf_hub_download(repository, file, local_files_only=True) for file in files]
        except FileNotFoundError:
            HfApi().model_info(repository, timeout=_PATIENCE_S)
            found = [hf_hub_download(repository, file) for file in files]
    except Exception as error:  # of the network, the hub or the disk: many unrelated kinds
        raise OSError(str(error)) from error
    return Path(found[0]).parent
