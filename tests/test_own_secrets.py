"""The recipes for the add-on's own secrets in docs/settings.md, step by step, while everybody goes on: no request is
refused, and no work fails.
"""

import base64
from collections.abc import AsyncIterator

import pytest
from deployment import Deployment
from rig import ENCRYPTION_KEY, PASSWORD, SALT, SECRET_KEY

from app.encryption import WrongKeyError
from app.operations.reencrypt import reencrypt
from app.simulator.oauth.service_secret import reset_client_secret

NEW_KEY = base64.urlsafe_b64encode(b"n" * 32).decode()
NEW_SECRET_KEY = "n" * 40


@pytest.fixture
async def deployment(database_url: str) -> AsyncIterator[Deployment]:
    async with Deployment(database_url).running() as deployment:
        yield deployment


async def test_the_password(deployment: Deployment):
    await deployment.change(addon_password="the-new-password", addon_password_previous=PASSWORD)
    deployment.push(password="the-new-password")
    await deployment.traffic()
    await deployment.change(addon_password_previous="")


async def test_the_sso_salt(deployment: Deployment):
    await deployment.change(addon_sso_salt="a-new-grain", addon_sso_salt_previous=SALT)
    await deployment.sign_in()
    deployment.push(sso_salt="a-new-grain")
    await deployment.sign_in()
    deployment.clock.forward(minutes=5)
    await deployment.change(addon_sso_salt_previous="")
    await deployment.sign_in()


async def test_the_client_secret(deployment: Deployment):
    fresh = reset_client_secret(deployment.simulator.world)
    deployment.can_call_heroku = False
    await deployment.traffic()
    for process in deployment.processes:  # with the old secret; Heroku refuses it, and nothing is given up
        await deployment.work(process)
    assert {"exchange_grant", "push_config"} & set(await deployment.jobs())
    deployment.clock.forward(minutes=2)
    await deployment.change(heroku_client_secret=fresh)
    deployment.can_call_heroku = True
    await deployment.traffic()


async def test_the_encryption_keys(deployment: Deployment):
    await deployment.change(encryption_keys=f"{ENCRYPTION_KEY},{NEW_KEY}")
    await deployment.change(encryption_keys=f"{NEW_KEY},{ENCRYPTION_KEY}")
    async for _ in reencrypt(deployment.context):
        await deployment.traffic()
    await deployment.change(encryption_keys=NEW_KEY)


async def test_an_encryption_key_that_leaves_too_early_stops_the_start_and_nothing_else(deployment: Deployment):
    await deployment.change(encryption_keys=f"{ENCRYPTION_KEY},{NEW_KEY}")
    await deployment.change(encryption_keys=f"{NEW_KEY},{ENCRYPTION_KEY}")
    with pytest.raises(WrongKeyError):
        await deployment.change(encryption_keys=NEW_KEY)
    await deployment.traffic()


async def test_the_secret_keys(deployment: Deployment):
    await deployment.change(secret_keys=f"{SECRET_KEY},{NEW_SECRET_KEY}")
    await deployment.change(secret_keys=f"{NEW_SECRET_KEY},{SECRET_KEY}")
    await deployment.sign_in()  # twelve hours later nobody has anything older
    await deployment.change(secret_keys=NEW_SECRET_KEY)
