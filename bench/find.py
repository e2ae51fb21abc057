"""How long pages of the list take: `python -m bench.find --database-url SMALL --database-url LARGE`.

Each page is asked for over HTTP on this machine, as a browser would: session, search, rendering and all. Beside the
time that passed stands the processor time that the panel and its connections to the database used: it hardly depends on
what else the machine does. Prints Markdown.
"""

import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import httpx2
import psycopg
import typer

from app.operations.found import Key
from bench.million import fill
from bench.panels import Panel, ours, peers
from bench.report import Section, Table, markdown
from bench.server import Server

_TIMES: Final = 10
_PEER_TIMES: Final = 5
_TIMEOUT_SECONDS: Final = 120

# What is asked, in groups.
SEARCHES: Final = {
    "Everything": ("",),
    "Words that match everything": ("acme-postgres", "name:acme", "owner:com", "provisioned", "amazon"),
    "Words that match nothing": ("zzzqqq", "app:zzzqqq", "error:zzzqqq", "plan:zzzqqq", "qq", "acme-postgres zzzqqq"),
    "Words that match some": ("harbor", "petra", "rugged", "timeout", "us-west", "legacy", "enterprise", "pe"),
    "Words that match few": ("rugged-19195", "petra.smith280", "angular-haven"),
    "Each field": (
        "uuid:2fe0",
        "2fe0a602",
        "name:rugged",
        "app:harbor",
        "owner:petra",
        "plan:test",
        "plan:legacy",
        "region:eu",
        "region:ca-central",
        "state:deprovisioned",
        "state:provisioning",
        "error:timeout",
        "error:invalid_grant",
        "created:2023-05",
    ),
    "Each condition": (
        "is:attention",
        "is:error",
        "is:failing",
        "is:suspended",
        "is:waiting-push",
        "is:token-refused",
        "is:rotating",
        "is:read-only",
    ),
    "Several words": (
        "petra harbor",
        "plan:premium region:ap-northeast",
        "plan:legacy error:invalid_grant",
        "plan:legacy state:provisioned",
        "created:2023-05 petra",
        "state:provisioned plan:standard region:eu error:timeout owner:jane@",
        "state:deprovisioned is:attention",
        "owner:gmail app:staging plan:enterprise",
    ),
}
# What the others are asked, too: words, and the page.
COMPARED: Final = (
    ("the first page", "", 1),
    ("a deep page (the 10,000th, or the last)", "", 10_000),
    ("a word that matches everything", "acme-postgres", 1),
    ("a word that matches some", "harbor", 1),
    ("a word that matches few", "petra.smith280", 1),
    ("a word that matches nothing", "zzzqqq", 1),
)


@dataclass(frozen=True, slots=True)
class Took:
    """Milliseconds of several times; `processor` is their mean, None where the machine does not tell."""

    median: float
    p95: float
    processor: float | None

    def __str__(self) -> str:
        processor = "" if self.processor is None else f" ({_words(self.processor)})"
        return f"{_words(self.median)} / {_words(self.p95)}{processor}"


class Meter:
    """The processor time of a panel and of its connections to the database. Helpers that Postgres starts for one query
    alone are not in it.
    """

    def __init__(self, url: str, panel: Panel) -> None:
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            self._processes = [panel.process, *(pid for (pid,) in connection.execute(query))]

    def read(self) -> float:
        """Milliseconds since they began; 0 where the machine does not tell."""
        files = (file for pid in self._processes for file in Path(f"/proc/{pid}/task").glob("*/schedstat"))
        return sum(int(file.read_text().split()[0]) for file in files) / 1e6


def measure(http: httpx2.Client, url: str, panel: Panel, times: int, **parameters: Any) -> Took:
    """How long a page takes after it was asked for once."""
    address = f"{panel.url}?{urlencode(parameters)}"
    taken = []
    meter, begun_at = None, 0.0
    for number in range(times + 1):
        if number == 1:
            meter = Meter(url, panel)
            begun_at = meter.read()
        started = time.perf_counter()
        answer = http.get(address, cookies=dict(panel.cookies), timeout=_TIMEOUT_SECONDS)
        if number:
            taken.append((time.perf_counter() - started) * 1000)
        if answer.status_code not in {200, 303}:
            raise SystemExit(f"{panel.name} answered {answer.status_code} to {parameters}.")
    processor = (meter.read() - begun_at) / times if meter and begun_at else None
    return Took(statistics.median(taken), sorted(taken)[max(round(times * 0.95) - 1, 0)], processor)


def _words(milliseconds: float) -> str:
    return f"{milliseconds:.0f}" if milliseconds < 10_000 else f"{milliseconds / 1000:.0f} s"


def _places(url: str) -> tuple[int, Key, Key]:
    """How many resources there are, the place before the last hundredth of them, and the one in the middle."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        (number,) = connection.execute("SELECT count(*) FROM resources").fetchone() or (0,)
        places = [
            connection.execute(
                "SELECT created_at, uuid FROM resources ORDER BY created_at, uuid LIMIT 1 OFFSET %s", (offset,)
            ).fetchone()
            for offset in (number // 100, number // 2)
        ]
    last, middle = (Key(*place) for place in places if place)
    return number, last, middle


def ask_ours(http: httpx2.Client, url: str, times: int) -> tuple[int, dict[str, list[Took]]]:
    """Each search from the top, the middle and nearly the end of the list; and how many resources there are."""
    number, last, middle = _places(url)
    taken: dict[str, list[Took]] = {}
    with ours(url) as panel:
        for words in (words for group in SEARCHES.values() for words in group):
            places: tuple[dict[str, str], ...] = ({}, {"before": str(middle)}, {"before": str(last)})
            taken[words] = [measure(http, url, panel, times, q=words, **place) for place in places]
    return number, taken


def compare(http: httpx2.Client, url: str, folder: Path) -> list[list[str]]:
    """Rows of a table: what was asked, and how long each panel took."""
    number, _, _ = _places(url)
    table = []
    with ours(url) as panel, peers(url, folder) as others:
        for label, words, wanted in COMPARED:
            page = min(wanted, max(number // 50, 1))
            row = [label, str(measure(http, url, panel, _TIMES, **_of_ours(url, words, (page - 1) * 50)))]
            for other in others:
                parameters = {"page": page, **({other.search: words} if words else {})}
                row.append(str(measure(http, url, other, _PEER_TIMES, **parameters)))
            table.append(row)
    return table


def _of_ours(url: str, words: str, skipped: int) -> dict[str, str]:
    """Our list has no page numbers: the key of the row before the page stands for one."""
    if not skipped:
        return {"q": words}
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        row = connection.execute(
            "SELECT created_at, uuid FROM resources ORDER BY created_at DESC, uuid DESC LIMIT 1 OFFSET %s",
            (skipped - 1,),
        ).fetchone()
    return {"q": words, "before": str(Key(*row))} if row else {"q": words}


def section(urls: Sequence[str], times: int = _TIMES, *, with_peers: bool = True) -> Section:
    """Ask every panel on each of the databases."""
    tables = []
    with ExitStack() as stack:
        http = stack.enter_context(httpx2.Client())
        asked = [ask_ours(http, url, times) for url in urls]
        heads = [f"{place}, {number:,}" for number, _ in asked for place in ("top", "middle", "end")]
        rows = []
        for group, searches in SEARCHES.items():
            rows.append([f"**{group}**", *[""] * len(heads)])
            for words in searches:
                label = f"`{words}`" if words else "(no words)"
                rows.append([label, *(str(took) for _, all_ in asked for took in all_[words])])
        tables.append(Table(["search", *heads], rows))
        if with_peers:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            for url, (number, _) in zip(urls, asked, strict=True):
                head = [f"{number:,} resources", "ours", "sqladmin", "starlette-admin"]
                tables.append(Table(head, compare(http, url, folder)))
    text = (
        f"Each cell is the median / 95th percentile (processor time) in ms of {times} pages, of others {_PEER_TIMES}."
    )
    return Section("find", "Finding a resource", [text], tables)


def fill_and_measure(server: Server, sizes: Sequence[int], *, with_peers: bool) -> Section:
    """Make a database of each size, and ask every panel on it."""
    for size in sizes:
        typer.echo(f"find: filling a database with {size:,} resources", err=True)
        fill(server.make(f"find_{size}"), size, say=partial(typer.echo, err=True))
    return section([server.postgres.url_for(f"find_{size}") for size in sizes], with_peers=with_peers)


def main(
    database_url: Annotated[list[str], typer.Option(help="Filled by bench.million; repeat it for several sizes.")],
    times: Annotated[int, typer.Option(min=1, help="How often each page is asked for.")] = _TIMES,
    *,
    peers: Annotated[bool, typer.Option(help="Ask two general panels as well; installs them first.")] = True,
) -> None:
    """Measure how long pages of the list take."""
    typer.echo(markdown(section(database_url, times, with_peers=peers)))


if __name__ == "__main__":
    typer.run(main)
