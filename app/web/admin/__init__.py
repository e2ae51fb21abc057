"""The operators' pages, a module for each group of pages. Every route names the role it needs: see `access.py`."""

from fastapi import APIRouter

from app.web.admin import account, actions, oidc, operators, second_factor, sign_in
from app.web.admin.access import SetUpFirst, SignInFirst, lead_to_set_up, lead_to_sign_in

router = APIRouter(prefix="/admin")
for group in (sign_in, oidc, account, second_factor, operators, actions):
    router.include_router(group.router)

__all__ = ["SetUpFirst", "SignInFirst", "lead_to_set_up", "lead_to_sign_in", "router"]
