"""What we send to Heroku, and where: each call on the wire. What we make of the answers is in resources/."""

import json
from uuid import UUID

import httpx2
import pytest
from rig import CLIENT_SECRET, Rig, provision_body

from app.errors import Refused, Retry
from app.heroku import Heroku

UUID_ = UUID("01234567-89ab-cdef-0123-456789abcdef")
TOKENS = {"access_token": "HRKU-a", "refresh_token": "r", "expires_in": 28800}


class Wire:
    """The network: remembers what is sent and gives the next answer."""

    def __init__(self, *answers: httpx2.Response) -> None:
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return self.answers.pop(0)

    @property
    def heroku(self) -> Heroku:
        return Heroku(
            api_url="https://api.test",
            id_url="https://id.test",
            client_secret=CLIENT_SECRET,
            transport=httpx2.MockTransport(self),
        )


class TestRequests:
    @pytest.mark.parametrize(
        ("call", "method", "path", "body"),
        [
            (lambda h: h.mark_provisioned(UUID_, "HRKU-t"), "POST", f"/addons/{UUID_}/actions/provision", None),
            (lambda h: h.mark_deprovisioned(UUID_, "HRKU-t"), "POST", f"/addons/{UUID_}/actions/deprovision", None),
            (lambda h: h.addon_state(UUID_, "HRKU-t"), "GET", f"/addons/{UUID_}", None),
            (
                lambda h: h.update_config(UUID_, "HRKU-t", {"A_URL": "x", "A_KEY": "é"}),
                "PATCH",
                f"/addons/{UUID_}/config",
                {"config": [{"name": "A_URL", "value": "x"}, {"name": "A_KEY", "value": "é"}]},
            ),
        ],
    )
    async def test_the_platform_api_is_called_as_documented(self, call, method, path, body):
        wire = Wire(httpx2.Response(200, json={"state": "provisioned"}))
        await call(wire.heroku)
        (request,) = wire.requests
        assert (request.method, str(request.url)) == (method, f"https://api.test{path}")
        assert request.headers["Accept"] == "application/vnd.heroku+json; version=3"
        assert request.headers["Authorization"] == "Bearer HRKU-t"
        assert (json.loads(request.content) if request.content else None) == body

    @pytest.mark.parametrize(
        ("call", "form"),
        [
            (
                lambda h: h.exchange_grant("g&1"),
                f"grant_type=authorization_code&code=g%261&client_secret={CLIENT_SECRET}",
            ),
            (
                lambda h: h.refresh_token("r&1"),
                f"grant_type=refresh_token&refresh_token=r%261&client_secret={CLIENT_SECRET}",
            ),
        ],
    )
    async def test_tokens_are_asked_for_with_every_secret_in_the_body(self, call, form):
        wire = Wire(httpx2.Response(200, json=TOKENS))
        await call(wire.heroku)
        (request,) = wire.requests
        assert (request.method, str(request.url)) == ("POST", "https://id.test/oauth/token")
        assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
        assert request.content.decode() == form
        assert CLIENT_SECRET not in str(request.headers)

    async def test_every_request_has_time_outs(self):
        wire = Wire(httpx2.Response(200))
        await wire.heroku.mark_provisioned(UUID_, "HRKU-t")
        time_outs = wire.requests[0].extensions["timeout"]
        assert set(time_outs) == {"connect", "read", "write", "pool"}
        assert all(0 < seconds <= 10 for seconds in time_outs.values())

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_a_redirect_is_never_followed(self, status):
        wire = Wire(httpx2.Response(status, headers={"Location": "https://evil.example.com/"}))
        with pytest.raises(Refused):
            await wire.heroku.exchange_grant("g")
        assert len(wire.requests) == 1


class TestAnswers:
    async def test_a_very_long_message_is_cut(self):
        with pytest.raises(Refused) as caught:
            await Wire(httpx2.Response(422, json={"message": "m" * 5000})).heroku.mark_provisioned(UUID_, "t")
        assert len(str(caught.value)) < 700

    @pytest.mark.parametrize(
        "value",
        ["Fri, 31 Dec 9999 23:59:59 -1200", "Fri, 31 Dec 99999 23:59:59 GMT", "1e400", "9" * 400, "-inf"],
    )
    async def test_a_wait_beyond_all_calendars_is_no_wait_that_we_know(self, value):
        answer = httpx2.Response(503, headers=[(b"Retry-After", value.encode())])
        with pytest.raises(Retry) as caught:
            await Wire(answer).heroku.mark_provisioned(UUID_, "t")
        assert caught.value.after is None

    @pytest.mark.parametrize("token", ["HRKU-a\n", "HRKU-a b\r\nX: y", "HRKU-é", "HRKU-\0"])
    async def test_a_token_that_no_header_can_hold_is_no_token(self, token):
        with pytest.raises(Retry, match="not a token"):
            await Wire(httpx2.Response(200, json=TOKENS | {"access_token": token})).heroku.exchange_grant("g")

    async def test_printed_tokens_show_nothing(self):
        tokens = await Wire(httpx2.Response(200, json=TOKENS | {"refresh_token": "hunter2"})).heroku.exchange_grant("g")
        assert "HRKU" not in repr(tokens)
        assert "hunter2" not in repr(tokens)


class Recorded(httpx2.AsyncBaseTransport):
    """Passes every request on and remembers its host."""

    def __init__(self, transport: httpx2.AsyncBaseTransport) -> None:
        self.transport = transport
        self.hosts: set[str] = set()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.hosts.add(request.url.host)
        return await self.transport.handle_async_request(request)


async def test_only_configured_hosts_are_called_whatever_a_request_names(key_rig: Rig):
    """Whoever knows the partner API password must not be able to make us hand tokens to a host of theirs."""
    client = key_rig.context.heroku._client
    client._transport = recorded = Recorded(client._transport)
    app = key_rig.simulator.world.create_app("demo")
    addon = await key_rig.simulator.calls.provision(app.name, "standard")
    evil = f"https://evil.example.com/addons/{addon.id}"
    body = provision_body(uuid=addon.id, plan="standard", callback_url=evil, log_input_url=evil)
    assert (await key_rig.heroku.post("", json=body)).status_code == 202
    await key_rig.work()
    assert recorded.hosts == {"127.0.0.1"}
