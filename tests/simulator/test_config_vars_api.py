"""An app's own config vars beside those of its add-ons."""

import pytest


@pytest.fixture
async def installed(sim):
    return await sim.calls.provision("shop", "basic", name="my-db")


def descriptions(sim):
    return [release.description for release in sim.world.app("shop").releases]


async def test_config_vars_are_set_changed_and_removed_each_time_with_one_release(sim, ask):
    answer = await ask("PATCH", "/apps/shop/config-vars", {"B": "2", "A": "1"})
    assert (answer.status_code, answer.json()) == (200, {"A": "1", "B": "2"})
    await ask("PATCH", "/apps/shop/config-vars", {"A": "one", "B": "2"}, who="ben")
    assert (await ask("PATCH", "/apps/shop/config-vars", {"A": None})).json() == {"B": "2"}
    await ask("PATCH", "/apps/shop/config-vars", {"B": None, "C": ""})
    assert (await ask("GET", "/apps/shop/config-vars")).json() == {"C": ""}
    assert descriptions(sim)[1:] == [
        "Set A, B config vars",
        "Set A config vars",
        "Remove A config vars",
        "Set C config vars; Remove B config vars",
    ]
    assert [one.user_email for one in sim.world.app("shop").releases[1:3]] == ["ada@example.com", "ben@example.com"]


async def test_what_changes_nothing_is_no_release(sim, ask):
    await ask("PATCH", "/apps/shop/config-vars", {"A": "1"})
    for body in ({"A": "1"}, {"GONE": None}, {}):
        assert (await ask("PATCH", "/apps/shop/config-vars", body)).json() == {"A": "1"}
    assert len(descriptions(sim)) == 2


async def test_what_an_attachment_gives_cannot_be_overwritten_or_removed(sim, ask, installed):
    before = await ask("GET", "/apps/shop/config-vars")
    for value in ("postgres://mine.example.com/d", None):
        answer = await ask("PATCH", "/apps/shop/config-vars", {"ACME_POSTGRES_URL": value, "A": "1"})
        assert answer.status_code == 422
        assert answer.json() == {
            "id": "invalid_params",
            "message": "Cannot overwrite attachment values ACME_POSTGRES_URL.",
        }
    assert (await ask("GET", "/apps/shop/config-vars")).json() == before.json()
    assert (await ask("PATCH", "/apps/shop/config-vars", before.json() | {"A": "1"})).json()["A"] == "1"
    assert sim.world.app("shop").config == {"A": "1"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"A": 1}, "A has a value that is not a string"),
        ({"A": {"b": "c"}}, "not a string"),
        ({"WITH SPACE": "x"}, "is not valid"),
        ({"WITH-DASH": "x"}, "is not valid"),
        ({"": "x"}, "is not valid"),
        ({"__A": "x"}, "two underscores"),
        ({"A": "x" * 66_000}, "64 KB"),
    ],
)
async def test_config_vars_that_break_the_rules_change_nothing(sim, ask, body, reason):
    answer = await ask("PATCH", "/apps/shop/config-vars", {"GOOD": "1", **body})
    assert answer.status_code == 422
    assert reason in answer.json()["message"]
    assert sim.world.app("shop").config == {}


async def test_exchanges_do_not_show_the_values_of_config_vars(sim, ask):
    await ask("PATCH", "/apps/shop/config-vars", {"API_KEY": "tip-top-secret"})
    await ask("GET", "/apps/shop/releases/2/config-vars")
    await ask("PATCH", "/apps/shop/config-vars", {"OTHER-KEY": "refused-secret"})
    await ask("POST", "/apps/shop/dynos", {"command": "ls", "env": {"PASSWORD": "sesame"}})
    shown = repr(sim.world.exchanges)
    assert "API_KEY" in shown
    assert "is not valid" in shown
    for secret in ("tip-top-secret", "refused-secret", "sesame"):
        assert secret not in shown


async def test_config_vars_are_peoples_business(http, bearer, installed):
    headers = await bearer(installed)
    for method, path in (
        ("GET", "/apps/shop/config-vars"),
        ("PATCH", "/apps/shop/config-vars"),
        ("GET", "/apps/shop/releases/1/config-vars"),
    ):
        answer = await http.request(method, path, headers=headers)
        assert (answer.status_code, answer.json()["id"]) == (403, "forbidden")
