"""A small add-on that does everything right, and one thing wrong on order: what the checker is tried on.

`python tests/conformance/addon.py --port 5000 --heroku-url http://127.0.0.1:5100` serves it for a checker elsewhere.
"""

import argparse
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import uvicorn
from addon_heroku import Heroku
from addon_jobs import Jobs
from addon_partner_api import routes as partner_api_routes
from addon_receivers import Receivers
from addon_sso import Sso
from addon_store import Store
from every_fault import BY_NAME
from starlette.applications import Starlette

MANIFEST = {
    "id": "acme-keys",
    "name": "Acme Keys",
    "api": {
        "version": "3",
        "config_vars": ["ACME_KEYS_URL", "ACME_KEYS_LIMIT"],
        "config_vars_prefix": "ACME_KEYS",
        "password": "a-password-of-the-tests-4711",
        "sso_salt": "a-salt-of-the-tests-0815",
        "regions": ["us", "eu"],
        "requires": ["attachable", "many_per_app", "syslog_drain", "log_input"],
        "production": {
            "base_url": "https://addon.test/heroku/resources",
            "sso_url": "https://addon.test/sso/login",
        },
    },
}
PREVIOUS_PASSWORD, PREVIOUS_SALT = "the-password-before-that-0042", "the-salt-before-that-1999"
CLIENT_SECRET = "client-secret-of-the-tests"
# Provisioned at once; provisioned in the background; always refused.
PLANS = [{"name": "test"}, {"name": "standard"}, {"name": "waiting-list"}]


@dataclass(frozen=True)
class Settings:
    """`pause_seconds` is the first pause before a call is repeated, `work_seconds` how long provisioning takes."""

    url: str
    heroku_url: str
    slug: str = "acme-keys"
    password: str = field(default=MANIFEST["api"]["password"], repr=False)
    sso_salt: str = field(default=MANIFEST["api"]["sso_salt"], repr=False)
    previous_password: str = field(default=PREVIOUS_PASSWORD, repr=False)
    previous_salt: str = field(default=PREVIOUS_SALT, repr=False)
    client_secret: str = field(default=CLIENT_SECRET, repr=False)
    state_path: Path | None = None
    log_path: Path | None = None
    pause_seconds: float = 0.01
    work_seconds: float = 0.03


class AddOn:
    """The add-on; serve `app`.

    `faults` are the names of what it does wrong; `now` tells the time, in seconds since 1970.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        faults: Collection[str] = (),
        heroku_transport: httpx2.AsyncBaseTransport | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.now = now
        self._faults = frozenset(faults)
        if unknown := self._faults - BY_NAME.keys():
            raise ValueError(f"There is no fault {min(unknown)}.")
        self.store = Store(settings.state_path)
        self.heroku = Heroku(self, heroku_transport)
        self.jobs = Jobs(self)
        routes = [*partner_api_routes(self), *Sso(self).routes, *Receivers(self).routes]
        self.app = Starlette(routes=routes, lifespan=lambda _: self.running())

    def has(self, fault: str) -> bool:
        return fault in self._faults

    def log(self, text: str) -> None:
        if self.settings.log_path is not None:
            with self.settings.log_path.open("a") as file:
                file.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {text}\n")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Go on with what was unfinished, and leave nothing open at the end."""
        for resource in self.store.resources.values():
            if resource.is_unfinished and not self.has("restart-forgets-work"):
                self.jobs.start(resource)
        try:
            yield
        finally:
            await self.jobs.aclose()
            await self.heroku.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve a small add-on for the conformance checker.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--heroku-url", default="http://127.0.0.1:5100")
    parser.add_argument("--state", type=Path, help="a file to keep the resources in")
    parser.add_argument("--log", type=Path, help="a file to log to")
    parser.add_argument("--work-seconds", type=float, default=0.03)
    parser.add_argument("--fault", action="append", default=[])
    given = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", given.port))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    settings = Settings(
        url, given.heroku_url, state_path=given.state, log_path=given.log, work_seconds=given.work_seconds
    )
    print(f"{url}/heroku/resources", flush=True)  # noqa: T201 - whoever asked for a free port must learn it
    config = uvicorn.Config(
        AddOn(settings, faults=given.fault).app,
        log_level="warning",
        h11_max_incomplete_event_size=65536,
        limit_concurrency=4 if "few-connections-served" in given.fault else None,
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
