"""A thread that takes orders: a program that ends waits for what it is at, and not for ever."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys, time
from soloist.streaming.orders import OrderThread

class Slow(OrderThread):
    def _work(self):
        while (seconds := self._orders.get()) is not None:
            time.sleep(seconds)
            print("done", flush=True)

Slow("slow").post(float(sys.argv[1]))
"""


@pytest.mark.parametrize(("seconds", "said"), [("0.5", "done"), ("100", "")])
def test_a_program_that_exits_waits_for_a_while(seconds: str, said: str) -> None:
    command = [sys.executable, "-c", PROGRAM, seconds]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60.0, check=False)
    assert ended.returncode == 0
    assert ended.stdout.strip() == said
    assert ended.stderr == ""
