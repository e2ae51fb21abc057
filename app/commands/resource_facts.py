"""What is told of one resource: the same facts for people and for scripts, none of them secret."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from app.context import Context
from app.job_queue import QueuedWork
from app.operations.action import offer
from app.operations.actions import ACTIONS
from app.operations.inspection import Inspection
from app.operations.timeline import Line
from app.operations.webhooks import summary
from app.resources.models import Resource
from app.resources.rotation import next_rotation_at
from app.resources.traces import Event, Exchange, SignIn, WebhookEvent

_RESOURCE: Final = (
    "uuid", "name", "plan", "service_plan", "region", "state", "created_at", "provisioned_at", "suspended_at",
    "suspension_waits_since", "deprovisioned_at", "removed_at", "kept_until", "restored_at", "over_quota_at",
    "read_only_at", "failures", "last_error", "last_error_at",
)  # fmt: skip


async def facts(context: Context, found: Inspection) -> dict[str, Any]:
    """All that the page of a resource tells, by the headings of the page: see docs/admin.md for an example."""
    resource = found.resource
    return {
        "troubles": [{"text": trouble.text, "since": trouble.at} for trouble in found.troubles],
        "resource": {name: getattr(resource, name) for name in _RESOURCE}
        | {
            "price_cents": found.plan and found.plan.price_cents,
            "driver": found.driver_name,
            "options": list(resource.options),
        },
        "heroku": _heroku(found),
        "usage": [
            {"measure": one.newest.name, "used": one.newest.used, "limit": one.newest.limit, "unit": one.newest.unit}
            | {"at": one.newest.at}
            for one in found.usage
        ],
        "config_vars": dict.fromkeys(found.config_names, "hidden"),
        "credentials": {
            "generation": resource.generation,
            "rotation_requested_at": resource.rotation_requested_at,
            "rotated_at": resource.rotated_at,
            "retire_at": resource.retire_at,
            "retirement_waits_for": resource.retirement_waits_for,
            "retirement_waits_since": resource.retirement_waits_since,
            "next_rotation_at": next_rotation_at(found.plan, resource),
            "clients_by_generation": found.in_use and {str(name): number for name, number in found.in_use.items()},
            "details": list(found.detail_names),
        },
        "tokens": _tokens(resource, context.clock()),
        "jobs": jobs(found.work),
        "exchanges": [exchange(one) for one in found.exchanges],
        "sign_ins": [sign_in(one) for one in found.sign_ins],
        "actions": [
            {"action": action.id, "role": action.role.word, "why_not": (await offer(context, action, resource)).why_not}
            for action in ACTIONS.values()
        ],
    }


def _heroku(found: Inspection) -> dict[str, Any]:
    resource, told = found.resource, found.resource.heroku_facts or {}
    return {
        "silence": found.heroku_silence,
        "app": resource.app_name,
        "owner": resource.owner_email,
        "state": told.get("state"),
        "plan": told.get("plan"),
        "attached_to": [f"{app} as {name}" for app, name in told.get("attachments") or []],
        "read_at": resource.app_read_at,
        "tells_by_webhooks": resource.webhook_id is not None and not resource.is_gone,
        "webhooks_error": resource.webhook_error,
        "has_newest_config": resource.config_version > 0 and not resource.needs_push,
    }


def _tokens(resource: Resource, now: datetime) -> dict[str, Any]:
    expires_at = resource.access_token_expires_at
    return {
        "given": resource.has_tokens,
        "newest_at": resource.tokens_at,
        "access_token_expires_at": expires_at,
        "has_expired": None if expires_at is None else expires_at <= now,
        "refused_since": resource.tokens_refused_at,
    }


def jobs(work: Sequence[QueuedWork]) -> list[dict[str, Any]]:
    """What waits or runs, in order; `next_run_at` is None for as soon as it is its turn."""
    return [
        {
            "id": job.id,
            "job": job.name,
            "status": "running" if job.is_running else "waiting",
            "begun_times": job.attempts,
            "asked_for_at": job.queued_at,
            "next_run_at": job.due_at,
        }
        for job in work
    ]


def exchange(one: Exchange) -> dict[str, Any]:
    """One request and its answer, as far as they may be read."""
    return {
        "at": one.at,
        "direction": one.direction,
        "method": one.method,
        "path": one.path,
        "status": one.status,
        "milliseconds": round(one.milliseconds),
        "request_id": one.request_id,
        "request": one.request,
        "answer": one.answer,
    }


def sign_in(one: SignIn) -> dict[str, Any]:
    """Who opened the dashboard, and whether Heroku vouches for the address."""
    return {
        "at": one.at,
        "who": one.support_operator or one.email or None,
        "is_support": one.support_operator is not None,
        "is_confirmed": one.is_user_proven,
        "signed_out_at": one.signed_out_at,
    }


def line(one: Line) -> dict[str, Any]:
    """A line of the timeline; all lines have the same names."""
    row = one.row
    if isinstance(row, Event):
        told = {"line": "event", "who": row.actor, "text": row.text, "reason": row.reason, "kind": row.kind}
    elif isinstance(row, SignIn):
        told = {"line": "sign-in", "who": row.who, "text": "Signed in to the dashboard"}
    elif isinstance(row, WebhookEvent):
        told = {"line": "webhook", "who": "Heroku", "text": webhook_text(row)}
    else:
        who = "Heroku" if row.direction == "in" else "the program"
        told = {"line": "exchange", "who": who, "text": exchange_text(row)}
    return {"at": one.at, "reason": None, "kind": None} | told


def exchange_text(one: Exchange) -> str:
    """An exchange in short, without the uuid that it is about."""
    path = one.path.replace(str(one.resource_uuid), "…")
    return f"{one.method} {path}: {one.status or 'no answer'} in {one.milliseconds:.0f} ms"


def webhook(one: WebhookEvent) -> dict[str, Any]:
    """One webhook, as far as it may be read."""
    names = ("id", "at", "last_at", "deliveries", "happened_at", "include", "action", "status", "outcome", "handled_at")
    return {name: getattr(one, name) for name in names} | {"facts": one.facts}


def webhook_text(one: WebhookEvent) -> str:
    """A webhook in short, with what became of it."""
    return f"Webhook {summary(one)}: {one.status}"


def narrow_webhook(one: WebhookEvent) -> dict[str, Any]:
    """A webhook in fewer columns."""
    return {"id": one.id, "at": one.at, "webhook": summary(one), "status": one.status, "outcome": one.outcome}


def for_people(told: Mapping[str, Any], found: Inspection) -> dict[str, Any]:
    """The same, in fewer columns: what a terminal has room for."""
    return {
        "What is wrong" if name == "troubles" else name.replace("_", " ").capitalize(): content
        for name, content in (
            dict(told)
            | {
                "config_vars": [{"name": var, "value": value} for var, value in told["config_vars"].items()],
                "jobs": [narrow_job(job) for job in told["jobs"]],
                "exchanges": [narrow_exchange(one) for one in found.exchanges],
                "sign_ins": [{"at": one.at, "who": one.who} for one in found.sign_ins],
                "actions": [
                    {"action": one["action"], "role": one["role"], "not now": one["why_not"]} for one in told["actions"]
                ],
            }
        ).items()
    }


def narrow_job(job: Mapping[str, Any]) -> dict[str, Any]:
    """A job in fewer columns."""
    return {name: job[name] for name in ("id", "job", "status", "begun_times", "next_run_at")}


def narrow_exchange(one: Exchange) -> dict[str, Any]:
    """An exchange in fewer columns."""
    way = "Heroku to us" if one.direction == "in" else "us to Heroku"
    return {"at": one.at, "way": way, "exchange": exchange_text(one)}
