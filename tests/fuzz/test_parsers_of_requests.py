"""Whatever reads what somebody else has written gives, for anything at all, a value or the error that it documents."""

import base64
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from starlette.requests import Request

from app.errors import Refused, Unauthorized
from app.operations import audit_log, found, periods, search_words, timeline
from app.operators.attempts import network_of
from app.web.addresses import address_of
from app.web.admin.access import read_fields, safe_wanted
from app.web.admin.resources import _key
from app.web.browsers import browser_words
from app.web.cookies import Signer
from app.web.dependencies import _basic
from app.web.errors import BadRequest
from app.web.partner_api import PlanChangeBody, ProvisionBody, _parse, read_json
from app.web.sso import Form, _read_form

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
UUID = "01234567-89ab-cdef-0123-456789abcdef"
PROVISION = {
    "uuid": UUID,
    "name": "acme-postgres-shaped-12345",
    "plan": "test",
    "region": "amazon-web-services::us-east-1",
    "callback_url": f"https://api.heroku.com/addons/{UUID}",
    "oauth_grant": {"code": UUID, "type": "authorization_code", "expires_at": "2016-03-03T18:01:31-0800"},
    "options": {"foo": "bar"},
    "log_input_url": "https://token:x@east.logplex.io/logs",
    "log_drain_token": "d.0123",
}
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\0") | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
# A good text with some of it taken out, doubled, or replaced by something else.
thorough = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def altered(draw: Any, good: str) -> str:
    text = good
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(text)))
        end = draw(st.integers(begin, min(len(text), begin + 12)))
        odd = st.text(max_size=4) | st.sampled_from(["\0", "\ud800", "9" * 5000, "٣", "-", "::", '"', "\r\n", "%00"])
        text = text[:begin] + draw(odd) + text[end:]
    return text


def request_of(body: bytes = b"", headers: list[tuple[bytes, bytes]] | None = None) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request({"type": "http", "headers": headers or [], "client": ("203.0.113.9", 1)}, receive)


def is_storable(value: Any) -> bool:
    """Whether Postgres takes it as text or JSON."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return "\\u0000" not in text and text.encode() is not None


async def parsed(body: bytes, kind: type[BaseModel]) -> BaseModel | None:
    try:
        return await _parse(request_of(body), kind)
    except BadRequest as refused:
        sentence = str(refused)
        assert len(sentence) < 300
        return None


@thorough
@given(st.data())
async def test_a_body_of_the_partner_api_is_read_whole_or_refused_with_a_sentence(data: Any):
    body = dict(PROVISION)
    for name in data.draw(st.lists(st.sampled_from([*PROVISION, "state", "generation"]), max_size=3)):
        if data.draw(st.booleans()):
            body[name] = data.draw(anything)
        else:
            body.pop(name, None)
    for kind in (ProvisionBody, PlanChangeBody):
        value = await parsed(json.dumps(body).encode(), kind)
        if value is not None:
            assert is_storable(value.model_dump(mode="json"))


@thorough
@given(st.binary(max_size=300) | altered(json.dumps(PROVISION)).map(lambda text: text.encode("utf-8", "surrogatepass")))
async def test_bytes_at_the_partner_api_are_read_or_refused(body: bytes):
    for kind in (ProvisionBody, PlanChangeBody):
        value = await parsed(body, kind)
        assert value is None or is_storable(value.model_dump(mode="json"))


@thorough
@given(anything)
def test_json_that_is_taken_comes_back_the_same(value: Any):
    try:
        read = read_json(json.dumps(value).encode())
    except BadRequest:
        return
    assert json.dumps(read) == json.dumps(value)
    assert is_storable(read)


@pytest.mark.parametrize("depth", [21, 500, 30_000])
def test_json_however_deep_is_refused(depth: int):
    for opened, closed in (("[", "]"), ('{"a":', "}")):
        with pytest.raises(BadRequest):
            read_json((opened * depth + "1" + closed * depth).encode()[: 64 * 1024])


@thorough
@given(st.text() | st.binary().map(lambda raw: "Basic " + base64.b64encode(raw).decode()) | altered("Basic YTpi"))
def test_a_basic_header_is_two_texts(header: str):
    user, password = _basic(header)
    assert isinstance(user + password, str)


@thorough
@given(st.text().filter(lambda text: ":" not in text), st.text())
def test_a_basic_header_brings_back_what_was_written(user: str, password: str):
    try:
        pair = f"{user}:{password}".encode()
    except UnicodeEncodeError:
        return
    assert _basic(f"basic {base64.b64encode(pair).decode()}") == (user, password)


sso = urlencode({"resource_id": UUID, "timestamp": "1", "resource_token": "a" * 40, "email": "a@b.example", "app": "x"})


@thorough
@given(st.binary(max_size=400) | altered(sso).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_a_sign_in_form_is_read_or_refused(body: bytes):
    try:
        form = _read_form(body)
    except Unauthorized:
        return
    assert isinstance(form, Form)
    for text in (form.resource_id, form.email, form.user_id, form.timestamp):
        assert is_storable(text)


@thorough
@given(st.binary(max_size=200) | altered("form_token=a&reason=b").map(lambda text: text.encode("utf-8", "replace")))
async def test_an_operators_form_is_read_or_refused(body: bytes):
    try:
        fields = await read_fields(request_of(body))
    except Refused:
        return
    assert is_storable(fields)


@thorough
@given(st.text())
def test_what_was_signed_is_believed_for_its_purpose_alone(value: str):
    form, session = Signer(["k" * 40], "customer form"), Signer(["k" * 40], "customer session")
    try:
        signed = form.sign(value)
    except UnicodeEncodeError:
        return
    assert form.value(signed) == value
    assert session.value(signed) is None


@thorough
@given(st.text() | altered(Signer(["k" * 40], "customer form").sign(UUID)))
def test_a_signed_value_that_was_touched_is_no_value(signed: str):
    good = Signer(["k" * 40], "customer form")
    assert good.value(signed) in {None, UUID}
    assert Signer(["x" * 40], "customer form").value(signed) is None


@thorough
@given(st.text() | altered('shop state:provisioned "two words" created:2026-01..2026-02 is:attention owner:a@b.c'))
def test_words_of_a_search_are_understood_or_refused(text: str):
    try:
        query = search_words.parse(text)
    except Refused as refused:
        sentence = refused.message
        assert len(sentence) < 500
        return
    assert search_words.parse(" ".join(map(str, query.words))).words == query.words, "a link to it means the same"


keys = st.text() | st.from_regex(r"-?\d{1,30}-[\w-]{0,40}") | altered(f"1763719200000000-{UUID.replace('-', '')}")
keys |= altered("1763719200000000-17") | altered(f"1763719200000000-1-{UUID}") | st.just("9" * 5000 + "-1")


@thorough
@given(keys)
def test_a_place_in_a_list_is_one_of_ours_or_refused(text: str):
    for read in (found.Key.read, audit_log.Key.read, timeline._read, _key):
        try:
            place = read(text)
        except Refused:
            continue
        if read in (found.Key.read, audit_log.Key.read):
            assert read(str(place)) == place


times = (
    st.text(max_size=12) | st.dates().map(str) | st.datetimes().map(str) | altered("2026-11-21") | st.just("0001-01-01")
)
zones = st.sampled_from(["UTC", "Pacific/Kiritimati", "America/Los_Angeles", "Asia/Kathmandu"]).map(ZoneInfo)


@thorough
@given(st.dictionaries(st.sampled_from(["operator", "actor", "kind", "resource", "since", "until"]), times), zones)
def test_a_filter_of_the_audit_log_is_understood_or_refused(words: dict[str, str], zone: ZoneInfo):
    try:
        wanted = audit_log.read_filter(words, zone)
    except Refused:
        return
    assert isinstance(wanted.conditions, list)


@thorough
@given(st.dictionaries(st.sampled_from(["from", "to", "period"]), times | st.integers().map(str)), zones)
def test_a_period_is_understood_or_refused(words: dict[str, str], zone: ZoneInfo):
    try:
        period = periods.read_period(words, zone, NOW)
    except Refused:
        return
    assert period.since < period.until
    assert len(period.steps) < 1000, "a chart is drawn of it"


@thorough
@given(st.lists(st.text(alphabet="0123456789abcdef.:, %[]/é\x7f", max_size=60), max_size=3), st.integers(0, 3))
def test_an_address_that_is_believed_is_one(written: list[str], proxies: int):
    headers = [(b"x-forwarded-for", text.encode("latin-1")) for text in written]
    context: Any = SimpleNamespace(settings=SimpleNamespace(proxies=proxies))
    address = address_of(request_of(headers=headers), context)
    assert len(address) < 100
    assert network_of(address)


@thorough
@given(st.text() | altered("/admin/resources?q=a"))
def test_where_a_sign_in_leads_is_a_page_of_the_panel(wanted: str):
    led = safe_wanted(wanted)
    assert led == "/admin" or led.startswith(("/admin/", "/admin?"))
    assert not {"\\", "\r", "\n", "\t"} & set(led)
    assert "//" not in led


@thorough
@given(st.text())
def test_a_browsers_name_is_some_words(user_agent: str):
    assert 0 < len(browser_words(user_agent)) <= 60
