"""How Alembic reaches the database, in one transaction, one migration at a time.

The address is the attribute `database_url` of whoever runs Alembic as a library, or else the environment's.
"""

from alembic import context
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

import app.app_log
import app.operations.models
import app.operators.models
import app.resources.models
import app.resources.traces
import app.web.limit_storage  # noqa: F401 - the tables must be known to the metadata
from app.database import Base
from app.settings import read_database_url

# Any number; whoever holds this lock migrates, everyone else waits.
_LOCK = 7_305_101


def _is_ours(_object: object, name: str | None, kind: str, _reflected: bool, _compared: object) -> bool:  # noqa: FBT001
    """The queue's tables come from its own package and are none of autogenerate's business."""
    return not (kind == "table" and (name or "").startswith("procrastinate_"))


def run() -> None:
    engine = create_engine(
        context.config.attributes.get("database_url") or read_database_url(), poolclass=NullPool, hide_parameters=True
    )
    with engine.connect() as connection:
        connection.execute(text("SET statement_timeout = '15min'"))
        connection.execute(text(f"SELECT pg_advisory_lock({_LOCK})"))
        # A migration that waits for a table makes every later query wait behind it: rather fail and be run again. Set
        # only now, because whoever waits for another migration waits as long as that takes.
        connection.execute(text("SET lock_timeout = '10s'"))
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            include_object=_is_ours,
            compare_type=True,
            compare_server_default=True,
        )
        with context.begin_transaction():
            context.run_migrations()


run()
