"""`python -m bench`: fill a small and a large database on a Postgres of this machine, measure, and forget them."""

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import psycopg
import typer

from app.dev.postgres import DevPostgres
from bench.find import report
from bench.million import fill, migrate


def main(
    rows: Annotated[int, typer.Option(min=100, help="How many resources the large one has.")] = 1_000_000,
    small: Annotated[int, typer.Option(min=100, help="How many the small one has.")] = 1_000,
) -> None:
    """Measure everything."""
    folder = Path(
        tempfile.mkdtemp(prefix="bench-")
    )  # the server may run as another user, who could not enter most others
    try:
        with DevPostgres(folder, durable=False) as server:
            urls = []
            for name, number in (("small", small), ("large", rows)):
                with psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True) as connection:
                    connection.execute(f"CREATE DATABASE {name}")
                urls.append(server.url_for(name))
                migrate(urls[-1])
                fill(urls[-1].replace("+psycopg", ""), number)
            report(urls)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    typer.run(main)
