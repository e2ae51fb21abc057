"""How many resources are provisioned a second, beside what the database could do and what others do.

Every provision is whole: basic auth, validation, the resource with its sealed secrets, its history, its jobs, the API
key, and a durable commit before the answer. After every round it is made sure that nothing was answered with success
that is not stored.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import psycopg
import typer

from bench import asking, correctness, others
from bench.contestants import Running, hello, ours
from bench.figures import Bar, Spread, ratios, words
from bench.load import Run, program, put_under_load
from bench.report import Section, Table
from bench.server import NO_PGBENCH, Server, find_pgbench, pgbench

CLIENTS: Final = (16, 64)
_LIMIT: Final = Path(__file__).parent / "limit"
_ONE_ROW: Final = """
    CREATE TABLE one_row (
        uuid uuid PRIMARY KEY, name text NOT NULL, plan text NOT NULL, region text NOT NULL, options jsonb NOT NULL,
        state text NOT NULL, created_at timestamptz NOT NULL, seed bytea, config bytea, grant_sealed bytea,
        log_input_url bytea
    )"""


@dataclass(frozen=True)
class Contestant:
    """One that takes part.

    Attributes:
        name: in the report.
        start: starts it.
        processes: how many web processes it has.
        asked: makes that many requests.
        is_checked: the conformance checker can talk to it.
        is_ours: it is this add-on.
    """

    name: str
    start: Callable[[Server, int], AbstractContextManager[Running]]
    processes: int = 1
    asked: Callable[[int], Sequence[bytes]] = asking.provisions
    is_checked: bool = False
    is_ours: bool = False


@dataclass(slots=True)
class Measured:
    """What several rounds gave, by the number of clients."""

    runs: dict[int, list[Run]] = field(default_factory=lambda: {clients: [] for clients in CLIENTS})

    def rates(self, clients: int) -> list[float]:
        return [run.rate for run in self.runs[clients]]

    def waits(self, clients: int) -> Spread:
        return Spread.of([run.p50_ms for run in self.runs[clients]])


CONTESTANTS: Final = (
    Contestant("bare ASGI hello, 1 process", partial(hello, "bench.peers.hello_asgi:app")),
    Contestant("bare FastAPI hello, 1 process", partial(hello, "bench.peers.hello_fastapi:app")),
    Contestant("this add-on, 1 process", ours, 1, is_checked=True, is_ours=True),
    Contestant("this add-on, 2 processes", ours, 2, is_ours=True),
    Contestant("Express + pg, 1 process", others.express, 1, is_checked=True),
    Contestant("Express + pg, 2 processes", others.express, 2),
    Contestant("Sinatra + pg, 1 process", others.sinatra, 1, is_checked=True),
    Contestant("Sinatra + pg, 2 processes", others.sinatra, 2),
    Contestant("openbrokerapi + psycopg, 1 process", others.openbroker, 1, asking.instances),
    Contestant("openbrokerapi + psycopg, 2 processes", others.openbroker, 2, asking.instances),
)


def measure(server: Server, *, rounds: int, seconds: int, has_peers: bool = True) -> Section:
    """Measure everybody in turns.

    Args:
        server: to measure on.
        rounds: how often.
        seconds: how long each is under load in a round, for each number of clients.
        has_peers: whether the other add-ons are installed and measured as well.
    """
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        running: dict[Contestant, Running] = {}
        for contestant in CONTESTANTS:
            if not has_peers and contestant.start in (others.express, others.sinatra, others.openbroker):
                continue
            try:
                running[contestant] = stack.enter_context(contestant.start(server, contestant.processes))
            except others.CannotRun as reason:
                missing[contestant.name] = str(reason)
        measured = {contestant: Measured() for contestant in running}
        limits = _Limits(server, next(run.database for one, run in running.items() if one.is_ours))
        missing |= limits.missing
        for number in range(rounds):
            for clients in CLIENTS:
                typer.echo(f"provision: round {number + 1} of {rounds}, {clients} clients", err=True)
                limits.measure(clients, seconds)
                for contestant, run in running.items():
                    measured[contestant].runs[clients].append(_load(server, contestant, run, clients, seconds))
        correct = {
            one.name: correctness.check(server, run, is_ours=one.is_ours)
            for one, run in running.items()
            if has_peers and one.is_checked
        }
    return _section(server, limits, measured, correct, missing, seconds)


class _Limits:
    """What the database does when nobody stands before it. Not there without pgbench."""

    NAMES: Final = {"one_row": "pgbench, one row", "all_rows": "pgbench, every row of a provision"}

    def __init__(self, server: Server, addon_database: str) -> None:
        with psycopg.connect(server.make_empty("bare")) as connection:
            connection.execute(_ONE_ROW)
        self._urls = {"one_row": server.url("bare"), "all_rows": server.url(addon_database)}
        self._server = server
        self._program = find_pgbench()
        self.rates: dict[tuple[str, int], list[float]] = {}
        self.waits: dict[tuple[str, int], list[float]] = {}
        self.missing = {} if self._program else dict.fromkeys(self.NAMES.values(), NO_PGBENCH)

    def measure(self, clients: int, seconds: int) -> None:
        if self._program is None:
            return
        for name, url in self._urls.items():
            self._server.settle()
            rate, wait = pgbench(self._program, url, _LIMIT / f"{name}.sql", clients=clients, seconds=seconds)
            self.rates.setdefault((name, clients), []).append(rate)
            self.waits.setdefault((name, clients), []).append(wait)


def _load(server: Server, contestant: Contestant, run: Running, clients: int, seconds: int) -> Run:
    """One round of one.

    Raises:
        SystemExit: it refused what it should not, or lost what it had confirmed.
    """
    server.settle()
    users = {"web": run.process, "database": server.process}
    warm = put_under_load(
        run.port, contestant.asked(20_000 if run.table else 1), clients=clients, seconds=1, again=not run.table
    )
    before = server.rows(run.database, run.table) if run.table else 0
    number = int(warm.rate * seconds * 2) + 1_000 if run.table else 1
    done = put_under_load(
        run.port, contestant.asked(number), clients=clients, seconds=seconds, again=not run.table, users=users
    )
    if done.refused or done.broken:
        raise SystemExit(f"{contestant.name}: {done.refused} requests were refused and {done.broken} broke.")
    stored = server.rows(run.database, run.table) - before if run.table else done.answered
    if stored < done.answered:
        raise SystemExit(f"{contestant.name}: {done.answered} requests have an answer, {stored} rows are stored.")
    return done


def _section(
    server: Server,
    limits: _Limits,
    measured: dict[Contestant, Measured],
    correct: dict[str, str],
    missing: dict[str, str],
    seconds: int,
) -> Section:
    tables, bars = [], []
    for clients in CLIENTS:
        rows = []
        base = limits.rates.get(("one_row", clients))
        for name, label in limits.NAMES.items():
            if (rates := limits.rates.get((name, clients))) is None:
                continue
            wait = Spread.of(limits.waits[name, clients])
            rows.append([label, str(Spread.of(rates)), _ratio(rates, base), words(wait.median), "", "", "", ""])
            bars.append(Bar(f"{label}, {clients} clients", Spread.of(rates)))
        for one, found in measured.items():
            rates, last = found.rates(clients), found.runs[clients]
            used = [words(Spread.of([run.used_us[user] for run in last]).median) for user in ("web", "database")]
            p99 = words(Spread.of([run.p99_ms for run in last]).median)
            rows.append(
                [
                    one.name,
                    str(Spread.of(rates)),
                    _ratio(rates, base),
                    words(found.waits(clients).median),
                    p99,
                    *used,
                    correct.get(one.name, ""),
                ]
            )
            if "hello" not in one.name:
                bars.append(Bar(f"{one.name}, {clients} clients", Spread.of(rates), one.is_ours))
        rows += [[name, "not measured", *[""] * 6] for name in missing]
        tables.append(Table(_HEAD, rows, f"{clients} clients"))
    text = [_HOW.format(version=server.version, seconds=seconds, program=program()), _MUST]
    return Section("provision", "Provision", text, tables, bars, [f"{name}: {why}" for name, why in missing.items()])


_HOW: Final = (
    "Postgres {version}, fsync and synchronous_commit on, a checkpoint before each measurement; {seconds} s each after"
    " a second of warming up. The load comes from {program} on the same machine, which shares its cores with the web"
    " processes and the database. The ratio to pgbench is taken round by round; what pgbench says"
    " of its latency is the mean. After each round everything that was"
    " answered with success was found stored."
)
_MUST: Final = (
    "*MUST* is what [the conformance checker](conformance.md) says of the requirements that are a must: how many are"
    " met of those that it could check. openbrokerapi speaks another protocol, the Open Service Broker API, so the"
    " checker has nothing to say of it."
)
_HEAD: Final = (
    "who",
    "a second",
    "of pgbench's one row",
    "median ms",
    "99th percentile ms",
    "web µs",
    "database µs",
    "MUST",
)


def _ratio(rates: Sequence[float], base: Sequence[float] | None) -> str:
    return words(ratios(rates, base).median) if base else ""
