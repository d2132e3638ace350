"""Every fault a user can cause or meet, as one small tree.

    SoloistError              exit code 2
    ├── BundleError           the model file is missing, no bundle, or breaks its own promise
    ├── QueryError            the words cannot be turned into a conditioning
    ├── AudioFileError        an audio file cannot be read or written
    ├── TooSlowError          the network takes longer than the audio that it is for
    ├── DeviceError           an audio or compute device cannot be opened or used
    │   └── DeviceLost        a device that was running went away (exit code 3)
    └── ProcessFault          the process that plays met a fault of ours (exit code 1)

Each message is one line that says what was wrong, what was found and what to do. The command line
prints it as `soloist: <message>` and leaves with `exit_code`. Mistakes of a programmer (a wrong
array shape, say) are `ValueError` instead.
"""

from typing import ClassVar


class SoloistError(Exception):
    """A fault that is explained to the user in one line, without a traceback.

    What a message quotes may come from a stranger's file: line breaks in it become spaces, and what
    a terminal would obey instead of show is spelled out.
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, message: str) -> None:
        super().__init__("".join(map(_shown, message)))


def _shown(letter: str) -> str:
    if letter.isprintable():
        return letter
    return " " if letter.isspace() else letter.encode("unicode_escape").decode()


class BundleError(SoloistError):
    """The model file is missing, is no bundle, or does not hold what its spec promises."""


class QueryError(SoloistError):
    """The words asked for cannot be turned into a conditioning of this bundle."""


class AudioFileError(SoloistError):
    """An audio file cannot be read, holds no usable audio, or cannot be written."""


class TooSlowError(SoloistError):
    """A network cannot keep up with live audio here, however long its windows advance."""


class DeviceError(SoloistError):
    """An audio or compute device is unknown, absent, or refuses the settings."""


class DeviceLost(DeviceError):
    """A device that was running stopped answering; `DeviceError` is for one that never started."""

    exit_code: ClassVar[int] = 3


class ProcessFault(SoloistError):
    """The process that plays audio failed for a reason that is no user's fault."""

    exit_code: ClassVar[int] = 1
