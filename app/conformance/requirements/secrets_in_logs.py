"""No secret in the log: one resource's whole life, with trouble in it, and then a look at what was logged."""

import asyncio
import base64
import contextlib
import json
import os
import re
from urllib.parse import quote, quote_plus, urlsplit

from app.conformance.bench import Bench
from app.conformance.requirement import NotApplicable, Unmet, must
from app.simulator import HerokuError
from app.simulator.records import AddOn

from .docs import BEST_PRACTICES
from .sso import TOKENS, moments_ago

_SHORTEST = 8
_LOGS_WITHIN_SECONDS = 0.3
# What looks random: long, with letters and digits.
_RANDOM = re.compile(r"(?=[A-Za-z_-]*\d)(?=[\d_-]*[A-Za-z])[\w-]{16,}")
Secrets = dict[str, set[str]]


@must("secrets", BEST_PRACTICES, needs=["provision-works"])
async def log_has_no_secrets(bench: Bench) -> None:
    """The log holds no password, salt, grant, token, SSO digest or secret of a config var, also after errors."""
    if bench.logged() is None:
        raise NotApplicable("The checker does not know the add-on's log: name the file with --log-file.")
    if not os.path.isfile(bench.target.log_file or ""):  # noqa: ASYNC240, PTH113 - as quick as anything here
        raise NotApplicable("The file of --log-file is not there: nothing was read.")
    offer = bench.offer
    secrets: Secrets = {
        "the manifest's password": {offer.password, _basic(offer.slug, offer.password)},
        "the SSO salt": {offer.sso_salt},
        "the OAuth client secret": {offer.client_secret},
    }
    await _live(bench, secrets)
    await asyncio.sleep(_LOGS_WITHIN_SECONDS)
    for number, line in enumerate((bench.logged() or "").splitlines(), 1):
        for what, texts in secrets.items():
            if any(form in line for text in texts for form in _spellings(text)):
                raise Unmet("It has none.", f"Line {number} of what was logged during this run has {what}.")


async def _live(bench: Bench, secrets: Secrets) -> None:
    """Provision with trouble, sign in rightly and wrongly, change the plan, deprovision; note every secret of it."""
    faults = bench.simulator.faults
    refused = bench.draft()
    await bench.post(bench.body_of(refused) | {"plan": "no-such-plan"}, addon=refused)
    await bench.post(bench.body_of(refused) | {"uuid": refused.id, "plan": ["no", "text"]}, addon=refused)
    _note_tokens(bench, refused, secrets)
    faults.add("error", direction="tokens")
    faults.add("expire_token", direction="platform")
    faults.add("error", direction="platform")
    try:
        plan = await bench.plan_answered(202)
    except NotApplicable:
        plan = bench.plan
    addon = await bench.provision(plan)
    await bench.until(lambda: addon.state != "provisioning" and _has_token(bench, addon))
    _note_tokens(bench, addon, secrets)
    right, wrong, old = (bench.form(addon, at=moments_ago(bench, seconds=age)) for age in (1, 2, 600))
    secrets["an SSO token"] = {form[name] for form in (right, wrong, old) for name in TOKENS}
    await (await bench.visit(right)).open(bench.target.sso_url)
    await bench.visit(wrong | {name: wrong[name][::-1] for name in TOKENS})
    await bench.visit(old)
    with contextlib.suppress(HerokuError, NotApplicable):  # a refusal is an answer too
        await bench.simulator.calls.change_plan(addon, bench.another_plan(addon))
    _note_tokens(bench, addon, secrets)
    if addon.state != "deprovisioned":
        await bench.simulator.calls.deprovision(addon)


def _has_token(bench: Bench, addon: AddOn) -> bool:
    return any(one.used_at for one in bench.world.grants.values() if one.addon_id == addon.id)


def _note_tokens(bench: Bench, addon: AddOn, secrets: Secrets) -> None:
    world = bench.world
    found = {
        "a grant": {one.code for one in world.grants.values() if one.addon_id == addon.id},
        "an access token": {one.token for one in world.access_tokens.values() if one.addon_id == addon.id},
        "a refresh token": {one.token for one in world.refresh_tokens.values() if one.addon_id == addon.id},
        "a log drain's token": {addon.log_drain_token or ""},
        "a token for log input": set(addon.log_input_tokens.values()),
        "a webhook's secret": {one.secret for one in world.webhooks.values() if one.scope_id == addon.id},
        "a config var's secret": {one for value in addon.config.values() for one in _secret_parts(value, addon)},
    }
    for what, texts in found.items():
        secrets.setdefault(what, set()).update(text for text in texts if len(text) >= _SHORTEST)


def _secret_parts(value: str, addon: AddOn) -> set[str]:
    """Return what of a config var nobody may read: a URL's password, else whatever looks random and is no name."""
    try:
        parts = urlsplit(value)
        if parts.password:
            return {parts.password}
    except ValueError:
        return set()
    text = " ".join((parts.username or "", parts.path, parts.query, parts.fragment)) if parts.netloc else value
    own = addon.id.replace("-", "")
    return {one for one in _RANDOM.findall(text) if own not in re.sub("[_-]", "", one) and one != addon.name}


def _basic(name: str, password: str) -> str:
    return base64.b64encode(f"{name}:{password}".encode()).decode()


def _spellings(text: str) -> set[str]:
    """List how a text looks in JSON and in URLs."""
    return {text, json.dumps(text)[1:-1], quote(text, safe=""), quote_plus(text)}


REQUIREMENTS = [log_has_no_secrets]
