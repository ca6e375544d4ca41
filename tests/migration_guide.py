"""The commands of docs/migration.md, as a reader would type them, for the tests that try them."""

from __future__ import annotations

import re
from typing import Final

from provision.paths import ROOT

GUIDE: Final = (ROOT / "docs" / "migration.md").read_text()
BLOCKS: Final = tuple(re.findall(r"^```sh\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL))
_LOOP: Final = re.compile(r"^for .*?^done.*?$", re.MULTILINE | re.DOTALL)


def commands(block: str) -> list[str]:
    """The commands of a block, each on one line: continued ones and loops joined."""
    whole = block.replace("\\\n", "")
    return _LOOP.sub(
        lambda loop: loop[0].replace("; do\n", "; do ").replace("\n", "; "), whole
    ).splitlines()


COMMANDS: Final = tuple(command for block in BLOCKS for command in commands(block))


def phase(title: str) -> str:
    """A chapter of the guide, by the beginning of its title."""
    found = re.search(rf"^## {re.escape(title)}.*?(?=^## |\Z)", GUIDE, re.MULTILINE | re.DOTALL)
    assert found is not None, f"docs/migration.md has no chapter {title}"
    return found[0]
