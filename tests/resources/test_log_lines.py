"""Frames of log lines: whatever comes is read as it was sent, or refused; never half, and never for long."""

import time
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.resources.log_lines import MOST_LINES, BadLines, read_line, read_lines
from app.simulator.logs.frames import http_frame
from app.simulator.logs.lines import Line

AT = datetime(2026, 5, 1, 11, 59, 0, 123456, tzinfo=UTC)

words = st.text(st.characters(codec="ascii", categories=("L", "N"), include_characters=".-_"), min_size=1, max_size=20)
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=300)
sent_lines = st.builds(
    Line,
    number=st.just(1),
    app_id=st.just("1"),
    at=st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - gets its zone there
    source=words,
    process=words,
    text=texts,
    priority=st.integers(0, 191),
)


def framed(*messages: bytes) -> bytes:
    return b"".join(b"%d %s" % (len(message), message) for message in messages)


@given(st.lists(sent_lines, max_size=20))
def test_what_heroku_frames_is_read_as_it_was(sent):
    read = read_lines(b"".join(http_frame(line) for line in sent))
    told = [(line.at, line.priority, line.source, line.process, line.text) for line in sent]
    assert [(line.at, line.priority, line.source, line.process, line.text) for line in read] == told


@given(st.lists(sent_lines, min_size=1, max_size=5), st.data())
def test_of_what_is_cut_off_only_whole_lines_are_read_or_nothing(sent, data):
    frames = [http_frame(line) for line in sent]
    body = b"".join(frames)
    end = data.draw(st.integers(0, len(body)))
    whole = {sum(map(len, frames[:count])): count for count in range(len(frames) + 1)}
    if end in whole:
        assert len(read_lines(body[:end])) == whole[end]
    else:
        with pytest.raises(BadLines):
            read_lines(body[:end])


@given(st.one_of(st.binary(max_size=2000), st.lists(st.binary(max_size=50)).map(lambda parts: framed(*parts))))
def test_any_bytes_are_lines_or_refused(body):
    try:
        lines = read_lines(body)
    except BadLines as error:
        assert str(error).startswith(("Message ", "There are "))  # noqa: PT017 - either is right
    else:
        assert all(line.text.isascii() or line.text.encode("utf-8") for line in lines)


@given(st.binary(max_size=500))
def test_any_message_is_a_line(message):
    line = read_line(message)
    assert 0 <= line.priority <= 191
    assert line.at is None or line.at.tzinfo is UTC


@pytest.mark.parametrize(
    ("message", "at", "priority", "source", "process", "text"),
    [
        (b"<190>1 2026-05-01T11:59:00.123456+00:00 host app web.1 - hi\n", AT, 190, "app", "web.1", "hi"),
        (b"<40>1 2026-05-01T13:59:00.123456+02:00 host heroku router - a - b", AT, 40, "heroku", "router", "a - b"),
        (b"<190>1 2026-05-01T11:59:00.123456Z host app web.1 - two\nlines\n", AT, 190, "app", "web.1", "two\nlines"),
        (b"<190>1 2026-05-01T11:59:00.123456+00:00 host app web.1 - \n", AT, 190, "app", "web.1", ""),
        (b"<190>1 2026-05-01T11:59:00.123456+00:00 host app web.1 -", AT, 190, "app", "web.1", ""),
        (b"<190>1 yesterday host app web.1 - hi", None, 190, "app", "web.1", "hi"),
        (b"<190>1 2026-05-01T11:59:00 host app web.1 - without a zone", None, 190, "app", "web.1", "without a zone"),
        (b"<190>1 0001-01-01T00:00:00+14:00 host app web.1 - hi", None, 190, "app", "web.1", "hi"),
        (b"<190>1 2026-05-01T11:59:00.123456Z host app web.1 - \xff\xc3", AT, 190, "app", "web.1", "\ufffd\ufffd"),
        (b"<192>1 2026-05-01 h app web.1 - hi", None, 13, "", "", "<192>1 2026-05-01 h app web.1 - hi"),
        (b"<1>2 2026-05-01 h app web.1 - hi", None, 13, "", "", "<1>2 2026-05-01 h app web.1 - hi"),
        (b"hello\n", None, 13, "", "", "hello"),
        (b"", None, 13, "", "", ""),
    ],
)  # fmt: skip
def test_a_message_says_when_who_and_what(message, at, priority, source, process, text):
    line = read_line(message)
    assert (line.at, line.priority, line.source, line.process, line.text) == (at, priority, source, process, text)


@pytest.mark.parametrize(
    "body",
    [b"x", b" x", b"-5 hello", b"+5 hello", b"05 hello", b"0 ", b"5hello", b"9" * 400 + b" x", b"6 hello", b"5 helloX",
     "\u0665 hello".encode(), b"1_0 helloworld", b"5\thello"],
)  # fmt: skip
def test_what_has_no_right_length_is_refused_and_not_repeated(body):
    with pytest.raises(BadLines) as raised:
        read_lines(body)
    assert "hello" not in str(raised.value)


def test_a_line_does_not_show_its_text_in_a_log():
    assert "hunter2" not in repr(read_line(b"<190>1 2026-05-01T11:59:00Z host app web.1 - password=hunter2"))


def test_there_is_an_end_to_how_many_lines_are_read():
    assert len(read_lines(b"1 x" * MOST_LINES)) == MOST_LINES
    with pytest.raises(BadLines, match="more than"):
        read_lines(b"1 x" * (MOST_LINES + 1))


@pytest.mark.parametrize("body", [b"9" * 500_000, b" " * 500_000, b"1 x" * 170_000, b"499000 " + b"<" * 499_000])
def test_no_half_megabyte_takes_long(body):
    started = time.process_time()
    with suppress(BadLines):
        read_lines(body)
    assert time.process_time() - started < 1
