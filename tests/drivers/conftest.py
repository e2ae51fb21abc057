"""Fixtures of the driver tests: plans on the tests' one Postgres server, and sessions as customers open them."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count

import psycopg
import pytest

from app.dev.postgres import DevPostgres
from app.drivers.base import Provisioned, ResourceInfo
from app.drivers.postgres import Postgres, PostgresServer

pytest.register_assert_rewrite("contract")

from contract import new_resource  # noqa: E402 - after pytest knows that its asserts are to be explained

MEGABYTE = 1024**2


@pytest.fixture
def admin_url(empty_server: DevPostgres) -> str:
    """The administrator's address of a server without sold databases."""
    return empty_server.url.replace("+psycopg", "")


@pytest.fixture
def sells(admin_url: str) -> Callable[..., Postgres]:
    """Makes the driver of a plan; all of a test's plans are on one server."""
    server = PostgresServer(admin_url)

    def make(*, connections: int = 4, storage_bytes: int = 64 * MEGABYTE, **terms) -> Postgres:
        terms.setdefault("statement_timeout", timedelta(seconds=30))
        return Postgres(
            server, config_var="ACME_POSTGRES_URL", connections=connections, storage_bytes=storage_bytes, **terms
        )

    return make


@pytest.fixture
def admin(admin_url: str) -> Iterator[psycopg.Connection]:
    """What the operator sees: a superuser's session."""
    with psycopg.connect(admin_url, autocommit=True) as connection:
        yield connection


@dataclass
class Sold:
    """A customer's database, and what its owner's add-on does with it."""

    driver: Postgres
    resource: ResourceInfo
    made: Provisioned

    @property
    def url(self) -> str:
        """What the customer was given last."""
        return self.made.config["ACME_POSTGRES_URL"]

    @property
    def name(self) -> str:
        return self.made.details["database"]

    async def rotate(self) -> None:
        self.resource = replace(self.resource, generation=self.resource.generation + 1)
        self.made = await self.driver.rotate(self.resource)

    async def restrict(self) -> None:
        await self.driver.restrict(self.resource, read_only=True)

    async def lift(self) -> None:
        await self.driver.restrict(self.resource, read_only=False)


@pytest.fixture
def sold(sells) -> Callable:
    """Sells a database on the given terms."""

    async def sell(**terms) -> Sold:
        driver, resource = sells(**terms), new_resource()
        return Sold(driver, resource, await driver.provision(resource))

    return sell


@pytest.fixture
async def session() -> AsyncIterator[Callable]:
    """Opens sessions as a customer does, by URL; each statement commits by itself. Closed after the test."""
    opened = []

    async def connect(url: str, **parameters) -> psycopg.AsyncConnection:
        connection = await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=5, **parameters)
        opened.append(connection)
        return connection

    yield connect
    for connection in opened:
        await connection.close()


@pytest.fixture
def can_connect(session) -> Callable:
    async def can_connect(url: str, **parameters) -> bool:
        try:
            connection = await session(url, **parameters)
        except psycopg.OperationalError:
            return False
        await connection.close()
        return True

    return can_connect


@pytest.fixture
def fail_at(monkeypatch):
    """Lose the connection to Postgres at the n-th statement from now; answers whether it came to that."""

    def arm(statement):
        before = psycopg.AsyncConnection.execute
        counted = count(1)
        lost = []

        async def execute(self, *arguments, **options):
            if next(counted) == statement:
                lost.append(statement)
                await self.close()
                raise psycopg.OperationalError("the connection is lost")
            return await before(self, *arguments, **options)

        with monkeypatch.context() as patch:
            patch.setattr(psycopg.AsyncConnection, "execute", execute)
            yield lost

    return contextmanager(arm)
