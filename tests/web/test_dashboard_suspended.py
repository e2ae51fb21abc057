"""What a customer sees and can do while operators have suspended the add-on."""

from uuid import UUID

from rig import Rig
from visits import Browser, install_at_heroku, words

from app.resources import suspension


async def test_it_says_so_until_it_is_resumed_and_a_rotation_is_refused(key_rig: Rig, browser: Browser):
    uuid = await install_at_heroku(key_rig)
    await browser.arrive(uuid)
    await suspension.suspend(key_rig.context, UUID(uuid), "grace@acme.example", reason="Abuse")
    page = words(await browser.see(uuid))
    assert "Support has suspended this add-on" in page
    assert "Rotate now" not in page
    assert "Abuse" not in page
    refused = await browser.send(uuid, "rotate")
    assert refused.status_code == 422
    assert "This add-on is suspended. Please contact support." in words(refused)
    await suspension.resume(key_rig.context, UUID(uuid), "grace@acme.example")
    page = words(await browser.see(uuid))
    assert "Provisioned and ready" in page
    assert "Rotate now" in page
