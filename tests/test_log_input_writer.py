"""How lines are written into an app's log: what is on the wire, and what every answer means."""

import base64
import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Gone, Refused, Retry, Unauthorized
from app.log_input import LogInput, Written, _pieces
from app.simulator.logs.frames import MOST_LINE_BYTES, read_frames, read_message

API = "https://api.heroku.com"
URL = "https://token:t.01234567-89ab@1.us.logplex.io/logs"
UUID_ = UUID("01234567-89ab-cdef-0123-456789abcdef")
NAME = "acme-postgres-shaped-12345"
AT = datetime(2026, 5, 1, 11, 59, tzinfo=UTC)


class Logplex(httpx2.AsyncBaseTransport):
    """Answers as told, and keeps what came."""

    def __init__(self, *answers: int | Exception, **headers: str) -> None:
        self.answers, self.headers = list(answers), headers
        self.requests: list[httpx2.Request] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        await request.aread()
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else 204
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(answer, headers={name.replace("_", "-"): value for name, value in self.headers.items()})


async def write(logplex: Logplex, *texts: str, url: str = URL, name: str = NAME) -> None:
    log_input = LogInput(slug="acme-postgres", api_url=API, transport=logplex)
    try:
        await log_input.write(UUID_, name, url, [Written(AT, text) for text in texts])
    finally:
        await log_input.close()


async def test_what_is_sent_is_what_heroku_reads():
    logplex = Logplex()
    await write(logplex, "Zoë's credentials were rotated", "and a second line")
    (request,) = logplex.requests
    assert (request.method, str(request.url)) == ("POST", "https://1.us.logplex.io/logs")
    assert base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")) == b"token:t.01234567-89ab"
    assert request.headers["Content-Type"] == "application/logplex-1"
    assert request.headers["Logplex-Msg-Count"] == "2"
    assert request.headers["Content-Length"] == str(len(request.content))
    assert "Transfer-Encoding" not in request.headers
    assert request.headers["User-Agent"].startswith("acme-postgres/")
    first, second = read_frames(request.content)
    head = f"<190>1 2026-05-01T11:59:00.000000+00:00 {UUID_} app {NAME} - - "
    assert first.decode() == f"{head}Zoë's credentials were rotated"
    read = read_message(second)
    assert read is not None
    assert read.has_data
    assert (read.at, read.app, read.process, read.text) == (AT, "app", NAME, "and a second line")


@given(st.text(max_size=400))
def test_whatever_the_text_it_becomes_lines_that_can_be_read_and_harm_no_terminal(text):
    for piece in _pieces(text):
        assert re.fullmatch(r"[^\x00-\x1f\x7f-\x9f]+", piece.decode())


@pytest.mark.parametrize("letter", ["x", "ß", "東", "\N{WAVING HAND SIGN}"])
def test_a_long_line_is_split_between_characters(letter):
    text = letter * 30_000
    pieces = list(_pieces(text))
    assert b"".join(pieces).decode() == text
    assert max(map(len, pieces)) < MOST_LINE_BYTES - 300


async def test_a_name_that_is_no_word_does_not_break_the_frame():
    logplex = Logplex()
    await write(logplex, "hello", name="my db\n<0>1 ü")
    read = read_message(read_frames(logplex.requests[0].content)[0])
    assert read is not None
    assert (read.process, read.text) == ("mydb<0>1", "hello")


@pytest.mark.parametrize("text", ["", "\n", " \r\n\t"])
async def test_of_nothing_nothing_is_sent(text):
    logplex = Logplex()
    await write(logplex, text)
    assert logplex.requests == []


@pytest.mark.parametrize("status", [200, 201, 204])
async def test_success_is_success(status):
    logplex = Logplex(status)
    await write(logplex, "hello")
    assert len(logplex.requests) == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (301, Refused),
        (307, Refused),
        (400, Refused),
        (401, Unauthorized),
        (403, Refused),
        (404, Gone),
        (410, Gone),
        (413, Refused),
        (429, Retry),
        (500, Retry),
        (503, Retry),
        (httpx2.ConnectError("no"), Retry),
        (httpx2.ReadTimeout("late"), Retry),
        (httpx2.RemoteProtocolError("what?"), Retry),
    ],
)
async def test_every_other_answer_has_one_fate_and_tells_no_secret(answer, kind):
    logplex = Logplex(answer)
    with pytest.raises(kind) as raised:
        await write(logplex, "hello")
    assert "t.0123" not in str(raised.value)
    assert len(logplex.requests) == 1


async def test_a_wait_that_is_asked_for_is_told():
    with pytest.raises(Retry) as raised:
        await write(Logplex(429, Retry_After="7"), "hello")
    assert raised.value.after == timedelta(seconds=7)


@pytest.mark.parametrize(
    "url",
    [
        "https://token:t.1@evil.example/logs",
        "http://token:t.1@1.us.logplex.io/logs",
        "https://token:t.1@169.254.169.254/logs",
        "https://token:t.1@1.us.logplex.io@evil.example/logs",
        "",
    ],
)
async def test_an_address_that_is_not_herokus_is_never_called(url):
    logplex = Logplex()
    with pytest.raises(Refused):
        await write(logplex, "hello", url=url)
    assert logplex.requests == []
