"""The indexes of the search need an extension, which an ordinary owner of a database may make."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy.engine import make_url

from app.dev.postgres import DevPostgres

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def ordinary(postgres_server: DevPostgres) -> Iterator[tuple[psycopg.Connection, str]]:
    """An administrator's connection, and the name of an ordinary role with the password `secret`."""
    name = f"ordinary_{uuid4().hex[:8]}"
    with psycopg.connect(postgres_server.url.replace("+psycopg", ""), autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'secret'")
        yield admin, name
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        admin.execute(f"DROP ROLE {name}")


def migrate(server: DevPostgres, name: str) -> subprocess.CompletedProcess[str]:
    url = make_url(server.url_for(name)).set(username=name, password="secret")
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": url.render_as_string(hide_password=False)}
    return subprocess.run(
        [sys.executable, "-m", "app", "migrate"],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_whoever_owns_the_database_can_migrate_it(postgres_server, ordinary):
    admin, name = ordinary
    admin.execute(f"CREATE DATABASE {name} OWNER {name}")
    done = migrate(postgres_server, name)
    assert done.returncode == 0, done.stderr


def test_whoever_does_not_is_told_what_to_ask_for(postgres_server, ordinary):
    admin, name = ordinary
    admin.execute(f"CREATE DATABASE {name}")
    with psycopg.connect(postgres_server.url_for(name).replace("+psycopg", ""), autocommit=True) as there:
        there.execute(f"GRANT CREATE ON SCHEMA public TO {name}")
    done = migrate(postgres_server, name)
    assert done.returncode == 1
    assert 'permission denied to create extension "pg_trgm"' in done.stderr
    assert "CREATE EXTENSION pg_trgm" in done.stderr
    assert "Traceback" not in done.stderr

    with psycopg.connect(postgres_server.url_for(name).replace("+psycopg", ""), autocommit=True) as there:
        there.execute("CREATE EXTENSION pg_trgm")
    assert migrate(postgres_server, name).returncode == 0
