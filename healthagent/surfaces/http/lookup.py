"""Which target, service or check a request means."""

from __future__ import annotations

from http import HTTPStatus
from ipaddress import IPv6Address, ip_address

from healthagent.core.report import CheckReport, Report, ServiceReport, TargetReport
from healthagent.core.target import SHORTEST_PREFIX, begins
from healthagent.surfaces.http.problem import Problem


def find_target(report: Report, reference: str) -> TargetReport:
    """The target with this name, else this id, else the only one whose id begins so.

    Raises :class:`Problem`: 404 where there is none, 409 where several have the name or prefix.
    """
    named = [t for t in report.targets if reference in (t.target.name, t.target.id)]
    if not named:
        named = [t for t in report.targets if begins(t.target.id, reference)]
    match named:
        case [target]:
            return target
        case []:
            known = ", ".join(t.target.name for t in report.targets) or "none"
            short = any(t.target.id.startswith(reference) for t in report.targets)
            needs = f"the beginning of an id takes {SHORTEST_PREFIX} characters at least; "
            detail = f"no target is called {reference!r}; {needs if short else ''}known: {known}"
            raise Problem(HTTPStatus.NOT_FOUND, detail)
        case _:
            raise Problem(
                HTTPStatus.CONFLICT,
                f"{reference!r} names {len(named)} targets; ask by the id of one",
                {"candidates": [{"id": t.target.id, "name": t.target.name} for t in named]},
            )


def find_by_address(report: Report, remote: str | None) -> TargetReport:
    """The target that a connection comes from.

    Only the peer's own address counts: a forwarding header can be written by anybody. Raises
    :class:`Problem` 404 where no target, or more than one, has that address.
    """
    address = plain_address(remote or "")
    here = [t for t in report.targets if address in t.target.addresses]
    if len(here) == 1:
        return here[0]
    if here:
        names = ", ".join(t.target.name for t in here)
        detail = f"{names} share the address {address}; ask for /targets/NAME"
    else:
        detail = f"no target has the address {address or 'of this connection'}"
    raise Problem(HTTPStatus.NOT_FOUND, detail)


def find_service(report: Report, name: str) -> ServiceReport:
    """Raises :class:`Problem` 404 where no service has that name."""
    for service in report.services:
        if service.name == name:
            return service
    known = ", ".join(service.name for service in report.services) or "none"
    raise Problem(HTTPStatus.NOT_FOUND, f"no service is called {name!r}; known: {known}")


def find_check(report: TargetReport, name: str) -> CheckReport:
    """Raises :class:`Problem` 404 where the target has no such check."""
    check = report.check(name)
    if check is not None:
        return check
    known = ", ".join(check.name for check in report.checks) or "none"
    detail = f"{report.target.name} has no check {name!r}; it has: {known}"
    raise Problem(HTTPStatus.NOT_FOUND, detail)


def plain_address(text: str) -> str:
    """The address as Docker writes it: an IPv4 one that came over an IPv6 socket as plain IPv4,
    and no zone."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return text
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(address)
