"""What each thing that Heroku and customers do costs, with few resources in the database and with very many.

For every size there is a database and a web process, all at the same time; they are measured in turns. The resources
that are asked about are provisioned for it, through the same door, on top of those that are there.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import uuid4

import httpx2
import psycopg
import typer

from bench import asking
from bench.contestants import Running, hello, ours
from bench.figures import Spread, ratios, words
from bench.load import Run, program, put_under_load
from bench.million import fill
from bench.report import Section, Table
from bench.server import Server

CLIENTS: Final = 16
_TIMEOUT_SECONDS: Final = 30
# A resource may sign in so often a minute: see `app/web/limits.py`.
_CLICKS_EACH: Final = 40
_PAGES: Final = 20

WHAT: Final = {
    "provision": "provision",
    "replay": "the same provision again",
    "sso": "SSO click, to its 303",
    "dashboard": "dashboard page",
    "plan": "plan change",
    "deprovision": "deprovision",
}


_HOW: Final = (
    "{clients} clients, one web process, {seconds} s each, by {program}; the columns are sizes of the database, in"
    " resources. Those that are asked about come on top, provisioned through the door in the same round. *Times slower*"
    " compares the smallest with the largest round by round; the quotient of the two medians may be another number."
)


@dataclass(slots=True)
class Place:
    """One size: its web process, and the runs of each kind so far."""

    size: int
    running: Running
    runs: dict[str, list[Run]]


def measure(server: Server, *, sizes: Sequence[int], rounds: int, seconds: int) -> Section:
    """Measure everything at every size, in turns."""
    with ExitStack() as stack:
        hellos = {
            "bare ASGI hello": stack.enter_context(hello("bench.peers.hello_asgi:app", server, 1)),
            "bare FastAPI hello": stack.enter_context(hello("bench.peers.hello_fastapi:app", server, 1)),
        }
        greetings: dict[str, list[Run]] = {name: [] for name in hellos}
        places = []
        for size in sizes:
            typer.echo(f"growth: filling a database with {size:,} resources", err=True)
            database = f"growth_{size}"
            fill(server.make(database), size, say=lambda _: None, has_costs=False)
            running = stack.enter_context(ours(server, 1, database=database))
            places.append(Place(size, running, {kind: [] for kind in WHAT}))
        for number in range(rounds):
            typer.echo(f"growth: round {number + 1} of {rounds}", err=True)
            for name, running in hellos.items():
                greeting = asking.page("/health/live")
                greetings[name].append(_load(server, running, [greeting], seconds, again=True))
            for place in places:
                _one_round(server, place, seconds)
    return _section(places, greetings, seconds)


def _one_round(server: Server, place: Place, seconds: int) -> None:
    """A resource's life, many times over."""
    load = partial(_load, server, place.running)
    # As many as the fastest round so far could do, and half as many again.
    most = max((run.answered for run in place.runs["provision"]), default=1_000 * seconds)
    uuids = [str(uuid4()) for _ in range(most * 3 // 2 + CLIENTS)]
    made = load([asking.provision(uuid) for uuid in uuids], seconds)
    place.runs["provision"].append(made)
    uuids = _stored(server.url(place.running.database), uuids)
    place.runs["replay"].append(load([asking.provision(uuid) for uuid in uuids], seconds, again=True))
    clicks = [asking.sso_click(uuid, number) for number in range(_CLICKS_EACH) for uuid in uuids]
    place.runs["sso"].append(load(clicks[: 5_000 * seconds], seconds))
    with httpx2.Client(timeout=_TIMEOUT_SECONDS, trust_env=False) as http:
        pages = [_page(http, place.running, uuid) for uuid in uuids[:_PAGES]]
    place.runs["dashboard"].append(load(pages, seconds, again=True))
    place.runs["plan"].append(load([asking.plan_change(uuid, "premium") for uuid in uuids], seconds))
    place.runs["deprovision"].append(load([asking.deprovision(uuid) for uuid in uuids], seconds))


def _stored(url: str, uuids: list[str]) -> list[str]:
    """Those that are provisioned.

    Raises:
        SystemExit: there are none.
    """
    query = "SELECT uuid::text FROM resources WHERE state = 'provisioned' AND uuid = ANY(%s::uuid[])"
    with psycopg.connect(url) as connection:
        found = [uuid for (uuid,) in connection.execute(query, (uuids,))]
    if not found:
        raise SystemExit("Nothing was provisioned in time: the machine is too busy to measure anything.")
    return found


def _page(http: httpx2.Client, running: Running, uuid: str) -> bytes:
    """A request for the dashboard of somebody who has just come in."""
    address = f"http://127.0.0.1:{running.port}/sso/login"
    form = asking.sso_form(uuid, _CLICKS_EACH)
    answer = http.post(address, data=form)
    if answer.status_code != 303:
        raise SystemExit(f"An SSO click was answered {answer.status_code}.")
    return asking.page(f"/dashboard/{uuid}", answer.headers["set-cookie"].partition(";")[0])


def _load(server: Server, running: Running, requests: Sequence[bytes], seconds: int, *, again: bool = False) -> Run:
    """One run.

    Raises:
        SystemExit: something was refused.
    """
    server.settle()
    users = {"web": running.process, "database": server.process}
    run = put_under_load(running.port, requests, clients=CLIENTS, seconds=seconds, again=again, users=users)
    if run.refused or run.broken:
        first = requests[0].split(b"\r\n")[0].decode()
        raise SystemExit(f"{first}: {run.refused} of {run.answered} requests were refused, {run.broken} broke.")
    return run


def _section(places: Sequence[Place], greetings: dict[str, list[Run]], seconds: int) -> Section:
    smallest, largest = places[0], places[-1]
    rates, costs = [], []
    for kind, name in WHAT.items():
        spreads = [str(Spread.of(_rates(place.runs[kind]))) for place in places]
        slower = ratios(_rates(smallest.runs[kind]), _rates(largest.runs[kind]))
        beside = ratios(_rates(smallest.runs[kind]), _rates(greetings["bare FastAPI hello"]))
        rates.append([name, *spreads, words(slower.median), words(beside.median)])
        costs.append([name, *(_cost(place.runs[kind]) for place in places)])
    for name, runs in greetings.items():
        rates.append([name, str(Spread.of(_rates(runs))), *[""] * len(places), ""])
        costs.append([name, _cost(runs), *[""] * (len(places) - 1)])
    heads = [f"{place.size:,}" for place in places]
    slower_head = f"times slower at {largest.size:,}"
    text = [_HOW.format(clients=CLIENTS, seconds=seconds, program=program())]
    tables = [
        Table(["a second", *heads, slower_head, "of a bare FastAPI hello"], rates),
        Table(
            ["web + database, processor µs each (median ms / 99th percentile ms)", *heads],
            costs,
            "What each costs",
        ),
    ]
    return Section("growth", "Growth", text, tables)


def _rates(runs: Sequence[Run]) -> list[float]:
    return [run.rate for run in runs]


def _cost(runs: Sequence[Run]) -> str:
    web, database = (Spread.of([run.used_us[user] for run in runs]).median for user in ("web", "database"))
    p50, p99 = (Spread.of(waits).median for waits in ([run.p50_ms for run in runs], [run.p99_ms for run in runs]))
    return f"{words(web)} + {words(database)} ({words(p50)} / {words(p99)})"
