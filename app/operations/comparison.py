"""What the two sides say of one add-on, held against each other: the rules of a reconciliation, without a database."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from app.context import Context
from app.operations.installs import Install
from app.resources.models import State

# What is younger than this may still be on its way to the other side.
GRACE: Final = timedelta(hours=1)

# Heroku's states of an add-on that it has done with, or is about to.
REMOVED: Final = frozenset({"deprovisioned", "deprovisioning"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """What is compared of one of our rows."""

    uuid: UUID
    name: str
    plan: str
    state: State
    created_at: datetime
    provisioned_at: datetime | None
    deprovisioned_at: datetime | None
    config_changed_at: datetime | None
    config_differs_at: datetime | None
    config_version: int
    pushed_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A difference: the fields are those of `operations.models.Difference`."""

    kind: str
    text: str
    repair: str | None = None
    here: str | None = None
    there: str | None = None


def only_here(ours: Ours, since: datetime) -> Iterator[Finding]:
    """A living resource that Heroku does not list.

    Args:
        ours: the row.
        since: what happened later is not judged.
    """
    if ours.created_at <= since:
        text = f"{ours.name} is {ours.state} here, and Heroku does not list it: nobody is billed for it."
        yield Finding(kind="orphan", text=text, repair="deprovision", here=ours.state)


def only_there(theirs: Install, ours: Ours | None, since: datetime) -> Iterator[Finding]:
    """An add-on that Heroku lists and that does not live here; `ours` is its row, if it was here or has just come."""
    if theirs.state in REMOVED:
        return
    if ours is None and theirs.state == State.PROVISIONING:
        text = (
            "Heroku is provisioning it, and nothing of it has arrived here. Heroku repeats its request, and gives it "
            "up in the end: nothing is to be done, unless it is still so tomorrow."
        )
        yield Finding(kind="ghost", text=text, there=theirs.state)
    elif ours is None:
        text = (
            "Heroku lists it, and it was never here: its customer pays for nothing, unless our database was restored "
            "from a backup that is older. Ask Heroku's partner support to have it removed; the customer can do so, too."
        )
        yield Finding(kind="ghost", text=text, there=theirs.state)
    elif ours.deprovisioned_at is not None and ours.deprovisioned_at <= since:
        text = (
            f"{ours.name} was deprovisioned here on {ours.deprovisioned_at:%d %b %Y}, and Heroku goes on listing and "
            f"billing it. Ask the customer to run heroku addons:destroy {ours.name}, or Heroku's partner support to "
            "remove it."
        )
        yield Finding(kind="ghost", text=text, here=ours.state, there=theirs.state)


def on_both(context: Context, ours: Ours, theirs: Install, since: datetime) -> Iterator[Finding]:
    """What differs of an add-on that lives here and that Heroku lists."""
    if theirs.state == "deprovisioning":
        text = f"Heroku is removing {ours.name}. Its request to deprovision it here comes by itself."
        yield Finding(kind="state", text=text, here=ours.state, there=theirs.state)
        return
    if theirs.state in REMOVED:
        text = f"Heroku has removed {ours.name}, and it still lives here."
        yield Finding(kind="state", text=text, repair="deprovision", here=ours.state, there=theirs.state)
        return
    yield from _states(ours, theirs, since)
    if theirs.plan is not None and theirs.plan != ours.plan:
        yield _plans(context, ours, theirs.plan)
    is_behind = ours.config_version > ours.pushed_version and (ours.config_changed_at or ours.created_at) <= since
    if ours.state is State.PROVISIONED and is_behind:
        text = f"Heroku has older config vars of {ours.name} than it should have."
        yield Finding(kind="config", text=text, repair="retry-now")
    elif ours.state is State.PROVISIONED and ours.config_differs_at is not None:
        text = (
            f"Heroku has config vars of {ours.name} that were never ours, as far as this database knows. They may be "
            "newer than all it knows, if it was restored from a backup."
        )
        yield Finding(kind="config", text=text, repair="rotate")


def _states(ours: Ours, theirs: Install, since: datetime) -> Iterator[Finding]:
    if ours.state is State.PROVISIONING and ours.created_at <= since:
        text = f"{ours.name} is still being provisioned here, and Heroku was never told that it is ready."
        if theirs.state == State.PROVISIONED:
            text = f"{ours.name} is provisioned for Heroku, and here its provisioning has not come to its end."
        yield Finding(kind="state", text=text, repair="retry-now", here=ours.state, there=theirs.state)
    is_ready = ours.state is State.PROVISIONED and (ours.provisioned_at or ours.created_at) <= since
    if is_ready and theirs.state == State.PROVISIONING:
        text = f"{ours.name} is ready here, and Heroku waits to be told so: its config vars are not released."
        yield Finding(kind="state", text=text, repair="announce", here=ours.state, there=theirs.state)


def _plans(context: Context, ours: Ours, there: str) -> Finding:
    wanted, present = context.plans.get(there), context.plans.get(ours.plan)
    text = f"{ours.name} is on the plan {ours.plan} here and on {there} at Heroku, which bills that."
    can_move = wanted is not None and present is not None and type(wanted.driver) is type(present.driver)
    if not can_move:
        text += " It cannot be moved to that plan here."
    repair = "move-plan" if can_move and ours.state is State.PROVISIONED else None
    return Finding(kind="plan", text=text, repair=repair, here=ours.plan, there=there)
