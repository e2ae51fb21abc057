"""The simulator's own pages, made from `templates/`: what a customer sees of Heroku, and the developer's tools."""

from starlette.routing import Route

from . import (
    addons,
    app_settings,
    apps,
    catalog,
    clock,
    environment,
    exchanges,
    faults,
    login,
    logs,
    people,
    programs,
    sso,
    webhooks,
)
from .rendering import error_pages, template_environment

__all__ = ["error_pages", "routes", "template_environment"]


# Routes are tried in this order.
_MODULES = (
    apps,
    app_settings,
    logs,
    catalog,
    addons,
    sso,
    exchanges,
    environment,
    faults,
    clock,
    login,
    people,
    programs,
    webhooks,
)


def routes() -> list[Route]:
    return [route for module in _MODULES for route in module.routes()]
