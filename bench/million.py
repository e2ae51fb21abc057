"""Fill an empty database with as many resources as a large partner has, spread as real ones are.

`python -m bench.million --database-url URL --rows 1000000`. The same rows every time, but for the times: the newest is
from this minute. Loads without the indexes of the search and makes them afterwards, as a restore does, and says what
each costs: in time, on the disk, and for every provision.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

import psycopg
import typer
from alembic import command as alembic
from alembic.config import Config
from psycopg.types.json import Jsonb

PROJECT: Final = Path(__file__).parent.parent
SPAN: Final = timedelta(days=6 * 365)

# What is sold, and how much of it; nobody has been able to buy `legacy` for four years.
PLANS: Final = {"test": 46, "basic": 25, "standard": 20, "premium": 8, "enterprise": 1}
LEGACY_UNTIL: Final = 0.2
REGIONS: Final = {
    "amazon-web-services::us-east-1": 62,
    "amazon-web-services::eu-west-1": 22,
    "amazon-web-services::us-west-2": 5,
    "amazon-web-services::eu-central-1": 4,
    "amazon-web-services::ap-southeast-2": 3,
    "amazon-web-services::ap-northeast-1": 2,
    "amazon-web-services::ap-southeast-1": 1,
    "amazon-web-services::ca-central-1": 1,
}
_ERRORS: Final = (
    "push_config: Heroku answered 503 after {n} ms",
    "push_config: ReadTimeout: no answer within 10 s (try {n})",
    "exchange_grant: Heroku refused the grant: invalid_grant",
    "provision_service: connection to server at 10.0.{a}.{b} failed: timeout expired",
    "provision_service: OperationalError in provision_service",
    "rotate_service: role addon_{n} is busy",
    "deprovision_service: database is being accessed by {a} other users",
    "measure_usage: statement timeout",
)
_NAMES: Final = Path(__file__).parent / "names.txt"
_STAGES: Final = ("", "", "", "-staging", "-production", "-dev", "-test", "-api", "-worker", "-review")

COLUMNS: Final = (
    "uuid",
    "name",
    "plan",
    "region",
    "options",
    "state",
    "created_at",
    "provisioned_at",
    "deprovisioned_at",
    "removed_at",
    "seed_sealed",
    "config_sealed",
    "config_version",
    "pushed_version",
    "config_changed_at",
    "access_token_sealed",
    "access_token_expires_at",
    "refresh_token_sealed",
    "tokens_at",
    "details_sealed",
    "generation",
    "retire_at",
    "over_quota_at",
    "read_only_at",
    "unknown_to_heroku_at",
    "failures",
    "last_error",
    "last_error_at",
    "tokens_refused_at",
    "app_name",
    "owner_email",
    "app_read_at",
    "suspended_at",
)


def resources(number: int, now: datetime, *, seed: int = 1, recent: bool = False) -> Iterator[Sequence[Any]]:
    """Rows of `COLUMNS`, the oldest first; with `recent` all of them from this minute."""
    dice = random.Random(seed)  # noqa: S311 - the same rows are wanted # nosec B311
    names = read_names()

    def one(kind: str) -> str:
        return dice.choice(names[kind])

    owners = [_owner(dice, one) for _ in range(max(number // 4, 1))]
    plans, plan_weights = list(PLANS), list(PLANS.values())
    regions, region_weights = list(REGIONS), list(REGIONS.values())
    secret = dice.randbytes(400)
    for position in range(number):
        share = 1.0 if recent else (position + 1) / number
        # There is more business every year.
        created_at = now - SPAN * (1 - share**0.6) - timedelta(microseconds=number - position)
        plan = dice.choices(plans, plan_weights)[0]
        if share < LEGACY_UNTIL and dice.random() < 0.5:
            plan = "legacy"
        is_gone = dice.random() < 0.35 * (1.2 - share)
        gone_at = created_at + (now - created_at) * dice.random() if is_gone else None
        has_error = dice.random() < 0.03
        version = dice.choice((1, 1, 1, 2, 3))
        app = f"{dice.choice(names['adjectives'])}-{dice.choice(names['nouns'])}-{dice.randrange(10_000, 99_999)}"
        if dice.random() < 0.4:
            app = f"{dice.choice(names['nouns'])}-{dice.choice(names['nouns'])}{dice.choice(_STAGES)}"

        def rarely(chance: float, at: datetime = created_at, *, gone: bool = is_gone) -> datetime | None:
            return at if not gone and dice.random() < chance else None

        yield (
            UUID(int=dice.getrandbits(128), version=4),
            f"acme-postgres-{dice.choice(names['adjectives'])}-{dice.randrange(10_000, 99_999)}",
            plan,
            dice.choices(regions, region_weights)[0],
            Jsonb({}),
            "deprovisioned" if is_gone else "provisioned",
            created_at,
            created_at,
            gone_at,
            gone_at,
            secret[:92],
            None if is_gone else secret[:240],
            version,
            version - (not is_gone and dice.random() < 0.0003),
            created_at,
            None if is_gone else secret[:64],
            created_at + timedelta(hours=8),
            None if is_gone else secret[100:164],
            created_at,
            None if is_gone else secret[200:328],
            version,
            rarely(0.0003),
            rarely(0.001),
            rarely(0.0005),
            rarely(0.0005),
            int(has_error and dice.random() < 0.01),
            _error(dice) if has_error else None,
            created_at + (now - created_at) * dice.random() if has_error else None,
            rarely(0.002),
            app,
            dice.choice(owners),
            created_at,
            rarely(0.0005),
        )


def read_names() -> Mapping[str, Sequence[str]]:
    """The words that names are made of, by kind."""
    paragraphs = (paragraph.partition(":") for paragraph in _NAMES.read_text().split("\n\n"))
    return {kind: words.split() for kind, _, words in paragraphs}


def _owner(dice: random.Random, one: Callable[[str], str]) -> str:
    first, last = one("first names"), one("last names")
    number = dice.randrange(1000)
    company = f"{one('nouns')}{one('nouns')}.com"
    at = dice.choice(("gmail.com", "gmail.com", company, f"{last}{number}.example"))
    return f"{first}.{last}{number}@{at}"


def _error(dice: random.Random) -> str:
    text = dice.choice(_ERRORS)
    return text.format(n=dice.randrange(10_000), a=dice.randrange(256), b=dice.randrange(256))


def fill(url: str, rows: int, *, say: Any = typer.echo, has_costs: bool = True) -> None:
    """Load `rows` resources into a database without any; the tables are made if need be.

    Args:
        url: as libpq takes it.
        rows: how many.
        say: told what was measured.
        has_costs: also measure what the indexes cost whoever writes, which takes a while however few rows there are.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM resources LIMIT 1").fetchone():
            raise SystemExit("There are resources in this database already. Name an empty one.")
        indexes: dict[str, str] = dict(connection.execute(_INDEXES).fetchall())
        for name in indexes:
            connection.execute(f"DROP INDEX {name}")
        started = time.perf_counter()
        _copy(connection, resources(rows, datetime.now(UTC)))
        connection.execute("VACUUM ANALYZE resources")
        say(f"{rows:,} resources loaded in {time.perf_counter() - started:.0f} s, {_size(connection, 'resources')}")
        costs = [_writing(connection)] if has_costs else []
        for name, definition in indexes.items():
            started = time.perf_counter()
            connection.execute(definition)
            say(f"{name}: made in {time.perf_counter() - started:.1f} s, {_size(connection, name)}")
        connection.execute("VACUUM ANALYZE resources")
        if has_costs:
            costs.append(_writing(connection))
        for words, (insert, update) in zip(("without", "with"), costs, strict=False):
            say(f"{words} them: {insert:.3f} ms for each INSERT, {update:.3f} ms for each UPDATE of an indexed column")
        connection.execute("VACUUM ANALYZE resources")


_INDEXES: Final = (
    "SELECT indexname, indexdef FROM pg_indexes WHERE indexname LIKE 'ix\\_resources\\_find\\_%' ORDER BY 1"
)
_WRITTEN: Final = 2000
_ROUNDS: Final = 5


def _copy(connection: psycopg.Connection[Any], rows: Iterator[Sequence[Any]]) -> None:
    columns = ", ".join(COLUMNS)
    with connection.cursor() as cursor, cursor.copy(f"COPY resources ({columns}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _writing(connection: psycopg.Connection[Any]) -> tuple[float, float]:
    """Milliseconds for inserting one row, and for an update that every index has to follow; nothing of it stays.

    Means over all writes, because what writers put off is done by one of many; the best of a few rounds, because
    everything else on the machine only adds to them.
    """
    rounds = [_write(connection, seed) for seed in range(2, 2 + _ROUNDS)]
    return min(insert for insert, _ in rounds), min(update for _, update in rounds)


def _write(connection: psycopg.Connection[Any], seed: int) -> tuple[float, float]:
    columns = ", ".join(COLUMNS)
    places = ", ".join(["%s"] * len(COLUMNS))
    rows = list(resources(_WRITTEN, datetime.now(UTC), seed=seed, recent=True))
    with connection.transaction(force_rollback=True), connection.cursor() as cursor:
        started = time.perf_counter()
        for row in rows:
            cursor.execute(f"INSERT INTO resources ({columns}) VALUES ({places})", row)  # noqa: S608 - fixed names # nosec B608
        inserted = time.perf_counter()
        for row in rows:
            cursor.execute("UPDATE resources SET unsettled_since = now() WHERE uuid = %s", (row[0],))
        updated = time.perf_counter()
    return (inserted - started) / _WRITTEN * 1000, (updated - inserted) / _WRITTEN * 1000


def _size(connection: psycopg.Connection[Any], name: str) -> str:
    row = connection.execute("SELECT pg_size_pretty(pg_relation_size(%s::regclass))", (name,)).fetchone()
    return str(row and row[0])


def migrate(url: str) -> None:
    """Make the tables. `url` as SQLAlchemy takes it."""
    alembic.upgrade(Config(toml_file=PROJECT / "pyproject.toml", attributes={"database_url": url}), "head")


def main(
    database_url: Annotated[str, typer.Option(help="Of an empty database.")],
    rows: Annotated[int, typer.Option(min=1, help="How many resources.")] = 1_000_000,
) -> None:
    """Fill an empty database with resources."""
    migrate(database_url)
    fill(database_url.replace("+psycopg", ""), rows)


if __name__ == "__main__":
    typer.run(main)
