"""What the agent's connection makes of what the server sends."""

from __future__ import annotations

import pytest

from healthagent.sources.postgres.connection import lenient


@pytest.mark.parametrize("sent", [b'{"j\xc3\xbcrg": 3}', '{"jürg": 3}'])
def test_names_are_utf_8(sent: bytes | str) -> None:
    assert lenient(sent) == {"jürg": 3}


def test_a_name_in_another_encoding_leaves_all_others_legible() -> None:
    row = lenient(b'{"j\xfcrg": 3, "app": 9}')
    assert row == {"j\N{REPLACEMENT CHARACTER}rg": 3, "app": 9}
