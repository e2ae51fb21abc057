from datetime import UTC, datetime

from app.simulator.attaching import share
from app.simulator.offer import read_offer
from app.simulator.records import AddOn, App, Customer
from app.simulator.sso import form_fields

AT = datetime.fromtimestamp(1267597772, UTC)


def fields_for(addon_id, *, provider_id=None, tokens=("user_scoped_resource_token", "resource_token", "token")):
    offer = read_offer({"id": "acme", "api": {"password": "x", "sso_salt": "salty"}}, client_secret="x")
    addon = AddOn(addon_id, "acme-1", "basic", "app", "us", "provisioned", AT, AT, provider_id=provider_id)
    app = App("app", "shop", "us", "u", [], AT, AT)
    user = Customer("89abcdef-0123-4567-89ab-cdef01234567", "U", "user@example.com", "key")
    return form_fields(offer, addon, customer=user, billing_app=app, context_app=app, at=AT, tokens=tokens)


def test_the_tokens_are_the_known_digests():
    fields = fields_for("01234567-89ab-cdef-0123-456789abcdef", provider_id="01234567-89ab-cdef-0123-456789abcdef")
    assert fields["resource_token"] == "94017682286192040da063cd5f0f0349a357c5c1"
    assert fields["token"] == fields["resource_token"]
    assert fields["user_scoped_resource_token"] == ("274ee5f050d7f4837e08a1caa35d41f2cfe2572f907a7864be8d3c63e51ac35e")


def test_the_eleven_fields_are_herokus_and_tokens_can_be_left_out():
    assert set(fields_for("a")) == {
        "resource_id",
        "timestamp",
        "user_scoped_resource_token",
        "resource_token",
        "user_id",
        "email",
        "app",
        "context_app",
        "nav-data",
        "id",
        "token",
    }
    assert "user_scoped_resource_token" not in fields_for("a", tokens=["resource_token"])


async def test_a_visit_uses_real_time_even_when_the_clock_was_moved(sim, clock):
    installed = await sim.calls.provision("shop", "basic")
    sim.world.clock_offset += (clock() - AT) * 2
    assert sim.calls.sso_form(installed)["timestamp"] == str(int(clock().timestamp()))
    ben = next(one for one in sim.world.customers.values() if one.name.startswith("Ben"))
    fields = sim.calls.sso_form(installed, user=ben, at=AT)
    assert (fields["email"], fields["timestamp"]) == ("ben@example.com", "1267597772")


async def test_the_page_posts_to_the_addon_and_passes_the_query_on(sim, http):
    installed = await sim.calls.provision("shop", "basic", name="my-db")
    billing = sim.world.create_app("billing")
    share(sim.world, installed, billing)
    zoe = list(sim.world.customers.values())[2]
    answer = await http.get(
        "/sso/apps/billing/addons/my-db", params={"sign_in_as": zoe.id, "issue_no": "42", "q": "a&b"}
    )
    page = answer.text
    assert 'action="http://addon.test/sso/login?issue_no=42&amp;q=a%26b"' in page
    assert 'name="email" value="zoë@example.com"' in page
    assert 'name="app" value="shop"' in page
    assert 'name="context_app" value="billing"' in page
    assert "<script>" not in page
    assert "form-action" not in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "strict-origin-when-cross-origin"
