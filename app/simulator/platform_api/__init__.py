"""The platform API: what add-ons, and people's tools, ask Heroku.

https://devcenter.heroku.com/articles/platform-api-reference and
https://devcenter.heroku.com/articles/platform-api-for-partners. A resource's token opens that one resource and the
apps it is attached to; a customer's API key opens what the customer may see. One module for each kind of thing.
"""

from starlette.routing import Route

from . import (
    account,
    addon_config,
    addon_services,
    addon_sso,
    addons,
    apps,
    attachments,
    authorizations,
    call,
    clients,
    collaborators,
    config_vars,
    dynos,
    log_drains,
    log_sessions,
    login,
    regions,
    releases,
    resolve,
    webhooks,
)


def routes() -> list[Route]:
    """List every endpoint; the last takes whatever address is left, so that these routes come after all others."""
    modules = (
        account,
        addon_config,
        addon_services,
        addon_sso,
        addons,
        apps,
        attachments,
        authorizations,
        clients,
        collaborators,
        config_vars,
        dynos,
        login,
        log_drains,
        log_sessions,
        regions,
        releases,
        resolve,
        webhooks,
    )
    return [*(route for module in modules for route in module.ROUTES), call.no_such_endpoint()]
