"""Notices told once: when they appear, and when they are gone."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from healthagent.core.notice import Notice

_log = logging.getLogger("healthagent.notices")


class Noticeboard:
    """Compares the notices of one report with those of the one before, and logs the difference.

    A report carries every notice that holds, once a second: repeated, they would bury the log.
    """

    def __init__(self) -> None:
        self._posted: frozenset[Notice] = frozenset()

    def post(self, notices: Iterable[Notice]) -> None:
        standing = frozenset(notices)
        for notice in sorted(standing - self._posted, key=str):
            _tell(logging.WARNING, "notice", str(notice), notice)
        for notice in sorted(self._posted - standing, key=str):
            _tell(logging.INFO, "notice_gone", f"no longer: {notice}", notice)
        self._posted = standing


def _tell(level: int, event: str, message: str, notice: Notice) -> None:
    fields = {
        "event": event,
        "about": notice.about,
        "key": notice.key,
        "value": notice.value,
        "problem": notice.problem,
        "remedy": notice.remedy,
    }
    _log.log(level, "%s", message, extra={"fields": fields})
