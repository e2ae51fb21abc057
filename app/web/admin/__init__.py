"""The operators' pages, a module for each group of pages. Every route names the role it needs: see `access.py`."""

from fastapi import APIRouter

from app.web.admin import actions, sign_in
from app.web.admin.access import SignInFirst, lead_to_sign_in

router = APIRouter(prefix="/admin")
for group in (sign_in, actions):
    router.include_router(group.router)

__all__ = ["SignInFirst", "lead_to_sign_in", "router"]
