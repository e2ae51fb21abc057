"""`python -m app migrate`: the database's tables as this code expects them."""

import os
from pathlib import Path
from typing import Final

import structlog
from alembic import command as alembic
from alembic.config import Config
from alembic.script import ScriptDirectory

from app.commands.process import clear_errors
from app.log import configure_logging
from app.settings import read_database_url

_PYPROJECT: Final = Path(__file__).parents[2] / "pyproject.toml"


def migrate() -> None:
    """Bring the database up to date (Procfile: release). Needs DATABASE_URL alone."""
    with clear_errors():
        read_database_url()
        configure_logging(os.environ.get("LOG_FORMAT", "json"))
        config = Config(toml_file=_PYPROJECT)
        alembic.upgrade(config, "head")
        structlog.get_logger(__name__).info(
            "the database is up to date", revision=ScriptDirectory.from_config(config).get_current_head()
        )
