"""`./run psql`: psql on the database of the running `./run`, or on DATABASE_URL."""

import os
import shutil
import sys
from urllib.parse import unquote, urlsplit

from app.dev.folder import DevError, running_environment
from app.dev.postgres_programs import DevPostgresError, find_programs


def main(words: list[str]) -> None:
    """Become psql.

    Raises:
        DevError, DevPostgresError: there is no database, or no psql.
    """
    url = os.environ.get("DATABASE_URL") or running_environment().get("DATABASE_URL")
    if not url:
        raise DevError("Nothing runs here: start ./run in another terminal first, or set DATABASE_URL.")
    psql = shutil.which("psql") or str(find_programs() / "psql")
    address, password = without_password(url)
    if password:
        os.environ["PGPASSWORD"] = password
    os.execv(psql, [psql, address, *words])  # noqa: S606 - a program found on this machine, no shell # nosec B606


def without_password(url: str) -> tuple[str, str | None]:
    """The URL as psql knows it, and its password apart: everybody on a machine may read the words of a command."""
    url = url.replace("+psycopg", "", 1)
    password = urlsplit(url).password
    if password is None:
        return url, None
    return url.replace(f":{password}@", "@", 1), unquote(password)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (DevError, DevPostgresError) as error:
        sys.exit(str(error))
