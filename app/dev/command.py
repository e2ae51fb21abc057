"""`./run resources`, `./run audit` and the like: an operators' command on the database of the running `./run`."""

import os
import sys

from app.dev.folder import DevError, running_environment


def main(words: list[str]) -> None:
    """Become `python -m app` with these words; whoever has set DATABASE_URL means that database.

    Raises:
        DevError: nothing runs whose database it could be.
    """
    if not os.environ.get("DATABASE_URL"):
        running = running_environment()
        if not running and "--help" not in words:
            raise DevError("Nothing runs here: start ./run in another terminal first, or set DATABASE_URL.")
        os.environ.update(running)
    os.execv(sys.executable, [sys.executable, "-m", "app", *words])  # noqa: S606 - our own program, no shell # nosec B606


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except DevError as error:
        sys.exit(str(error))
