"""Finding resources: what may be typed, what it finds, and pages that stay where they were."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from rig import Rig

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


async def found(rig: Rig, text: str) -> list[UUID]:
    return [row.uuid for row in (await search(rig.context, parse(text))).rows]


@pytest.mark.parametrize(
    ("text", "facts"),
    [
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
        ("00%", {"last_error": "the disk is 100% full"}),
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
        ("is:error", {"last_error": "x", "last_error_at": LONG_AGO}),
        ("is:kept", {"state": State.DEPROVISIONED, "kept_until": LONG_AGO}),
        (
            "plan:premium region:eu jane",
            {"plan": "premium", "region": "x::eu-west-1", "owner_email": "jane@acme.example"},
        ),
    ],
)
async def test_each_word_finds_what_it_names_and_nothing_else(key_rig: Rig, text, facts):
    key_rig.clock.forward(days=400)  # so that what every resource has is not what is asked for
    await have(key_rig)
    wanted = await have(key_rig, **facts)
    assert await found(key_rig, text) == [wanted]
