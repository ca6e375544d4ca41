"""The API's description and the routes say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from healthagent.surfaces.http import openapi
from healthagent.surfaces.http.routes import Routes
from healthagent.surfaces.http.state import State
from healthagent.surfaces.http.view import Everything

DOCS = Path(__file__).parents[3] / "docs" / "http.md"
TABLE = Routes(State(lambda: 0.0, "life"), Everything()).table()
PATHS = [route.path for route in TABLE]


def test_every_route_is_described_and_nothing_else() -> None:
    assert set(openapi.PATHS) == set(PATHS)


@pytest.mark.parametrize("path", [*PATHS, *openapi.ACTS])
def test_path_parameters_are_described(path: str) -> None:
    parameters = (openapi.PATHS | openapi.ACTS)[path].get("parameters", [])
    described = {p["name"] for p in parameters if p["in"] == "path"}
    assert described == set(re.findall(r"{(\w+)}", path))


def test_every_reference_leads_to_a_schema() -> None:
    text = str(openapi.document(PATHS, openapi.ACTS))
    assert set(re.findall(r"#/components/schemas/(\w+)", text)) == set(openapi.SCHEMAS)


@pytest.mark.parametrize("path", PATHS)
def test_the_docs_name_every_route(path: str) -> None:
    shown = path if path != "/" else "GET /`"
    assert shown in DOCS.read_text(), f"describe {path} in docs/http.md"
