"""Lists by pages, answers not repeated, calls counted: what all of the platform API has in common."""

import pytest


@pytest.fixture
def seven(sim):
    """Seven more releases for the shop, eight in all."""
    app = sim.world.app("shop")
    for number in range(7):
        sim.world.cut_release(app, f"Change {number}")
    return app


async def versions(ask, spoken):
    answer = await ask("GET", "/apps/shop/releases", Range=spoken)
    return answer, [one["version"] for one in answer.json()]


async def test_without_a_range_a_short_list_comes_whole(ask, seven):
    answer = await ask("GET", "/apps/shop/releases")
    assert (answer.status_code, len(answer.json())) == (200, 8)
    assert answer.headers["accept-ranges"] == "version, id"
    assert answer.headers["content-range"] == "version 1..8; max=200"
    assert "next-range" not in answer.headers


@pytest.mark.parametrize(
    ("spoken", "expected"),
    [
        ("version ..; max=1, order=desc", [8]),
        ("version ..; order=desc,max=1", [8]),
        ("version ..; order=desc,max=1;", [8]),
        ("version ..; max=3", [1, 2, 3]),
        ("version ..", [1, 2, 3, 4, 5, 6, 7, 8]),
        ("version ..; ;", [1, 2, 3, 4, 5, 6, 7, 8]),
        ("version ..;order=asc;max=1000", [1, 2, 3, 4, 5, 6, 7, 8]),
        ("version ..; max=5000", [1, 2, 3, 4, 5, 6, 7, 8]),
        ("version 6..", [6, 7, 8]),
        ("version ]6..", [7, 8]),
        ("version 3..5", [3, 4, 5]),
        ("version ]3..5]", [4]),
        ("version 5..3; order=desc", [5, 4, 3]),
        ("version ]5..; order=desc, max=2", [4, 3]),
        ("version 20..", []),
    ],
)
async def test_a_range_is_understood_in_every_spelling(ask, seven, spoken, expected):
    answer, found = await versions(ask, spoken)
    assert answer.status_code in {200, 206}
    assert found == expected


@pytest.mark.parametrize("spoken", ["id ..; max=1000", "id ..; max=1000;", "id ..; ;", "id ..; order=desc,max=1000"])
async def test_lists_are_ordered_by_id_on_request(ask, seven, spoken):
    answer = await ask("GET", "/apps/shop/releases", Range=spoken)
    ids = [one["id"] for one in answer.json()]
    assert (answer.status_code, len(ids)) == (200, 8)
    assert ids == sorted(ids, reverse="desc" in spoken)


@pytest.mark.parametrize(
    "first", ["version ..; max=3", "version ..; max=3, order=desc", "id ..; max=3", "version 2..7; max=2"]
)
async def test_following_next_range_gives_every_item_once(ask, seven, first):
    found, spoken = [], first
    while spoken:
        answer = await ask("GET", "/apps/shop/releases", Range=spoken)
        found += [one["version"] for one in answer.json()]
        spoken = answer.headers.get("next-range")
        assert answer.status_code == (206 if spoken else 200)
    expected = list(range(2, 8)) if "2..7" in first else list(range(1, 9))
    assert sorted(found) == expected
    if not first.startswith("id"):
        assert found == (expected[::-1] if "desc" in first else expected)


async def test_items_with_equal_values_are_not_lost_between_pages(sim, ask):
    for number in range(5):
        sim.world.create_app(f"extra-{number}")
    found, spoken = [], "updated_at ..; max=2"
    while spoken:
        answer = await ask("GET", "/apps", Range=spoken)
        found += [one["name"] for one in answer.json()]
        spoken = answer.headers.get("next-range")
    assert sorted(found) == sorted(app.name for app in sim.world.apps.values())


async def test_a_page_has_two_hundred_items_unless_asked_and_never_over_a_thousand(sim, ask):
    app = sim.world.app("shop")
    for number in range(1004):
        sim.world.cut_release(app, f"Change {number}")
    answer = await ask("GET", "/apps/shop/releases")
    assert (answer.status_code, len(answer.json())) == (206, 200)
    assert answer.headers["next-range"] == "version ]200..; max=200"
    answer, found = await versions(ask, "version ..; max=4000")
    assert (answer.status_code, len(found)) == (206, 1000)
    assert answer.headers["content-range"] == "version 1..1000; max=1000"


@pytest.mark.parametrize(
    "spoken",
    [
        "nonsense",
        "bytes=0-100",
        "description ..",
        "version",
        "version ..; max=0",
        "version ..; max=-1",
        "version ..; max=ten",
        "version ..; max=" + "9" * 5000,
        "version ..; order=up",
        "version ..; colour=red",
    ],
)
async def test_a_range_that_cannot_be_read_is_416(ask, seven, spoken):
    answer = await ask("GET", "/apps/shop/releases", Range=spoken)
    assert (answer.status_code, answer.json()["id"]) == (416, "requested_range_not_satisfiable")


async def test_a_number_beyond_all_bounds_is_just_not_there(ask, seven):
    answer, found = await versions(ask, f"version {'9' * 5000}..")
    assert (answer.status_code, found) == (200, [])


@pytest.mark.parametrize("wrap", ["{}", "W/{}", '"other", {}', '"other",W/{}', "*"])
async def test_an_answer_the_client_has_already_is_304(ask, seven, wrap):
    first = await ask("GET", "/apps/shop", Range="")
    again = await ask("GET", "/apps/shop", If_None_Match=wrap.format(first.headers["etag"]))
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert int(again.headers["ratelimit-remaining"]) < int(first.headers["ratelimit-remaining"])


async def test_a_changed_thing_has_another_etag(ask):
    first = await ask("GET", "/apps/shop")
    await ask("PATCH", "/apps/shop", {"maintenance": True})
    again = await ask("GET", "/apps/shop", If_None_Match=first.headers["etag"])
    assert (again.status_code, again.json()["maintenance"]) == (200, True)


async def test_the_pages_of_a_list_differ_in_their_etags(ask, seven):
    first = await ask("GET", "/apps/shop/releases", Range="version ..; max=2")
    second = await ask("GET", "/apps/shop/releases", Range="version ]2..; max=2", If_None_Match=first.headers["etag"])
    assert (second.status_code, len(second.json())) == (206, 2)


async def test_spent_calls_are_429_and_say_that_none_is_left(sim, ask, clock):
    sim.app.state.parts.rate_limit.most_calls = 2
    left = [(await ask("GET", "/apps")).headers["ratelimit-remaining"] for _ in range(2)]
    refused = await ask("GET", "/apps", Request_Id="my-request")
    assert left == ["1", "0"]
    assert (refused.status_code, refused.json()["id"]) == (429, "rate_limit")
    assert refused.headers["ratelimit-remaining"] == "0"
    assert refused.headers["request-id"] == "my-request"
    assert (await ask("GET", "/apps", who="ben")).status_code == 200
    clock.move(seconds=1)
    assert (await ask("GET", "/apps")).status_code == 200


async def test_every_answer_has_a_request_id_even_a_refusal(ask):
    answers = [await ask("GET", "/apps"), await ask("GET", "/apps/no-such"), await ask("GET", "/no-such")]
    ids = {answer.headers["request-id"] for answer in answers}
    assert len(ids) == 3
    assert answers[1].json() == {"id": "not_found", "message": "Couldn't find that app.", "resource": "app"}
    assert set(answers[2].json()) == {"id", "message"}


async def test_a_list_of_things_without_ids_bears_the_range_that_some_clients_always_send(sim, http, bearer):
    installed = await sim.calls.provision("shop", "basic")
    headers = {**await bearer(installed), "Range": "id ..; max=1000"}
    answer = await http.get(f"/addons/{installed.id}/config", headers=headers)
    assert (answer.status_code, [one["name"] for one in answer.json()]) == (200, ["ACME_POSTGRES_URL"])


async def test_a_name_with_line_ends_and_dots_stays_in_its_header(ask):
    for name in ("a\r\nX-Evil: 1", "a..z", "b]; max=1", "c%2e", "Zoë ☂"):
        await ask("POST", "/oauth/clients", {"name": name, "redirect_uri": "https://x.test"})
    answer = await ask("GET", "/oauth/clients", Range="name ..; max=1")
    found = answer.json()
    while "next-range" in answer.headers:
        assert "x-evil" not in answer.headers
        answer = await ask("GET", "/oauth/clients", Range=answer.headers["next-range"])
        found += answer.json()
    assert [one["name"] for one in found] == ["Zoë ☂", "a\r\nX-Evil: 1", "a..z", "b]; max=1", "c%2e"]
