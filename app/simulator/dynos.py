"""An app's formation and its dynos, which never run anything: they only start, restart and end as Heroku's do.

https://devcenter.heroku.com/articles/dynos. What should be is the formation and the current release; `settle` makes it
so. A new release, another size or a restart replaces a dyno by one of the same name.
"""

import re
import secrets
from collections.abc import Iterable
from datetime import timedelta
from uuid import uuid4

from .catalogue import DYNO_SIZES, DynoSize, dyno_size
from .errors import invalid, not_found
from .records import App, Dyno, Process
from .world import Event, World

_STARTS_WITHIN = timedelta(seconds=3)
_ONE_OFF_RUNS = timedelta(seconds=30)
_MOST_DYNOS = 100
_QUANTITY = re.compile(r"[+-]?[0-9]{1,4}")


def follow(world: World, event: Event) -> None:
    """Restart an app's dynos with each of its releases."""
    if event.kind == "release":
        for app in event.apps:
            settle_app(world, app)


def settle(world: World) -> None:
    for app in list(world.apps.values()):
        settle_app(world, app)


def settle_app(world: World, app: App) -> None:
    """Stop what should not run (any more), bring up what has started, start what is missing."""
    now, version = world.now(), app.releases[-1].version
    wanted = {f"{line.type}.{number + 1}": line for line in app.formation for number in range(line.quantity)}
    for dyno in list(app.dynos):
        line = wanted.get(dyno.name)
        is_over = dyno.ends_at is not None and dyno.ends_at <= now
        is_as_wanted = line is not None and (dyno.size, dyno.release_version) == (line.size, version)
        if is_over or (dyno.ends_at is None and not is_as_wanted):
            _end(world, app, dyno)
        elif dyno.state == "starting" and now - dyno.created_at >= _STARTS_WITHIN:
            dyno.state, dyno.updated_at = "up", now
            world.tell("dyno", "update", dyno, app)
            world.changed()
    running = {dyno.name for dyno in app.dynos}
    for name, line in wanted.items():
        if name not in running:
            _start(world, app, Dyno(str(uuid4()), name, line.type, line.command, line.size, version, now, now))


def _start(world: World, app: App, dyno: Dyno) -> None:
    app.dynos.append(dyno)
    world.tell("dyno", "create", dyno, app)
    world.changed()


def _end(world: World, app: App, dyno: Dyno) -> None:
    world.tell("dyno", "destroy", dyno, app)
    app.dynos.remove(dyno)
    world.changed()


def process(app: App, ref: str) -> Process:
    """Find a line of the formation by its type or id."""
    found = next((line for line in app.formation if ref in {line.type, line.id}), None)
    if found is None:
        raise not_found("process type")
    return found


def find(app: App, ref: str) -> Dyno:
    found = next((dyno for dyno in app.dynos if ref in {dyno.name, dyno.id}), None)
    if found is None:
        raise not_found("dyno")
    return found


def of_type(app: App, process_type: str) -> list[Dyno]:
    found = [dyno for dyno in app.dynos if dyno.type == process_type]
    if not found:
        process(app, process_type)
    return found


def scale(world: World, app: App, orders: Iterable[tuple[Process, object, object]], *, by_email: str) -> None:
    """Carry out all of the orders or none: a process, its quantity (`2`, `"2"`, `"+1"`, None to keep), its size."""
    changes = []
    for line, quantity, size in orders:
        chosen = _size(line, size)
        changes.append((line, _quantity(line, quantity, chosen), chosen.name))
    for line, quantity, size in changes:
        if (line.quantity, line.size) != (quantity, size):
            line.quantity, line.size, line.updated_at = quantity, size, world.now()
            world.tell("formation", "update", line, app, by_email=by_email)
            world.log(f"Scaled to {line.type}@{quantity}:{size} by {by_email}", app=app)
    settle_app(world, app)


def _size(line: Process, size: object) -> DynoSize:
    found = dyno_size(line.size if size is None else str(size))
    if found is None:
        known = ", ".join(one.name for one in DYNO_SIZES)
        raise invalid(f"There is no dyno size {str(size)[:50]!r}. The sizes are {known}.")
    return found


def _quantity(line: Process, quantity: object, size: DynoSize) -> int:
    if quantity is None:
        number = line.quantity
    else:
        text = str(quantity).strip()
        if not _QUANTITY.fullmatch(text):
            raise invalid(f"The quantity of {line.type} must be a whole number, or a change of it such as +1 or -1.")
        is_change = isinstance(quantity, str) and text[0] in "+-"
        number = line.quantity + int(text) if is_change else int(text)
    if number < 0:
        raise invalid(f"The quantity of {line.type} cannot be less than 0.")
    if number > size.most_dynos:
        raise invalid(f"Cannot update to more than {size.most_dynos} {size.name} size dynos per process type.")
    return number


def run(world: World, app: App, command: str, *, process_type: str, size: str | None, lives: timedelta) -> Dyno:
    """Start a one-off dyno; it ends by itself within `lives`, and soon in any case, for nothing really runs."""
    taken = {dyno.name for dyno in app.dynos}
    if len(taken) >= _MOST_DYNOS:
        raise invalid(f"An app may have {_MOST_DYNOS} dynos.")
    free = [name for number in range(1000, 10_000) if (name := f"{process_type}.{number}") not in taken]
    now = world.now()
    dyno = Dyno(
        id=str(uuid4()),
        name=secrets.choice(free),
        type=process_type,
        command=command,
        size=_size(app.formation[0], size).name,
        release_version=app.releases[-1].version,
        created_at=now,
        updated_at=now,
        ends_at=now + min(lives, _ONE_OFF_RUNS),
    )
    _start(world, app, dyno)
    world.log(f"Starting {dyno.name} with command `{command[:200]}`", app=app)
    return dyno


def restart(world: World, app: App, dynos: Iterable[Dyno]) -> None:
    """End these dynos. Those of the formation begin again at once, one-off ones are over."""
    for dyno in list(dynos):
        _end(world, app, dyno)
    settle_app(world, app)
