"""What an interrupted run left at the add-on: listed, and removed as Heroku removes resources."""

from collections.abc import Callable

from .bench import Bench
from .options import Options


def list_leftovers(bench: Bench, options: Options, say: Callable[[str], None]) -> int:
    """Print the uuids of what may still exist, one a line; the exit status is always 0."""
    uuids = bench.journal.uuids
    for uuid in uuids:
        say(uuid)
    say(f"{counted(len(uuids))} may still exist." + (f" To remove them: {options.purge()}" if uuids else ""))
    return 0


async def purge(bench: Bench, say: Callable[[str], None]) -> int:
    """Send a DELETE for each; the exit status is 1 while something is left."""
    for uuid in bench.journal.uuids:
        answer = await bench.delete(uuid)
        if answer.is_success or answer.status in {404, 410}:
            bench.journal.discard(uuid)
            say(f"{uuid}  removed")
        else:
            say(f"{uuid}  not removed. {answer.said}")
    left = len(bench.journal.uuids)
    say(f"{counted(left)} left." if left else "Nothing is left.")
    return 1 if left else 0


def counted(number: int) -> str:
    """Say how many resources."""
    return "1 resource" if number == 1 else f"{number} resources"
