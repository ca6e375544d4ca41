"""Progress is one plain line a step, with what came of it and the seconds it took."""

import io

import pytest

from provision.progress import Progress


def test_a_step_ends_in_one_line() -> None:
    stream = io.StringIO()
    with Progress(stream).step("engine") as step:
        step.outcome = "20.10 running"
    assert stream.getvalue().startswith("✓ engine: 20.10 running  (0.")
    assert stream.getvalue().count("\n") == 1


def test_long_work_is_announced_before_it_begins() -> None:
    stream = io.StringIO()
    with Progress(stream).step("engine") as step:
        step.say("installing")
        assert stream.getvalue() == "· engine: installing ...\n"


def test_a_failure_is_marked_and_goes_on() -> None:
    stream = io.StringIO()
    with pytest.raises(ZeroDivisionError), Progress(stream).step("engine"):
        raise ZeroDivisionError
    assert stream.getvalue().startswith("✗ engine: failed")


def test_no_colour_unless_on_a_terminal() -> None:
    plain, terminal = io.StringIO(), io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    for stream in (plain, terminal):
        with Progress(stream).step("engine"):
            pass
    assert "\033[" not in plain.getvalue()
    assert "\033[" in terminal.getvalue()
