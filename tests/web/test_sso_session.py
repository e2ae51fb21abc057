"""The single sign-on form's shape, where it leads, and the session that it opens."""

from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest
from rig import Rig
from visitor import ANN, GENERATIONS, STRONG, Visitor, visitor_of


@pytest.fixture
async def visitor(key_rig: Rig) -> Visitor:
    return await visitor_of(key_rig)


class TestForm:
    @pytest.mark.parametrize("field", ["resource_id", "timestamp", "user_id", "email"])
    async def test_each_signed_field_must_be_there(self, visitor, field):
        form = visitor.form(STRONG)
        assert (await visitor.post({name: value for name, value in form.items() if name != field})).status_code == 403

    async def test_without_any_token_it_is_refused(self, visitor):
        form = {name: value for name, value in visitor.form().items() if "token" not in name}
        assert (await visitor.post(form)).status_code == 403
        assert (await visitor.post(form | dict.fromkeys(GENERATIONS, ""))).status_code == 403

    @pytest.mark.parametrize("name", ["resource_token[]", "resource_token[0]", "user_scoped_resource_token[a]"])
    async def test_a_token_as_an_array_is_no_token(self, visitor, name):
        form = visitor.form("resource_token")
        token = form.pop("resource_token")
        assert (await visitor.post(form | {name: token})).status_code == 403

    @pytest.mark.parametrize("name", ["resource_id", "timestamp", STRONG, "email", "app", "anything"])
    async def test_a_field_twice_is_refused(self, visitor, name):
        body = urlencode(visitor.form()).encode() + 2 * f"&{name}=1".encode()
        assert (await visitor.post(body)).status_code == 403

    async def test_a_huge_field_is_refused_and_a_huge_form_is_not_read(self, visitor):
        assert await visitor.status(email="e" * 1001) == 403
        answer = await visitor.post(b"email=" + b"e" * 70_000)
        assert answer.status_code == 413
        assert answer.headers["Content-Type"].startswith("text/html")

    async def test_a_long_email_address_is_fine(self, visitor):
        assert await visitor.status(email="e" * 988 + "@example.com") == 303

    async def test_long_navigation_data_is_fine(self, visitor):
        assert await visitor.status(**{"nav-data": "x" * 5000}) == 303

    @pytest.mark.parametrize(
        "body",
        [
            b"", b"&&&", b"=", b"resource_id", b"\xff\xfe", b"resource_id=%ff", b"email=%ED%A0%80", b'{"token": "x"}',
            b"&".join(b"f%d=1" % number for number in range(60)), b"resource_id=%00&timestamp=1&token=1", b"%",
        ],
    )  # fmt: skip
    async def test_what_is_no_form_is_refused(self, visitor, body):
        assert (await visitor.post(body)).status_code == 403

    @pytest.mark.parametrize("field", ["email", "user_id", "resource_id"])
    async def test_a_control_code_is_refused_although_it_is_signed(self, visitor, field):
        changes = {"email": {"email": "a\0b"}, "user_id": {"user": "a\0b"}, "resource_id": {"uuid": "a\0b"}}[field]
        assert await visitor.status(**changes) == 403

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD"])
    async def test_only_post_signs_in(self, visitor, method):
        answer = await visitor.rig.http.request(method, "/sso/login", params=visitor.form())
        assert answer.status_code == 405
        assert await visitor.sign_ins() == []

    async def test_tokens_in_the_address_count_for_nothing(self, visitor):
        assert (await visitor.post(b"", "?" + urlencode(visitor.form()))).status_code == 403

    async def test_every_refusal_is_the_same_page(self, visitor):
        used = visitor.form()
        await visitor.post(used)
        refused = [
            used, b"", b"\xff", visitor.form(age=400), visitor.form(age=-400), visitor.form(salt="wrong", age=1),
            visitor.form("token", age=1), visitor.form(uuid=str(uuid4())), visitor.form(uuid="x"),
            visitor.form(age=1) | {"email": "x"},
            visitor.form(email="e" * 1001),
        ]  # fmt: skip
        answers = [await visitor.post(form) for form in refused]
        await visitor.rig.heroku.delete(f"/{visitor.uuid}")
        answers.append(await visitor.post(visitor.form(age=2)))
        assert {answer.status_code for answer in answers} == {403}
        assert len({answer.content for answer in answers}) == 1
        assert len({str(sorted(answer.headers.multi_items())) for answer in answers}) == 1
        assert "Set-Cookie" not in answers[0].headers
        assert "Please open the dashboard from Heroku." in answers[0].text


class TestQuery:
    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("?issue_no=42", "?issue_no=42"),
            ("?a=1&a=2&b=", "?a=1&a=2&b="),
            ("?q=a%26b%3Dc", "?q=a%26b%3Dc"),
            ("?q=%0d%0aSet-Cookie:x", "?q=%0D%0ASet-Cookie%3Ax"),
            ("?next=https://evil.example.com", "?next=https%3A%2F%2Fevil.example.com"),
            ("?https://evil.example.com", "?https%3A%2F%2Fevil.example.com="),
            ("?%ff=1", "?%EF%BF%BD=1"),
            ("?", ""),
            ("", ""),
        ],
    )
    async def test_it_goes_along_to_the_dashboard_and_nowhere_else(self, visitor, query, expected):
        answer = await visitor.post(visitor.form(), query)
        assert answer.headers["Location"] == f"/dashboard/{visitor.uuid}{expected}"

    async def test_it_goes_along_only_so_far(self, visitor):
        answer = await visitor.post(visitor.form(), "?" + "&".join(f"f{number}=1" for number in range(100)))
        assert answer.headers["Location"].count("=") == 20

    async def test_the_app_in_the_form_does_not_choose_where_to_go(self, visitor):
        answer = await visitor.post(visitor.form(app="//evil.example.com", context_app="https://evil.example.com"))
        assert answer.headers["Location"] == f"/dashboard/{visitor.uuid}"


class TestSession:
    async def test_the_cookie_is_for_this_resources_pages_and_out_of_scripts_reach(self, visitor):
        answer = await visitor.post(visitor.form())
        (cookie,) = answer.headers.get_list("Set-Cookie")
        flags = {flag.strip().lower() for flag in cookie.split(";")[1:]}
        assert flags == {"httponly", "samesite=lax", f"path=/dashboard/{visitor.uuid}", "max-age=5400"}
        assert answer.headers["Cache-Control"] == "no-store"
        for word in ("ann@example.com", ANN, visitor.form()[STRONG]):
            assert word not in cookie

    async def test_it_is_secure_where_customers_come_by_https(self, make_rig):
        async with make_rig(public_url="https://addon.test").running() as rig:
            visitor = await visitor_of(rig)
            (cookie,) = (await visitor.post(visitor.form())).headers.get_list("Set-Cookie")
        assert "; secure" in cookie.lower()

    async def test_each_sign_in_has_a_session_of_its_own(self, visitor):
        first, second = [(await visitor.post(visitor.form(age=age))).headers["Set-Cookie"] for age in (0, 1)]
        assert first.partition(";")[0] != second.partition(";")[0]
        assert len({sign_in.id for sign_in in await visitor.sign_ins()}) == 2

    async def test_it_opens_its_own_dashboard_and_no_other(self, visitor):
        other = await visitor_of(visitor.rig)
        answer = await visitor.post(visitor.form())
        assert (await visitor.rig.http.get(answer.headers["Location"])).status_code == 200
        name, _, value = answer.headers["Set-Cookie"].partition(";")[0].partition("=")
        stolen = {f"customer-{UUID(other.uuid).hex[:12]}": value, name: value}
        visitor.rig.http.cookies.clear()
        cookies = "; ".join(f"{name}={value}" for name, value in stolen.items())
        answer = await visitor.rig.http.get(f"/dashboard/{other.uuid}", headers={"Cookie": cookies})
        assert answer.status_code == 403

    @pytest.mark.parametrize("value", ["", "x", "a.b.c", "é", "ImEi.abc.def"])
    async def test_a_made_up_cookie_opens_nothing(self, visitor, value):
        cookie = f"customer-{UUID(visitor.uuid).hex[:12]}={value}"
        answer = await visitor.rig.http.get(f"/dashboard/{visitor.uuid}", headers=[(b"Cookie", cookie.encode())])
        assert answer.status_code == 403

    async def test_it_ends_after_ninety_minutes(self, visitor):
        location = (await visitor.post(visitor.form())).headers["Location"]
        visitor.rig.clock.forward(minutes=89, seconds=59)
        assert (await visitor.rig.http.get(location)).status_code == 200
        visitor.rig.clock.forward(seconds=1)
        assert (await visitor.rig.http.get(location)).status_code == 403

    async def test_it_ends_with_the_resource(self, visitor):
        location = (await visitor.post(visitor.form())).headers["Location"]
        await visitor.rig.heroku.delete(f"/{visitor.uuid}")
        assert (await visitor.rig.http.get(location)).status_code == 410

    async def test_a_key_taken_out_of_the_list_ends_the_sessions_it_signed(self, visitor, make_rig):
        answer = await visitor.post(visitor.form())
        cookie = {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}
        old, new = "s" * 40, "n" * 40
        for keys, status in ((f"{new},{old}", 200), (new, 403)):
            async with make_rig(secret_keys=keys).running() as rig:
                assert (await rig.http.get(f"/dashboard/{visitor.uuid}", headers=cookie)).status_code == status

    async def test_the_sign_in_is_in_the_history(self, visitor):
        await visitor.post(visitor.form())
        assert (await visitor.rig.events(visitor.uuid))[-1] == "signed_in"
