"""What Heroku asks of an add-on, and what it makes of the answer: provision, change plan, deprovision, SSO.

The protocol is https://devcenter.heroku.com/articles/add-on-partner-api-reference. Where it is silent the choice made
here is stated at the place.
"""

import asyncio
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from . import attaching, sso, verdicts
from .errors import AddOnFailed, HerokuError, invalid
from .logs import drains as log_drains
from .logs.tokens import input_url
from .oauth.grants import grant_shape, new_grant
from .offer import Offer, provider_region
from .records import AddOn, App, Customer, PendingDelete
from .wire import Answer, Wire
from .world import World

PROVISIONING_ENDS_AFTER = timedelta(hours=12)
# How long Heroku goes on with a DELETE that fails is not documented: a day, ever slower, is enough to be seen.
_DELETES_END_AFTER = timedelta(hours=24)
_LONGEST_PAUSE = timedelta(hours=1)

NO_CONTACT = "Could not communicate with vendor, please try again later"


class Calls:
    """The verbs of a customer, carried out against the add-on. Every refusal is a HerokuError."""

    def __init__(self, world: World, wire: Wire, *, url: str, addon_base_url: str) -> None:
        self._world = world
        self._wire = wire
        self._url = url.rstrip("/")
        self._base_url = addon_base_url.rstrip("/")

    @property
    def _offer(self) -> Offer:
        return self._world.offer

    async def provision(
        self,
        app_name: str,
        plan: str,
        *,
        name: str | None = None,
        options: Mapping[str, str | bool] | None = None,
        attachment: str | None = None,
        confirm: str | None = None,
        by_email: str | None = None,
    ) -> AddOn:
        """Do what `heroku addons:create` does; the result's state is provisioned or provisioning.

        It is deprovisioned when the add-on was removed, by anyone, before the partner's answer came. `confirm` and
        `by_email` are as for `attaching.attach`. Raises AddOnFailed with the add-on's own status and message,
        HerokuError when Heroku itself says no.
        """
        world, offer = self._world, self._offer
        app = world.app(app_name)
        plan = self._plan_name(plan)
        if app.region not in offer.regions and "*" not in offer.regions:
            raise invalid(f"{offer.name} is not available in the region {app.region}.")
        if "many_per_app" not in offer.requires and any(one.app_id == app.id for one in world.installed()):
            raise invalid(f"{offer.name} is already installed on {app.name}; its manifest lacks many_per_app.")
        attachment = attaching.allowed_name(world, app, attachment, confirm=confirm)
        replaced = [one for one in world.attachments_on(app) if one.name == attachment]
        addon = world.install(app, plan, name=name, options=dict(options or {}), by_email=by_email)
        try:
            attaching.attach(world, addon, app, attachment, confirm=confirm, by_email=by_email)
            # The record, the grant and the attachment exist before the call: a fast add-on uses them before it answers.
            answer = await self._wire.send("POST", self._base_url, self.provision_request(addon), addon)
            self._wire.add_findings(answer.exchange, verdicts.on_provision(offer, answer.status, answer.body))
            if addon.state == "deprovisioned":
                await self._settle_removed(addon, answer)
            else:
                self._finish_provision(addon, answer, by_email)
        except BaseException as error:
            if addon.state != "deprovisioned":
                world.forget(addon, by_email=by_email)
                for one in replaced:
                    former = world.addons.get(one.addon_id)
                    if former is not None and former.state != "deprovisioned":
                        attaching.attach(world, former, app, one.name, confirm=app.name)
            if isinstance(error, HerokuError):
                world.log(f"Installing {offer.slug}:{plan} failed: {error.message}", app=app)
            raise
        return addon

    async def _settle_removed(self, addon: AddOn, answer: Answer) -> None:
        """Take in the answer to a provision request whose add-on was removed meanwhile.

        The DELETE may have come before the work was done: an add-on that says it did the work is told again.
        """
        if answer.is_success and addon.failed_at is None:
            await self._start_delete(addon)

    def provision_request(self, addon: AddOn) -> dict[str, Any]:
        """Return the body of the provision request, with a grant made for it."""
        body: dict[str, Any] = {
            "uuid": addon.id,
            "name": addon.name,
            "plan": addon.plan,
            "region": provider_region(addon.region),
            "callback_url": f"{self._url}/addons/{addon.id}",
            "oauth_grant": grant_shape(new_grant(self._world, addon)),
            "options": addon.options,
        }
        log_input_url = input_url(addon, addon.app_id, self._url)
        if log_input_url is not None:
            body["log_input_url"] = log_input_url
        if addon.log_drain_token is not None:
            body["log_drain_token"] = addon.log_drain_token
        return body

    def _finish_provision(self, addon: AddOn, answer: Answer, by_email: str | None) -> None:
        world, plan = self._world, f"{self._offer.slug}:{addon.plan}"
        if not answer.is_success or answer.status == 204:
            raise self._failure(f"create {plan}", answer)
        reasons = verdicts.refused_provision(self._offer, answer.status or 0, answer.body)
        if reasons:
            raise AddOnFailed(
                f"An error was encountered when contacting the add-on partner to create {plan}: {' '.join(reasons)}",
                partner_status=answer.status,
            )
        body = answer.body
        addon.provider_id = body["id"]
        addon.provision_message = verdicts.message_in(body)
        log_drains.take_from_answer(world, addon, body)
        if answer.status == 202:
            world.log(f"{addon.name} is being created in the background.", app=world.apps[addon.app_id], addon=addon)
            return
        self._take_config(addon, answer)
        world.mark_provisioned(addon, by_email=by_email)

    async def change_plan(self, addon: AddOn, plan: str, *, by_email: str | None = None) -> AddOn:
        """Do what `addons:upgrade` and `addons:downgrade` do; a refusal leaves the old plan in place."""
        world, plan = self._world, self._plan_name(plan)
        addon = world.addon(addon.id)
        if addon.state != "provisioned":
            raise invalid(f"{addon.name} is still being created; its plan can be changed afterwards.")
        app = world.apps[addon.app_id]
        answer = await self._wire.send("PUT", f"{self._base_url}/{addon.id}", {"plan": plan}, addon)
        self._wire.add_findings(answer.exchange, verdicts.on_plan_change(self._offer, answer.status, answer.body))
        addon = world.addon(addon.id)  # which may have been removed while the call was under way
        reasons = verdicts.refused_config(self._offer, _config_in(answer)) if answer.is_success else []
        if not answer.is_success or reasons:
            error = self._failure(f"change {addon.name} to {self._offer.slug}:{plan}", answer, reasons)
            world.log(f"Changing {addon.name} to {plan} failed: {error.message}", app=app, addon=addon)
            raise error
        old_plan, addon.plan, addon.updated_at = addon.plan, plan, world.now()
        addon.provision_message = verdicts.message_in(answer.body)
        world.tell("addon", "update", addon, *world.apps_of(addon), addon=addon, by_email=by_email)
        world.log(f"{addon.name} changed from {old_plan} to {plan}.", app=app, addon=addon)
        log_drains.take_from_answer(world, addon, answer.body)
        self._take_config(addon, answer)
        return addon

    async def deprovision(self, addon: AddOn, *, by_email: str | None = None) -> None:
        """Do what `addons:destroy` does: the customer is rid of it at once, the add-on is told until it listens.

        It may come at any moment, also while the add-on works on its provision request.
        """
        addon = self._world.addon(addon.id)
        self._world.remove(addon, "by the customer.", by_email=by_email)
        await self._start_delete(addon)

    async def retry_due(self) -> None:
        """Send again the DELETEs whose time has come, all at once: an add-on that hangs must not add up its delays."""
        due = [one for one in self._world.pending_deletes.values() if one.next_at <= self._world.now()]
        await asyncio.gather(*(self._delete(pending) for pending in due))

    async def reap(self) -> None:
        """Remove what is still provisioning after twelve hours, as Heroku does."""
        world, reaped = self._world, []
        for addon in list(world.installed()):
            if addon.state == "provisioning" and world.now() - addon.created_at >= PROVISIONING_ENDS_AFTER:
                world.remove(addon, "it was not provisioned within 12 hours.", has_failed=True)
                reaped.append(addon)
        await asyncio.gather(*(self._start_delete(addon) for addon in reaped))

    async def _start_delete(self, addon: AddOn) -> None:
        """Note that the add-on must be told before telling it: a simulator stopped half-way goes on tomorrow."""
        now = self._world.now()
        pending = PendingDelete(addon.id, 0, now, now)
        self._world.pending_deletes[addon.id] = pending
        await self._delete(pending)

    async def _delete(self, pending: PendingDelete) -> None:
        world, addon = self._world, self._world.addons[pending.addon_id]
        pending.attempts += 1
        # The next try is fixed before this one is made, so that two rounds at once do not both send it.
        pending.next_at = world.now() + min(timedelta(minutes=2 ** (pending.attempts - 1)), _LONGEST_PAUSE)
        answer = await self._wire.send("DELETE", f"{self._base_url}/{addon.id}", None, addon)
        self._wire.add_findings(answer.exchange, verdicts.on_deprovision(answer.status))
        seen = "no answer" if answer.status is None else f"status {answer.status}"
        is_done = answer.is_success or answer.status in {404, 410}
        is_given_up = not is_done and world.now() - pending.first_at >= _DELETES_END_AFTER
        if is_done:
            outcome = f"The add-on confirmed that {addon.name} is gone."
        elif is_given_up:
            outcome = f"DELETE of {addon.name} got {seen} for a day; given up."
        else:
            outcome = f"DELETE of {addon.name} got {seen}; again at {pending.next_at:%H:%M:%S} UTC."
        if (is_done or is_given_up) and world.pending_deletes.get(addon.id) is pending:
            del world.pending_deletes[addon.id]
        world.log(outcome, app=world.apps.get(addon.app_id), addon=addon)

    def sso_form(
        self,
        addon: AddOn,
        *,
        user: Customer | None = None,
        at: datetime | None = None,
        tokens: Collection[str] = sso.TOKENS,
        context_app: App | None = None,
    ) -> dict[str, str]:
        """Return the form fields of a visit; by default the owner's, now, with all three tokens."""
        billing_app = self._world.apps[addon.app_id]
        return sso.form_fields(
            self._offer,
            addon,
            customer=user or self._world.customers[billing_app.owner_id],
            billing_app=billing_app,
            context_app=context_app or billing_app,
            at=at or self._world.clock(),  # not the moved clock: the add-on checks the time by its own
            tokens=tokens,
        )

    def _plan_name(self, name: str) -> str:
        plan = self._offer.plan(name.strip())
        if plan is None:
            raise invalid(f'Couldn\'t find either the add-on service or the add-on plan of "{name}".')
        return plan.name

    def _take_config(self, addon: AddOn, answer: Answer) -> None:
        config = _config_in(answer)
        if config and addon.state != "deprovisioned":
            self._wire.add_findings(answer.exchange, verdicts.on_config_values(self._offer, config))
            self._world.set_config(addon, config, by_email=self.partner_email)

    @property
    def partner_email(self) -> str:
        """The pseudo-user under whose name an add-on's own changes appear."""
        return f"{self._offer.slug}@addons.heroku.com"

    def _failure(self, doing: str, answer: Answer, reasons: Collection[str] = ()) -> AddOnFailed:
        message = verdicts.message_in(answer.body) if answer.status == 422 else None
        text = message or " ".join(reasons)
        if not text:
            return AddOnFailed(NO_CONTACT, partner_status=answer.status)
        return AddOnFailed(
            f"An error was encountered when contacting the add-on partner to {doing}: {text}",
            partner_status=answer.status,
            partner_message=message,
        )


def _config_in(answer: Answer) -> Any:
    return answer.body.get("config") if isinstance(answer.body, dict) else None
