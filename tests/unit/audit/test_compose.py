"""Compose files are read as Compose reads them, and every value knows its line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from healthagent.audit.evidence import Dockerfile, Stack
from healthagent.audit.reading import compose, gather
from healthagent.audit.reading.interpolation import env_file, substitute
from healthagent.errors import ConfigurationError


def stack(folder: Path, text: str, *overrides: str, named: Sequence[str] = ()) -> Stack:
    """The stack of a file, and of overrides over it, in a folder."""
    paths = [folder / f"{number}.yaml" for number in range(1 + len(overrides))]
    for path, content in zip(paths, (text, *overrides), strict=True):
        path.write_text(content)
    return compose.read(paths, named)


def refused(folder: Path, text: str) -> str:
    with pytest.raises(ConfigurationError) as error:
        stack(folder, text)
    return str(error.value)


def test_a_value_knows_its_file_and_line(tmp_path: Path) -> None:
    app = stack(tmp_path, "services:\n  app:\n    build: .\n    restart: always\n").services["app"]

    assert app.restart is not None
    assert (app.restart.value, app.restart.place.line) == ("always", 4)
    assert app.restart.place.where.endswith("0.yaml")


@pytest.mark.parametrize(
    ("policy", "restart"),
    [
        ("{condition: any}", "always"),
        ("{condition: none}", "no"),
        ("{condition: on-failure, max_attempts: 3}", "on-failure"),
        ("{condition: unless-stopped}", "unless-stopped"),
        ("{max_attempts: 3}", "no"),
    ],
)
def test_a_restart_policy_of_deploy_takes_the_place_of_restart(
    tmp_path: Path, policy: str, restart: str
) -> None:
    text = f"services:\n  a:\n    build: .\n    deploy: {{restart_policy: {policy}}}\n"
    for app in (text, f"{text}    restart: unless-stopped\n"):
        found = stack(tmp_path, app).services["a"].restart
        assert found is not None
        assert (found.value, found.place.line) == (restart, 4)


def test_anchors_and_merge_keys_lend_what_is_not_written(tmp_path: Path) -> None:
    text = (
        "x-base: &base\n  restart: always\n  environment: {A: '1'}\n"
        "services:\n  app:\n    <<: *base\n    build: .\n    restart: unless-stopped\n"
    )
    app = stack(tmp_path, text).services["app"]

    assert app.restart is not None and app.restart.value == "unless-stopped"
    assert app.environment["A"].value == "1"


@pytest.mark.parametrize("named", ["[A, B, C=]", "{A: , B: ~, C: ''}"])
def test_a_variable_that_is_only_named_has_the_value_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    for name in ("A", "C"):
        monkeypatch.setenv(name, "1")
    monkeypatch.delenv("B", raising=False)
    text = f"services:\n  app:\n    build: .\n    environment: {named}\n"
    app = stack(tmp_path, text).services["app"]

    assert {k: v.value for k, v in app.environment.items()} == {"A": "1", "B": "", "C": ""}


def test_an_override_adds_replaces_and_takes_away(tmp_path: Path) -> None:
    app = stack(
        tmp_path,
        "services:\n  app:\n    build: .\n    command: [bun, one.js]\n    ports: ['1']\n"
        "    restart: always\n    environment: {A: '1', B: '1'}\n    labels: [x=1]\n",
        "services:\n  app:\n    command: [bun, two.js]\n    ports: ['2']\n"
        "    restart: !reset null\n    environment: [B=2]\n    labels: !override {y: '2'}\n",
    ).services["app"]

    assert app.command is not None and app.command.words == ("bun", "two.js")
    assert [port.value for port in app.ports] == ["1", "2"]
    assert app.restart is None
    assert {k: v.value for k, v in app.environment.items()} == {"A": "1", "B": "2"}
    assert {k: v.value for k, v in app.labels.items()} == {"y": "2"}


def test_a_service_that_is_reset_or_overridden_takes_nothing_from_the_file_below(
    tmp_path: Path,
) -> None:
    found = stack(
        tmp_path,
        "services:\n  app: {build: ., restart: always}\n  node: {image: node, restart: always}\n"
        "  pm2: {image: pm2}\n",
        "services:\n  node: !override {image: bun}\n  pm2: !reset null\n",
    )

    assert set(found.services) == {"app", "node"}, "what is reset is no service"
    assert found.services["node"].image is not None
    assert found.services["node"].image.value == "bun"
    assert found.services["node"].restart is None, "an override begins anew"


@pytest.mark.parametrize("below", ["", "services:\n  app: {build: ., restart: always}\n"])
def test_what_is_reset_is_not_there_in_whichever_file_it_stands(tmp_path: Path, below: str) -> None:
    above = "services:\n  app: {build: !reset ., image: a, restart: !reset always}\n"
    files = [below, above] if below else [above]
    found = stack(tmp_path, files[0], *files[1:], named=("app",)).services["app"]

    assert (found.build, found.restart) == (None, None)


def test_a_service_that_is_overridden_keeps_what_it_extends(tmp_path: Path) -> None:
    app = stack(
        tmp_path,
        "services:\n  app: {build: ., init: true}\n",
        "services:\n  base: {image: b, restart: always}\n"
        "  app: !override {extends: base, labels: [x=1]}\n",
        named=("app",),
    ).services["app"]

    assert app.restart is not None and app.restart.value == "always"
    assert (app.build, app.init) == (None, None), "the file below is overridden"


def test_files_of_variables_give_what_the_service_does_not_set_itself(tmp_path: Path) -> None:
    (tmp_path / "1.env").write_text("A=one\nB=one\nC=one\n")
    (tmp_path / "2.env").write_text("B=two\nC=$A-two\n")
    app = stack(
        tmp_path,
        "services:\n  app:\n    build: .\n    environment: {A: own}\n"
        "    env_file:\n      - path: ./1.env\n      - {path: none.env, required: false}\n",
        "services:\n  app:\n    env_file: 2.env\n",
    ).services["app"]

    assert {name: text.value for name, text in app.environment.items()} == {
        "A": "own",
        "B": "two",
        "C": "own-two",
    }
    assert app.environment["C"].place.where.endswith("1.yaml")


def test_a_raw_file_of_variables_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "raw.env").write_text('# no comment\nA="x" # $B\n')
    text = "services:\n  app:\n    build: .\n    env_file: [{path: raw.env, format: raw}]\n"
    app = stack(tmp_path, text).services["app"]

    assert {name: text.value for name, text in app.environment.items()} == {"A": '"x" # $B'}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("Q=a # comment", "a"),
        ("Q=a#b", "a#b"),
        ("Q=# all of it", "# all of it"),
        ("  export Q = a b  ", "a b"),
        ("Q: yaml", "yaml"),
        ("Q=", ""),
        ('Q=""', ""),
        ('Q="a # b" # comment', "a # b"),
        ("Q='a # b' # comment", "a # b"),
        ("Q='$A ${A}'", "$A ${A}"),
        (r"Q='it\'s'", "it's"),
        ('Q="$A-${A}-${NONE:-$A}"', "1-1-1"),
        ("Q=${A}${B}", "12"),
        (r'Q="a\nb \"c\" \$A \\"', 'a\nb "c" $A \\'),
        (r"Q=a\nb", r"a\nb"),
        ('Q="two\nlines"', "two\nlines"),
        ("Q=$OUTER", "outer"),
    ],
)
def test_a_line_of_an_env_file_is_read_as_compose_reads_it(
    tmp_path: Path, line: str, value: str
) -> None:
    path = tmp_path / ".env"
    path.write_text(f"A=1\nB=${{A:+2}}\nOUTER=inner\n{line}\nZ=last\n")

    assert env_file(path, {"OUTER": "outer"}) == {
        "A": "1", "B": "2", "OUTER": "inner", "Q": value, "Z": "last",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("folder", "project"), [("shop", "shop"), ("_My.App v2", "myappv2"), ("-äpfel_9", "pfel_9")]
)
def test_a_project_is_named_for_its_folder_as_compose_names_it(
    tmp_path: Path, folder: str, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COMPOSE_PROJECT_NAME", raising=False)
    (tmp_path / folder).mkdir()

    assert stack(tmp_path / folder, "services:\n  app:\n    build: .\n").project == project


def test_extends_takes_from_a_file_with_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "base.yaml").write_text(
        "services:\n  node:\n    build: ./app\n    restart: always\n"
    )
    text = "services:\n  app:\n    extends: {file: base/base.yaml, service: node}\n    init: true\n"
    app = stack(tmp_path, text).services["app"]

    assert app.build is not None and Path(app.build.context) == tmp_path / "base" / "app"
    assert app.restart is not None and app.restart.place.where.endswith("base/base.yaml")
    assert app.init is not None and app.init.place.line == 4


def test_the_paths_of_an_override_are_relative_to_the_first_file(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    first, override = tmp_path / "compose.yaml", tmp_path / "deploy" / "compose.yaml"
    first.write_text("services:\n  app: {init: true}\n")
    override.write_text(
        "services:\n  app: {build: ./app, env_file: app.env}\n"
        "  node: {extends: {file: base.yaml, service: node}}\n"
    )
    (tmp_path / "app.env").write_text("A=1\n")
    (tmp_path / "base.yaml").write_text("services:\n  node: {build: .}\n")
    found = compose.read([first, override]).services

    app, node = found["app"], found["node"]
    assert app.build is not None and Path(app.build.context) == tmp_path / "app"
    assert app.environment["A"].value == "1"
    assert node.build is not None and Path(node.build.context) == tmp_path


def test_what_is_included_belongs_to_the_stack(tmp_path: Path) -> None:
    (tmp_path / "db.yaml").write_text("services:\n  postgres:\n    image: postgres:15\n")
    found = stack(tmp_path, "include: [db.yaml]\nservices:\n  app:\n    build: .\n")

    assert set(found.services) == {"app", "postgres"}


def test_an_included_project_has_its_own_files_folder_and_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TAG", raising=False)
    monkeypatch.setenv("HELD", "ours")
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    (tmp_path / "a" / "base.yaml").write_text("services:\n  one: {image: 'x:${TAG:-0}'}\n")
    (tmp_path / "a" / "over.yaml").write_text("services:\n  one: {labels: {tag: '${HELD}'}}\n")
    (tmp_path / "a" / "my.env").write_text("TAG=1\nHELD=theirs\n")
    (tmp_path / "b" / "compose.yaml").write_text("services:\n  two: {build: ./d}\n")
    (tmp_path / "c" / ".env").write_text("TAG=2\n")
    found = stack(
        tmp_path,
        "include:\n"
        "  - {path: [a/base.yaml, a/over.yaml], env_file: a/my.env}\n"
        "  - {path: b/compose.yaml, project_directory: c}\n",
    ).services

    assert found["one"].image is not None and found["one"].image.value == "x:1"
    assert found["one"].labels["tag"].value == "ours", "the project that includes it goes first"
    assert found["two"].build is not None
    assert Path(found["two"].build.context) == tmp_path / "c" / "d"


def test_a_service_of_a_profile_is_there_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COMPOSE_PROFILES", raising=False)
    text = "services:\n  app: {build: .}\n  dev: {build: ., profiles: [dev, test]}\n"

    assert set(stack(tmp_path, text).services) == {"app"}
    assert set(stack(tmp_path, text, named=["dev"]).services) == {"app", "dev"}
    for asked in ("x,test", "*"):
        monkeypatch.setenv("COMPOSE_PROFILES", asked)
        assert set(stack(tmp_path, text).services) == {"app", "dev"}

    monkeypatch.delenv("COMPOSE_PROFILES")
    with pytest.raises(ConfigurationError, match="COMPOSE_PROFILES"):
        stack(tmp_path, "services:\n  dev: {build: ., profiles: [dev]}\n")


def test_a_dockerfile_may_stand_in_the_compose_file(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text("{}")
    (tmp_path / "compose.yaml").write_text(
        "services:\n  app:\n    build:\n      dockerfile_inline: |\n"
        '        FROM oven/bun:1.4.4\n        CMD ["bun", "x.ts"]\n'
    )
    (app,) = gather.from_files(gather.Files((tmp_path / "compose.yaml",))).apps

    assert isinstance(app.dockerfile, Dockerfile) and app.dockerfile.command is not None
    assert app.dockerfile.command.words == ("bun", "x.ts")
    assert app.dockerfile.command.place.line == 6


@pytest.mark.parametrize("build", ["{image: i, build: .}", "{build: .}"])
def test_a_job_that_others_wait_for_is_not_the_app(tmp_path: Path, build: str) -> None:
    after = "depends_on: {migrate: {condition: service_completed_successfully}}"
    app = f"{{image: i, {after}}}" if "image" in build else f"{{build: ., {after}}}"
    found = stack(tmp_path, f"services:\n  migrate: {build}\n  app: {app}\n  db: {{image: p}}\n")

    assert found.apps == ("app",)


@pytest.mark.parametrize(
    ("text", "comes_to"),
    [
        ("$A-${A}", "1-1"),
        ("${NONE:-${A}}", "1"),
        ("${EMPTY:-x} ${EMPTY-x}", "x "),
        ("${A:+set}${NONE:+set}", "set"),
        ("$$A", "$A"),
        ("${NONE:?say it} $NONE", "${NONE:?say it} $NONE"),
        ("${A", "1"),
    ],
)
def test_variables_are_replaced_and_what_is_not_set_stays(text: str, comes_to: str) -> None:
    assert substitute(text, {"A": "1", "EMPTY": ""}) == comes_to


@pytest.mark.parametrize(
    ("label", "asks"), [("true", True), (" On ", True), ("y", False), ("no", False)]
)
def test_a_label_asks_to_be_watched_as_the_agent_reads_it(
    tmp_path: Path, label: str, asks: bool
) -> None:
    text = f"services:\n  a:\n    image: a\n    labels: ['healthagent.enable={label}']\n"
    found = stack(tmp_path, f"{text}  b:\n    build: .\n")

    assert found.apps == (("a",) if asks else ("b",))


def test_the_app_is_labelled_or_built_or_named(tmp_path: Path) -> None:
    text = (
        "services:\n  app:\n    image: a\n    labels: {healthagent.enable: 'true'}\n"
        "  db:\n    build: .\n"
    )
    path = tmp_path / "compose.yaml"
    path.write_text(text)

    assert compose.read([path]).apps == ("app",)
    assert compose.read([path], ["db"]).apps == ("db",)
    path.write_text(text.replace("'true'", "'false'"))
    assert compose.read([path]).apps == ("db",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("services:\n  app: [\n", "is no YAML"),
        ("services: {}\n", "`services` is missing or empty"),
        ("- app\n", "is no mapping; a Compose file begins with `services:`"),
        ("", "is no mapping"),
        ("services:\n  app: bun\n", "services.app is no mapping"),
        ("services:\n  app:\n    image: a\n", "--service NAME"),
        ("services:\n  app:\n    extends: app\n", "goes in a circle"),
        ("services:\n  app:\n    extends: base\n    build: .\n", "it has app"),
        ("services:\n  app:\n    build: .\n    command: bun 'x\n", "cannot be split into words"),
        ("a: &a\n  b: *a\n", "nested too deeply"),
    ],
)
def test_a_file_that_cannot_be_used_says_where_and_what_to_do(
    tmp_path: Path, text: str, says: str
) -> None:
    message = refused(tmp_path, text)

    assert says in message
    assert "0.yaml" in message


def test_a_folder_without_a_file_names_those_that_were_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"compose\.yaml, compose\.yml.*--compose FILE"):
        compose.default_files(tmp_path)


def test_the_default_files_are_those_of_compose(tmp_path: Path) -> None:
    for name in ("docker-compose.yml", "compose.yaml", "compose.override.yaml"):
        (tmp_path / name).write_text("services: {}\n")

    names = [path.name for path in compose.default_files(tmp_path)]
    assert names == ["compose.yaml", "compose.override.yaml"]
