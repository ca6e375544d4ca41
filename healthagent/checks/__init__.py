"""The checks, one file each, and the table of them in the order in which blame is given."""

from __future__ import annotations

from healthagent.checks import dbos, event_loop, http, pool, postgres, process
from healthagent.checks import exit as exit_check
from healthagent.core.check import Check

CHECKS: tuple[Check, ...] = (
    exit_check.CHECK,
    process.CHECK,
    event_loop.CHECK,
    http.CHECK,
    postgres.CHECK,
    pool.CHECK,
    dbos.CHECK,
)
