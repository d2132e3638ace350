"""Denormal numbers off, for the current thread and for a while.

A recurrent state that fades to silence ends in numbers below 1.2e-38, which x86 processors compute
up to a hundred times slower: the processor gets busy exactly when nothing sounds. Flushing them to
zero is a mode of the thread. It is set around the work and put back after it, as audio plug-ins do,
since it changes the arithmetic of all other code on the thread, too. (onnxruntime's own option
sets it once in a process, on the thread that makes the first session, and never back.)
"""

import ctypes
import platform
import sys
import threading
from types import TracebackType

# Where the C library's fenv_t, as 32-bit words, holds the processor's control register, and the
# bits that flush: FTZ and DAZ of MXCSR on x86-64, FZ of FPCR on 64-bit Arm.
_LAYOUTS = {
    ("linux", "x86_64"): (7, 0x8040),
    ("darwin", "x86_64"): (1, 0x8040),
    ("linux", "aarch64"): (0, 1 << 24),
    ("darwin", "arm64"): (2, 1 << 24),
}
_ENVIRONMENT_WORDS = 8  # the largest fenv_t of these, 32 bytes

_DENORMALS_MASK, _DENORMALS_FLUSH = 0x0300_0000, 0x0100_0000  # of Windows' _controlfp_s


class FlushDenormals:
    """Context manager that flushes denormals to zero on the current thread until it is left.

    Within another such context of the thread it does nothing. Else it costs 0.8 microseconds in a
    loop, and about 10 where it is entered once in a few milliseconds, its code and data cold
    (x86-64, measured). The interpreter lock is kept all the while: no other thread comes in
    between. One object serves one thread at a time.
    Where the platform is unknown it does nothing.
    """

    def __init__(self) -> None:
        self._mode = _mode()

    def __enter__(self) -> None:
        if _thread.depth == 0:
            self._mode.flush()
        _thread.depth += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _thread.depth -= 1
        if _thread.depth == 0:
            self._mode.restore()


class _Thread(threading.local):
    depth = 0  # of the contexts that the thread is in


_thread = _Thread()


class _Mode:
    """The mode of an unknown platform: left alone."""

    def flush(self) -> None:
        pass

    def restore(self) -> None:
        pass


class _Environment(_Mode):
    """The mode through C99's floating-point environment."""

    def __init__(self, word: int, bits: int) -> None:
        # PyDLL: CDLL would offer the interpreter lock to other threads in each call.
        library = ctypes.PyDLL(None if sys.platform == "darwin" else "libm.so.6")
        self._read, self._write = library.fegetenv, library.fesetenv
        self._environment = (ctypes.c_uint32 * _ENVIRONMENT_WORDS)()
        self._word, self._bits = word, bits
        self._before = 0

    def flush(self) -> None:
        environment = self._environment
        self._read(environment)
        self._before = environment[self._word]
        environment[self._word] = self._before | self._bits
        self._write(environment)

    def restore(self) -> None:
        self._environment[self._word] = self._before
        self._write(self._environment)


class _ControlWord(_Mode):
    """The mode through Windows' C run-time library."""

    def __init__(self) -> None:
        self._control = ctypes.PyDLL("ucrtbase")._controlfp_s
        self._word = ctypes.c_uint32()
        self._before = 0

    def flush(self) -> None:
        self._control(ctypes.byref(self._word), 0, 0)
        self._before = self._word.value
        self._control(ctypes.byref(self._word), _DENORMALS_FLUSH, _DENORMALS_MASK)

    def restore(self) -> None:
        self._control(ctypes.byref(self._word), self._before, _DENORMALS_MASK)


def _mode() -> _Mode:
    try:
        if sys.platform == "win32":
            return _ControlWord()
        layout = _LAYOUTS.get((sys.platform, platform.machine()))
        return _Environment(*layout) if layout else _Mode()
    except (OSError, AttributeError):  # another C library
        return _Mode()
