"""A town for each test, on one Postgres that may be killed."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from town import Town, new_database

from app.dev.postgres import DevPostgres

# It is no test, and its assertions have to say what they saw.
pytest.register_assert_rewrite("inventory")


@pytest.fixture(scope="module")
def server() -> Iterator[DevPostgres]:
    folder = Path(tempfile.mkdtemp())  # not tmp_path: as root the server may have to run as nobody, who cannot enter it
    with DevPostgres(folder, durable=False) as server:
        new_database(server)
        yield server
    shutil.rmtree(folder)


@pytest.fixture
async def town(server: DevPostgres, tmp_path: Path) -> AsyncIterator[Town]:
    async with Town(tmp_path, server).open() as town:
        await town.repair()
        yield town
