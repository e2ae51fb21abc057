"""What to do first when our database was restored from a backup."""

import typer

from app.commands.terminal import As, Reason, in_context, who
from app.context import Context
from app.operations.action import Order
from app.operations.after_restore import Stopped, after_restore


def restored(reason: Reason = "", actor: As = None) -> None:
    """Say that the database was restored from a backup.

    Run it after the restore and before any other process: it stops what the backup would go on with by itself and could
    be wrong about, and asks for a comparison with Heroku. Takes the role owner.
    """

    async def work(context: Context) -> Stopped:
        return await after_restore(context, Order(actor=await who(context, actor), reason=reason))

    done = in_context(work)
    for number, words in (
        (done.jobs, "waiting jobs were dropped: they could have undone what is newer than the backup"),
        (done.batches, "batches were paused"),
        (done.sessions, "sessions of operators and customers were ended"),
        (done.kept, "services that were to be removed soon are kept for seven more days"),
        (done.left_alone, "resources whose provisioning was in the backup were ended; their services were left alone"),
    ):
        typer.echo(f"{number:>6,}  {words}")
    typer.echo("Now start the processes. A worker compares with Heroku within moments: python -m app reconcile --last")
    typer.echo("Look at the operators, too: python -m app operators list. Changes since the backup are undone.")
