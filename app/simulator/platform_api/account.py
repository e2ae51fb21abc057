"""The caller's own account, and the teams and pipelines that nobody has here."""

from datetime import UTC, datetime
from typing import Any

from app.simulator import apps
from app.simulator.errors import forbidden, not_found
from app.simulator.records import Customer
from app.simulator.shapes import Shape, moment

from .call import Call, api

_BEGAN_AT = datetime(2024, 1, 1, tzinfo=UTC)


async def get_account(call: Call) -> Any:
    return _account_shape(call.customer)


async def get_person(call: Call) -> Any:
    """Return the caller's own account as `~`, by e-mail address or by id; another's is nobody's business."""
    who = call.path["user"]
    if who != "~" and apps.person(call.world, who) != call.customer:
        raise forbidden("You can only see your own account.")
    return _account_shape(call.customer)


async def get_rate_limit(call: Call) -> Any:
    return {"remaining": call.known.rate_limit.left(call.customer.id, call.world.now())}


async def list_nothing(call: Call) -> Any:  # noqa: ARG001 - all handlers are alike
    """Answer for what a person may have and nobody has here: teams, pipelines, labs features."""
    return []


async def get_team(call: Call) -> Any:  # noqa: ARG001 - as above
    raise not_found("team")


async def get_pipeline(call: Call) -> Any:  # noqa: ARG001 - as above
    raise not_found("pipeline")


async def get_pipeline_coupling(call: Call) -> Any:
    """Say that the app is in no pipeline, as Heroku does: not with an empty list but with a 404."""
    call.app()
    raise not_found("pipeline coupling")


def _account_shape(customer: Customer) -> Shape:
    return {
        "allow_tracking": False,
        "beta": False,
        "country_of_residence": None,
        "created_at": moment(_BEGAN_AT),
        "default_organization": None,
        "default_team": None,
        "delinquent_at": None,
        "email": customer.email,
        "federated": False,
        "id": customer.id,
        "identity_provider": None,
        "last_login": None,
        "name": customer.name,
        "sms_number": None,
        "suspended_at": None,
        "two_factor_authentication": False,
        "updated_at": moment(_BEGAN_AT),
        "verified": True,
    }


ROUTES = [
    api("GET", "/account", get_account, is_for_people=True),
    api("GET", "/account/rate-limits", get_rate_limit, is_for_people=True),
    api("GET", "/account/features", list_nothing, is_for_people=True),
    api("GET", "/users/{user}", get_person, is_for_people=True),
    api("GET", "/teams", list_nothing, is_for_people=True),
    api("GET", "/teams/{team}", get_team, is_for_people=True),
    api("GET", "/teams/{team}/{rest:path}", get_team, is_for_people=True),
    api("GET", "/pipelines", list_nothing, is_for_people=True),
    api("GET", "/pipelines/{pipeline}", get_pipeline, is_for_people=True),
    api("GET", "/pipelines/{pipeline}/pipeline-couplings", get_pipeline, is_for_people=True),
    api("GET", "/pipeline-couplings", list_nothing, is_for_people=True),
    api("GET", "/users/~/pipeline-couplings", list_nothing, is_for_people=True),
    api("GET", "/apps/{app}/pipeline-couplings", get_pipeline_coupling),
]
