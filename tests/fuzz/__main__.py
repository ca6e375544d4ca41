"""Fuzz the native probe's readers: python -m tests.fuzz [SECONDS]

What it finds stays in build/fuzz/corpus, and the next run begins with that. A crash's input is
written to build/fuzz/crash-*, and its path printed.
"""

from __future__ import annotations

import sys

from provision.errors import ProvisionError
from provision.progress import Progress
from tests.fuzz import fuzzer

DEFAULT_SECONDS = 600


def main() -> int:
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_SECONDS
    try:
        with Progress().step("fuzzer") as step:
            program = fuzzer.build(step)
    except ProvisionError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    result = fuzzer.run(program, seconds)
    verdict = "a crash" if result.crashed else "no fault"
    sys.stdout.write(f"{result.said}\n{result.runs} inputs in {seconds} s: {verdict}\n")
    return 1 if result.crashed else 0


if __name__ == "__main__":
    sys.exit(main())
