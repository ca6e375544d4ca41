"""What is kept of a replica's words holds no secret, and is still of use."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthagent.core.masking import HIDDEN, masked, secrets_in

SECRET = "hunter2-S3cr3t"


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://app:{SECRET}@db:5432/shop?sslmode=require",
        f"cannot reach redis://:{SECRET}@cache:6379",
        f"https://{SECRET}@api.example/v1",
        f"DATABASE_PASSWORD={SECRET}",
        f"PGPASSWORD='{SECRET}' psql",
        f'{{"level":30,"password":"{SECRET}","user":"a"}}',
        f'{{"dbPassword": "a\\"{SECRET}"}}',
        f"apiKey: '{SECRET}',",
        f"STRIPE_API_KEY={SECRET}",
        f"SESSION_SECRET => {SECRET}",
        f"bun run start --password {SECRET} --port 3000",
        f"--auth-token={SECRET}",
        f"Authorization: Bearer {SECRET}",
        f"authorization: Basic {SECRET}==",
        f'"authorization": "Token {SECRET}"',
        f"got bearer {SECRET} from the client",
        f"Set-Cookie: sid={SECRET}; Path=/; HttpOnly",
        f"GET /reset?token={SECRET}&user=7",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n{SECRET}\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET} and the log ends",
        f"eyJhbGciOiJIUzI1NiJ9.{SECRET}.abc",
        f"jwt: {SECRET}",
        f"ghp_{SECRET}abcdef",
        f"AKIA{'B' * 16}{SECRET}"[:20] + f" secret_access_key={SECRET}",
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str) -> None:
    assert SECRET not in masked(text)
    assert HIDDEN in masked(text)


@pytest.mark.parametrize(
    "text",
    [
        "Listening on http://0.0.0.0:3000",
        "error: connect ECONNREFUSED 10.0.0.3:5432",
        "at handler (/app/build/index.js:10:5)",
        "the author passed 12 tests; tokens per minute: high"[:25],
        "GET /orders?page=2&sort=asc 200 3 ms",
        "user alice@example.com signed in",
        "passed the checkpoint",
    ],
)
def test_what_does_not_is_left_as_it_was(text: str) -> None:
    assert masked(text) == text


def test_the_rest_of_a_url_and_of_a_line_stays() -> None:
    assert masked(f"x postgresql://app:{SECRET}@db:5432/shop y") == (
        f"x postgresql://{HIDDEN}@db:5432/shop y"
    )
    assert masked(f"TOKEN={SECRET} port=3000") == f"TOKEN={HIDDEN} port=3000"


def test_a_replicas_own_secrets_are_hidden_wherever_they_stand() -> None:
    environment = {
        "PORT": "3000",
        "DATABASE_URL": f"postgresql://app:{SECRET}@db/shop",
        "JWT_SIGNING_KEY": "correct horse battery",
        "PIN_TOKEN": "1234",
    }
    secrets = secrets_in(environment)
    assert set(secrets) == {SECRET, "correct horse battery"}
    assert masked(f"query failed: {SECRET}x (correct horse battery)", secrets) == (
        f"query failed: {HIDDEN}x ({HIDDEN})"
    )


@settings(deadline=None)
@given(
    st.text(max_size=60),
    st.sampled_from(["PASSWORD=%s", '"secret":"%s"', "--token=%s", "amqp://u:%s@h/", "Bearer %s"]),
    st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=12),
    st.text(max_size=60),
)
def test_whatever_stands_around_it(before: str, written: str, value: str, after: str) -> None:
    text = f"{before} {written % value} {after}"
    if value not in before + after:
        assert value not in masked(text)
