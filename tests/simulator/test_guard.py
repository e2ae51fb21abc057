import pytest

FORM = {"name": "billing"}


@pytest.mark.parametrize("host", ["heroku.test", "127.0.0.1:5100", "localhost", "[::1]:5100"])
async def test_loopback_names_and_its_own_are_welcome(http, host):
    assert (await http.get("/marketplace", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize("host", ["evil.example.com", "127.0.0.1.evil.example.com", "", "[::1"])
async def test_a_rebound_name_is_refused_everywhere(http, host):
    for path in ("/marketplace", "/addons", "/oauth/token", "/static/simulator.css"):
        assert (await http.get(path, headers={"Host": host})).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://heroku.test"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example.com"},
        {"Origin": "null"},
        {"Origin": "http://heroku.test:8080"},
        {"Origin": "http://[::1"},
    ],
)
async def test_a_form_on_another_site_changes_nothing(sim, http, headers):
    apps = len(sim.world.apps)
    assert (await http.post("/marketplace/apps", data=FORM, headers=headers)).status_code == 403
    assert (await http.post("/simulator/faults", json={"kind": "drop"}, headers=headers)).status_code == 403
    for path in ("/auth", "/apps", "/oauth/token", "/logs", "/api/v3/addons/acme-postgres/manifests", "/nothing"):
        assert (await http.post(path, content=b"{}", headers=headers)).status_code == 403
    assert (len(sim.world.apps), sim.faults.pending, sim.world.exchanges) == (apps, [], [])


@pytest.mark.parametrize(
    "headers", [{}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": "http://heroku.test"}]
)
async def test_its_own_pages_and_programs_may_change_things(http, headers):
    assert (await http.post("/marketplace/apps", data=FORM, headers=headers)).status_code == 303


async def test_too_large_a_body_is_refused(http):
    answer = await http.post("/marketplace/apps", data={"name": "a" * 1_000_001})
    assert answer.status_code == 413


@pytest.mark.parametrize("path", ["/apps", "/oauth/token", "/marketplace/apps", "/logs"])
async def test_a_body_without_end_is_cut_off(http, path):
    sent = 0

    async def endless():
        nonlocal sent
        while True:
            sent += 100_000
            yield b" " * 100_000

    answer = await http.post(path, content=endless(), headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 401, 413, 422}  # some refuse before they read
    assert sent <= 1_100_000


async def test_a_body_that_says_it_is_too_large_is_not_read(http):
    answer = await http.post("/apps", content=b"x", headers={"Content-Length": "1000001"})
    assert (answer.status_code, answer.json()["id"]) == (413, "too_large")
