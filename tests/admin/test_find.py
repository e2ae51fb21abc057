"""Finding resources: what may be typed, what it finds, and pages that stay where they were."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from rig import Rig
from sqlalchemy import delete, text

from app.errors import Refused
from app.operations.search import Key, iterate, parse, search, sole_uuid
from app.resources.models import Resource, State

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


async def have(rig: Rig, **facts) -> UUID:
    """A row as the life of a resource may have left it."""
    uuid = facts.pop("uuid", None) or uuid4()
    values = {
        "name": "acme-postgres-shaped-12345",
        "plan": "test",
        "region": "amazon-web-services::us-east-1",
        "state": State.PROVISIONED,
        "created_at": rig.clock(),
        "seed_sealed": b"",
    } | facts
    if values["state"] is State.DEPROVISIONED:
        values.setdefault("deprovisioned_at", rig.clock())
    async with rig.context.database.transaction() as session:
        session.add(Resource(uuid=uuid, **values))
    return uuid


async def found(rig: Rig, words: str) -> list[UUID]:
    return [row.uuid for row in (await search(rig.context, parse(words))).rows]


EXAMPLES = [
    ("shaped-999", {"name": "acme-postgres-shaped-99901"}),
    ("name:99901", {"name": "acme-postgres-shaped-99901"}),
    ("Bookshop", {"app_name": "my-bookshop-staging"}),
    ("app:bookshop", {"app_name": "my-bookshop-staging"}),
    ("jane@", {"owner_email": "Jane@Example.com"}),
    ("owner:jane@", {"owner_email": "Jane@Example.com"}),
    ("premium", {"plan": "premium"}),
    ("plan:premium", {"plan": "premium"}),
    ("region:eu", {"region": "amazon-web-services::eu-west-1"}),
    ("eu-west", {"region": "amazon-web-services::eu-west-1"}),
    ("amazon-web-services::eu-west-1", {"region": "amazon-web-services::eu-west-1"}),
    ("state:provisioning", {"state": State.PROVISIONING}),
    ("deprov", {"state": State.DEPROVISIONED}),
    ("error:timeout", {"last_error": "push_config: Timeout at Heroku"}),
    ('"push_config: timeout"', {"last_error": "push_config: Timeout at Heroku"}),
    ("100%", {"last_error": "the disk is 100% full"}),
    ("uuid:01234567-89ab", {"uuid": UUID("0123456789abcdef0123456789abcdef")}),
    ("012345678", {"uuid": UUID("0123456789abcdef0123456789abcdef")}),
    ("created:2026-01", {"created_at": LONG_AGO}),
    ("created:2026-01-01", {"created_at": LONG_AGO}),
    ("created:..2026-01-01", {"created_at": LONG_AGO}),
    ("created:2025..2026-01", {"created_at": LONG_AGO}),
    ("is:suspended", {"suspended_at": LONG_AGO}),
    ("is:waiting-push", {"config_version": 2, "pushed_version": 1}),
    ("is:token-refused", {"tokens_refused_at": LONG_AGO}),
    ("is:unknown-to-heroku", {"unknown_to_heroku_at": LONG_AGO}),
    ("is:rotating", {"retire_at": LONG_AGO}),
    ("is:over-quota", {"over_quota_at": LONG_AGO}),
    ("is:read-only", {"read_only_at": LONG_AGO}),
    ("is:failing", {"failures": 1}),
    ("is:attention", {"failures": 1}),
    ("is:attention", {"suspension_waits_since": LONG_AGO}),
    ("is:error", {"last_error": "x", "last_error_at": LONG_AGO}),
    ("is:kept", {"state": State.DEPROVISIONED, "kept_until": LONG_AGO}),
    (
        "plan:premium region:eu jane",
        {"plan": "premium", "region": "x::eu-west-1", "owner_email": "jane@acme.example"},
    ),
]


async def test_each_word_finds_what_it_names_and_nothing_else(key_rig: Rig):
    key_rig.clock.forward(days=400)  # so that what every resource has is not what is asked for
    await have(key_rig)
    for words, facts in EXAMPLES:
        wanted = await have(key_rig, **facts)
        assert await found(key_rig, words) == [wanted], words
        async with key_rig.context.database.transaction() as session:
            await session.execute(delete(Resource).where(Resource.uuid == wanted))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("colour:red", "There is no colour: to search by."),
        ("plan: premium", "After plan: there is nothing to look for"),
        ('error:"timeout', "A quotation mark is missing"),
        ("owner:@", "@ has neither a digit nor a letter from a to z"),
        ("is:happy", "A resource is never happy. There are is:attention"),
        ("uuid:xyz", "xyz is not the beginning of a uuid."),
        ("created:yesterday", "yesterday is no date."),
        ("created:2026-13", "2026-13 is no date."),
        ("created:0001", "0001 is no date."),
        ("created:9999-12-31", "9999-12-31 is no date."),
        ("created:..", "Say since when or until when"),
        ('""', "Two quotation marks without a word"),
        ("x" * 301, "at most 300 characters"),
        (" ".join(f"w{number}" for number in range(13)), "at most 12 words"),
    ],
)
def test_what_is_not_understood_is_said(words, sentence):
    with pytest.raises(Refused) as refused:
        parse(words)
    assert sentence in refused.value.message


def test_a_search_can_be_changed_in_one_respect():
    query = parse('plan:test "two words" created:2026 "plan:x" "is:"')
    assert query.choosing("plan", "premium") == '"two words" created:2026 "plan:x" "is:" plan:premium'
    assert query.choosing("plan", None) == '"two words" created:2026 "plan:x" "is:"'
    assert parse(query.choosing("state", None)).words == query.words


async def test_percent_signs_and_underscores_mean_themselves(key_rig: Rig):
    await have(key_rig, app_name="my-app")
    wanted = await have(key_rig, app_name="my_app%")
    assert await found(key_rig, "app:my_app") == [wanted]
    assert await found(key_rig, r"my_app%") == [wanted]
    assert await found(key_rig, r"my\_app") == []


async def test_short_words_find_beginnings(key_rig: Rig):
    wanted = await have(key_rig, owner_email="qu@acme.example")
    await have(key_rig, owner_email="requ@acme.example", app_name="a-quiet-one")
    assert await found(key_rig, "owner:qu") == [wanted]


async def test_pages_are_newest_first_and_stay_where_they_are_when_something_is_provisioned(key_rig: Rig):
    # Eight in one moment: only the uuid tells their order.
    uuids = [await have(key_rig, created_at=LONG_AGO + timedelta(days=number // 8)) for number in range(25)]
    query = parse("acme-postgres")
    first = await search(key_rig.context, query, limit=10)
    await have(key_rig)
    second = await search(key_rig.context, query, before=first.older, limit=10)
    third = await search(key_rig.context, query, before=second.older, limit=10)

    rows = [*first.rows, *second.rows, *third.rows]
    assert {row.uuid for row in rows} == set(uuids)
    assert [row.key for row in rows] == sorted((row.key for row in rows), reverse=True)
    assert (first.newer, third.older) == (None, None)
    back = await search(key_rig.context, query, after=third.newer, limit=10)
    assert back.rows == second.rows
    top = await search(key_rig.context, query, after=back.newer, limit=100)
    assert len(top.rows) == 11
    assert top.newer is None
    assert top.older == first.older


@pytest.mark.parametrize(
    "words", ["legacy", "plan:legacy", "legacy shaped", "state:provisioned", "region:us", "shaped", "is:error"]
)
async def test_what_is_only_among_the_old_is_found_too(key_rig: Rig, monkeypatch, words):
    """The limits of the steps are lowered instead of provisioning a million."""
    monkeypatch.setattr("app.operations.search._WALK", 3)
    monkeypatch.setattr("app.operations.search._WALK_ALONG_PATH", 3)
    monkeypatch.setattr("app.operations.search._HITS", 4)
    old = [
        await have(
            key_rig,
            plan="legacy",
            created_at=LONG_AGO + timedelta(hours=number),
            last_error="x",
            last_error_at=LONG_AGO,
        )
        for number in range(8)
    ]
    for _ in range(5):
        await have(key_rig, plan="test", region="eu", name="plain", state=State.DEPROVISIONED)
    seen = [row.uuid async for rows in iterate(key_rig.context, parse(words)) for row in rows]
    assert seen == old[::-1]


async def test_everything_found_can_be_gone_through_while_more_is_provisioned(key_rig: Rig, monkeypatch):
    monkeypatch.setattr("app.operations.search._CHUNK", 4)
    uuids = [await have(key_rig, created_at=LONG_AGO + timedelta(seconds=number)) for number in range(10)]
    seen: list[UUID] = []
    async for rows in iterate(key_rig.context, parse("shaped")):
        seen += [row.uuid for row in rows]
        await have(key_rig)
    assert seen == uuids[::-1]


async def test_a_search_that_takes_too_long_says_how_to_narrow_it(key_rig: Rig, monkeypatch):
    monkeypatch.setattr("app.operations.search._TIMEOUT", timedelta(milliseconds=50))
    async with key_rig.context.database.transaction() as session:
        await session.execute(text("LOCK TABLE resources"))
        with pytest.raises(Refused, match="takes too long"):
            await search(key_rig.context, parse(""))


def test_a_place_in_the_list_is_told_from_garbage():
    key = Key(datetime(2026, 11, 21, 12, 30, 1, 999_999, tzinfo=UTC), uuid4())
    assert Key.read(str(key)) == key
    for garbage in ("x", "1-", "1-" + "g" * 32, "-1-" + "0" * 32):
        with pytest.raises(Refused):
            Key.read(garbage)


async def test_the_beginning_of_a_uuid_means_its_resource_if_no_other_begins_so(key_rig: Rig):
    one = await have(key_rig, uuid=UUID("abcd1234" + "0" * 24))
    for words, uuid in [
        ("abcd1234", one),
        (str(one), one),
        ("uuid:a", one),
        ("abcd", one),
        ("ace", None),
        ("acme", None),
    ]:
        query = parse(words)
        assert sole_uuid(query, await search(key_rig.context, query)) == uuid, words
    await have(key_rig, uuid=UUID("abcd9999" + "0" * 24))
    query = parse("abcd")
    assert sole_uuid(query, await search(key_rig.context, query)) is None
