import httpx2
import pytest

from app.simulator.logs import drains as log_drains


@pytest.fixture
def shop(sim):
    return sim.world.app("shop")


@pytest.fixture
def printed(sim, shop):
    sim.logs.forget(shop)
    return lambda: [(line.source, line.process, line.text) for line in sim.logs.of(shop)]


async def test_the_page_shows_the_lines_and_escapes_them(sim, http, shop):
    sim.logs.write(shop, "app", "web.1", "<b>bold</b>")
    for path in ("/marketplace/apps/shop/logs", "/marketplace/apps/shop/logs?live"):
        page = (await http.get(path)).text
        assert "app[web.1]: &lt;b&gt;bold&lt;/b&gt;" in page
    assert 'href="/marketplace/apps/shop/logs"' in (await http.get("/marketplace/apps/shop")).text


async def test_an_empty_log_says_what_to_do(sim, http, shop, printed):
    page = (await http.get("/marketplace/apps/shop/logs")).text
    assert "Nothing was printed" in page
    assert "None. An add-on whose manifest requires" in page


async def test_the_form_prints_a_line_or_numbered_ones(http, printed):
    form = {"what": "text", "text": "Hello", "process": "worker.2", "count": "1"}
    answer = await http.post("/marketplace/apps/shop/logs", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/marketplace/apps/shop/logs")
    await http.post("/marketplace/apps/shop/logs", data=form | {"count": "2"})
    assert printed() == [("app", "worker.2", text) for text in ("Hello", "Hello 1", "Hello 2")]


async def test_a_visit_prints_the_routers_line_and_the_dynos(http, printed):
    await http.post("/marketplace/apps/shop/logs", data={"what": "visit", "count": "2"})
    lines = printed()
    assert [line[:2] for line in lines] == [("app", "web.1"), ("heroku", "router")] * 2
    assert lines[1][2].startswith('at=info method=GET path="/" host=shop.herokuapp.com request_id=')


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"text": " "}, "Say what is to be printed."),
        ({"count": "0"}, "The number of lines is 1 to 2000."),
        ({"count": "9999999999"}, "The number of lines is 1 to 2000."),
        ({"count": "many"}, "The number of lines is 1 to 2000."),
        ({"process": "a b"}, "A process is called like web.1 or worker."),
    ],
)
async def test_what_cannot_be_printed_is_said(http, printed, change, said):
    answer = await http.post("/marketplace/apps/shop/logs", data={"text": "Hello", "count": "1"} | change)
    assert answer.status_code == 422
    assert said in answer.text
    assert printed() == []


async def test_drains_are_added_shown_without_their_secrets_and_removed(sim, http, shop):
    url = "http://me:secret-word@127.0.0.1:1/drain"
    await http.post("/marketplace/apps/shop/logs/drains", data={"url": url})
    (drain,) = sim.world.log_drains.values()
    page = (await http.get("/marketplace/apps/shop/logs")).text
    assert "@127.0.0.1:1/drain" in page
    assert "nothing sent yet" in page
    assert "secret-word" not in page
    assert drain.token not in page
    await http.post("/marketplace/apps/shop/logs/drains/remove", data={"drain": drain.id})
    assert sim.world.log_drains == {}


async def test_a_url_that_is_none_is_refused_on_the_page(http):
    answer = await http.post("/marketplace/apps/shop/logs/drains", data={"url": "nowhere"})
    assert answer.status_code == 422
    assert "it needs a scheme and a host" in answer.text


async def test_trouble_with_a_drain_is_seen_and_so_is_its_end(sim, http, shop, clock):
    log_drains.add(sim.world, shop, "http://127.0.0.1/no-such-path")
    log_drains.add(sim.world, shop, "syslog+tls://127.0.0.1/")
    sim.faults.add("error", direction="logs", status=503)
    sim.logs.write(shop, "app", "web.1", "one")
    await sim.log_deliveries.deliver_due()
    page = (await http.get("/marketplace/apps/shop/logs")).text
    assert "The latest try failed: it answered 503" in page
    assert "again at 12:00:01 UTC" in page
    assert "0 delivered · 1 waiting · 0 lost" in page
    assert "gets nothing" in page
    clock.move(seconds=1)
    await sim.log_deliveries.deliver_due()
    page = (await http.get("/marketplace/apps/shop/logs")).text
    assert "it answered 404" in page
    assert "0 delivered · 0 waiting · 1 lost" in page


async def test_deliveries_are_among_the_exchanges_under_their_own_name(sim, http, shop):
    log_drains.add(sim.world, shop, "http://127.0.0.1/base")
    sim.logs.write(shop, "app", "web.1", "one")
    await sim.log_deliveries.deliver_due()
    assert "Heroku → drain" in (await http.get("/marketplace/exchanges?direction=logs")).text


async def test_an_add_ons_drain_cannot_be_removed_on_the_page(make, addon):
    sim = make(api={"requires": ["syslog_drain"]})
    addon.answers["POST"] = (200, {"id": "one", "log_drain_url": "https://127.0.0.1/base"})
    await sim.calls.provision("shop", "basic", name="my-db")
    (drain,) = sim.world.log_drains.values()
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(sim.app), base_url="http://heroku.test") as client:
        page = (await client.get("/marketplace/apps/shop/logs")).text
        assert "ends with the add-on" in page
        answer = await client.post("/marketplace/apps/shop/logs/drains/remove", data={"drain": drain.id})
    assert answer.status_code == 403
    assert len(sim.world.log_drains) == 1
