"""A partner's driver for tests: makes things of air, notes every call, and on order is slow, refuses or breaks down.

Its config names the plan and the credential, so that a wrong or late one is seen at once.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from app.drivers.base import Driver, Measure, Provisioned, ResourceInfo
from app.errors import Refused

CONFIG_VAR = "ACME_POSTGRES_URL"


class Gate:
    """Stops a call of the driver: `arrived` tells the test that it is there, `open` lets it go on."""

    def __init__(self, *, is_after: bool) -> None:
        self.is_after = is_after
        self.arrived = asyncio.Event()
        self._opened = asyncio.Event()

    def open(self) -> None:
        self._opened.set()

    async def pass_through(self) -> None:
        self.arrived.set()
        await self._opened.wait()


@dataclass
class Thing:
    plan: str
    generations: set[int] = field(default_factory=set)
    is_read_only: bool = False
    is_suspended: bool = False


class Workshop(Driver):
    """`trouble[verb]` holds what the next calls raise, one each, before they have done anything."""

    def __init__(self) -> None:
        self.things: dict[UUID, Thing] = {}
        self.set_aside_things: dict[UUID, Thing] = {}
        self.calls: list[str] = []
        self.trouble: defaultdict[str, list[BaseException]] = defaultdict(list)
        self.used, self.limit = 0, 100
        # By generation, of whatever thing; None: it cannot tell.
        self.clients: dict[int, int] | None = None
        self._gates: defaultdict[str, list[Gate]] = defaultdict(list)

    def hold(self, verb: str, *, is_after: bool = False) -> Gate:
        """Stop the next call of `verb`, before or after it has done its work."""
        gate = Gate(is_after=is_after)
        self._gates[verb].append(gate)
        return gate

    def accepts(self, url: str) -> bool:
        """Whether a credential opens its thing."""
        user, _, uuid = url.removeprefix("https://").partition("@")
        thing = self.things.get(UUID(uuid.partition(".")[0]))
        return thing is not None and not thing.is_suspended and int(user.partition("-")[0]) in thing.generations

    async def provision(self, resource: ResourceInfo) -> Provisioned:
        return await self._let_in("provision", resource)

    async def change_plan(self, resource: ResourceInfo) -> Provisioned:
        return await self._let_in("change_plan", resource)

    async def rotate(self, resource: ResourceInfo) -> Provisioned:
        return await self._let_in("rotate", resource)

    async def retire(self, resource: ResourceInfo) -> None:
        gate = await self._begin("retire")
        thing = self.things.get(resource.uuid)
        if thing is not None:
            thing.generations = {one for one in thing.generations if one >= resource.generation}
        await self._end(gate)

    async def deprovision(self, resource: ResourceInfo) -> None:
        gate = await self._begin("deprovision")
        self.things.pop(resource.uuid, None)
        self.set_aside_things.pop(resource.uuid, None)
        await self._end(gate)

    async def usage(self, resource: ResourceInfo) -> Sequence[Measure]:
        await self._end(await self._begin("usage"))
        return (Measure(name="storage", used=self.used, limit=self.limit, unit="bytes", enforced=True),)

    async def in_use(self, _resource: ResourceInfo) -> Mapping[int, int] | None:
        await self._end(await self._begin("in_use"))
        return self.clients

    async def restrict(self, resource: ResourceInfo, *, read_only: bool) -> None:
        gate = await self._begin("restrict")
        if resource.uuid in self.things:
            self.things[resource.uuid].is_read_only = read_only
        await self._end(gate)

    async def suspend(self, resource: ResourceInfo) -> None:
        await self._mark("suspend", resource, is_suspended=True)

    async def resume(self, resource: ResourceInfo) -> None:
        await self._mark("resume", resource, is_suspended=False)

    async def _mark(self, verb: str, resource: ResourceInfo, *, is_suspended: bool) -> None:
        gate = await self._begin(verb)
        if resource.uuid in self.things:
            self.things[resource.uuid].is_suspended = is_suspended
        await self._end(gate)

    async def set_aside(self, resource: ResourceInfo) -> None:
        gate = await self._begin("set_aside")
        thing = self.things.pop(resource.uuid, None)
        if thing is not None:
            self.set_aside_things[resource.uuid] = thing
        await self._end(gate)

    async def bring_back(self, resource: ResourceInfo) -> Provisioned:
        gate = await self._begin("bring_back")
        thing = self.set_aside_things.pop(resource.uuid, None) or self.things.get(resource.uuid)
        if thing is None:
            raise Refused("It is not there any more.")
        thing.generations, thing.is_suspended = {resource.generation}, False
        self.things[resource.uuid] = thing
        await self._end(gate)
        return self._made(resource)

    async def _let_in(self, verb: str, resource: ResourceInfo) -> Provisioned:
        gate = await self._begin(verb)
        thing = self.things.setdefault(resource.uuid, Thing(resource.plan))
        thing.plan = resource.plan
        thing.generations.add(resource.generation)
        thing.is_suspended = resource.is_suspended
        await self._end(gate)
        return self._made(resource)

    def _made(self, resource: ResourceInfo) -> Provisioned:
        secret = resource.secret(str(resource.generation))
        url = f"https://{resource.generation}-{secret}@{resource.uuid}.example.com/{resource.plan}"
        return Provisioned(config={CONFIG_VAR: url}, details={"plan": resource.plan})

    async def _begin(self, verb: str) -> Gate | None:
        self.calls.append(verb)
        gate = self._gates[verb].pop(0) if self._gates[verb] else None
        if gate is not None and not gate.is_after:
            await gate.pass_through()
        if self.trouble[verb]:
            raise self.trouble[verb].pop(0)
        return gate

    async def _end(self, gate: Gate | None) -> None:
        if gate is not None and gate.is_after:
            await gate.pass_through()
