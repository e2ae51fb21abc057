"""The form with which a customer's browser arrives at the add-on's dashboard.

https://devcenter.heroku.com/articles/add-on-single-sign-on gives the fields and formulas. The app checks the same
formulas with its own code on purpose: a mistake would have to be made twice to go unseen.
"""

import base64
import hashlib
import json
from collections.abc import Collection
from datetime import datetime

from .offer import Offer
from .records import AddOn, App, Customer

TOKENS = ("user_scoped_resource_token", "resource_token", "token")


def form_fields(
    offer: Offer,
    addon: AddOn,
    *,
    customer: Customer,
    billing_app: App,
    context_app: App,
    at: datetime,
    tokens: Collection[str] = TOKENS,
) -> dict[str, str]:
    """Return the eleven fields Heroku posts; `tokens` says which of the three proofs to include."""
    timestamp = str(int(at.timestamp()))
    provider_id = addon.provider_id or addon.id
    proofs = {
        "user_scoped_resource_token": digest(
            "sha256", addon.id, offer.sso_salt, timestamp, customer.id, customer.email
        ),
        "resource_token": digest("sha1", addon.id, offer.sso_salt, timestamp),
        "token": digest("sha1", provider_id, offer.sso_salt, timestamp),
    }
    nav_data = json.dumps({"addon": addon.name, "appname": context_app.name}).encode()
    return {
        "resource_id": addon.id,
        "timestamp": timestamp,
        **{name: proof for name, proof in proofs.items() if name in tokens},
        "user_id": customer.id,
        "email": customer.email,
        "app": billing_app.name,
        "context_app": context_app.name,
        "nav-data": base64.urlsafe_b64encode(nav_data).decode(),
        "id": provider_id,
    }


def digest(algorithm: str, *parts: str) -> str:
    return hashlib.new(algorithm, ":".join(parts).encode(), usedforsecurity=False).hexdigest()
