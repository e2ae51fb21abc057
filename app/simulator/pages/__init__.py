"""The simulator's own pages, made from `templates/`: what a customer sees of Heroku, and the developer's tools."""

from starlette.routing import Route

from . import addons, apps, catalog, environment, exchanges, sso, tools
from .rendering import error_pages, template_environment

__all__ = ["error_pages", "routes", "template_environment"]


def routes() -> list[Route]:
    return [
        route for module in (apps, catalog, addons, sso, exchanges, environment, tools) for route in module.routes()
    ]
