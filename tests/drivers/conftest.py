"""Fixtures of the driver tests: the shared contract, and one Postgres for all of them."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.dev.postgres import DevPostgres

pytest.register_assert_rewrite("contract")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[DevPostgres]:
    folder = Path(tempfile.mkdtemp())  # not tmp_path: as root the server may have to run as nobody, who cannot enter it
    with DevPostgres(folder, durable=False) as server:
        yield server
    shutil.rmtree(folder)
