"""How a replica ended says whether it may come back."""

from __future__ import annotations

from dataclasses import replace

from healthagent.checks.exit import CHECK, LATELY
from healthagent.core.exits import End, Exits, Sent
from healthagent.core.observation import ContainerState, Fact, Observation, Unseen
from healthagent.core.target import Target
from healthagent.core.verdict import Status, Verdict

NOW = 1000.0
APP = Target(id="c" * 64, name="app-1", service="app")
RUNNING = ContainerState("running", pid=7, started_at=NOW - 3, restart_count=3)
EXITED = ContainerState("exited", started_at=NOW - 5, finished_at=NOW - 1, exit_code=1)
RESTARTING = replace(EXITED, status="restarting", restart_count=3)
ERROR = End(at=NOW - 0.1, exit_code=1, asked=False, ran_for=0.5)
LOOP = tuple(replace(ERROR, at=ERROR.at - seconds) for seconds in (2.0, 1.0, 0.0))
STOPPED = End(at=NOW - 1, exit_code=143, asked=True, signals=(Sent(15, NOW - 1.1),), ran_for=60.0)


def judged(
    state: ContainerState | Unseen, *ends: End, exits: Exits | Unseen | None = None
) -> Verdict:
    facts: dict[type[Fact], Fact | Unseen] = {
        ContainerState: state,
        Exits: Exits(NOW, ends) if exits is None else exits,
    }
    return CHECK.judge(Observation(APP, facts))


def said(verdict: Verdict) -> tuple[Status, str]:
    return verdict.status, verdict.code


def test_a_replica_that_never_ended_is_ok() -> None:
    assert said(judged(RUNNING)) == (Status.OK, "ok")


def test_a_replica_that_ended_and_was_not_restarted_fails_by_the_name_of_its_end() -> None:
    verdict = judged(EXITED, ERROR)
    assert said(verdict) == (Status.FAILED, "error")
    assert verdict.conclusive
    assert verdict.evidence["exit_code"] == 1


def test_that_docker_has_no_policy_to_start_it_again_is_said_of_one_that_ended_unasked() -> None:
    left = replace(EXITED, restarted=False)
    assert judged(left, ERROR).reason.endswith(
        "; Docker does not start it again, for want of a policy: write restart: unless-stopped"
    )
    assert "policy" not in judged(EXITED, ERROR).reason
    assert "policy" not in judged(left, STOPPED).reason, "nor of one that is not meant to run"


def test_a_replica_that_runs_again_is_ok_and_says_how_it_ended() -> None:
    verdict = judged(RUNNING, replace(ERROR, exit_code=137, oom=True))
    assert said(verdict) == (Status.OK, "ok")
    assert "runs for 3 s; before that: killed for want of memory" in verdict.reason


def test_a_replica_that_is_being_stopped_is_ok_and_says_since_when() -> None:
    being_stopped = Exits(NOW, (ERROR,), stopping=NOW - 3)
    verdict = judged(RUNNING, exits=being_stopped)
    assert said(verdict) == (Status.OK, "ok")
    assert verdict.reason == ("is being stopped since 3 s: a signal to end came through Docker")
    assert verdict.evidence == {"stopping_since": NOW - 3}


def test_that_it_was_being_stopped_is_nothing_once_it_has_ended() -> None:
    assert said(judged(EXITED, exits=Exits(NOW, (ERROR,), stopping=NOW - 3)))[1] == "error"


def test_a_crash_loop_that_is_being_stopped_is_one_until_it_has_ended() -> None:
    assert said(judged(RUNNING, exits=Exits(NOW, LOOP, stopping=NOW)))[1] == "crash_loop"


def test_a_stop_on_purpose_is_no_fault() -> None:
    verdict = judged(replace(EXITED, exit_code=143), STOPPED)
    assert said(verdict) == (Status.OK, "ok")
    assert verdict.reason == "stopped on purpose (exit 143)"


def test_a_stop_that_ended_in_sigkill_degrades_with_the_remedy() -> None:
    killed = replace(STOPPED, exit_code=137, signals=(*STOPPED.signals, Sent(9, NOW - 1)))
    verdict = judged(EXITED, killed)
    assert said(verdict) == (Status.DEGRADED, "killed_after_grace")
    assert "handle SIGTERM" in verdict.reason


def test_a_shutdown_that_fails_degrades() -> None:
    verdict = judged(EXITED, replace(STOPPED, exit_code=7))
    assert said(verdict) == (Status.DEGRADED, "unclean_stop")
    assert "SIGTERM" not in verdict.reason, "that it heard"


def test_an_end_that_may_have_been_a_stop_nobody_saw_is_unknown() -> None:
    verdict = judged(EXITED, replace(ERROR, exit_code=0, asked=None))
    assert said(verdict) == (Status.UNKNOWN, "unclear")


def test_a_crash_loop_fails_while_docker_waits_and_says_when_it_tries_again() -> None:
    verdict = judged(RESTARTING, *LOOP)
    assert said(verdict) == (Status.FAILED, "crash_loop")
    assert verdict.conclusive
    assert "ended 3 times in 2 s, the last time: it ended with exit 1" in verdict.reason
    assert verdict.reason.endswith("Docker tries again in 0.3 s")


def test_a_pause_that_is_not_known_is_not_made_up() -> None:
    seldom_watched = replace(RESTARTING, restart_count=40)
    assert judged(seldom_watched, *LOOP).reason.endswith("Docker tries again within a minute")


def test_a_crash_loop_fails_even_while_it_happens_to_run() -> None:
    verdict = judged(RUNNING, *LOOP)
    assert said(verdict) == (Status.FAILED, "crash_loop")
    assert "counts as recovered once it has run for 10 s" in verdict.reason


def test_a_crash_loop_is_over_once_it_has_run_steadily() -> None:
    assert said(judged(replace(RUNNING, started_at=NOW - 10), *LOOP)) == (Status.OK, "ok")


def test_a_clock_that_was_set_back_makes_no_run_short() -> None:
    set_back = Exits(NOW - 3600, LOOP)
    verdict = judged(replace(RUNNING, started_at=NOW - 10), exits=set_back)
    assert said(verdict) == (Status.OK, "ok"), "a run of less than nothing says nothing"
    assert verdict.reason.startswith("runs again; before that: it ended with exit 1")


def test_nor_does_it_make_dockers_pause_longer() -> None:
    waiting = judged(RESTARTING, exits=Exits(NOW - 3600, LOOP))
    assert waiting.reason.endswith("Docker tries again in 0.4 s")


def test_a_crash_loop_that_docker_gave_up_on_says_so() -> None:
    given_up = judged(EXITED, exits=Exits(NOW, LOOP, final=True))
    assert given_up.reason.endswith("Docker does not start it again")


def test_before_docker_has_said_so_it_is_not_claimed() -> None:
    assert judged(EXITED, *LOOP).reason.endswith("whether Docker starts it again is not known yet")


def test_a_container_that_could_not_start_fails_by_name() -> None:
    missing = ContainerState("created", exit_code=127, error='exec: "/nope": no such file')
    verdict = judged(missing)
    assert said(verdict) == (Status.FAILED, "not_found")
    assert verdict.conclusive


def test_what_once_kept_a_container_from_its_start_is_over_once_it_runs() -> None:
    assert said(judged(replace(RUNNING, error="port is already allocated"))) == (Status.OK, "ok")


def test_a_container_that_was_only_created_owes_its_start() -> None:
    assert said(judged(ContainerState("created"))) == (Status.UNKNOWN, "waiting")


def test_what_docker_does_not_tell_is_unknown() -> None:
    blind = Unseen("Docker cannot be reached", "start it")
    assert said(judged(blind)) == (Status.UNKNOWN, "unseen")
    assert said(judged(RUNNING, exits=blind)) == (Status.UNKNOWN, "unseen")


def test_it_applies_to_containers() -> None:
    assert CHECK.applies(APP)
    assert not CHECK.applies(replace(APP, id="static:app", pid=1))


def test_a_replica_that_outlived_a_kill_for_memory_is_degraded_for_a_while() -> None:
    def killed(ago: float, *ends: End) -> Verdict:
        return judged(RUNNING, exits=Exits(NOW, ends, oom_at=NOW - ago))

    verdict = killed(1.0)
    assert said(verdict) == (Status.DEGRADED, "oom_in_container")
    assert "the app runs on" in verdict.reason
    assert said(killed(LATELY)) == (Status.OK, "ok")
    assert said(killed(-1.0)) == (Status.OK, "ok"), "the clock was set back since"
    assert said(killed(1.0, *LOOP)) == (Status.FAILED, "crash_loop"), "the worse one is told"
