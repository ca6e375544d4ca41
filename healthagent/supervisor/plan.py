"""What is to be done, in which order, and what speaks against it: pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import get_args

from healthagent.core.action import Plan
from healthagent.core.budget import Budget
from healthagent.core.options import BY_KEY
from healthagent.core.report import ServiceReport, TargetReport, natural
from healthagent.core.runtime import started_by
from healthagent.core.target import Runtime, Target
from healthagent.supervisor.ports import Container, Image, Successor

FIXED_EXECUTOR = "DBOS__VMID"
"""The variable that names a DBOS executor. A replica more would have the id of another, and take
its workflows."""


def order(service: ServiceReport) -> tuple[TargetReport, ...]:
    """Which replica first: those that do not serve, since that costs nothing, then by name."""
    return tuple(sorted(service.targets, key=lambda r: (r.ready, natural(r.target.name))))


def spared(service: ServiceReport, target: Target) -> str:
    """Why a replica cannot be spared now; empty where it can, as one that does not serve. One that
    an act keeps out meanwhile counts as serving: it would but for that."""
    serving = {
        report.target.id for report in service.targets if report.fit and not _is_kept_out(report)
    }
    if target.id not in serving:
        return ""
    left = len(serving) - 1
    if left >= service.quorum:
        return ""
    return (
        f"without {target.name} {left} of {len(service.targets)} replicas of {service.name} would "
        f"be ready, and its quorum is {service.quorum}"
    )


def objections(
    service: ServiceReport,
    containers: Mapping[str, Container],
    image: Image | None,
    budgets: Iterable[Budget],
    plan: Plan,
    successors: Iterable[Successor] = (),
) -> Iterator[str]:
    """All that speaks against rolling a service so; nothing where it may begin.

    ``containers`` are its replicas by id, ``image`` is the one that the plan names, if it is there,
    and ``successors`` are what they would be replaced by.
    How many are ready now does not count: those that are not come first, and each must be ready
    before the next one goes.
    """
    for report in service.targets:
        if report.target.id not in containers:
            yield f"{report.target.name} is no container: nothing here can start it again"
    if plan.image is not None and image is None:
        yield f"there is no image {plan.image} on this Engine; build, load or pull it first"
    if plan.image is not None and image is not None and image.missing:
        missing = ", ".join(image.missing)
        yield f"{plan.image} has no {missing}, which the health check runs; see Dockerfile.fragment"
    yield from dict.fromkeys(filter(None, map(_misdeclared, successors)))
    if plan.surge:
        yield from no_surge(service, containers.values(), budgets)
    else:
        yield from _none_spared(service)


def _misdeclared(successor: Successor) -> str:
    """Whether a successor would be judged as what it is not, as far as its command tells what it
    runs: it would read ``wrong_runtime``, and get no traffic. Empty where it would not."""
    label = BY_KEY["runtime"].label
    starts = started_by(successor.command)
    declared = successor.labels.get(label, BY_KEY["runtime"].default)
    if starts is None or declared == starts or declared not in get_args(Runtime):
        return ""
    says = f"{label} says {declared}" if label in successor.labels else f"no {label} says so"
    command = " ".join(successor.command)
    return (
        f"the new containers start {starts} ({command}), and {says}: they would get no traffic; "
        f"add --label {label}={starts}, or take another image"
    )


def _none_spared(service: ServiceReport) -> Iterator[str]:
    """Whether the quorum takes all that may serve, even once each is well. Whom somebody keeps out
    may go and does not count for the others."""
    out = [report for report in service.targets if _is_kept_out(report)]
    many = len(service.targets) - len(out)
    if many > service.quorum or (out and not many):
        return
    without = "".join(f" without {report.target.name}, {report.drain}" for report in out[:1])
    back = "undrain, " if out else ""
    yield (
        f"{service.name} has {many} of the {service.quorum} replicas that its quorum asks for"
        f"{without}, so none can be spared; {back}add --surge, for one more in the meantime, or "
        "scale it up"
    )


def _is_kept_out(report: TargetReport) -> bool:
    """By somebody, until that is taken back; and not by an act, which ends."""
    return report.drain is not None and report.drain.lasting


def no_surge(
    service: ServiceReport, containers: Iterable[Container], budgets: Iterable[Budget]
) -> Iterator[str]:
    """Why there cannot be one replica more for a while."""
    for container in containers:
        if container.published:
            ports = ", ".join(map(str, container.published))
            yield f"a replica more cannot have port {ports} of the host, which {container.name} has"
        if FIXED_EXECUTOR in container.variables:
            yield (
                f"{container.name} sets {FIXED_EXECUTOR}, so a replica more would take the "
                "workflows of another; name executors by their container"
            )
    if any(report.target.surge == 0 for report in service.targets):
        yield f"the label healthagent.surge of {service.name} is 0"
    for budget in budgets:
        lacking = budget.lacking(service.name)
        if lacking is not None:
            limit, many = lacking
            yield (
                f"a replica more of {service.name} could pass what {limit} allows, {limit.allowed} "
                f"connections, by {many}; see healthagent budget"
            )


def probe_files(containers: Iterable[Container], image: Image | None) -> tuple[str, ...]:
    """The program that the health check of a successor runs, where it is named by its path: it must
    be in the new image. An image with a check of its own brings what that one runs."""
    commands = {container.healthcheck for container in containers}
    if image is not None and image.healthcheck:
        commands = {image.healthcheck}
    programs = {command[1] for command in commands if command[:1] == ("CMD",) and command[1:]}
    return tuple(sorted(program for program in programs if program.startswith("/")))


def fewest(service: ServiceReport, plan: Plan) -> int:
    """How many replicas are ready at the least while it goes on. Those that are not come first, and
    cost nothing; all are by the time that the last ones go, but for those that somebody keeps out.
    """
    well = sum(not _is_kept_out(report) for report in service.targets)
    return max(0, min(len(service.ready), well - (0 if plan.surge else 1)))


def way_back(
    failed: Target,
    left: Iterable[TargetReport],
    containers: Mapping[str, Container],
    tried: Image,
) -> Container | None:
    """The container, as it was before the roll, whose image is the one to go back to: of a replica
    that was ``left`` as it is and serves, else of the failed one. What was just tried is none."""
    ids = (*(report.target.id for report in left if report.ready), failed.id)
    before = (containers[id_] for id_ in ids)
    return next((each for each in before if each.image_id != tried.id), None)


def way_on(
    done: int,
    replicas: Sequence[TargetReport],
    image_before: str,
    more: Target | None,
    asked: Plan | None = None,
) -> str:
    """What somebody may do after a roll that stopped at one of its replicas. ``image_before`` is to
    go back to, empty where there is none. What ``asked`` has set stays set unless it is set again;
    with what is not told, since it may be secret."""
    failed, rest = replicas[done].target, [report.target.name for report in replicas[done + 1 :]]
    name = failed.service
    parts = [f"{done} of {len(replicas)} replicas of {name} are done"]
    if rest:
        left = "was left as it is" if len(rest) == 1 else "were left as they are"
        parts.append(f"{' and '.join(rest)} {left}")
    if more is not None:
        parts.append(f"{more.name}, the one more, goes on serving")
    ways = f"see healthagent explain {failed.name}; to go on, roll it again once that is cured"
    asked = asked or Plan()
    anew = [f"--env {key}=..." for key in asked.variables]
    anew += [f"--label {key}=..." for key in asked.labels]
    if image_before:
        anew.insert(0, f"--image {image_before}")
    if anew:
        verb = "rollback" if image_before else "roll"
        ways += f"; to go back: healthagent {verb} {name} {' '.join(anew)}"
    if asked.variables or asked.labels:
        ways += ", with the values of before"
    return f"{', '.join(parts)}; {ways}"


def one_more(names: Sequence[str]) -> tuple[str, int]:
    """A replica more, as Compose would count on: ``app-4``, 4 after ``app-3``."""
    matched = [re.fullmatch(r"(.*?)(\d+)", name) for name in names]
    numbers = [int(found[2]) for found in matched if found]
    number = max(numbers, default=len(names)) + 1
    stem = next((found[1] for found in matched if found), f"{names[0]}-" if names else "")
    return f"{stem}{number}", number


def described(plan: Plan, container: Container) -> str:
    """What happens to one replica once it is drained, in words."""
    if not plan.replaces:
        return "restarted"
    changes = [
        f"{what} {', '.join(sorted(names))}"
        for what, names in (("variables", plan.variables), ("labels", plan.labels))
        if names
    ]
    text = f"replaced by a container of {plan.image or container.image}"
    return f"{text} with other {' and '.join(changes)}" if changes else text
