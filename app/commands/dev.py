"""`python -m app dev`: everything on one machine."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from app.dev.folder import DEV_FOLDER
from app.dev.run import run_dev


def dev(
    port: Annotated[int | None, typer.Option(help="Where the add-on listens.")] = None,
    simulator_port: Annotated[int | None, typer.Option(help="Where the simulator listens.")] = None,
    folder: Annotated[Path, typer.Option(help="Where the data is kept.")] = DEV_FOLDER,
    *,
    reset: Annotated[bool, typer.Option("--reset", help="Ask, then forget everything that is kept.")] = False,
) -> None:
    """Run everything on this machine: Postgres, web, worker and the simulator."""
    sys.exit(run_dev(port=port, simulator_port=simulator_port, reset=reset, folder=folder))
