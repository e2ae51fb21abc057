from datetime import UTC, datetime

import pytest

from app.simulator.logs.frames import BadFrames, http_frame, in_pieces, read_frames, read_message, tcp_frame
from app.simulator.logs.lines import Line

AT = datetime(2026, 5, 1, 12, 0, 0, 250, tzinfo=UTC)


def line(text):
    return Line(1, "app-id", AT, "app", "web.1", text, 190)


def test_an_http_drain_gets_no_structured_data_and_a_length_in_bytes():
    content = "<190>1 2026-05-01T12:00:00.000250+00:00 host app web.1 - Zoë\n".encode()
    assert http_frame(line("Zoë")) == str(len(content)).encode() + b" " + content


def test_a_syslog_drain_gets_every_field_and_its_token_for_a_host():
    frame = tcp_frame(line("hi"), "d.123")
    assert frame.endswith(b"<190>1 2026-05-01T12:00:00.000250+00:00 d.123 app web.1 - - hi\n")


@pytest.mark.parametrize("texts", [["one"], ["Zoë", "", "日本 語", "12 <190>1 not a frame"], ["x" * 20_000, "🦄"]])
def test_what_is_framed_is_cut_where_it_was_joined(texts):
    body = b"".join(http_frame(line(text)) for text in texts)
    messages = read_frames(body)
    assert [message.decode().partition("web.1 - ")[2] for message in messages] == [f"{text}\n" for text in texts]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"hello", "Message 1 has no length"),
        (b"0 ", "Message 1 has no length"),
        (b"-5 hello", "Message 1 has no length"),
        (b"5hello", "Message 1 has no length"),
        (b"5 hello\n5 hello", "Message 2 has no length before it.*nothing separates two messages"),
        ("5 hellë5 hello".encode(), "Message 2 has no length before it.*counts the bytes of UTF-8"),
        (b"6 hello", "should have 6 bytes, but only 5 are left"),
        (b"99999999999999999999 hello", "Message 1 has no length"),
    ],
)
def test_a_body_that_cannot_be_cut_is_refused_with_the_place_and_the_reason(body, reason):
    with pytest.raises(BadFrames, match=reason):
        read_frames(body)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("-", "plain"),
        ('[id key="a b"]', "one element"),
        ('[id key="a \\] b"][other x="y"]', "an escaped bracket"),
        ("-", "\N{ZERO WIDTH NO-BREAK SPACE}with a mark"),
    ],
)
def test_a_message_is_read_whatever_its_structured_data(data, text):
    read = read_message(f"<13>1 2026-05-01T14:00:00+02:00 host app web.1 ID47 {data} {text}".encode())
    assert read is not None
    assert (read.priority, read.app, read.process) == (13, "app", "web.1")
    assert read.text == text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
    assert read.at == datetime(2026, 5, 1, 12, tzinfo=UTC)
    assert read.has_data
    assert read.is_utf8


def test_a_message_may_be_empty():
    read = read_message(b"<13>1 - host app web.1 - -")
    assert read is not None
    assert (read.text, read.at, read.has_data) == ("", None, True)


def test_a_message_with_one_field_too_few_is_known_as_such():
    read = read_message(b"<13>1 2026-05-01T12:00:00Z host app web.1 - the text")
    assert read is not None
    assert not read.has_data


@pytest.mark.parametrize(
    "message",
    [b"", b"hello", b"<192>1 - h a p - - x", b"<13>2 - h a p - - x", b"<13>1 - h a p", b"<x>1 - h a p - - x"],
)
def test_what_is_no_syslog_message_is_not_read(message):
    assert read_message(message) is None


def test_bytes_that_are_not_utf_8_are_noticed_and_replaced():
    read = read_message(b"<13>1 - h a p - - caf\xe9")
    assert read is not None
    assert not read.is_utf8
    assert read.text == "caf\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize("text", ["", "short", "x" * 10_000, "x" * 10_001, "é" * 12_345, "a" + "日" * 9_999])
def test_a_long_text_is_split_between_characters(text):
    pieces = in_pieces(text)
    assert "".join(pieces) == text
    assert max(len(piece.encode()) for piece in pieces) <= 10_000
