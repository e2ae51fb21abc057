"""The operators' pages, a module for each group of pages. Every route names the role it needs: see `access.py`."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from app.web.admin import (
    account,
    actions,
    alerts,
    audit,
    batches,
    charts,
    oidc,
    operators,
    overview,
    plans,
    reconciliation,
    resource,
    resources,
    second_factor,
    sign_in,
    support,
    webhooks,
)
from app.web.admin.access import PATH, SetUpFirst, SignInFirst, lead_to_set_up, lead_to_sign_in
from app.web.description import for_people

router = APIRouter(default_response_class=HTMLResponse, responses=for_people(303, 403, 404, 422, 429, 503))
router.get("")(overview.show)
for group in (
    sign_in,
    oidc,
    account,
    second_factor,
    operators,
    actions,
    resource,
    resources,
    support,
    audit,
    batches,
    plans,
    overview,
    charts,
    reconciliation,
    alerts,
    webhooks,
):
    router.include_router(group.router)

__all__ = ["PATH", "SetUpFirst", "SignInFirst", "lead_to_set_up", "lead_to_sign_in", "router"]
