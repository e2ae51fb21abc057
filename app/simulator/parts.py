"""What every page and endpoint of the simulator works with, carried by the ASGI application and never global."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import jinja2
from starlette.requests import Request
from starlette.routing import Route

from .calls import Calls
from .faults import Faults
from .logs.delivery import LogDeliveries
from .logs.lines import Logs
from .oauth.logins import Logins
from .offer import Offer
from .rate_limit import RateLimit
from .world import World


@dataclass(frozen=True)
class Section:
    """Pages that are not the simulator's own: their entry in the navigation, their routes, and what ends their work."""

    label: str
    href: str
    routes: Sequence[Route]
    aclose: Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Parts:
    world: World
    faults: Faults
    calls: Calls
    logs: Logs
    log_deliveries: LogDeliveries
    rate_limit: RateLimit
    sleep: Callable[[float], Awaitable[None]]
    catch_up: Callable[[], Awaitable[None]]
    templates: jinja2.Environment
    url: str
    addon_sso_url: str
    logins: Logins = field(default_factory=Logins)
    sections: list[Section] = field(default_factory=list)

    @property
    def offer(self) -> Offer:
        """What is for sale now: a pushed manifest replaces it."""
        return self.world.offer


def parts(request: Request) -> Parts:
    return cast("Parts", request.app.state.parts)
