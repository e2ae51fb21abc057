"""Log-ins of the command line through a browser that are under way; a restart ends them."""

import asyncio
from dataclasses import dataclass, field
from secrets import token_urlsafe

from app.simulator.errors import not_found

_KEPT = 50


@dataclass
class Login:
    """One `heroku login`. `access_token` is None until somebody agreed, and stays None when they said no."""

    id: str
    description: str
    token: str = field(repr=False)
    access_token: str | None = field(default=None, repr=False)
    decided: asyncio.Event = field(default_factory=asyncio.Event, repr=False)


@dataclass
class Logins:
    """The log-ins by id, the oldest first; only the latest are kept."""

    _by_id: dict[str, Login] = field(default_factory=dict)

    def begin(self, description: str) -> Login:
        login = Login(token_urlsafe(16), description, token_urlsafe(32))
        self._by_id[login.id] = login
        for old in list(self._by_id)[:-_KEPT]:
            del self._by_id[old]
        return login

    def find(self, login_id: str) -> Login:
        found = self._by_id.get(login_id)
        if found is None:
            raise not_found("login")
        return found

    def end(self, login: Login) -> None:
        self._by_id.pop(login.id, None)
