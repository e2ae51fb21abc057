"""Whose request it is, as far as the network tells."""

import ipaddress

import structlog
from fastapi import Request

from app.context import Context

_log = structlog.get_logger(__name__)


def address_of(request: Request, context: Context) -> str:
    """Where a request comes from. Of X-Forwarded-For only what our own proxies have written is believed."""
    address = request.client.host if request.client else "unknown"
    written = ",".join(request.headers.getlist("X-Forwarded-For")).split(",")
    proxies = context.settings.proxies
    if 0 < proxies <= len(written):
        try:
            address = str(ipaddress.ip_address(written[-proxies].strip()))
        except ValueError:  # not by our proxies, or they write something else
            _log.debug("X-Forwarded-For holds no address where PROXIES_IN_FRONT says")
    return address
