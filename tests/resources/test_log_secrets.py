"""Logs in both directions leave no token, and nothing that an app has logged, in our database or our own log."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from lives import dump
from rig import Rig, new_settings
from workshop import Workshop

from app.plans import Plan, by_name

TYPED = "4111-1111-1111-1111 of ada@example.com"


class Reader(Workshop):
    """Takes lines and breaks down over every second batch, with what it has read in its mouth."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []
        self.batches = 0

    def use_app_log(self, app_log) -> None:
        self.app_log = app_log

    async def take_log_lines(self, resource, lines, *, batch) -> None:
        self.batches += 1
        if self.batches % 2:
            raise RuntimeError("broken")
        self.read += [line.text for line in lines]


@pytest.fixture
async def rig(database_url: str) -> AsyncIterator[Rig]:
    plans = by_name(Plan(name="test", driver=Reader(), is_instant=True))
    settings = new_settings(database_url, public_url="https://addon.test")
    async with Rig(settings, plans, requires=["log_input", "syslog_drain"]).running() as rig:
        yield rig


async def test_no_token_and_no_line_of_an_app_is_stored_or_logged(log, rig):
    driver, faults = rig.context.plans["test"].driver, rig.simulator.faults
    app = rig.simulator.world.create_app("shop")
    addon = await rig.simulator.calls.provision(app.name, "test")
    for number, status in enumerate((503, 401, 400, 404)):
        faults.add("error", direction="logs", path="/logs", status=status)
        rig.simulator.logs.write(app, "app", "web.1", f"{number} {TYPED}")
        for _ in range(3):
            await rig.simulator.catch_up()
            rig.clock.forward(seconds=2)
        await driver.app_log.write(UUID(addon.id), f"line {number}")
        await rig.work(rounds=2)
    await rig.http.post("/heroku/logs", content=b"x", headers={"Logplex-Drain-Token": f"{addon.log_drain_token}x"})
    assert [line for line in driver.read if TYPED in line][:1] == [f"0 {TYPED}"]
    assert any(line.process == addon.name for line in rig.simulator.logs.of(app))

    (token,) = addon.log_input_tokens.values()
    said, kept = log.getvalue(), await dump(rig)
    assert "/heroku/logs" in said
    for secret in (token, addon.log_drain_token, TYPED, "4111-1111"):
        assert secret not in said, [line for line in said.splitlines() if secret in line][:2]
        assert secret not in kept
