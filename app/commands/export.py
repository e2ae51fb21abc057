"""Writing to a file what a customer has stored."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import typer

from app.commands.process import clear_errors
from app.commands.terminal import As, Reason, Which, in_context, who
from app.context import Context
from app.errors import Refused
from app.operations.action import Order
from app.operations.export import export
from app.operations.naming import find_uuid

_STANDARD_OUTPUT: Final = "-"

To = Annotated[str, typer.Option("--to", metavar="FILE", help="Where it is written; - is the standard output.")]


def export_(resource: Which, to: To, reason: Reason = "", actor: As = None) -> None:
    """Write all that is stored in a resource to a file, also while it is set aside. Takes the role operator."""
    with clear_errors():
        if to != _STANDARD_OUTPUT and os.path.lexists(to):
            raise Refused(f"{to} exists already: choose another name.")

    async def work(context: Context) -> int:
        order = Order(actor=await who(context, actor), reason=reason)
        pieces = export(context, await find_uuid(context, resource), order)
        if to == _STANDARD_OUTPUT:
            return await _print(pieces)
        return await write(pieces, Path(to))

    size = in_context(work)
    typer.echo(
        f"{size:,} bytes were written. The file holds the customer's data: keep it as you would keep that.", err=True
    )


async def _print(pieces: AsyncIterator[bytes]) -> int:
    size = 0
    async for piece in pieces:
        size += sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
    return size


async def write(pieces: AsyncIterator[bytes], to: Path) -> int:
    """The file is there once it is whole; nobody else may read it, and none is replaced.

    Raises:
        Refused: it cannot be written there.
    """
    unfinished, size = to.with_name(f"{to.name}.unfinished"), 0
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            async for piece in pieces:
                size += file.write(piece)
        unfinished.rename(to)
    except FileExistsError:
        raise Refused(f"{unfinished} exists already: another export runs, or was broken off. Remove it then.") from None
    except BaseException as error:
        with suppress(OSError):
            unfinished.unlink()
        if isinstance(error, OSError):
            raise Refused(f"{to} cannot be written: {error.strerror}.") from error
        raise
    return size
