"""docs/reasons.md holds the codes that the checks hold, and the ends that the tests see."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path

import pytest

from healthagent.checks import CHECKS
from tests.system.exits.table import ENDINGS, WAYS
from tests.unit.reasons import OF_ALL, spelled

PAGE = (Path(__file__).parents[2] / "docs" / "reasons.md").read_text(encoding="utf-8")
COLUMNS = ["code", "status", "means", "how to reproduce it", "what to do"]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line[1:-1].split("|")]


def rows(text: str) -> list[list[str]]:
    """The cells of each row of the tables whose first cell is a code."""
    return [cells(line) for line in text.splitlines() if re.match(r"\| `\w+` \|", line)]


def table_after(sentence: str) -> list[list[str]]:
    """The cells of the first table behind a sentence: its head, and each row below."""
    lines = PAGE.partition(sentence)[2].splitlines()
    begins = next(number for number, line in enumerate(lines) if line.startswith("|"))
    head, _, *body = takewhile(lambda line: line.startswith("|"), lines[begins:])
    return [cells(line) for line in (head, *body)]


SECTIONS = {
    heading: [row for row in rows(text) if len(row) == len(COLUMNS)]
    for heading, text in re.findall(r"^## `(\w+)`$(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
}


def test_there_is_a_section_for_each_check_in_the_order_of_blame() -> None:
    assert list(SECTIONS) == [check.name for check in CHECKS]


@pytest.mark.parametrize("check", [check.name for check in CHECKS])
def test_the_page_lists_every_code_of_a_check_and_no_other(check: str) -> None:
    listed = [row[0].strip("`") for row in SECTIONS.get(check, [])]
    known = {code for name, code in spelled() if name == check}
    assert len(listed) == len(set(listed)), f"a code of {check} stands twice"
    assert set(listed) - known == set(), f"{check}: remove these from docs/reasons.md"
    assert known - set(listed) == set(), f"{check}: add these to docs/reasons.md"


@pytest.mark.parametrize("check", [check.name for check in CHECKS])
def test_each_row_says_what_it_means_how_to_reproduce_it_and_what_to_do(check: str) -> None:
    for code, status, *said in SECTIONS[check]:
        assert status in ("failed", "degraded", "unknown"), f"{check} {code}"
        assert all(said), f"{check} {code} has an empty cell"


def test_the_codes_of_no_check_stand_at_the_beginning_and_say_as_much() -> None:
    head = rows(PAGE.split("\n## ")[0])
    assert {code.strip("`") for code, *_ in head} == OF_ALL
    for code, *said in head:
        assert len(said) == len(COLUMNS[2:]) and all(said), f"{code} has an empty cell"


def test_the_table_of_ends_is_the_one_that_the_system_tests_go_through() -> None:
    columns, *ends = table_after("How Bun and Node end as PID 1")
    assert columns == ["", *(way.column for way in WAYS)]
    assert ends == [ending.line for ending in ENDINGS]
