"""Addresses are one server's as long as the same server answers there."""

from __future__ import annotations

from healthagent.core.target import DatabaseRef
from healthagent.sources.postgres.servers import Servers

DIRECT = DatabaseRef("db", 5432, "shop")
REPORTS = DatabaseRef("db", 5432, "reports")
POOLER = DatabaseRef("pooler", 6432, "shop")


def test_addresses_at_which_one_server_answers_are_told_together() -> None:
    servers = Servers()
    assert servers.met(DIRECT, "started at 1") == {("db", 5432)}
    assert servers.met(REPORTS, "started at 1") == {("db", 5432)}
    assert servers.met(POOLER, "started at 1") == {("db", 5432), ("pooler", 6432)}


def test_an_address_where_another_server_answers_now_is_that_ones() -> None:
    servers = Servers()
    servers.met(DIRECT, "started at 1")
    servers.met(POOLER, "started at 1")
    assert servers.met(POOLER, "started at 2") == {("pooler", 6432)}
    assert servers.met(DIRECT, "started at 1") == {("db", 5432)}


def test_an_address_that_nobody_asks_about_any_more_is_not_told() -> None:
    servers = Servers()
    servers.met(POOLER, "started at 1")
    servers.forget(POOLER)
    assert servers.met(DIRECT, "started at 1") == {("db", 5432)}
