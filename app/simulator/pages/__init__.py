"""The simulator's own pages, made from `templates/`: what a customer sees of Heroku, and the developer's tools."""

from starlette.routing import Route

from . import addons, tools
from .rendering import environment, error_pages

__all__ = ["environment", "error_pages", "routes"]


def routes() -> list[Route]:
    return [route for module in (addons, tools) for route in module.routes()]
