"""`python -m app keys` and `reencrypt`: making keys, and changing to a new one."""

import asyncio
import base64
import secrets

import rich
import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from app.commands.process import clear_errors, settings_of_process
from app.context import open_context
from app.operations.reencrypt import count_rows
from app.operations.reencrypt import reencrypt as reencrypt_rows
from app.settings import Settings


def keys() -> None:
    """Print fresh values for ENCRYPTION_KEYS and SECRET_KEYS."""
    typer.echo(f"ENCRYPTION_KEYS={base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}")
    typer.echo(f"SECRET_KEYS={secrets.token_urlsafe(48)}")


def reencrypt() -> None:
    """Seal every stored secret with the newest of ENCRYPTION_KEYS; the others may leave the list after that."""

    async def work(settings: Settings) -> int:
        total = 0
        async with open_context(settings) as context:
            with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=Console()) as progress:
                bar = progress.add_task("Rows", total=await count_rows(context))
                async for looked_at, renewed in reencrypt_rows(context):
                    progress.advance(bar, looked_at)
                    total += renewed
        return total

    with clear_errors():
        renewed = asyncio.run(work(settings_of_process()))
    rich.print(f"{renewed} secrets were sealed anew. Older keys may leave ENCRYPTION_KEYS now.")
