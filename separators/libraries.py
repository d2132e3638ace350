"""What is said when an encoder's library or its weights are not there."""

from __future__ import annotations


def no_library(encoder: str, library: str, extra: str, error: Exception) -> ImportError:
    """For an import that failed: not installed, or installed and broken."""
    if isinstance(error, ModuleNotFoundError) and (error.name or "").startswith(library):
        return ImportError(f'{encoder} is not installed: pip install "soloist[{extra}]"')
    return ImportError(f"{encoder} is installed but broken ({first_line(error)}); install it anew")


def no_weights(encoder: str, source: str, error: Exception) -> OSError:
    """For weights that neither this machine nor the hub has."""
    return OSError(f"the weights of {encoder} cannot be loaded from {source} ({first_line(error)})")


def first_line(error: Exception) -> str:
    """What an error says, as much of it as fits a line."""
    return str(error).partition("\n")[0][:120]
