"""Single sign-on: who gets in, and that nobody else does. https://devcenter.heroku.com/articles/add-on-single-sign-on"""

import asyncio
from datetime import UTC, datetime
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest
from rig import PREVIOUS_SALT, Rig, provision_body
from visitor import ANN, BEN, GENERATIONS, STRONG, Visitor, form_at, visitor_of

from app.errors import Unauthorized
from app.simulator.offer import read_offer
from app.simulator.records import AddOn, App, Customer
from app.simulator.sso import form_fields
from app.web.sso import _prove, _read_form


@pytest.fixture
async def visitor(key_rig: Rig) -> Visitor:
    return await visitor_of(key_rig)


KENSA = ("123", "2f97bfa52ca102f8874716e2eb1d3b4920ad0be4", 1267597772, "bb466eb1d6bc345d11072c3cd25c311f21be130d")
SAMPLE = ("123", "salty", 567, "8bcafa70e186a8f9b85a1c93f3b6b0507748ec7a")
RESOURCE = "01234567-89ab-cdef-0123-456789abcdef"


class TestKnownDigests:
    """Digests that are known from elsewhere: a formula that is wrong here and in the tests alike would be caught."""

    @pytest.mark.parametrize(("id_", "salt", "timestamp", "token"), [KENSA, SAMPLE])
    async def test_of_the_oldest_formula_are_what_the_app_computes(self, make_rig, id_, salt, timestamp, token):
        rig = make_rig(addon_sso_salt=salt, sso_strength="legacy")
        rig.clock.now = datetime.fromtimestamp(timestamp, UTC)
        async with rig.running():
            # Our ids are uuids, so "123" opens nothing; but only the right digest gets as far as that.
            for digest, reason in ((token, "not a resource of ours"), (token[::-1], "wrong legacy token")):
                form = _read_form(urlencode({"id": id_, "timestamp": str(timestamp), "token": digest}).encode())
                with pytest.raises(Unauthorized, match=reason):
                    _prove(rig.context, form)

    @pytest.mark.parametrize(
        ("field", "token"),
        [
            ("token", "94017682286192040da063cd5f0f0349a357c5c1"),
            ("resource_token", "94017682286192040da063cd5f0f0349a357c5c1"),
            (STRONG, "274ee5f050d7f4837e08a1caa35d41f2cfe2572f907a7864be8d3c63e51ac35e"),
        ],
    )
    async def test_of_all_three_formulas_open_the_dashboard(self, make_rig, field, token):
        rig = make_rig(addon_sso_salt="salty", sso_strength="legacy")
        rig.clock.now = datetime.fromtimestamp(1267597772, UTC)
        async with rig.running():
            await rig.heroku.post("", json=provision_body(uuid=RESOURCE))
            form = form_at("1267597772", RESOURCE, field, email="user@example.com", **{field: token})
            answer = await Visitor(rig, RESOURCE).post(form)
        assert answer.status_code == 303

    @pytest.mark.parametrize(("id_", "salt", "timestamp", "token"), [KENSA, SAMPLE])
    def test_of_the_oldest_formula_are_what_the_simulator_sends(self, id_, salt, timestamp, token):
        assert simulated_form(id_, salt, timestamp)["token"] == token

    def test_of_the_newer_formulas_are_what_the_simulator_sends(self):
        fields = simulated_form(RESOURCE, "salty", 1267597772)
        assert fields["resource_token"] == "94017682286192040da063cd5f0f0349a357c5c1"
        assert fields[STRONG] == "274ee5f050d7f4837e08a1caa35d41f2cfe2572f907a7864be8d3c63e51ac35e"


def simulated_form(id_: str, salt: str, timestamp: int) -> dict[str, str]:
    at = datetime.fromtimestamp(timestamp, UTC)
    offer = read_offer({"id": "acme", "api": {"password": "x", "sso_salt": salt}}, client_secret="x")
    addon = AddOn(id_, "acme-1", "basic", "app", "us", "provisioned", at, at, provider_id=id_)
    app = App("app", "shop", "us", "u", [], at, at)
    user = Customer(ANN, "Ann", "user@example.com", "key")
    return form_fields(offer, addon, customer=user, billing_app=app, context_app=app, at=at)


class TestTokens:
    @pytest.mark.parametrize("token", GENERATIONS[:2])
    async def test_each_of_herokus_own_opens_the_dashboard(self, visitor, token):
        answer = await visitor.post(visitor.form(token))
        assert answer.status_code == 303
        assert answer.headers["Location"] == f"/dashboard/{visitor.uuid}"

    async def test_all_together_count_as_the_strongest(self, visitor):
        assert await visitor.status(*GENERATIONS) == 303
        (sign_in,) = await visitor.sign_ins()
        assert sign_in.is_user_proven
        assert (sign_in.email, sign_in.user_id) == ("ann@example.com", ANN)

    async def test_only_the_strongest_vouches_for_the_person(self, visitor):
        assert await visitor.status("resource_token", email="boss@example.com") == 303
        (sign_in,) = await visitor.sign_ins()
        assert not sign_in.is_user_proven

    @pytest.mark.parametrize("wrong", ["0" * 64, "x", " ", "é", "0" * 40])
    async def test_a_wrong_strong_one_is_not_rescued_by_right_weak_ones(self, visitor, wrong):
        assert await visitor.status(*GENERATIONS, **{STRONG: wrong}) == 403

    async def test_a_wrong_resource_token_is_not_rescued_by_a_right_legacy_one(self, make_rig):
        async with make_rig(sso_strength="legacy").running() as rig:
            visitor = await visitor_of(rig)
            assert await visitor.status("resource_token", "token", resource_token="0" * 40) == 403

    @pytest.mark.parametrize(
        ("strength", "accepted"),
        [("user", GENERATIONS[:1]), ("resource", GENERATIONS[:2]), ("legacy", GENERATIONS)],
    )
    async def test_the_setting_says_how_weak_one_may_be(self, make_rig, strength, accepted):
        async with make_rig(sso_strength=strength).running() as rig:
            visitor = await visitor_of(rig)
            for age, token in enumerate(GENERATIONS):
                expected = 303 if token in accepted else 403
                assert await visitor.status(token, age=age) == expected, token

    @pytest.mark.parametrize("token", GENERATIONS[:2])
    async def test_the_previous_salt_works_during_a_rotation(self, visitor, token):
        assert await visitor.status(token, salt=PREVIOUS_SALT) == 303
        assert await visitor.status(token, salt="neither", age=1) == 403

    async def test_without_a_previous_salt_only_the_current_one_works(self, make_rig):
        async with make_rig(addon_sso_salt_previous="").running() as rig:
            visitor = await visitor_of(rig)
            assert await visitor.status(salt=PREVIOUS_SALT) == 403
            assert await visitor.status(salt="") == 403
            assert await visitor.status() == 303

    @pytest.mark.parametrize("token", GENERATIONS[:2])
    async def test_one_letter_in_capitals_makes_it_wrong(self, visitor, token):
        form = visitor.form(token)
        assert (await visitor.post(form | {token: form[token].upper()})).status_code == 403

    @pytest.mark.parametrize(
        "email",
        ["zoë@example.com", "ann+heroku@example.com", "a&b=c@example.com", "a%41@example.com", "日本@例え.jp", "a b@c"],
    )
    async def test_any_email_address_arrives_as_it_is(self, visitor, email):
        assert await visitor.status(STRONG, email=email) == 303
        assert [sign_in.email for sign_in in await visitor.sign_ins()] == [email]

    async def test_a_changed_person_breaks_the_strong_one(self, visitor):
        form = visitor.form(STRONG)
        assert (await visitor.post(form | {"email": "eve@example.com"})).status_code == 403
        assert (await visitor.post(form | {"user_id": BEN})).status_code == 403
        assert (await visitor.post(form)).status_code == 303

    async def test_the_border_between_user_and_email_cannot_be_moved(self, visitor):
        # The formula joins with colons, so both forms have one digest.
        form = visitor.form(STRONG, email="x:boss@example.com")
        moved = form | {"user_id": f"{ANN}:x", "email": "boss@example.com"}
        assert (await visitor.post(moved)).status_code == 403


class TestTime:
    @pytest.mark.parametrize(
        ("age", "status"),
        [(0, 303), (1, 303), (299, 303), (300, 303), (301, 403), (3600, 403), (-30, 303), (-31, 403), (-86400, 403)],
    )
    async def test_a_form_is_good_for_five_minutes(self, visitor, age, status):
        assert await visitor.status(age=age) == status

    @pytest.mark.parametrize(
        "timestamp",
        ["", "now", "-1", "1e9", "12.5", " 1", "٣", "9" * 13, "9" * 999, "0x10", "+1", "1_0", "0"],
    )  # fmt: skip
    async def test_a_timestamp_that_is_no_number_of_seconds_is_refused(self, visitor, timestamp):
        assert (await visitor.post(form_at(timestamp, visitor.uuid))).status_code == 403


class TestOnce:
    @pytest.mark.parametrize("token", GENERATIONS[:2])
    async def test_a_form_works_once(self, visitor, token):
        form = visitor.form(token)
        assert [(await visitor.post(form)).status_code for _ in range(3)] == [303, 403, 403]
        assert len(await visitor.sign_ins()) == 1

    @pytest.mark.parametrize("tokens", [GENERATIONS, ["resource_token"]])
    async def test_of_twenty_posts_at_once_one_gets_in(self, visitor, tokens):
        form = visitor.form(*tokens)
        answers = await asyncio.gather(*(visitor.post(form) for _ in range(20)))
        assert sorted(answer.status_code for answer in answers) == [303] + [403] * 19
        assert len(await visitor.sign_ins()) == 1

    async def test_a_used_form_does_not_work_with_its_weaker_tokens_either(self, make_rig):
        async with make_rig(sso_strength="legacy").running() as rig:
            visitor = await visitor_of(rig)
            assert await visitor.status() == 303
            for tokens in (["resource_token"], ["token"], ["resource_token", "token"]):
                assert await visitor.status(*tokens) == 403
                assert await visitor.status(*tokens, user=BEN, email="ben@example.com") == 403

    async def test_a_changed_display_field_does_not_make_a_used_form_new(self, visitor):
        form = visitor.form()
        await visitor.post(form)
        for name in ("app", "context_app", "nav-data", "id", "something-else"):
            assert (await visitor.post(form | {name: "changed"})).status_code == 403

    @pytest.mark.parametrize("tokens", [GENERATIONS, ["resource_token"]])
    async def test_two_colleagues_in_one_second_both_get_in(self, visitor, tokens):
        assert await visitor.status(*tokens) == 303
        assert await visitor.status(*tokens, user=BEN, email="ben@example.com") == 303
        assert len(await visitor.sign_ins()) == 2

    async def test_a_refused_form_is_not_used_up(self, visitor):
        form = visitor.form()
        assert (await visitor.post(form | {STRONG: "0" * 64})).status_code == 403
        assert (await visitor.post(form)).status_code == 303


class TestResource:
    async def test_an_unknown_one_is_refused(self, visitor):
        assert await visitor.status(uuid=str(uuid4())) == 403
        assert await visitor.status(uuid="not-a-uuid") == 403

    async def test_a_deprovisioned_one_is_refused(self, visitor):
        await visitor.rig.heroku.delete(f"/{visitor.uuid}")
        assert await visitor.status() == 403
        assert await visitor.sign_ins() == []

    async def test_one_that_is_being_provisioned_can_be_seen(self, visitor):
        body = provision_body(plan="standard")
        assert (await visitor.rig.heroku.post("", json=body)).status_code == 202
        assert await visitor.status(uuid=body["uuid"]) == 303

    @pytest.mark.parametrize("token", GENERATIONS)
    async def test_a_token_for_one_opens_no_other(self, make_rig, token):
        async with make_rig(sso_strength="legacy").running() as rig:
            visitor = await visitor_of(rig)
            other = await visitor_of(rig)
            form = visitor.form(token)
            for fields in (
                {"resource_id": other.uuid},
                {"id": other.uuid},
                {"resource_id": other.uuid, "id": other.uuid},
            ):
                answer = await visitor.post(form | fields)
                assert other.uuid not in answer.headers.get("Location", "")
            assert {sign_in.resource_uuid for sign_in in await visitor.sign_ins()} <= {UUID(visitor.uuid)}
