"""Logs, when the manifest asks for them: what the add-on takes from an app's log, and what it writes into it."""

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit, urlunsplit
from uuid import uuid4

from app.conformance.bench import Bench
from app.conformance.requirement import NotApplicable, Unmet, must, should
from app.conformance.wire import Answer
from app.simulator.logs import drains
from app.simulator.logs.frames import http_frame
from app.simulator.logs.lines import Line
from app.simulator.records import AddOn, Exchange

from .answers import not_crashed, without_exception_text
from .docs import LOG_DRAINS

_ANSWERS_WITHIN_SECONDS = 5
_WRITES_WITHIN_SECONDS = 1
_LOST_LINE_PRIORITY = 172
_SAMPLES = {
    "a line": "GET / 200 12ms",
    "a line of several bytes a character": "Grüße aus Zürich, 東京, \N{WAVING HAND SIGN}",
    "an empty line": "",
    "a line of ten thousand bytes": "x" * 9_900,
}


@dataclass(frozen=True)
class _Drain:
    """One add-on's log drain: where it leads and the token by which the add-on knows it."""

    addon: AddOn
    url: str
    auth: tuple[str, str] | None
    token: str


async def _drain(bench: Bench) -> _Drain:
    if "syslog_drain" not in bench.offer.requires:
        raise NotApplicable("The manifest does not require syslog_drain.")
    addon = await bench.provisioned()
    found = drains.drains_of(bench.world, addon)
    if not found:
        raise Unmet("A manifest with syslog_drain gets a log_drain_url in the answer.", "There was none.")
    parts = urlsplit(found[0].url)
    if parts.scheme not in {"http", "https"}:
        raise NotApplicable(f"This drain speaks {parts.scheme}, not HTTP.")
    auth = None if parts.username is None else (unquote(parts.username), unquote(parts.password or ""))
    url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
    return _Drain(addon, url, auth, found[0].token)


def _frame(bench: Bench, drain: _Drain, text: str) -> bytes:
    return http_frame(Line(0, drain.addon.app_id, bench.world.now(), "app", "web.1", text, 190))


async def _deliver(bench: Bench, drain: _Drain, content: bytes, count: int = 1, **headers: str | None) -> Answer:
    """Send lines as Heroku does; keyword arguments replace headers, by name with underscores, None leaves one out."""
    usual: dict[str, str | None] = {
        "Accept": None,
        "Content-Type": "application/logplex-1",
        "Logplex-Msg-Count": str(count),
        "Logplex-Frame-Id": uuid4().hex.upper(),
        "Logplex-Drain-Token": drain.token,
        "User-Agent": "Logplex/v72",
    }
    others = {name.replace("_", "-"): value for name, value in headers.items()}
    return await bench.ask("POST", drain.url, content=content, headers=usual | others, auth=drain.auth)


def _is_taken(answer: Answer, sent: str) -> None:
    if not answer.is_success:
        raise Unmet("Lines are answered 2xx, or they are lost.", f"{sent}: {answer.said}", answer.exchange)


@must("drains", LOG_DRAINS, needs=["provision-works"])
async def log_lines_are_taken(bench: Bench) -> None:
    """Lines of an app's log, one or many, short or long, in any script, are answered 2xx within five seconds."""
    drain = await _drain(bench)
    frames = {sent: _frame(bench, drain, text) for sent, text in _SAMPLES.items()}
    for sent, frame in frames.items():
        answer = await _deliver(bench, drain, frame)
        _is_taken(answer, sent)
        if answer.seconds > _ANSWERS_WITHIN_SECONDS:
            raise Unmet("Heroku waits five seconds.", f"{sent}: {answer.seconds:.1f} s.", answer.exchange)
    many = [_frame(bench, drain, f"line {number}") for number in range(500)]
    answer = await _deliver(bench, drain, b"".join([*frames.values(), *many]), len(frames) + len(many))
    _is_taken(answer, "504 lines in one request")
    bench.measured["504 lines"] = f"{answer.seconds:.2f} s"


@must("drains", LOG_DRAINS, needs=["log-lines-are-taken"])
async def line_about_lost_lines_is_taken(bench: Bench) -> None:
    """The line by which Heroku tells that lines were lost (error L10) is taken like any other."""
    drain = await _drain(bench)
    text = "Error L10 (output buffer overflow): 12 messages dropped since 2026-01-01T00:00:00+00:00."
    now = bench.world.now()
    lost = http_frame(Line(0, drain.addon.app_id, now, "heroku", "logplex", text, _LOST_LINE_PRIORITY))
    _is_taken(await _deliver(bench, drain, lost + _frame(bench, drain, "and on"), 2), "A line about lost lines")


@must("drains", LOG_DRAINS, needs=["log-lines-are-taken"])
async def lines_of_an_unknown_drain_are_refused(bench: Bench) -> None:
    """Lines with a wrong, an empty or no Logplex-Drain-Token are answered 4xx: the token is all that proves an app."""
    drain = await _drain(bench)
    frame = _frame(bench, drain, "a line of nobody")
    for sent, token in (
        ("another token", f"d.{uuid4()}"),
        ("half the token", drain.token[: len(drain.token) // 2]),
        ("an empty token", ""),
        ("no token", None),
    ):
        answer = await _deliver(bench, drain, frame, Logplex_Drain_Token=token)
        if answer.status is None or not 400 <= answer.status < 500 or answer.status == 429:
            raise Unmet("It is answered 4xx.", f"Lines with {sent}: {answer.said}", answer.exchange)


@must("drains", LOG_DRAINS, needs=["log-lines-are-taken"])
async def lines_that_come_twice_are_taken(bench: Bench) -> None:
    """A request that is repeated under its Logplex-Frame-Id, because its answer was lost, is answered 2xx again."""
    drain = await _drain(bench)
    frame, frame_id = _frame(bench, drain, "once or twice"), uuid4().hex.upper()
    for sent in ("Lines", "The same lines again"):
        _is_taken(await _deliver(bench, drain, frame, Logplex_Frame_Id=frame_id), sent)


@should("drains", LOG_DRAINS, needs=["log-lines-are-taken"])
async def wrong_number_of_lines_is_refused(bench: Bench) -> None:
    """When Logplex-Msg-Count is not the number of lines, something was lost on the way: that is answered 4xx."""
    drain = await _drain(bench)
    answer = await _deliver(bench, drain, _frame(bench, drain, "the only one"), 5)
    not_crashed(answer, "One line that should be five")
    if answer.is_success:
        raise Unmet("It is answered 4xx.", f"One line that should be five: {answer.said}", answer.exchange)


@must("drains", LOG_DRAINS, needs=["log-lines-are-taken"])
async def broken_lines_do_not_crash(bench: Bench) -> None:
    """Lines that are cut short, not UTF-8 or without their length are taken or answered 4xx, never with an error."""
    drain = await _drain(bench)
    frame = _frame(bench, drain, "Grüße")
    broken = {
        "a line cut short": frame[:-4],
        "a line cut within a character": frame[: frame.index("ß".encode()) + 1],
        "no length": frame.partition(b" ")[2],
        "a length that is no number": b"x" + frame,
        "a length beyond all bounds": b"9" * 400 + b" x",
        "a negative length": b"-5 hello",
        "bytes that are not UTF-8": b"4 \xff\xfe\x00\n",
        "a line that is no syslog": b"5 hello",
        "nothing": b"",
    }
    for sent, content in broken.items():
        answer = await _deliver(bench, drain, content)
        not_crashed(answer, sent)
        without_exception_text(answer, sent)
    _is_taken(await _deliver(bench, drain, frame), "A line after broken ones")


@must("drains", LOG_DRAINS, needs=["provision-works"])
async def what_is_written_into_the_log_arrives(bench: Bench) -> None:
    """What the add-on writes into an app's log is framed and counted as Heroku reads it; the rest is never seen."""
    if "log_input" not in bench.offer.requires:
        raise NotApplicable("The manifest does not require log_input.")
    addon = await bench.provisioned()

    def written() -> list[Exchange]:
        return [one for one in bench.exchanges(addon, "logs") if urlsplit(one.url).path == "/logs"]

    if not await bench.until(written, within=min(_WRITES_WITHIN_SECONDS, bench.target.patience)):
        raise NotApplicable("The add-on wrote nothing into the log after its provision.")
    for one in written():
        for finding in one.findings:
            if finding.level == "problem":
                raise Unmet("Heroku reads every line.", finding.text, one)


REQUIREMENTS = [
    log_lines_are_taken,
    line_about_lost_lines_is_taken,
    lines_of_an_unknown_drain_are_refused,
    lines_that_come_twice_are_taken,
    wrong_number_of_lines_is_refused,
    broken_lines_do_not_crash,
    what_is_written_into_the_log_arrives,
]
