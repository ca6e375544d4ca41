"""An app that is one package of a workspace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from healthagent.audit.evidence import Evidence, Package
from healthagent.audit.finding import Outcome
from healthagent.audit.reading import compose, gather
from healthagent.audit.requirement import Kind
from healthagent.core.observation import Unseen
from tests.unit.audit.stacks import assemble, outcomes, rewrite

DATABASE = {
    "name": "@shop/database",
    "dependencies": {"@prisma/adapter-pg": "7.10.0", "@prisma/client": "7.10.0", "pg": "8.23.1"},
}


@pytest.fixture
def monorepo(tmp_path: Path) -> Path:
    """The good stack, whose app is ``apps/app`` and whose database is ``packages/database``; its
    Compose files, Dockerfile and lock stay at the root."""
    root = assemble(tmp_path)
    app, database = root / "apps" / "app", root / "packages" / "database"
    for folder in (app, database):
        folder.mkdir(parents=True)
    (root / "src").rename(app / "src")
    (app / "src" / "lib" / "server" / "database.ts").rename(database / "index.ts")
    own = json.loads((root / "package.json").read_text())
    own["dependencies"]["@shop/database"] = "workspace:*"
    for name in DATABASE["dependencies"]:
        del own["dependencies"][name]
    manager = own.pop("packageManager")
    above = {"private": True, "workspaces": ["apps/*", "packages/*"], "packageManager": manager}
    sections = ("name", "dependencies", "devDependencies")
    locked = {
        "": {},
        "apps/app": {section: own[section] for section in sections},
        "packages/database": DATABASE,
    }
    for folder, package in ((root, above), (app, own), (database, DATABASE)):
        (folder / "package.json").write_text(json.dumps(package, indent=2))
    (root / "bun.lock").write_text(json.dumps({"lockfileVersion": 1, "workspaces": locked}))
    return root


def seen(root: Path, folder: Path | None = None) -> Evidence:
    return gather.from_files(gather.Files(compose.default_files(root), folder=folder))


def told(root: Path, folder: Path | None = None) -> dict[str, Outcome]:
    """What is not met, and not seen."""
    found = outcomes(seen(root, folder), Kind.FILES)
    return {id_: outcome for id_, outcome in found.items() if not outcome.passing}


@pytest.mark.parametrize("way", ["its name", "its Dockerfile", "told", "pnpm's"])
def test_an_app_of_a_workspace_meets_what_it_does_alone(monorepo: Path, way: str) -> None:
    folder = monorepo / "apps" / "app"
    if way != "its name":
        folder = folder.rename(monorepo / "apps" / "web")
        rewrite(monorepo / "bun.lock", "apps/app", "apps/web")
    if way == "its Dockerfile":
        for name in ("Dockerfile", "Dockerfile.node"):
            (monorepo / name).rename(folder / name)
        own = "dockerfile: apps/web/Dockerfile"
        rewrite(monorepo / "compose.yaml", "context: .\n", f"context: .\n      {own}\n")
        rewrite(monorepo / "compose.node.yaml", "dockerfile: Dockerfile.node", f"{own}.node")
    if way == "pnpm's":
        package = json.loads((monorepo / "package.json").read_text())
        del package["workspaces"]
        (monorepo / "package.json").write_text(json.dumps(package))
        (monorepo / "pnpm-workspace.yaml").write_text("packages:\n  - 'apps/**'\n  - packages/*\n")
    found = told(monorepo, folder if way in ("told", "pnpm's") else None)

    assert found == {"8.3.2": Outcome.NOT_SEEN}


def test_what_a_package_of_the_workspace_brings_is_the_apps(monorepo: Path) -> None:
    database = monorepo / "packages" / "database"
    with (database / "index.ts").open("a") as script:
        script.write('new Pool({ connectionString: "x" });\n')
    rewrite(database / "package.json", '"pg": "8.23.1"', '"pg": "8.23.1", "pm2": "6.0.0"')
    found = told(monorepo)

    assert [found[id_] for id_ in ("NFR-1.2", "FR-6.2", "1.2.1")] == [Outcome.NOT_MET] * 3
    assert found["FR-2.2"] is Outcome.NOT_MET, "bun.lock has no pm2"


def test_another_package_of_the_workspace_is_not_the_apps(monorepo: Path) -> None:
    docs = monorepo / "apps" / "docs"
    docs.mkdir()
    (docs / "package.json").write_text('{"name": "docs", "dependencies": {"pm2": "6.0.0"}}')
    (docs / "index.ts").write_text('import cluster from "node:cluster";\ncluster.fork();\n')

    assert told(monorepo) == {"8.3.2": Outcome.NOT_SEEN}


def test_a_workspace_of_which_nothing_says_what_the_app_is_is_not_seen(monorepo: Path) -> None:
    (monorepo / "apps" / "app").rename(monorepo / "apps" / "web")
    (app,) = seen(monorepo).apps
    found = told(monorepo)

    assert isinstance(app.code, Unseen) and "--app DIR" in app.code.remedy
    for id_ in ("FR-2.1", "FR-2.2", "FR-5.1", "FR-6.1", "FR-7.1", "7.2.1"):
        assert found[id_] is Outcome.NOT_SEEN, id_
    assert Outcome.NOT_MET not in found.values()


def test_a_pattern_that_is_none_takes_nothing_away(monorepo: Path) -> None:
    strange = '"a**b", "/abs/*", "", "[", "!", "packages/*"'
    rewrite(monorepo / "package.json", '"packages/*"', strange)

    assert told(monorepo) == {"8.3.2": Outcome.NOT_SEEN}


def test_a_finding_names_the_package_that_it_stands_in(monorepo: Path) -> None:
    (app,) = seen(monorepo).apps

    assert not isinstance(app.code, Unseen) and isinstance(app.code.package, Package)
    where = app.code.package.dependencies["pg"].place.where
    assert where == str(monorepo / "packages" / "database" / "package.json")
    assert app.code.package.package_manager is not None
    assert [str(place) for place in app.code.locks.files.values()] == [str(monorepo / "bun.lock")]
