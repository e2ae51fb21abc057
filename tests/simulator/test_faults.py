import httpx2
import pytest

from app.simulator import AddOnFailed, HerokuError, Simulator

SECRET = "oauth-client-secret"


async def test_a_slow_answer_gets_a_remark(sim, sleep, findings):
    sim.faults.add("slow", seconds=4.1)
    await sim.calls.provision("shop", "basic")
    assert sleep.slept == [4.1]
    assert "hint: Answered in 4.1 s; should be under 3 s." in findings()
    assert sim.faults.pending == []


async def test_an_answer_after_25_seconds_is_no_answer(sim, addon, findings):
    sim.faults.add("slow", seconds=25.5)
    with pytest.raises(AddOnFailed, match="Could not communicate with vendor") as failure:
        await sim.calls.provision("shop", "basic")
    assert failure.value.partner_status is None
    assert len(addon.requests) == 1
    assert "No answer within 25 s" in findings()


@pytest.mark.parametrize(("kind", "status"), [("error", 502), ("rate_limit", 429), ("drop", None)])
async def test_a_call_that_never_arrives_fails_the_provision(sim, addon, kind, status):
    sim.faults.add(kind, status=502, seconds=30)
    with pytest.raises(AddOnFailed) as failure:
        await sim.calls.provision("shop", "basic")
    assert failure.value.partner_status == status
    assert addon.requests == []
    assert sim.world.exchanges[-1].status == status


async def test_a_lost_answer_brings_the_same_post_again(sim, addon):
    sim.faults.add("lost_answer")
    installed = await sim.calls.provision("shop", "basic")
    first, second = addon.bodies("POST")
    assert first == second
    assert installed.state == "provisioned"


async def test_a_lost_answer_to_a_removal_brings_the_delete_again_later(sim, addon, clock):
    installed = await sim.calls.provision("shop", "basic")
    sim.faults.add("lost_answer", method="DELETE")
    await sim.calls.deprovision(installed)
    assert installed.state == "deprovisioned"
    addon.answers["DELETE"] = (410, {"id": "gone"})
    clock.move(minutes=1)
    await sim.calls.retry_due()
    assert [method for method, *_ in addon.requests] == ["POST", "DELETE", "DELETE"]
    assert sim.world.pending_deletes == {}


async def test_two_different_answers_to_a_duplicate_are_a_problem(sim, addon, findings):
    counter = iter(range(9))

    async def number_the_answers(body):
        addon.answers["POST"] = (200, {"id": f"resource-{next(counter)}"})

    addon.before_answer = number_the_answers
    sim.faults.add("duplicate")
    await sim.calls.provision("shop", "basic")
    first, second = addon.bodies("POST")
    assert first == second
    assert "two different values of id" in findings()


async def test_a_duplicate_of_which_one_fails_still_installs(sim, addon, findings):
    answers = [(500, {}), (200, {"id": "x"})]

    async def next_answer(body):
        addon.answers["POST"] = answers.pop(0)

    addon.before_answer = next_answer
    sim.faults.add("duplicate")
    installed = await sim.calls.provision("shop", "basic")
    assert installed.provider_id == "x"
    assert "answered 500 and 200" in "\n".join(findings(index) for index in (-1, -2))


async def test_an_addon_that_is_not_there_reads_as_one_that_cannot_be_reached(make):
    def refuse(request):
        raise httpx2.ConnectError("refused", request=request)

    sim = make(transport=httpx2.MockTransport(refuse), addon_base_url="http://me:hunter2@addon.test/base")
    with pytest.raises(AddOnFailed, match="Could not communicate with vendor"):
        await sim.calls.provision("shop", "basic")
    assert sim.world.exchanges[-1].findings[0].text == (
        "The add-on could not be reached at addon.test (refused): is it running there?"
    )


async def test_faults_fit_by_verb_path_and_count(sim, addon):
    sim.faults.add("error", method="put", count=2)
    sim.faults.add("error", path="/elsewhere")
    installed = await sim.calls.provision("shop", "basic")
    for _ in range(2):
        with pytest.raises(AddOnFailed):
            await sim.calls.change_plan(installed, "premium")
    await sim.calls.change_plan(installed, "premium")
    assert [fault.path for fault in sim.faults.pending] == ["/elsewhere"]
    sim.faults.clear()
    assert sim.faults.pending == []


@pytest.mark.parametrize("direction", ["tokens", "platform"])
async def test_the_addons_own_calls_meet_faults_too(sim, http, bearer, sleep, direction):
    installed = await sim.calls.provision("shop", "basic")
    headers = await bearer(installed)

    async def call():
        if direction == "tokens":
            return await http.post("/oauth/token", data={"client_secret": SECRET})
        return await http.get("/addons", headers=headers)

    fair = (await call()).status_code
    sim.faults.add("rate_limit", direction=direction, seconds=7)
    limited = await call()
    assert (limited.status_code, limited.headers["retry-after"], limited.json()["id"]) == (429, "7", "rate_limit")
    sim.faults.add("error", direction=direction, status=503)
    assert (await call()).status_code == 503
    sim.faults.add("slow", direction=direction, seconds=9)
    assert (await call()).status_code == fair
    assert sleep.slept == [9]
    sim.faults.add("drop", direction=direction)
    with pytest.raises(httpx2.RemoteProtocolError):
        await call()
    assert sim.world.exchanges[-1].status is None


async def test_a_lost_answer_of_the_platform_api_did_its_work(sim, http, bearer):
    installed = await sim.calls.provision("shop", "basic")
    headers = await bearer(installed)
    sim.faults.add("lost_answer", direction="platform", method="PATCH", path="/config")
    body = {"config": [{"name": "ACME_POSTGRES_POOL", "value": "9"}]}
    with pytest.raises(httpx2.RemoteProtocolError):
        await http.patch(f"/addons/{installed.id}/config", json=body, headers=headers)
    assert installed.config["ACME_POSTGRES_POOL"] == "9"


async def test_a_dropped_platform_call_did_nothing(sim, http, bearer):
    installed = await sim.calls.provision("shop", "basic")
    headers = await bearer(installed)
    sim.faults.add("drop", direction="platform")
    body = {"config": [{"name": "ACME_POSTGRES_POOL", "value": "9"}]}
    with pytest.raises(httpx2.RemoteProtocolError):
        await http.patch(f"/addons/{installed.id}/config", json=body, headers=headers)
    assert "ACME_POSTGRES_POOL" not in installed.config


async def test_faults_are_ordered_listed_and_cleared_as_json(sim, http):
    answer = await http.post("/simulator/faults", json={"kind": "error", "direction": "tokens", "status": 500})
    assert answer.status_code == 201
    (fault,) = (await http.get("/simulator/faults")).json()
    assert (fault["kind"], fault["direction"], fault["status"], fault["count"]) == ("error", "tokens", 500, 1)
    assert (await http.delete("/simulator/faults")).json() == []
    assert sim.faults.pending == []


@pytest.mark.parametrize(
    "order",
    [
        {},
        {"kind": "earthquake"},
        {"kind": "slow", "direction": "sideways"},
        {"kind": "duplicate", "direction": "tokens"},
        {"kind": "error", "status": 200},
        {"kind": "slow", "seconds": -1},
        {"kind": "slow", "seconds": "soon"},
        {"kind": "slow", "count": 0},
        {"kind": "slow", "colour": "red"},
    ],
)
async def test_a_fault_that_cannot_be_is_refused_with_a_reason(http, order):
    answer = await http.post("/simulator/faults", json=order)
    assert answer.status_code == 422
    assert answer.json()["message"].endswith(".")


async def test_a_number_beyond_all_bounds_is_not_json(http):
    answer = await http.post("/simulator/faults", content='{"kind": "slow", "count": 1e999}')
    assert (answer.status_code, answer.json()["id"]) == (400, "bad_request")


def test_a_fault_that_cannot_be_is_refused_in_python_too(sim: Simulator):
    with pytest.raises(HerokuError, match="There is no fault 'earthquake'"):
        sim.faults.add("earthquake")
