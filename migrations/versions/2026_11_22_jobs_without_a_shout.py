"""Workers look for jobs by themselves: nobody is notified of each one.

Postgres lets only one transaction with a NOTIFY commit at a time, in all of the server, its wait for the disk included.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_TRIGGER = "procrastinate_jobs_notify_queue_job_inserted_v1"


def upgrade() -> None:
    op.execute(f"DROP TRIGGER {_TRIGGER} ON procrastinate_jobs")


def downgrade() -> None:
    op.execute(
        f"CREATE TRIGGER {_TRIGGER} AFTER INSERT ON procrastinate_jobs"
        " FOR EACH ROW WHEN (new.status = 'todo'::procrastinate_job_status)"
        f" EXECUTE FUNCTION procrastinate_notify_queue_job_inserted_v1()"
    )
