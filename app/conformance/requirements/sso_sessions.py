"""After signing in: a session is for one resource, cannot be stolen or planted, and its pages give nothing away."""

import html
from dataclasses import dataclass, replace
from uuid import uuid4

from app.conformance.bench import Bench
from app.conformance.requirement import NotApplicable, Unmet, must, should
from app.conformance.visits import Cookie, Visit
from app.conformance.wire import Answer
from app.simulator.records import AddOn, Exchange

from .docs import OWNERSHIP, SSO
from .sso import NEEDS, TOKENS, signed_in


@dataclass(frozen=True)
class _Dashboard:
    """Where a customer of one resource ended up; `marks` are texts on that page that only this resource has."""

    addon: AddOn
    visit: Visit
    url: str
    marks: frozenset[str]

    def is_shown_in(self, answer: Answer) -> bool:
        return answer.is_success and bool(self.marks) and self.marks <= _marks(self.addon, answer)

    def unlike(self, other: "_Dashboard") -> "_Dashboard":
        """Return it with the marks that tell it from the other; NotApplicable when there are none."""
        marks = self.marks - other.marks
        if not marks:
            raise NotApplicable("The page shows nothing by which one resource could be told from another.")
        return replace(self, marks=marks)

    @property
    def session_cookies(self) -> list[Cookie]:
        return [one for one in self.visit.cookies.values() if one.goes_to(self.url)]


def _marks(addon: AddOn, answer: Answer) -> frozenset[str]:
    text = html.unescape(answer.content.decode("utf-8", "replace"))
    own = {addon.id, addon.name, *addon.config.values()}
    return frozenset(mark for mark in own if len(mark) >= 8 and mark in text)


async def _dashboard(bench: Bench, addon: AddOn, *, ago: float = 0, visit: Visit | None = None) -> _Dashboard:
    visit = await signed_in(bench, addon, ago=ago, visit=visit)
    if visit.is_sent_away:
        raise NotApplicable("Signing in leads to another host than the add-on's own, which the checker does not visit.")
    return _Dashboard(addon, visit, visit.url, _marks(addon, visit.answer))


async def _opens(dashboard: _Dashboard, visit: Visit) -> bool:
    """Tell whether a browser gets that dashboard, by its marks; without any, by not being sent elsewhere."""
    answer = await visit.open(dashboard.url)
    if dashboard.marks:
        return dashboard.is_shown_in(answer)
    return answer.is_success and visit.url == dashboard.url


async def _session_cookies(bench: Bench, dashboard: _Dashboard) -> list[Cookie]:
    """Find the cookies without which the dashboard does not open; NotApplicable when no single one is needed."""
    needed = []
    for cookie in dashboard.session_cookies:
        visit = Visit(bench)
        visit.cookies = {name: one for name, one in dashboard.visit.cookies.items() if one is not cookie}
        if not await _opens(dashboard, visit):
            needed.append(cookie)
    if not needed:
        raise NotApplicable("The page that signing in leads to needs no cookie that could be looked at.")
    return needed


@must("sso", SSO, needs=NEEDS)
async def dashboard_needs_a_session(bench: Bench) -> None:
    """Knowing a dashboard's address is not enough: without having signed in nobody sees it."""
    dashboard = await _dashboard(bench, await bench.provisioned())
    if not dashboard.marks:
        raise NotApplicable("The page shows neither the resource's uuid nor its name: strangers cannot be told apart.")
    stranger = Visit(bench)
    if await _opens(dashboard, stranger):
        raise Unmet("It stays closed.", "A browser without cookies saw the dashboard.", stranger.answer.exchange)


@must("sso", SSO, needs=NEEDS)
async def session_cookie_is_hidden_from_scripts(bench: Bench) -> None:
    """The cookie that holds the session is HttpOnly: a script on the page cannot carry it away."""
    await _cookies_have(bench, "httponly", "HttpOnly")


@should("sso", SSO, needs=NEEDS)
async def session_cookie_stays_on_the_site(bench: Bench) -> None:
    """The cookie that holds the session says SameSite=Lax or Strict: other sites' forms do not use it."""
    dashboard = await _dashboard(bench, await bench.provisioned())
    for cookie in await _session_cookies(bench, dashboard):
        if cookie.attributes.get("samesite", "").lower() not in {"lax", "strict"}:
            raise Unmet(
                "It says SameSite=Lax or Strict.", "The session's cookie does not.", _that_sets(dashboard, cookie)
            )


@must("sso", SSO, needs=NEEDS)
async def session_cookie_travels_encrypted(bench: Bench) -> None:
    """Over https, the cookie that holds the session is Secure: it is never sent in the clear."""
    if not bench.target.sso_url.lower().startswith("https:"):
        raise NotApplicable("The add-on was tested over plain http, where a cookie need not be Secure.")
    await _cookies_have(bench, "secure", "Secure")


async def _cookies_have(bench: Bench, attribute: str, spelled: str) -> None:
    dashboard = await _dashboard(bench, await bench.provisioned())
    for cookie in await _session_cookies(bench, dashboard):
        if attribute not in cookie.attributes:
            raise Unmet(f"It is {spelled}.", f"The session's cookie is not {spelled}.", _that_sets(dashboard, cookie))


def _that_sets(dashboard: _Dashboard, cookie: Cookie) -> Exchange | None:
    for answer in reversed(dashboard.visit.answers):
        if any(header.startswith(f"{cookie.name}=") for header in answer.headers.get_list("set-cookie")):
            return answer.exchange
    return None


@must("sso", SSO, needs=NEEDS)
async def session_is_new_at_sign_in(bench: Bench) -> None:
    """Signing in begins a new session: one that somebody planted in the browser beforehand is not promoted."""
    addon = await bench.provisioned()
    former = await _dashboard(bench, addon, ago=2)
    names = {cookie.name for cookie in await _session_cookies(bench, former)}
    # Whatever session a stranger is given is what an attacker would plant; where none is given, one is made up.
    attacker = Visit(bench)
    await attacker.open(former.url)
    for cookie in former.session_cookies:
        if cookie.name in names and cookie.name not in attacker.cookies:
            attacker.cookies[cookie.name] = Cookie(cookie.name, uuid4().hex, cookie.host, "/", {})
    victim = Visit(bench)
    victim.cookies = dict(attacker.cookies)
    dashboard = await _dashboard(bench, addon, visit=victim)
    if await _opens(dashboard, attacker):
        raise Unmet(
            "A session from before the sign-in opens nothing.",
            "The session that was in the browser before it signed in opens the dashboard now.",
            attacker.answer.exchange,
        )


def _thief(bench: Bench, own: _Dashboard, other: _Dashboard) -> Visit:
    """Make a browser that sends its own session everywhere, also under the names of the other resource's cookies."""
    visit = Visit(bench)
    for mine, theirs in zip(own.session_cookies, other.session_cookies, strict=False):
        for name in (theirs.name, mine.name):
            visit.cookies[name] = Cookie(name, mine.value, mine.host, "/", {})
    return visit


@must("sso", OWNERSHIP, needs=NEEDS)
async def session_shows_one_resource_alone(bench: Bench) -> None:
    """Whoever signed in to one resource does not see another one, also when the same person has both."""
    first = await _dashboard(bench, await bench.provisioned())
    second = await _dashboard(bench, await bench.provisioned())
    for own, other in ((first, second.unlike(first)), (second, first.unlike(second))):
        for url in dict.fromkeys((other.url, own.url)):
            answer = await _thief(bench, own, other).open(url)
            if other.is_shown_in(answer):
                raise Unmet(
                    "It shows one resource only.",
                    "The session of one resource shows another resource's page.",
                    answer.exchange,
                )


@must("sso", OWNERSHIP, needs=NEEDS)
async def two_dashboards_in_one_browser_are_not_mixed_up(bench: Bench) -> None:
    """Two resources opened one after the other in one browser each show what is theirs, or ask to sign in again."""
    first = await _dashboard(bench, await bench.provisioned())
    second = await _dashboard(bench, await bench.provisioned(), visit=first.visit)
    first, second = first.unlike(second), second.unlike(first)
    if first.is_shown_in(second.visit.answer):
        raise Unmet(
            "The latest sign-in counts.",
            "Signing in to a second resource led to the first one's page.",
            second.visit.answer.exchange,
        )
    if first.url == second.url:
        return
    answer = await second.visit.open(first.url)
    if second.visit.url == first.url and second.is_shown_in(answer):
        raise Unmet("It shows the first.", "The first resource's page now shows the second one.", answer.exchange)


@should("sso", OWNERSHIP, needs=NEEDS)
async def session_ends_with_the_resource(bench: Bench) -> None:
    """Once a resource is deprovisioned, whoever was signed in to it no longer sees its config vars."""
    addon = await bench.provisioned()
    values = [one for one in addon.config.values() if len(one) >= 8]
    dashboard = await _dashboard(bench, addon)
    await bench.simulator.calls.deprovision(addon)
    answer = await dashboard.visit.open(dashboard.url)
    text = html.unescape(answer.content.decode("utf-8", "replace"))
    if answer.is_success and any(value in text for value in values):
        raise Unmet("They are gone.", "The dashboard still shows config vars.", answer.exchange)


@must("sso", SSO, needs=NEEDS)
async def pages_give_no_secrets_away(bench: Bench) -> None:
    """No page, header or redirect on the way in holds the SSO salt, the password, a token, or what would be right."""
    addon = await bench.provisioned()
    form = bench.form(addon)
    world, offer = bench.world, bench.offer
    visit = Visit(bench)
    await visit.arrive(form)
    # Now a refusal: what the right digest would have been is nobody's business either.
    right = bench.form(addon, at=world.clock().replace(microsecond=0))
    refused = (await bench.visit(right | {name: "0" * len(right[name]) for name in TOKENS})).answer
    secrets = {"the SSO salt": [offer.sso_salt], "the password": [offer.password]}
    secrets["the OAuth client secret"] = [offer.client_secret]
    secrets["an SSO token"] = [one[name] for one in (form, right) for name in TOKENS]
    secrets["an OAuth token"] = [
        one for one in (*world.access_tokens, *world.refresh_tokens, *world.grants) if len(one) >= 8
    ]
    for answer in (*visit.answers, refused):
        shown = answer.content.decode("utf-8", "replace") + "\n".join(answer.headers.values())
        for what, texts in secrets.items():
            if any(text in shown for text in texts):
                raise Unmet("Secrets stay secret.", f"The answer holds {what}.", answer.exchange)


@should("sso", SSO, needs=NEEDS)
async def dashboard_is_not_stored(bench: Bench) -> None:
    """The dashboard's page says Cache-Control: no-store or private: no cache on the way shows it to somebody else."""
    answer = (await _dashboard(bench, await bench.provisioned())).visit.answer
    told = answer.headers.get("cache-control", "").lower()
    if "no-store" not in told and "private" not in told:
        raise Unmet("It says no-store or private.", "Its Cache-Control says neither.", answer.exchange)


@should("sso", SSO, needs=NEEDS)
async def dashboard_cannot_be_framed(bench: Bench) -> None:
    """The dashboard's page refuses to be shown inside another site's: frame-ancestors, or X-Frame-Options."""
    answer = (await _dashboard(bench, await bench.provisioned())).visit.answer
    policy = answer.headers.get("content-security-policy", "").lower()
    if "frame-ancestors" not in policy and "x-frame-options" not in answer.headers:
        raise Unmet("A header says so.", "It has neither of the two headers.", answer.exchange)


REQUIREMENTS = [
    dashboard_needs_a_session,
    session_cookie_is_hidden_from_scripts,
    session_cookie_stays_on_the_site,
    session_cookie_travels_encrypted,
    session_is_new_at_sign_in,
    session_shows_one_resource_alone,
    two_dashboards_in_one_browser_are_not_mixed_up,
    session_ends_with_the_resource,
    pages_give_no_secrets_away,
    dashboard_is_not_stored,
    dashboard_cannot_be_framed,
]
