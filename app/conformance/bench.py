"""What a check works with: a pretend Heroku around the add-on under test, and a wire to it that knows no manners.

`simulator` plays Heroku as it is; `post`, `put`, `delete` and `ask` also send what Heroku never would. Everything that
was made is removed after the check, and is in the journal until it is.
"""

import asyncio
import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx2

from app.simulator import AddOnFailed, Simulator, apps, attaching
from app.simulator.offer import Offer
from app.simulator.records import AddOn, App, Exchange
from app.simulator.wire import VENDOR_TYPE
from app.simulator.world import Event, World

from .journal import Journal
from .requirement import NotApplicable, Unmet
from .target import Target, is_loopback
from .visits import Visit
from .wire import Answer, Wire

_LOOKS_EVERY_SECONDS = 0.02
RIGHT: Any = object()


@dataclass
class Bench:
    """One run's bench, with the simulator running. Use as `async with`; `clean_up` after each check.

    `transport` leads to the add-on without sockets, in tests.
    """

    simulator: Simulator
    target: Target
    journal: Journal
    transport: httpx2.AsyncBaseTransport | None = None
    _wire: Wire = field(init=False, repr=False)
    _made: set[str] = field(default_factory=set)
    _apps: list[App] = field(default_factory=list)
    _kinds: dict[str, int | None] = field(default_factory=dict)
    measured: dict[str, str] = field(default_factory=dict)
    # Whether the add-on subscribes to webhooks; None until that was looked at.
    subscribes: bool | None = None
    _log_starts_at: int = 0

    async def __aenter__(self) -> Self:
        self._log_starts_at = len(self._log())
        self._wire = Wire(self.world, self.transport)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._wire.aclose()

    @property
    def world(self) -> World:
        return self.simulator.world

    @property
    def offer(self) -> Offer:
        return self.world.offer

    @property
    def manifest(self) -> Mapping[str, Any]:
        """Return the manifest in force, as it was written."""
        return self.world.portal.manifests[-1].contents

    @property
    def is_on_loopback(self) -> bool:
        """Say whether the add-on is on the developer's own machine, where it need not be reachable from elsewhere."""
        return is_loopback(urlsplit(self.base_url).hostname)

    @property
    def base_url(self) -> str:
        return self.target.base_url.rstrip("/")

    # Asking

    async def ask(
        self,
        method: str,
        url: str,
        *,
        body: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str | None] | None = None,
        auth: tuple[str, str] | str | None = RIGHT,
        addon: AddOn | None = None,
    ) -> Answer:
        """Send one request as it is told, record it, and return whatever came back.

        `auth` is a pair of name and password, a whole Authorization header, or None for none. A header of None is left
        out. `body` is sent as JSON; `content` as it is.
        """
        if auth is RIGHT:
            auth = (self.offer.slug, self.offer.password)
        if isinstance(auth, tuple):
            auth = "Basic " + base64.b64encode(":".join(auth).encode()).decode()
        sent = json.dumps(body).encode() if content is None and body is not None else content or b""
        usual = {"Accept": VENDOR_TYPE, "User-Agent": "heroku-conformance", "Authorization": auth}
        if sent:
            usual["Content-Type"] = "application/json"
        everything = {name: value for name, value in (usual | dict(headers or {})).items() if value is not None}
        return await self._wire.ask(method, url, everything, sent, addon)

    async def seconds_of(self, method: str, url: str, *, auth: tuple[str, str]) -> float:
        """Return how long one answer takes, without a record: for checks that need hundreds of them."""
        return await self._wire.seconds_of(method, url, auth)

    def logged(self) -> str | None:
        """Return what the add-on logged during this run; None when its log is not known."""
        if self.target.log_file is None:
            return None
        content = self._log()
        # A log that is shorter than it was has been begun anew.
        return content[self._log_starts_at if len(content) >= self._log_starts_at else 0 :].decode("utf-8", "replace")

    def _log(self) -> bytes:
        path = Path(self.target.log_file) if self.target.log_file else None
        return path.read_bytes() if path is not None and path.exists() else b""

    # The three verbs, by hand

    def app(self, *, region: str | None = None) -> App:
        """Make an app for this check."""
        region = region or self.offer.app_regions[0]
        app = self.world.create_app(f"conform-{uuid4().hex[:12]}", region=region)
        self._apps.append(app)
        return app

    def draft(
        self, plan: str | None = None, *, options: Mapping[str, Any] | None = None, region: str | None = None
    ) -> AddOn:
        """Make an add-on that Heroku knows and the partner does not yet; its grant can be exchanged."""
        app = self.app(region=region)
        addon = self.world.install(app, plan or self.plan, name=None, options=dict(options or {}))
        attaching.attach(self.world, addon, app)
        return addon

    def body_of(self, addon: AddOn) -> dict[str, Any]:
        """Return the provision request that Heroku sends for it, with a fresh grant."""
        return self.simulator.calls.provision_request(addon)

    async def post(self, body: Any, *, addon: AddOn | None = None, **how: Any) -> Answer:
        """Send a provision request; what it may have made is remembered first."""
        uuid = body.get("uuid") if isinstance(body, dict) else None
        if isinstance(uuid, str) and _is_uuid(uuid):
            self._made.add(uuid)
            self.journal.add(uuid)
        return await self.ask("POST", self.base_url, body=body, addon=addon, **how)

    async def put(self, uuid: str, body: Any, **how: Any) -> Answer:
        return await self.ask("PUT", f"{self.base_url}/{uuid}", body=body, **how)

    async def delete(self, uuid: str, **how: Any) -> Answer:
        return await self.ask("DELETE", f"{self.base_url}/{uuid}", **how)

    # As Heroku does it

    @property
    def plan(self) -> str:
        """Return the plan that checks use when any will do."""
        return self.offer.plans[0].name if self.offer.plans else "test"

    async def provision(self, plan: str | None = None, *, app: App | None = None, **how: Any) -> AddOn:
        """Install as a customer does; HerokuError when that fails."""
        app = app or self.app()
        self.world.listeners.append(self._note)
        try:
            return await self.simulator.calls.provision(app.name, plan or self.plan, **how)
        finally:
            self.world.listeners.remove(self._note)

    def _note(self, event: Event) -> None:
        """Remember what is about to be made, also when Heroku then forgets it because the answer was no good."""
        if event.kind == "addon" and event.action == "create":
            self._made.add(event.thing.id)
            self.journal.add(event.thing.id)

    async def provisioned(self, plan: str | None = None, **how: Any) -> AddOn:
        """Install, and wait until it is provisioned."""
        addon = await self.provision(plan, **how)
        await self.until(lambda: addon.state != "provisioning")
        if addon.state != "provisioned":
            raise Unmet(
                "A provision ends in the state provisioned.",
                f"{addon.plan} was {addon.state} after {self.target.patience:g} s.",
            )
        return addon

    async def plan_answered(self, status: int) -> str:
        """Return a plan whose provision is answered with that status, 200 or 202; NotApplicable when there is none."""
        for plan in [plan.name for plan in self.offer.plans] or [self.plan]:
            if plan not in self._kinds:
                try:
                    addon = await self.provision(plan)
                except AddOnFailed as error:
                    self._kinds[plan] = error.partner_status
                else:
                    answers = [one.status for one in self.exchanges(addon, "add-on") if one.method == "POST"]
                    self._kinds[plan] = 200 if answers[0] == 201 else answers[0]
            if self._kinds[plan] == status:
                return plan
        way = "at once" if status == 200 else "in the background"
        raise NotApplicable(f"No plan of this add-on is provisioned {way}.")

    def another_plan(self, addon: AddOn) -> str:
        """Return a plan to change to; NotApplicable when there is only one."""
        for plan in self.offer.plans:
            if plan.name != addon.plan:
                return plan.name
        raise NotApplicable("There is no second plan to change to: name the plans with --plan.")

    def exchanges(self, addon: AddOn, direction: str | None = None) -> list[Exchange]:
        """List what went to and fro about the add-on, oldest first."""
        return [
            one
            for one in self.world.exchanges
            if one.addon_id == addon.id and (direction is None or one.direction == direction)
        ]

    async def until(self, is_so: Callable[[], object], *, within: float | None = None) -> bool:
        """Wait for the add-on's own work, at most `within` seconds of real time, else the target's patience."""
        now = asyncio.get_running_loop().time
        ends_at = now() + (self.target.patience if within is None else within)
        while not is_so():
            if now() >= ends_at:
                return False
            await asyncio.sleep(_LOOKS_EVERY_SECONDS)
        return True

    def forward(self, **duration: float) -> None:
        """Move Heroku's clock; the add-on's own stands where it is."""
        self.world.move_clock(timedelta(**duration))

    # Signing in

    def form(self, addon: AddOn, **how: Any) -> dict[str, str]:
        """Return the SSO form that Heroku's dashboard would send now."""
        return self.simulator.calls.sso_form(addon, **how)

    async def visit(self, fields: Mapping[str, str] | list[tuple[str, str]]) -> Visit:
        """Post an SSO form with a browser of its own."""
        visit = Visit(self)
        await visit.post(fields)
        return visit

    # Afterwards

    async def clean_up(self) -> None:
        """Remove whatever the check made; what cannot be removed stays in the journal."""
        self.simulator.faults.clear()
        uuids = sorted(self._made)
        # One after the other; but who does not answer the first is not waited for that long once more for each.
        while uuids and await self._remove(uuids.pop()):
            pass
        await asyncio.gather(*(self._remove(uuid) for uuid in uuids))
        self._made.clear()
        for app in self._apps:
            for draft in [one for one in self.world.installed() if one.app_id == app.id]:
                self.world.remove(draft, "by the conformance checker.")
            await apps.delete(self.world, self.simulator.calls, app, by=self.world.customers[app.owner_id])
        self._apps.clear()

    async def _remove(self, uuid: str) -> bool:
        """Remove one resource here and at the add-on; False when that gave no answer."""
        addon = self.world.addons.get(uuid)
        answer = await self.delete(uuid)
        if addon is not None and addon.state != "deprovisioned":
            self.world.remove(addon, "by the conformance checker.")
        if answer.is_success or answer.status in {404, 410}:
            self.journal.discard(uuid)
        return answer.status is not None


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
