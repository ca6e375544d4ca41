"""``healthagent demo``: it becomes make, so that each runs in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

IN = """
import sys, pathlib
from healthagent.cli import demo, main
demo.CHECKOUT = pathlib.Path(sys.argv[1])
main(["demo", *sys.argv[2:]])
"""


def demo(checkout: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", IN, checkout, *flags], capture_output=True, text=True
    )


@pytest.mark.parametrize(("flags", "target"), [((), "demo"), (("--down",), "demo-down")])
def test_is_make_in_the_checkout_that_it_stands_in(
    tmp_path: Path, flags: tuple[str, ...], target: str
) -> None:
    (tmp_path / "examples" / "quickstart").mkdir(parents=True)
    (tmp_path / "Makefile").write_text("demo demo-down:\n\t@echo $@ in $(CURDIR)\n\t@exit 4\n")
    ran = demo(tmp_path, *flags)
    assert ran.stdout == f"{target} in {tmp_path}\n"
    assert ran.returncode == 2, "make's own code for what failed"


def test_without_a_checkout_it_says_where_the_demo_is(tmp_path: Path) -> None:
    ran = demo(tmp_path)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "run `make demo` in it" in ran.stderr and "Traceback" not in ran.stderr
