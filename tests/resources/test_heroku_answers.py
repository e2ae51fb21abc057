"""What we make of each answer of Heroku, down to the malformed ones."""

import asyncio
import gzip
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from uuid import uuid4

import httpx2
import pytest

from app.errors import Gone, Refused, Retry, Unauthorized
from app.heroku import Heroku

TOKENS = {"access_token": "HRKU-a", "refresh_token": "r", "expires_in": 28800, "token_type": "Bearer"}


def heroku(answer) -> Heroku:
    """Heroku's client, whose every request gets `answer`: a response, or a function of the request."""
    transport = httpx2.MockTransport(answer if callable(answer) else lambda _: answer)
    return Heroku(api_url="https://api.test", id_url="https://id.test", client_secret="the-secret", transport=transport)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Unauthorized),
        (404, Gone),
        (410, Gone),
        (429, Retry),
        (500, Retry),
        (503, Retry),
        (599, Retry),
        (302, Refused),
        (400, Refused),
        (403, Refused),
        (422, Refused),
        (451, Refused),
    ],
)
async def test_each_status_has_its_kind(status, kind):
    client = heroku(httpx2.Response(status, json={"id": "x", "message": "Heroku's own words."}))
    with pytest.raises(kind):
        await client.mark_provisioned(uuid4(), "HRKU-token")


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206])
async def test_success_needs_no_body(status):
    await heroku(httpx2.Response(status)).update_config(uuid4(), "HRKU-token", {"A_URL": "x"})


async def test_a_refusal_carries_herokus_words():
    with pytest.raises(Refused, match="Heroku's own words"):
        await heroku(httpx2.Response(422, json={"message": "Heroku's own words."})).mark_provisioned(uuid4(), "t")


async def test_of_a_refusal_only_words_are_kept_that_can_be_stored_and_shown():
    body = rb'{"message": "No\u0000\u001b[2J\ud800, not now."}'
    with pytest.raises(Refused, match=r"No {2}\[2J , not now\.$"):
        await heroku(httpx2.Response(422, content=body)).mark_provisioned(uuid4(), "t")


@pytest.mark.parametrize("status", [200, 422])
async def test_an_answer_nested_too_deep_is_one_without_words(status):
    client = heroku(httpx2.Response(status, content=b"[" * 50_000))
    with pytest.raises((Refused, Retry)):
        await client.exchange_grant("code")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b"\xff", b'{"message": null}'])
async def test_a_refusal_without_words_is_a_refusal(body):
    with pytest.raises(Refused, match="no message"):
        await heroku(httpx2.Response(400, content=body)).mark_provisioned(uuid4(), "t")


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        ("0", 0, 0),
        ("90", 90, 90),
        ("1.5", 1.5, 1.5),
        ("-5", 0, 0),
        ("1e9", 3600, 3600),
        ("1e999", None, None),
        ("nan", None, None),
        ("soon", None, None),
        ("", None, None),
    ],
)
async def test_the_wait_that_heroku_asks_for_is_kept_up_to_an_hour(header, low, high):
    with pytest.raises(Retry) as caught:
        await heroku(httpx2.Response(429, headers={"Retry-After": header})).mark_provisioned(uuid4(), "t")
    after = caught.value.after
    assert (after is None) if low is None else (low <= after.total_seconds() <= high)


@pytest.mark.parametrize(("minutes", "low", "high"), [(30, 1700, 1801), (-30, 0, 0)])
async def test_the_wait_may_also_be_a_date(minutes, low, high):
    at = format_datetime(datetime.now(UTC) + timedelta(minutes=minutes))
    with pytest.raises(Retry) as caught:
        await heroku(httpx2.Response(429, headers={"Retry-After": at})).mark_provisioned(uuid4(), "t")
    assert caught.value.after is not None
    assert low <= caught.value.after.total_seconds() <= high


@pytest.mark.parametrize(
    "trouble",
    [httpx2.ConnectError("x"), httpx2.ReadTimeout("x"), httpx2.RemoteProtocolError("x"), httpx2.ReadError("x")],
)
async def test_trouble_on_the_way_is_for_later(trouble):
    def fail(_request: httpx2.Request) -> httpx2.Response:
        raise trouble

    with pytest.raises(Retry):
        await heroku(fail).refresh_token("r")


async def test_an_answer_that_cannot_be_unpacked_is_for_later():
    headers = {"Content-Encoding": "gzip"}
    with pytest.raises(Retry):
        await heroku(lambda _: httpx2.Response(200, headers=headers, stream=_Stream())).refresh_token("r")


class _Stream(httpx2.AsyncByteStream):
    async def __aiter__(self):
        yield gzip.compress(b"{}")[:-4] + b"nope"


async def test_an_answer_that_trickles_is_given_up(monkeypatch):
    monkeypatch.setattr("app.heroku._LONGEST_CALL", timedelta(milliseconds=20))

    async def never(_request: httpx2.Request) -> httpx2.Response:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(Retry):
        await heroku(never).refresh_token("r")


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "text",
        {},
        TOKENS | {"access_token": None},
        TOKENS | {"access_token": ""},
        TOKENS | {"access_token": 5},
        TOKENS | {"refresh_token": 5},
        TOKENS | {"expires_in": "soon"},
        TOKENS | {"expires_in": 10**30},
    ],
)
async def test_what_is_not_a_token_is_not_stored(body):
    with pytest.raises(Retry, match="not a token"):
        await heroku(httpx2.Response(200, json=body)).exchange_grant("code")


async def test_a_missing_refresh_token_leaves_the_old_one():
    tokens = await heroku(httpx2.Response(200, json=TOKENS | {"refresh_token": None})).refresh_token("r")
    assert (tokens.access_token, tokens.refresh_token) == ("HRKU-a", None)
    assert tokens.expires_in == timedelta(hours=8)


@pytest.mark.parametrize("body", [TOKENS | {"expires_in": None}, {"access_token": "HRKU-a", "refresh_token": "r"}])
async def test_a_token_whose_life_is_untold_is_kept_and_refreshed_within_the_hour(body):
    tokens = await heroku(httpx2.Response(200, json=body)).exchange_grant("code")
    assert (tokens.refresh_token, tokens.expires_in) == ("r", timedelta(hours=1))


async def test_secrets_travel_in_the_body_and_appear_in_no_error():
    seen: list[httpx2.Request] = []

    def refuse(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(400, json={"message": "no"})

    with pytest.raises(Refused) as caught:
        await heroku(refuse).exchange_grant("the-code")
    assert seen[0].url == "https://id.test/oauth/token"
    assert seen[0].content == b"grant_type=authorization_code&code=the-code&client_secret=the-secret"
    assert "the-" not in str(caught.value)
