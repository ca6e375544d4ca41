"""``healthagent audit``: does this stack meet the requirements document?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from healthagent.cli import parameters
from healthagent.cli.agent import Agent, Document
from healthagent.cli.screen import Part, Screen, print_json
from healthagent.errors import AgentUnreachable, HealthagentError

if TYPE_CHECKING:
    from healthagent.audit.evidence import Agent as Told
    from healthagent.audit.evidence import Evidence, Router
    from healthagent.audit.requirement import Judgement
    from healthagent.core.observation import Unseen

TRIES = 3
"""How often the agent is asked until no replica comes or goes meanwhile."""

_PATH = click.Path(path_type=Path)


@click.command(short_help="hold the stack against the requirements, with evidence")
@click.option(
    "--compose",
    "files",
    metavar="FILE",
    type=_PATH,
    multiple=True,
    help="A Compose file, and more that override it; compose.yaml where none is given.",
)
@click.option(
    "--service",
    "services",
    metavar="NAME",
    multiple=True,
    help="The service that is the app; else each labelled healthagent.enable, else each built.",
)
@click.option("--app", "folder", metavar="DIR", type=_PATH, help="Where its package.json is.")
@click.option("--project", metavar="NAME", help="The Compose project that runs, if not the file's.")
@click.option(
    "--traefik",
    metavar="URL",
    envvar="HEALTHAGENT_TRAEFIK_API",
    help="Traefik's API, to be asked what it routes to, such as http://127.0.0.1:8080.",
)
@click.option("--metrics", metavar="URL", help="Where metrics arrive, as Prometheus text.")
@click.option("--acceptance", metavar="FILE", type=_PATH, help="The output of an acceptance run.")
@click.option("--static", is_flag=True, help="Look at files alone, and count what they can tell.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown for a pull request.")
@parameters.as_json
@parameters.agent
@click.pass_context
def audit(
    ctx: click.Context,
    files: tuple[Path, ...],
    services: tuple[str, ...],
    folder: Path | None,
    project: str | None,
    traefik: str | None,
    metrics: str | None,
    acceptance: Path | None,
    static: bool,
    as_markdown: bool,
    as_json: bool,
    agent: Agent,
) -> None:
    """Hold a stack against the requirements of the migration to Bun, one by one.

    Files are read, images looked into, and a running stack is asked: containers by DOCKER_HOST,
    replicas, pools, executors and routing by the agent. Nothing is changed. Each requirement is
    met, not met, or not seen, with where that was seen and what to do; a contradiction is met in
    the one way that the document's own conflict leaves.

    \b
    healthagent audit --compose compose.yaml --agent http://127.0.0.1:9180
    healthagent audit --static --markdown > audit.md

    Exits 0 if everything is met, 1 if not: what was not seen is not met. With --static only what
    files can tell counts. 3 if the agent that --agent names does not answer.
    """
    if as_json and as_markdown:
        raise click.UsageError("--json and --markdown exclude each other; give one")
    if static:
        _refuse_what_runs(ctx)
    from healthagent.audit.reading import compose, gather
    from healthagent.audit.requirement import Kind, judge, passing
    from healthagent.audit.table import REQUIREMENTS

    chosen = files or compose.default_files(Path())
    asked = gather.Files(chosen, services, folder, project)
    evidence = gather.from_files(asked, _say)
    if not static:
        named = ctx.get_parameter_source("agent") is not ParameterSource.DEFAULT
        evidence = _live(evidence, agent, named, traefik, metrics, acceptance)
    kinds = (Kind.FILES,) if static else tuple(Kind)
    judgements = [judge(requirement, evidence, kinds) for requirement in REQUIREMENTS]
    if as_json:
        from healthagent.audit.document import document

        print_json(document(evidence, judgements))
    elif as_markdown:
        from healthagent.audit.markdown import markdown

        click.echo(markdown(evidence, judgements), nl=False)
    else:
        _show(Screen(), evidence, judgements)
    ctx.exit(0 if passing(judgements) else 1)


def _refuse_what_runs(ctx: click.Context) -> None:
    """Evidence that was named, and would not be looked at, would be taken for seen."""
    for name in ("agent", "traefik", "metrics", "acceptance"):
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--static and --{name} exclude each other; give one")


def _live(
    evidence: Evidence,
    agent: Agent,
    named: bool,
    traefik: str | None,
    metrics: str | None,
    acceptance: Path | None,
) -> Evidence:
    """The evidence with what runs: the agent first, since it may not answer."""
    from healthagent.audit.reading import engine, gather, records
    from healthagent.core.observation import Unseen

    told, router = _told(evidence, agent, named, traefik)
    trial = (
        records.trial(acceptance)
        if acceptance
        else Unseen("no acceptance run was shown", "audit with --acceptance FILE")
    )
    stack = evidence.stack
    containers, images = engine.look(stack.project, gather.tags(stack), _say)
    return gather.joined(
        replace(
            evidence,
            agent=told,
            router=router,
            containers=containers,
            images=images,
            trial=trial,
            metrics=records.metrics(metrics)
            if metrics
            else Unseen("it was not looked where metrics arrive", "audit with --metrics URL"),
        )
    )


def _told(
    evidence: Evidence, agent: Agent, named: bool, traefik: str | None
) -> tuple[Told | Unseen, Router | Unseen]:
    """What the agent says, unseen where none answers at an address that nobody named; and what
    Traefik says at the same moment."""
    from healthagent.audit.reading import agent as reading
    from healthagent.audit.reading.traefik import UNASKED
    from healthagent.core.observation import Unseen

    try:
        health, budget, router = _documents(agent, traefik)
    except AgentUnreachable as error:
        if named:
            raise
        away = Unseen(str(error).splitlines()[0], "start the stack; audit with --agent URL")
        return away, UNASKED
    except HealthagentError as error:
        return Unseen(str(error), "audit with --agent URL of its first listener"), UNASKED
    return reading.read(agent.url, health, budget, evidence.stack.apps), router


def _documents(agent: Agent, traefik: str | None) -> tuple[Document, Document, Router | Unseen]:
    """Health, budget and routing of one moment: a replica may come or go between two answers."""
    from healthagent.audit.reading.traefik import UNASKED, read

    for _ in range(TRIES):
        before, budget = agent.health(), agent.budget()
        router, after = read(traefik) if traefik else UNASKED, agent.health()
        if _ready(before) == _ready(after):
            break
    return after, budget, router


def _ready(health: Document) -> set[str]:
    return {target["id"] for target in health["targets"] if target["ready"]}


def _say(text: str) -> None:
    click.echo(f"· {text} ...", err=True)


STYLES = {"met": "green", "contradiction": "cyan", "not seen": "magenta", "not met": "bold red"}


def _show(screen: Screen, evidence: Evidence, judgements: list[Judgement]) -> None:
    from healthagent.audit.document import SRD
    from healthagent.audit.requirement import passing, tally

    screen.line(f"{SRD}. Service: {', '.join(evidence.stack.apps)}.")
    screen.line()
    rows: list[tuple[Part, ...]] = []
    for judgement in judgements:
        requirement, finding = judgement.requirement, judgement.finding
        outcome = str(finding.outcome)
        where = str(finding.places[0]) if finding.places else ""
        if len(finding.places) > 1:
            where += f" (+{len(finding.places) - 1})"
        text = finding.seen if finding.outcome.passing else _advised(finding.seen, finding.remedy)
        style = STYLES[outcome] if judgement.counts else "dim"
        rows.append((requirement.id, (outcome, style), requirement.says, where, text))
    screen.table(("ID", "OUTCOME", "REQUIREMENT", "WHERE", "SEEN"), rows)
    named = [j.requirement for j in judgements if j.requirement.contradiction]
    if named:
        screen.line()
        screen.line(("The document contradicts itself, or the software it names:", "bold"))
        screen.table(("ID", "RESOLVED"), [(r.id, r.contradiction) for r in named])
    counts = ", ".join(
        f"{count} {outcome}" for outcome, count in tally(judgements).items() if count
    )
    uncounted = sum(not judgement.counts for judgement in judgements)
    beyond = f" ({uncounted} need a stack that runs, and do not count)" if uncounted else ""
    verdict = ("met", "green") if passing(judgements) else ("not met", "bold red")
    screen.line()
    screen.line(f"{' '.join(evidence.stack.files)}: {counts}{beyond}: ", verdict)


def _advised(seen: str, remedy: str) -> str:
    return f"{seen}; {remedy}" if remedy else seen
