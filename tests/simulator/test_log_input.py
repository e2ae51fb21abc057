import gzip

import pytest

from app.simulator import attaching
from app.simulator.logs.lines import Line

MESSAGE = "<190>1 2026-05-01T11:59:00+00:00 host app my-db - - Zoë logged in"


def framed(*messages):
    return b"".join(b"%d %s" % (len(message.encode()), message.encode()) for message in messages)


@pytest.fixture
def sim(make):
    return make(api={"requires": ["attachable", "many_per_app", "log_input"]})


@pytest.fixture
async def installed(sim):
    return await sim.calls.provision("shop", "basic", name="my-db")


@pytest.fixture
def token(sim, installed, addon):
    url = addon.bodies("POST")[0]["log_input_url"]
    return url.removeprefix("http://token:").removesuffix("@heroku.test/logs")


@pytest.fixture
def post(http, token):
    async def send(content, *, auth=None, **headers):
        known = {"Content-Type": "application/logplex-1", "User-Agent": "acme/1"}
        sent = known | {name.replace("_", "-"): value for name, value in headers.items()}
        return await http.post("/logs", content=content, headers=sent, auth=auth or ("token", token))

    return send


@pytest.fixture
def printed(sim):
    def lines(app="shop"):
        return [line for line in sim.logs.of(sim.world.app(app)) if line.process == "my-db"]

    return lines


async def test_a_line_appears_in_the_apps_log_as_it_was_sent(post, printed, findings):
    answer = await post(framed(MESSAGE), Logplex_Msg_Count="1")
    assert (answer.status_code, answer.content) == (204, b"")
    (line,) = printed()
    assert str(line) == "2026-05-01T11:59:00.000000+00:00 app[my-db]: Zoë logged in"
    assert line.priority == 190
    assert findings() == ""


async def test_many_lines_come_in_order_and_may_be_compressed(post, printed):
    messages = [MESSAGE.replace("Zoë logged in", f"Nº {number}") for number in range(50)]
    answer = await post(gzip.compress(framed(*messages)), Content_Encoding="gzip", Logplex_Msg_Count="50")
    assert answer.status_code == 204
    assert [line.text for line in printed()] == [f"Nº {number}" for number in range(50)]


async def test_a_message_that_names_the_token_for_its_app_comes_from_the_app(post, printed, token):
    await post(framed(MESSAGE.replace("host app", f"host {token}")))
    (line,) = printed()
    assert line.source == "app"


@pytest.mark.parametrize("count", ["2", "0", "one", ""])
async def test_a_wrong_count_refuses_the_whole_request(post, printed, findings, count):
    answer = await post(framed(MESSAGE), Logplex_Msg_Count=count)
    assert answer.status_code == 400
    assert "Message count mismatch" in answer.json()["message"]
    assert "problem: Message count mismatch" in findings()
    assert printed() == []


async def test_lengths_in_characters_are_found(post, printed, findings):
    content = f"{len(MESSAGE)} {MESSAGE}".encode() * 2
    answer = await post(content)
    assert answer.status_code == 400
    assert "Malformed log messages" in answer.json()["message"]
    assert "bytes of UTF-8" in findings()
    assert printed() == []


@pytest.mark.parametrize("auth", [("token", "t.00000000-0000-0000-0000-000000000000"), ("user", "x"), ("token", "")])
async def test_unknown_credentials_are_refused(post, findings, auth):
    answer = await post(framed(MESSAGE), auth=auth)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Basic realm=Logplex"
    assert "problem: The credentials are not those of a log_input_url" in findings()


async def test_a_token_needs_the_user_name_that_goes_with_it(post, token):
    assert (await post(framed(MESSAGE), auth=("other", token))).status_code == 401


async def test_a_request_without_credentials_is_told_where_they_are(http, findings):
    answer = await http.post("/logs", content=b"")
    assert answer.status_code == 401
    assert "in the log_input_url" in findings()


async def test_the_token_dies_with_the_add_on(sim, installed, post):
    await sim.calls.deprovision(installed)
    assert (await post(framed(MESSAGE))).status_code == 401


async def test_each_app_has_its_own_address_while_the_add_on_is_attached(sim, installed, http, bearer, printed):
    blog = sim.world.create_app("blog")
    attachment = attaching.share(sim.world, installed, blog)
    answer = await http.get("/addon-attachments", headers=await bearer(installed))
    urls = {one["app"]["name"]: one["log_input_url"] for one in answer.json()}
    assert urls["shop"] != urls["blog"]
    headers = {"Content-Type": "application/logplex-1"}
    token = urls["blog"].removeprefix("http://token:").removesuffix("@heroku.test/logs")
    await http.post("/logs", content=framed(MESSAGE), headers=headers, auth=("token", token))
    assert len(printed("blog")) == 1
    assert printed("shop") == []
    attaching.detach(sim.world, attachment)
    answer = await http.post("/logs", content=framed(MESSAGE), headers=headers, auth=("token", token))
    assert answer.status_code == 401


async def test_an_add_on_that_may_not_write_has_no_address(make, addon):
    sim = make(api={"requires": ["many_per_app"]})
    await sim.calls.provision("shop", "basic")
    assert "log_input_url" not in addon.bodies("POST")[0]


async def test_another_content_type_is_not_read(post, printed, findings):
    answer = await post(framed(MESSAGE), Content_Type="text/plain")
    assert answer.status_code == 415
    assert "must be application/logplex-1" in findings()
    assert printed() == []


async def test_a_chunked_body_is_not_read(http, token, printed, findings):
    async def chunks():
        yield framed(MESSAGE)

    headers = {"Content-Type": "application/logplex-1"}
    answer = await http.post("/logs", content=chunks(), headers=headers, auth=("token", token))
    assert answer.status_code == 400
    assert "A Content-Length is needed" in findings()
    assert printed() == []


@pytest.mark.parametrize(
    ("content", "encoding", "status"),
    [
        (b"not gzip", "gzip", 400),
        (gzip.compress(framed(MESSAGE))[:-9], "gzip", 400),
        (framed(MESSAGE), "br", 400),
        (gzip.compress(b"0" * 2_000_000), "gzip", 413),
    ],
    ids=["no gzip", "cut short", "another encoding", "too much when unpacked"],
)
async def test_what_cannot_be_unpacked_or_is_too_much_is_refused(post, printed, findings, content, encoding, status):
    assert (await post(content, Content_Encoding=encoding)).status_code == status
    assert findings().startswith("problem: ")
    assert printed() == []


async def test_a_line_that_is_too_long_is_split_and_said_to_be(post, printed, findings):
    await post(framed(MESSAGE + "é" * 10_000))
    assert [len(line.text.encode()) for line in printed()] == [10_000, 10_000, len("Zoë logged in".encode())]
    assert "a line of more than 10000 is to be split" in findings()


@pytest.mark.parametrize("message", [MESSAGE.replace(" - - ", " - "), "hello"], ids=["no structured data", "no syslog"])
async def test_a_message_with_a_field_too_few_is_taken_and_lost_as_on_heroku(post, printed, findings, message):
    assert (await post(framed(message))).status_code == 204
    assert printed() == []
    assert "the line never appears" in findings()


async def test_small_mistakes_are_remarked_on(post, printed, findings):
    await post(framed(MESSAGE.replace("2026-05-01T11:59:00+00:00", "yesterday")), User_Agent="")
    assert "hint: The User-Agent header should name the add-on." in findings()
    assert "hint: Message 1 has a time that is not ISO 8601" in findings()
    (line,) = printed()
    assert line.at.year == 2026
    await post(b"")
    assert "no message in the request" in findings()


async def test_a_text_of_several_lines_is_several_lines(post, printed):
    await post(framed(f"{MESSAGE}\r\nsecond\n\n"))
    assert [line.text for line in printed()] == ["Zoë logged in", "second"]


async def test_the_exchange_shows_no_token(sim, post, token, installed):
    await post(framed(MESSAGE, MESSAGE.replace("host app", f"host {token}")))
    exchange = sim.world.exchanges[-1]
    assert (exchange.direction, exchange.addon_id, exchange.status) == ("logs", installed.id, 204)
    assert "Zo" in exchange.request_body
    assert token not in repr(exchange)


async def test_trouble_can_be_ordered_for_it(sim, post, printed):
    sim.faults.add("duplicate", direction="logs")
    sim.faults.add("error", direction="logs", status=503)
    assert (await post(framed(MESSAGE))).status_code == 503
    assert printed() == []
    assert (await post(framed(MESSAGE))).status_code == 204
    assert [fault.kind for fault in sim.faults.pending] == ["duplicate"], "an add-on's request cannot be doubled here"


async def test_only_the_latest_lines_are_kept(sim, post, printed):
    for _ in range(4):
        await post(framed(*[MESSAGE] * 500))
    assert len(sim.logs.of(sim.world.app("shop"))) == 1500
    assert all(isinstance(line, Line) for line in printed())


async def test_of_very_many_remarks_the_first_are_kept(post, sim):
    await post(framed(*["not a message"] * 200))
    findings = sim.world.exchanges[-1].findings
    assert (len(findings), findings[-1].text) == (51, "And 150 more.")


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
async def test_a_time_beyond_the_ends_of_time_is_one_that_cannot_be_read(post, findings, at):
    answer = await post(framed(MESSAGE.replace("2026-05-01T11:59:00+00:00", at)))
    assert answer.status_code == 204
    assert "a time that is not ISO 8601" in findings()
