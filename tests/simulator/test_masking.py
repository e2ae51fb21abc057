"""What is kept of an exchange shows what was said and no secret, whatever the shape in which it came."""

import json

import pytest

from app.simulator.masking import MASK, masked_body, masked_headers, masked_url

JSON = "application/json"


def shown(body, content_type="text/plain", secrets=(), **how):
    return masked_body(body if isinstance(body, bytes) else body.encode(), content_type, secrets, **how)


@pytest.mark.parametrize(
    "text",
    [
        '{"client_secret": "hunter2", ',
        "{'password': 'hunter2'",
        '{"password": "quo\\"ted hunter2", ',
        '{"config": {"ACME_URL": "hunter2"',
        '[{"name": "X", "value": "hunter2"',
        "password=hunter2",
        "password: hunter2",
        '{"token" => "hunter2"}',
        '{"password": "cut off hunter2',
        "see http://x.test/?a=b&access_token=hunter2 there",
        "postgres://user:hunter2@db.test/one",
    ],
)
def test_secrets_are_found_in_what_should_have_been_json(text):
    said = shown(text)
    assert "hunter2" not in said
    assert MASK in said


def test_what_is_no_secret_stays_readable():
    assert shown("the plan basic is unknown: try one of 3") == "the plan basic is unknown: try one of 3"


@pytest.mark.parametrize("text", ["hunter2", '{"A": "hunter2"', '"hunter2"', '["hunter2"]', "A=hunter2"])
def test_of_config_vars_nothing_but_names_is_shown(text):
    assert "hunter2" not in shown(text, JSON, is_config=True)


def test_the_names_of_config_vars_are_shown():
    assert json.loads(shown('{"A": "hunter2", "B": null}', JSON, is_config=True)) == {"A": MASK, "B": None}


def test_bytes_in_which_no_secret_would_be_recognised_are_only_counted():
    assert shown("hunter2".encode("utf-16"), JSON, ["hunter2"]) == "16 bytes that are no text."


def test_a_known_secret_is_masked_wherever_it_stands():
    known = ["hunter2hunter2"]
    assert "hunter2" not in shown('{"message": "no hunter2hunter2 here", "list": ["hunter2hunter2"]}', JSON, known)
    assert "hunter2" not in shown("no hunter2hunter2 here", secrets=known)
    assert "hunter2" not in shown("a=hunter2hunter2", "application/x-www-form-urlencoded", known)
    assert "hunter2" not in str(masked_headers({"X-Echo": "hunter2hunter2"}, known))
    assert "hunter2" not in masked_url("http://x.test/hunter2hunter2?q=hunter2hunter2", known)


def test_credentials_in_headers_are_masked():
    headers = {
        "Authorization": "Basic abc",
        "Proxy-Authorization": "Basic abc",
        "Cookie": "abc",
        "Referer": "/?code=abc",
    }
    assert "abc" not in str(masked_headers(headers))


def test_half_of_a_character_can_be_kept():
    assert shown('{"a": "\\ud800"}', JSON).encode() == b'{\n  "a": "?"\n}'


def test_nothing_is_looked_for_in_very_much():
    assert shown(b"a" * 250_001) == "250001 bytes, too many to be shown."


async def test_a_secret_within_a_longer_one_leaves_nothing_of_it(sim, ask):
    installed = await sim.calls.provision("shop", "basic")
    sim.world.set_config(
        installed, {"ACME_POSTGRES_POOL": "password1", "ACME_POSTGRES_URL": "password1-and-more"}, by_email="x@x.test"
    )
    await ask("POST", "/apps", {"name": "password1-and-more"})
    assert "more" not in sim.world.exchanges[-1].request_body


@pytest.mark.parametrize("path", ["/apps/shop/config-vars/", "/apps/sh%3Fop/config-vars", "/apps/shop/config-vars/all"])
async def test_an_address_that_is_nearly_right_shows_no_config_vars(sim, ask, path):
    answer = await ask("PATCH", path, {"STRIPE": "hunter2"})
    assert answer.status_code == 404
    assert "hunter2" not in repr(sim.world.exchanges)


async def test_tokens_and_keys_are_masked_wherever_they_are_sent(sim, http, ask, bearer):
    installed = await sim.calls.provision("shop", "basic")
    await bearer(installed)
    authorization = (await ask("POST", "/oauth/authorizations", {"description": "mine"})).json()
    client = (await ask("POST", "/oauth/clients", {"name": "mine", "redirect_uri": "https://x.test"})).json()
    secrets = [
        *(one.api_key for one in sim.world.customers.values()),
        *sim.world.access_tokens,
        *sim.world.refresh_tokens,
        authorization["access_token"]["token"],
        client["secret"],
    ]
    for secret in secrets:
        await http.get(f"/apps/{secret}", params={"q": secret}, headers={"X-Mine": secret})
        await http.post("/apps", content=f"what about {secret}?")
    everything = repr(sim.world.exchanges) + repr(sim.world.activity)
    assert [secret for secret in secrets if secret in everything] == []
