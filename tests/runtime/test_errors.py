"""The tree of errors and the exit codes that scripts rely on."""

import pytest

from soloist.runtime.errors import (
    AudioFileError,
    BundleError,
    DeviceError,
    DeviceLost,
    QueryError,
    SoloistError,
)


@pytest.mark.parametrize("kind", [BundleError, QueryError, AudioFileError, DeviceError])
def test_bad_input_leaves_with_2(kind: type[SoloistError]) -> None:
    assert issubclass(kind, SoloistError)
    assert kind("message").exit_code == 2


def test_a_lost_device_is_a_device_error_that_leaves_with_3() -> None:
    assert issubclass(DeviceLost, DeviceError)
    assert DeviceLost("message").exit_code == 3


def test_a_message_is_one_line_that_a_terminal_only_shows() -> None:
    found = str(SoloistError("file 'a\x1b[2Jb'\nis\u2028none\x00 \ud800 of ours, Größe 3 µs"))
    assert found == "file 'a\\x1b[2Jb' is none\\x00 \\ud800 of ours, Größe 3 µs"
