"""Each seeded fault is found, is laid to the requirement that it is against, and to no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from healthagent.audit.finding import Outcome
from healthagent.audit.reading import gather
from healthagent.audit.requirement import Kind, passing
from healthagent.audit.table import REQUIREMENTS
from provision.paths import ROOT
from tests.unit.audit.stacks import (
    FAULTS,
    assemble,
    evidence,
    expected,
    judgements,
    outcomes,
)

DESK = ROOT / "examples" / "bun-sveltekit-dbos"


def test_the_good_stack_meets_every_requirement(tmp_path: Path) -> None:
    judged = judgements(evidence(assemble(tmp_path)))

    assert passing(judged)
    assert all(j.counts and j.finding.outcome.passing for j in judged)


def test_the_example_meets_all_that_files_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    seen = gather.from_files(gather.Files((DESK / "compose.yaml",)))
    failed = [j for j in judgements(seen, Kind.FILES) if j.counts and not j.finding.outcome.passing]

    assert failed == []


def test_the_example_says_what_to_set_where_no_collector_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    seen = gather.from_files(gather.Files((DESK / "compose.yaml",)))
    judged = judgements(seen, Kind.FILES)
    (failed,) = [j for j in judged if j.counts and not j.finding.outcome.passing]

    assert failed.requirement.id == "NFR-3.3"
    assert failed.finding.seen == "OTEL_EXPORTER_OTLP_ENDPOINT is empty"
    assert failed.finding.remedy == "set OTEL_EXPORTER_OTLP_ENDPOINT: http://COLLECTOR:4318"


def test_the_state_before_the_migration_is_far_from_meeting_them() -> None:
    before = (DESK / "compose.yaml", DESK / "compose.pm2.yaml")
    found = outcomes(gather.from_files(gather.Files(before)), Kind.FILES)

    for id_ in ("1.2.1", "FR-1.1", "FR-2.1", "FR-2.2", "FR-3.1", "FR-3.2", "8.1.1", "9.2", "AC-1"):
        assert found[id_] is Outcome.NOT_MET, id_


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_laid_to_its_requirement(fault: str, tmp_path: Path) -> None:
    judged = judgements(evidence(assemble(tmp_path, fault)))
    wrong = {j.requirement.id: j.finding for j in judged if j.finding.outcome is Outcome.NOT_MET}

    assert sorted(wrong) == sorted(expected(fault)), {i: f.seen for i, f in wrong.items()}
    assert not passing(judged)
    blamed = wrong[expected(fault)[0]]
    assert blamed.seen
    assert blamed.remedy, "it says what to do"
    assert blamed.places, "it says where"


def test_there_are_enough_faults_and_every_requirement_has_one() -> None:
    assert len(FAULTS) >= 40
    blamed = {expected(fault)[0] for fault in FAULTS}
    broken = {id_ for fault in FAULTS for id_ in expected(fault)}

    assert {r.id for r in REQUIREMENTS} == broken
    criteria = {r.id for r in REQUIREMENTS if r.id.startswith("AC-")}
    assert blamed >= broken - criteria, "each is what some fault is against"
