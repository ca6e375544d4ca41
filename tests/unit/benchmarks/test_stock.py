"""What was taken from the order desk's stock is what its orders reserved, or it shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from benchmarks.acceptance.acts import astray
from benchmarks.acceptance.desk import stocked
from provision import desk
from provision.local_postgres import LocalPostgres

TAKE = "UPDATE product SET stock = stock - 2 WHERE shop = 'north' AND sku = 'card'"
RESERVE = """
WITH placed AS (
    INSERT INTO orders (id, shop, sku, customer, quantity)
    VALUES (gen_random_uuid(), 'north', 'card', 'Ada', 2) RETURNING id
) INSERT INTO effect (order_id, step, shop, executor) SELECT id, 'reserve', 'north', 'e' FROM placed
"""


@pytest.fixture(scope="module")
def connection(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    secret: Path = tmp_path_factory.mktemp("secrets") / "healthagent"
    secret.write_text("three")
    scripts = sorted((desk.SOURCE / "database").glob("*.sql"))
    passwords = {"APP_PASSWORD": "one", "OWNER_PASSWORD": "two"}
    environment = passwords | {"HEALTHAGENT_POSTGRES_PASSWORD_FILE": str(secret)}
    with (
        LocalPostgres(scripts=scripts, environment=environment) as postgres,
        psycopg.connect(postgres.dsn, dbname="desk", autocommit=True) as found,
    ):
        yield found


@pytest.mark.parametrize(
    ("done", "off"),
    [
        ((RESERVE, TAKE), 0),
        ((RESERVE, TAKE, RESERVE, TAKE), 0),
        ((RESERVE, TAKE, TAKE), 2),
        ((RESERVE,), 2),
    ],
    ids=["one order", "two orders", "taken twice", "not taken"],
)
def test_goods_that_an_order_did_not_take_once_are_astray(
    connection: psycopg.Connection[tuple[Any, ...]], done: tuple[str, ...], off: int
) -> None:
    before = stocked(connection)
    for sql in done:
        connection.execute(sql.encode())

    assert before.keys() == {
        (s, g) for s in ("north", "south") for g in ("card", "poster", "print")
    }
    assert astray(before, stocked(connection)) == off
