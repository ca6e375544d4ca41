"""docs/reasons.md and the checks hold the same codes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from healthagent.checks import CHECKS
from tests.unit.reasons import OF_ALL, spelled

PAGE = (Path(__file__).parents[2] / "docs" / "reasons.md").read_text(encoding="utf-8")
COLUMNS = ["code", "status", "means", "how to reproduce it", "what to do"]


def rows(text: str) -> list[list[str]]:
    """The cells of each row of the tables whose first cell is a code."""
    lines = [line for line in text.splitlines() if re.match(r"\| `\w+` \|", line)]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]


SECTIONS = {
    heading: [row for row in rows(text) if len(row) == len(COLUMNS)]
    for heading, text in re.findall(r"^## `(\w+)`$(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
}


def test_there_is_a_section_for_each_check_in_the_order_of_blame() -> None:
    assert list(SECTIONS) == [check.name for check in CHECKS]


@pytest.mark.parametrize("check", [check.name for check in CHECKS])
def test_the_page_lists_every_code_of_a_check_and_no_other(check: str) -> None:
    listed = [row[0].strip("`") for row in SECTIONS[check]]
    known = {code for name, code in spelled() if name == check}
    assert len(listed) == len(set(listed)), f"a code of {check} stands twice"
    assert set(listed) - known == set(), f"{check}: remove these from docs/reasons.md"
    assert known - set(listed) == set(), f"{check}: add these to docs/reasons.md"


@pytest.mark.parametrize("check", [check.name for check in CHECKS])
def test_each_row_says_what_it_means_and_what_to_do(check: str) -> None:
    for row in SECTIONS[check]:
        code, status, means, _, remedy = row
        assert status in ("failed", "degraded", "unknown"), f"{check} {code}"
        assert means, f"{check} {code} has no meaning"
        assert remedy, f"{check} {code} has no remedy"


def test_the_codes_of_no_check_stand_at_the_beginning() -> None:
    head = PAGE.split("\n## ")[0]
    assert {row[0].strip("`") for row in rows(head)} == OF_ALL
