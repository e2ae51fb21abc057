"""Releases, and going back to one."""

import pytest

RELEASE_FIELDS = {
    "addon_plan_names", "app", "artifacts", "created_at", "current", "description", "eligible_for_rollback", "id",
    "output_stream_url", "slug", "status", "updated_at", "user", "version",
}  # fmt: skip


@pytest.fixture
async def released(sim, ask):
    """v1 Initial release, v2 A=1, v3 an add-on, v4 A=2 and B=2."""
    await ask("PATCH", "/apps/shop/config-vars", {"A": "1"})
    addon = await sim.calls.provision("shop", "basic", name="my-db")
    await ask("PATCH", "/apps/shop/config-vars", {"A": "2", "B": "2"})
    return addon


async def test_a_release_is_found_by_version_name_and_id(ask, released):
    answer = await ask("GET", "/apps/shop/releases/3")
    body = answer.json()
    assert set(body) == RELEASE_FIELDS
    assert (body["version"], body["description"], body["current"]) == (3, "Attach ACME_POSTGRES (@my-db)", False)
    assert body["addon_plan_names"] == ["acme-postgres:basic"]
    assert (body["status"], body["eligible_for_rollback"], body["output_stream_url"]) == ("succeeded", True, None)
    for ref in ("v3", body["id"]):
        assert (await ask("GET", f"/apps/shop/releases/{ref}")).json() == body
    for ref in ("99", "v0", "latest"):
        assert (await ask("GET", f"/apps/shop/releases/{ref}")).json()["resource"] == "release"


async def test_a_release_remembers_the_config_it_ran_with(ask, released):
    assert (await ask("GET", "/apps/shop/releases/1/config-vars")).json() == {}
    assert (await ask("GET", "/apps/shop/releases/2/config-vars")).json() == {"A": "1"}
    assert (await ask("GET", "/apps/shop/releases/v3/config-vars")).json().keys() == {"A", "ACME_POSTGRES_URL"}
    assert (await ask("GET", "/apps/shop/releases/4/config-vars")).json()["B"] == "2"


@pytest.mark.parametrize("ref", ["id", "v2", "2", 2])
async def test_a_rollback_brings_back_the_apps_own_config_and_keeps_the_addons(sim, ask, released, ref):
    if ref == "id":
        ref = (await ask("GET", "/apps/shop/releases/2")).json()["id"]
    answer = await ask("POST", "/apps/shop/releases", {"release": ref}, who="ben")
    body = answer.json()
    assert (answer.status_code, body["version"], body["description"]) == (201, 5, "Rollback to v2")
    assert (body["current"], body["user"]["email"]) == (True, "ben@example.com")
    config = (await ask("GET", "/apps/shop/config-vars")).json()
    assert config == {"A": "1", "ACME_POSTGRES_URL": released.config["ACME_POSTGRES_URL"]}
    assert (await ask("GET", "/apps/shop/addons")).json()[0]["name"] == "my-db"


async def test_a_rollback_does_not_bring_back_what_an_attachment_gives_by_now(sim, ask):
    await ask("PATCH", "/apps/shop/config-vars", {"ACME_POSTGRES_URL": "mine"})
    await ask("PATCH", "/apps/shop/config-vars", {"ACME_POSTGRES_URL": None})
    addon = await sim.calls.provision("shop", "basic")
    await ask("POST", "/apps/shop/releases", {"release": "v2"})
    assert sim.world.app("shop").config == {}
    assert (await ask("GET", "/apps/shop/config-vars")).json() == addon.config


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"release": "v4"}, 422, "v4: it is the current release"),
        ({"release": "v99"}, 404, "Couldn't find that release."),
        ({"release": {"id": "x"}}, 404, "Couldn't find that release."),
        ({"slug": "some-slug"}, 422, "no slugs"),
        ({}, 422, "Name the release"),
    ],
)
async def test_a_rollback_that_cannot_be_changes_nothing(sim, ask, released, body, status, reason):
    answer = await ask("POST", "/apps/shop/releases", body)
    assert answer.status_code == status
    assert reason in answer.json()["message"]
    assert len(sim.world.app("shop").releases) == 4
    assert sim.world.app("shop").config == {"A": "2", "B": "2"}


async def test_an_addon_reads_releases_and_makes_none(http, bearer, released):
    headers = await bearer(released)
    assert len((await http.get("/apps/shop/releases", headers=headers)).json()) == 4
    answer = await http.post("/apps/shop/releases", json={"release": "v1"}, headers=headers)
    assert answer.status_code == 403
