"""What is kept of a replica's words holds no secret, and is still of use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthagent.core.masking import HIDDEN, is_secret, masked, secrets_in

SECRET = "hunter2-S3cr3t"


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://app:{SECRET}@db:5432/shop?sslmode=require",
        f"cannot reach redis://:{SECRET}@cache:6379",
        f"https://{SECRET}@api.example/v1",
        f"cannot reach postgresql://app:p@{SECRET}@db:5432/shop",
        f"cannot reach postgresql://app:it's{SECRET}@db/shop",
        f"cannot reach postgresql://app:a<b>{SECRET}@db/shop",
        f'{{"url":"postgresql://app:a\\"{SECRET}@db/shop","user":"a"}}',
        f"DATABASE_PASSWORD={SECRET}",
        f"PGPASSWORD='{SECRET}' psql",
        f'{{"level":30,"password":"{SECRET}","user":"a"}}',
        f'{{"dbPassword": "a\\"{SECRET}"}}',
        f"apiKey: '{SECRET}',",
        f"new S3({{ secretKey: '{SECRET}' }})",
        f"MINIO_SECRETKEY={SECRET}",
        f"passwordHash: {SECRET}",
        f"tokenValue={SECRET}",
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
        "asked http://app:3000 for alice@example.com",
        '{"url":"http://app:3000","user":"alice@example.com"}',
        '<a href="http://app:3000">alice@example.com</a>',
        "GIT_AUTHOR=alice",
        "PASSED: 12",
        "TOKENS: 512",
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


@pytest.mark.parametrize(
    ("written", "sent"),
    [("p@ss w0rd", "p@ss w0rd"), ('it\'s "w0rd"', 'it\'s "w0rd"'), ("p%40ssw0rd", "p@ssw0rd")],
    ids=["an @ and a blank", "quotes", "percent-encoded"],
)
def test_a_urls_password_is_found_as_written_and_as_sent(written: str, sent: str) -> None:
    secrets = secrets_in({"DATABASE_URL": f"postgresql://app:{written}@db/shop"})
    assert set(secrets) == {written, sent}


def test_a_password_is_found_in_a_list_of_urls() -> None:
    secrets = secrets_in({"SERVERS": f'["amqp://a:{SECRET}@mq-1","amqp://b:another1@mq-2"]'})
    assert {SECRET, "another1"} <= set(secrets)


@pytest.mark.parametrize("name", ["secretKey", "SECRETKEY", "S3_SECRETKEY", "passwordHash"])
def test_a_name_says_by_one_of_its_words_that_it_is_secret(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["author", "AUTHOR", "passed", "PASSENGER", "tokens"])
def test_a_longer_word_that_begins_like_one_is_none(name: str) -> None:
    assert not is_secret(name)


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
