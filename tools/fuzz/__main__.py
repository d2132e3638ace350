"""Hands cases to workers, watches them, counts how they ended. Exit code 1 if one failed."""

from __future__ import annotations

import argparse
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

SHARES = {"bundles": 0.4, "operators": 0.2, "audio": 0.25, "checkpoints": 0.1, "presets": 0.05}
"""Of the cases, by kind."""
LIMIT = 60.0
"""Seconds for one case, a worker's start included."""


@dataclass
class Results:
    """Of one kind: how many ended how, the lines that were said, and what failed."""

    ends: Counter[str] = field(default_factory=Counter)
    lines: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def main() -> int:
    options = _parse()
    failed = 0
    for kind in options.kinds:
        cases = range(options.start, options.start + max(1, round(options.cases * SHARES[kind])))
        results = run(kind, options.seed, cases, options.keep)
        failed += len(results.faults)
        counts = ", ".join(f"{count} {end}" for end, count in sorted(results.ends.items()))
        print(f"{kind}: {len(cases)} cases, {counts}", flush=True)
        for line, count in results.lines.most_common(options.lines):
            print(f"  {count:>5}  {line}")
        for fault in results.faults:
            print(f"  FAULT {fault}")
    return 1 if failed else 0


def run(kind: str, seed: int, cases: range, keep: Path) -> Results:
    """Try `cases` one after the other, with a new worker after each one that died or hung."""
    results = Results()
    at = cases.start
    with tempfile.TemporaryDirectory() as folder:
        while at < cases.stop:
            for case, end, line in _work(kind, seed, range(at, cases.stop), Path(folder)):
                at = case + 1
                results.ends[end] += 1
                if end in ("works", "refused"):
                    results.lines[_pattern(line)] += end == "refused"
                    continue
                keep.mkdir(parents=True, exist_ok=True)
                for file in Path(folder).glob("case.*"):
                    shutil.copy(file, keep / f"{kind}-{seed}-{case}{file.suffix}")
                results.faults.append(f"{kind} {seed} {case}: {end}: {line}")
    return results


def _work(kind: str, seed: int, cases: range, folder: Path) -> Iterator[tuple[int, str, str]]:
    """Number, end and line of each case, up to the first that the worker does not survive."""
    arguments = [kind, str(seed), str(cases.start), str(cases.stop), str(folder)]
    with open(folder / "said", "w+") as said:
        worker = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker", *arguments],
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        )
        answers: queue.Queue[str] = queue.Queue()
        listener = threading.Thread(target=_listen, args=(worker, answers), daemon=True)
        listener.start()
        current = cases.start
        try:
            if not answers.get(timeout=LIMIT):
                sys.exit(f"the worker does not start:\n{_read(said)}")
            while current < cases.stop:
                answer = answers.get(timeout=LIMIT)
                if not answer:
                    yield current, f"died with {worker.wait()}", _read(said)[-300:]
                    return
                facts = json.loads(answer)
                if "end" in facts:
                    yield facts["case"], facts["end"], facts["line"]
                    current = facts["case"] + 1
        except queue.Empty:
            yield current, "hung", f"no answer within {LIMIT:.0f} s"
        finally:
            worker.kill()
            worker.wait()
            listener.join()


def _read(file: TextIO) -> str:
    file.seek(0)
    return file.read()


def _listen(worker: subprocess.Popen[str], answers: queue.Queue[str]) -> None:
    """Pass on each line, and an empty one at the end."""
    assert worker.stdout is not None
    with worker.stdout as lines:
        for line in lines:
            answers.put(line)
    answers.put("")


def _pattern(line: str) -> str:
    """A line without its numbers and names: what many have in common."""
    words = (word for word in line.split() if word.isalpha() or word[:-1].isalpha())
    return " ".join(words)[:100]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=f"python -m {__package__}", description="Damaged and hostile files, by the thousand."
    )
    parser.add_argument("--cases", type=int, default=10_000, help="of all kinds together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, help="number of the first case")
    parser.add_argument("--kinds", type=lambda text: text.split(","), default=[*SHARES])
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"), help="folder for files")
    parser.add_argument("--lines", type=int, default=0, help="most common refusals to print")
    options = parser.parse_args()
    unknown = set(options.kinds) - SHARES.keys()
    if unknown:
        parser.error(f"unknown kinds {', '.join(sorted(unknown))}; known are {', '.join(SHARES)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
