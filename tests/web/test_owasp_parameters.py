"""Every parameter of every address and every field of every form, with what nobody should send."""

import re
from pathlib import Path
from urllib.parse import urlencode

import httpx2
import pytest
from every_route import Route, Scene, routes, scene_of
from rig import Rig

from app.web.pages import FOLDER

# What doors read out of the address by hand.
PERIOD = ("from", "to", "period")
AUDIT = ("operator", "actor", "kind", "resource", "since", "until")
BY_HAND = {
    "/admin": PERIOD,
    "/admin/overview/{name}.csv": PERIOD,
    "/admin/charts/{name}.svg": PERIOD,
    "/admin/audit": (*AUDIT, "before", "after"),
    "/admin/audit/export.{form}": AUDIT,
    "/admin/batches/new": ("q", "action", "plan"),
    "/admin/resources/{uuid}/actions/{action_id}": ("plan", "reason"),
}
NASTY = {
    "NUL": "a\0b",
    "empty": "",
    "huge": "9" * 2000,
    "a number that no column takes": str(2**63),
    "a number below zero": "-1",
    "another kind of digit": "٣²①",
    "markup": "\"'><script>alert(1)</script>",
    "a wildcard": "%_\\%",
    "quotes and a comment": "' OR 1=1; --",
    "a year before Christ": "-0001-01-01T00:00:00Z",
    "the first year": "0001-01-01T00:00:00+23:59",
    "the last year": "9999-12-31T23:59:59-23:59",
    "the first day": "0001-01-01",
    "the last day": "9999-12-31",
    "a day without a year": "02-30",
    "a number as a time": "1e308",
    "a long expression": "(" * 200 + "plan:" * 200,
    "line ends": "a\r\nSet-Cookie: evil=1\r\n\r\n<html>",
    "a template": "{{7*7}}${7*7}#{7*7}%(x)s{0}",
    "beyond the first plane": "\U0001f600\U0010ffff",
    "turned around": "\u202e\u2066gnp.exe\u2069",
    "half of a key": "2026-11-21T00:00:00+00:00,",
    "a key of nonsense": "2026-11-21T00:00:00+00:00,zzz",
    "a key with a NUL": "2026-11-21T00:00:00+00:00,\0",
    "words of a search": 'plan: state:: is:attention "unfinished created:>9999-99-99 -',
    "a uuid": "01234567-89ab-cdef-0123-456789abcdef",
}


def fields() -> set[str]:
    """What forms of all templates send."""
    texts = (path.read_text() for path in Path(FOLDER / "templates").rglob("*.html"))
    return {name for text in texts for name in re.findall(r'name="(\w+)"', text)} - {"form_token", "viewport"}


EVERY_NAME = sorted(fields() | {name for names in BY_HAND.values() for name in names})


@pytest.fixture
async def scene(key_rig: Rig) -> Scene:
    return await scene_of(key_rig)


def said(route: Route, what: str, answer: httpx2.Response) -> str | None:
    """What is wrong with an answer, if anything is."""
    if answer.status_code >= 500:
        return f"{route} with {what} answered {answer.status_code}"
    if "evil" in str(answer.headers.get_list("set-cookie")) or any("\n" in value for value in answer.headers.values()):
        return f"{route} with {what} has a header that was asked for"
    if "<script>alert" in answer.text and "csv" not in answer.headers.get("content-type", ""):
        return f"{route} with {what} repeats markup"
    return None


async def test_no_address_with_what_nobody_should_send_is_an_error_of_ours(scene: Scene):
    """Each parameter alone, since the first strange one may end a request, and all together."""
    faults = []
    customer, owner = await scene.customer(), await scene.owner()
    for route in (route for route in routes(scene.rig.app) if route.method == "GET"):
        session = owner if route.path.startswith("/admin") else customer
        names = [*route.parameters, *BY_HAND.get(route.path, ())]
        for what, nasty in NASTY.items():
            for chosen in [[name] for name in names] + [EVERY_NAME] * (not names):
                query = "?" + urlencode(dict.fromkeys(chosen, nasty))
                faults.append(said(route, f"{what} as {chosen}", await scene.ask(route, session, query=query)))
    assert [fault for fault in faults if fault] == []


async def test_no_form_full_of_what_nobody_should_send_is_an_error_of_ours(scene: Scene):
    faults = []
    for route in (route for route in routes(scene.rig.app) if route.method == "POST"):
        for what, nasty in NASTY.items():
            fields = dict.fromkeys(EVERY_NAME, nasty)
            # Who was here before may have signed out, or been sent away.
            answer = await scene.ask(route, await scene.signed_in(route), fields=fields)
            faults.append(said(route, what, answer))
    assert [fault for fault in faults if fault] == []
