"""Makes and tries the cases of one range, and says on standard output how each ended.

    python -m soloist.tools.fuzz.worker KIND SEED START STOP FOLDER

A line of JSON before each case and one after it, so that who reads them knows which case a crash
belongs to. The file of the current case is in FOLDER.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import sys
import traceback
from pathlib import Path
from typing import Any, TextIO

from ...runtime import ort
from ...runtime.errors import SoloistError

MEMORY = 6 << 30
"""Bytes of address space: enough for libraries and any honest case, less than a machine has."""
SECONDS = 1.0
"""A graph's first run may take so long: the graphs are tiny."""
LONGEST_LINE = 700


def main() -> None:
    kind, seed, start, stop, folder = sys.argv[1:]
    # What libraries print, from C, too, must not get between the lines.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    module = importlib.import_module(f".{kind}", __package__)
    module.seeds()
    _limit()
    _say(answers, ready=True)
    for case in range(int(start), int(stop)):
        _say(answers, case=case)
        path = Path(folder) / f"case{module.SUFFIX}"
        path.write_bytes(module.mutate(random.Random(f"{seed} {kind} {case}")))
        _say(answers, case=case, **_try(module, path))


def _limit() -> None:
    ort.TRIAL_SECONDS = SECONDS
    try:
        import resource
    except ImportError:  # Windows: the watching of time and of crashes remains
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _try(module: Any, path: Path) -> dict[str, str]:
    """How it ended: "works", "refused" or "fault", and the line that was said."""
    try:
        module.use(path)
    except SoloistError as error:
        line = str(error)
        fine = line.isprintable() and 0 < len(line) <= LONGEST_LINE
        return {"end": "refused" if fine else "fault", "line": line}
    except BaseException as error:  # whatever else comes out is what is looked for
        trace = traceback.extract_tb(error.__traceback__)[-1]
        return {"end": "fault", "line": f"{error!r:.500} in {trace.filename}:{trace.lineno}"}
    return {"end": "works", "line": ""}


def _say(answers: TextIO, **facts: object) -> None:
    answers.write(json.dumps(facts) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
