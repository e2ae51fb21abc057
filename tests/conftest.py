"""One Postgres for the whole run, one migrated database per test."""

import logging
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import structlog
from alembic import command as alembic
from alembic.config import Config
from rig import Rig, key_plans, new_settings

from app.dev.postgres import DevPostgres

PROJECT = Path(__file__).parent.parent
TEMPLATE = "migrated_template"
_PLENTY = 4 * 2**30
# Minutes each: begun last, they would keep one processor busy when the others have nothing left to do.
LONGEST = (
    "test_our_own_addon.py",
    "test_bench_parts.py",
    "test_proof_of_teeth.py",
    "test_admin_barriers.py",
    "test_admin_days_work.py",
    "test_heroku_cli.py",
    "test_whole_story.py",
    "test_nothing_is_lost.py",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, the others in the order that chance gave them."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_works() -> None:
    """A shell's background job ignores SIGINT; so would the programs that tests start and stop by it."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def plain_tracebacks() -> None:
    """Without a log that somebody set up, structlog draws tracebacks that take seconds each."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
        ]
    )


@pytest.fixture
def log_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Puts the log back as it was before the test, or a command that it runs, set up another."""
    root, before, configure = logging.getLogger(), structlog.get_config(), structlog.configure
    handlers, level = root.handlers, root.level
    # A logger that has been used would otherwise remember this log past the test.
    monkeypatch.setattr(structlog, "configure", lambda **of: configure(**of | {"cache_logger_on_first_use": False}))
    yield
    root.handlers, root.level = handlers, level
    configure(**before)


def _in_memory() -> Path | None:
    """A folder in memory, if there is plenty: to copy a database on a disk takes fifteen times the processor time."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() and shutil.disk_usage(memory).free > _PLENTY else None


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[DevPostgres]:
    # Not tmp_path: as root the server may have to run as nobody, who cannot enter it.
    folder = Path(tempfile.mkdtemp(prefix="tests-", dir=_in_memory()))
    with DevPostgres(folder, durable=False) as server:
        yield server
    shutil.rmtree(folder)


def _execute(server: DevPostgres, statement: str) -> None:
    with psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(statement)


@pytest.fixture(scope="session")
def migrated(postgres_server: DevPostgres) -> DevPostgres:
    """The server, with a database that has been migrated and is copied for each test."""
    _execute(postgres_server, f"CREATE DATABASE {TEMPLATE}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", postgres_server.url_for(TEMPLATE))
        alembic.upgrade(Config(toml_file=PROJECT / "pyproject.toml"), "head")
    return postgres_server


@pytest.fixture
def database_url(migrated: DevPostgres) -> Iterator[str]:
    """The address of a database of this test alone."""
    name = f"test_{uuid4().hex}"
    # Nothing here survives a crash anyway; copying files takes half the time of writing each page to the log as well.
    _execute(migrated, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
    yield migrated.url_for(name)
    _execute(migrated, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty_server(migrated: DevPostgres) -> DevPostgres:
    """A server without sold databases, whatever other tests left behind: each would take from the room there is."""
    with psycopg.connect(migrated.url.replace("+psycopg", ""), autocommit=True) as admin:
        sold = "SELECT format('DROP DATABASE %I WITH (FORCE)', datname) FROM pg_database WHERE datname ~ '^addon_'"
        roles = "SELECT format('DROP ROLE %I', rolname) FROM pg_roles WHERE rolname ~ '^addon_'"
        for leftover in (sold, roles):
            for (statement,) in admin.execute(leftover).fetchall():
                admin.execute(statement)
    return migrated


@pytest.fixture
async def rig(database_url: str, empty_server: DevPostgres) -> AsyncIterator[Rig]:
    """The add-on, selling Postgres databases."""
    async with Rig(new_settings(database_url)).running() as rig:
        yield rig


@pytest.fixture
async def key_rig(database_url: str) -> AsyncIterator[Rig]:
    """The add-on with the same plans, selling keys: for rules that do not depend on what is sold."""
    async with Rig(new_settings(database_url), key_plans(database_url)).running() as rig:
        yield rig


@pytest.fixture
def make_rig(database_url: str) -> Callable[..., Rig]:
    """For other settings; the test runs it itself."""
    return lambda **changes: Rig(new_settings(database_url, **changes), key_plans(database_url))
