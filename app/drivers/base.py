"""What a driver is: the one class a partner writes.

A driver makes one kind of thing that is sold: a database, a key, an account in the partner's own system. It knows
nothing of Heroku, of our tables or of HTTP statuses to us. It gets plain facts (`ResourceInfo`) and answers with plain
facts (`Provisioned`), or raises one of two things: `Refused` (no, and this sentence tells the customer why) or `Retry`
(not now). Anything else it raises counts as a bug: it is logged, retried a while and then given up.

Three rules make a driver safe to use here; `tests/drivers/contract.py` checks them for every driver:

1. Every method may run twice, at once or one after the other, or be cut off in the middle and run again.
2. The same `ResourceInfo` gives the same result. Take passwords and keys from `resource.secret(label)`, never from a
   random source: a first call whose answer was lost then does no harm.
3. Names of outside things come from `resource.uuid`, which never changes and is never used again.
"""

import hashlib
import hmac
from abc import ABC, abstractmethod
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceInfo:
    """One installed add-on, as a driver sees it.

    Attributes:
        uuid: Heroku's id of the resource.
        plan: the plan the service must match now (for `change_plan`: the new one).
        region: Heroku's text, such as `amazon-web-services::us-east-1`; may be one we have never seen.
        options: what the customer gave at provision, unchecked by anybody; ignore what you do not know.
        generation: which credential is current: 1 at provision, one more after each rotation.
        is_suspended: an operator has closed the service: whatever a method makes or changes, nobody is let in.
        seed: 32 random bytes made once per resource; read them through `secret`.
        details: what this driver returned as `Provisioned.details` last time; empty before the first provision.
    """

    uuid: UUID
    plan: str
    region: str
    generation: int
    seed: bytes = field(repr=False)
    is_suspended: bool = False
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    details: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def secret(self, label: str) -> str:
        """A secret text of 43 URL-safe characters (256 bits), always the same for this resource and label."""
        digest = hmac.digest(self.seed, label.encode(), hashlib.sha256)
        return urlsafe_b64encode(digest).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioned:
    """What a driver has made.

    Attributes:
        config: all config vars for the customer's app, full names as in the manifest; values are texts.
        details: anything JSON the driver wants to see again in `ResourceInfo.details`; stored encrypted.
        message: a sentence for the customer, shown by Heroku's CLI and dashboard.
    """

    config: Mapping[str, str] = field(repr=False)
    details: Mapping[str, Any] = field(default_factory=dict, repr=False)
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One reading of how much of its plan a resource uses, such as storage in bytes.

    `enforced` means: over the limit the resource is warned, then restricted (see `Driver.restrict`).
    """

    name: str
    used: int
    limit: int
    unit: Literal["bytes", "count"]
    enforced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """How a customer uses the service from one language or tool. `text` names config vars, never their values."""

    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """What a customer's app, or Heroku about it, has logged.

    Attributes:
        at: when, in UTC; None if the line does not say it in a way that can be read.
        priority: syslog's: eight times the facility, plus the severity (0 an emergency, 7 for debugging).
        source: `app`, or `heroku` for what Heroku says, such as its router or the loss of lines (error L10).
        process: which part of it: `web.1`, `router`, `logplex`.
        text: without the line's end; may hold any character, and what customers' users have typed.
    """

    at: datetime | None
    priority: int
    source: str
    process: str
    text: str = field(repr=False)


class AppLog(Protocol):
    """The logs of customers' apps, for writing. What is written there, all of the app's developers read."""

    async def write(self, uuid: UUID, text: str) -> None:
        """Have one line or several appear in the log of the app that pays for the resource `uuid`, soon and perhaps.

        Nothing is written unless the manifest requires `log_input`. Nobody waits for Heroku, and nothing fails when a
        line is lost: it is for what a customer should know, without secrets, and not for every request.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTable:
    """How services are made that are nothing but a row each, in a table of the add-on's own database.

    Such a row is written in the same transaction as what the program writes down of a new resource: there is nothing to
    finish, or to remove, after a crash in between.

    Attributes:
        insert: an INSERT, in SQL, from a table `services` with one column, `service`: the row as `jsonb`. If the row is
            there it is replaced, as rule 1 wants it.
        row: of a new resource, the row as JSON, and what the customer gets: the same that `provision` would make. It
            asks nobody and refuses nothing.
    """

    insert: str
    row: Callable[[ResourceInfo], tuple[Mapping[str, Any], Provisioned]]


class Driver(ABC):
    """One kind of thing we sell, on the terms of one plan.

    `plans.py` makes one object per plan, for example `Postgres(server, connections=20)`; the terms are its attributes.
    """

    @abstractmethod
    async def provision(self, resource: ResourceInfo) -> Provisioned:
        """Make the thing, with the credential of `resource.generation`."""

    def own_table(self, database: str) -> OwnTable | None:  # noqa: ARG002 - for drivers that have one
        """How to do what `provision` does for a plan that `is_instant`, without calling it; None if it must be called.

        Only for drivers whose services are rows in `database`, the URL of the add-on's own.
        """
        return None

    @abstractmethod
    async def change_plan(self, resource: ResourceInfo) -> Provisioned:
        """Make the existing thing match this driver's terms; called on the new plan's driver.

        Return the whole config, also when nothing in it changed. Refuse here what does not fit the new plan.
        """

    @abstractmethod
    async def rotate(self, resource: ResourceInfo) -> Provisioned:
        """Make the credential of `resource.generation` and return the config with it; older ones keep working."""

    @abstractmethod
    async def retire(self, resource: ResourceInfo) -> None:
        """Stop every credential older than `resource.generation`."""

    @abstractmethod
    async def deprovision(self, resource: ResourceInfo) -> None:
        """Remove the thing and all its credentials. Fine if it is half made, already gone, or was never made."""

    async def usage(self, resource: ResourceInfo) -> Sequence[Measure]:  # noqa: ARG002 - for drivers that can tell
        """How much of the plan is used now; empty when there is nothing to measure."""
        return ()

    @property
    def can_tell_usage(self) -> bool:
        """Whether there is anything to measure: where `usage` is written."""
        return type(self).usage is not Driver.usage

    async def restrict(self, resource: ResourceInfo, *, read_only: bool) -> None:
        """Refuse writes (`read_only`) or allow them again, live. Only for drivers whose measures are `enforced`."""

    async def in_use(self, resource: ResourceInfo) -> Mapping[int, int] | None:  # noqa: ARG002 - as `usage`
        """How many clients use each generation of the credentials now; None if that cannot be told."""
        return None

    async def take_log_lines(self, resource: ResourceInfo, lines: Sequence[LogLine], *, batch: str) -> None:
        """Take what the customer's app has logged; only if the manifest requires `syslog_drain`.

        Whatever was taken when this returns, Heroku does not send again. It is cut off after four seconds; after
        `Retry`, or any other error but `Refused`, the same lines come again, at most twice, under the same `batch`.
        """
        raise NotImplementedError

    @property
    def can_take_log_lines(self) -> bool:
        """Whether it wants apps' logs: where `take_log_lines` is written."""
        return type(self).take_log_lines is not Driver.take_log_lines

    async def suspend(self, resource: ResourceInfo) -> None:
        """Let nobody in any more, on open connections either; what is stored stays, and so do the credentials."""
        raise NotImplementedError

    async def resume(self, resource: ResourceInfo) -> None:
        """Let in again every credential that `suspend` has shut out. Fine if nothing was suspended."""
        raise NotImplementedError

    async def set_aside(self, resource: ResourceInfo) -> None:
        """Close for good what was deprovisioned, as `deprovision` does, except that what is stored is kept.

        Later comes `deprovision`, or `bring_back`. Fine if it is set aside already, or is not there at all.
        """
        raise NotImplementedError

    async def bring_back(self, resource: ResourceInfo) -> Provisioned:
        """Open what was set aside, with the credential of `resource.generation` and no older one.

        Refuse what cannot be opened, such as what is not there.
        """
        raise NotImplementedError

    def export(self, resource: ResourceInfo) -> AsyncIterator[bytes]:
        """All that is stored, as one file in pieces, for the customer to take away; also of what is suspended or set
        aside. In the file, or beside it in your documentation, it says how it is read.
        """
        raise NotImplementedError

    @property
    def can_export(self) -> bool:
        """Whether operators are offered to export: where `export` is written."""
        return type(self).export is not Driver.export

    @property
    def can_suspend(self) -> bool:
        """Whether operators are offered to suspend: where `suspend` and `resume` are written."""
        return type(self).suspend is not Driver.suspend

    @property
    def can_set_aside(self) -> bool:
        """Whether what was deprovisioned is kept for a while: where `set_aside` and `bring_back` are written."""
        return type(self).set_aside is not Driver.set_aside

    def snippets(self) -> Sequence[Snippet]:
        """How to use it, for the customer's dashboard."""
        return ()

    async def guard(self) -> None:
        """Called once in each worker, and cancelled when it stops: watch over what customers could do to each other.

        By default there is nothing to watch.
        """

    def use_app_log(self, app_log: AppLog) -> None:
        """Called once before `open`: keep it to write into the logs of customers' apps."""

    async def open(self) -> None:
        """Called once before the first use in a process, for clients and pools."""

    async def close(self) -> None:
        """Called once when the process stops."""
