"""A pretend Heroku for the laptop and for the tests. It speaks HTTP to an add-on in any language.

`Simulator(manifest=..., ...)` is the whole of it; `python -m app simulate` serves one, the tests run one in-process.

world.py, records.py    what this Heroku remembers, its clock and first rules; state.py keeps it in a file
apps, app_config, releases, dynos, attaching, resolving    what people do with apps and add-ons: rules, no HTTP
calls.py, wire.py       Heroku calls the add-on: provision, plan change, deprovision; sso.py makes the form
sending.py, at_work.py  requests to servers of others: add-on, subscriber, drain; work on many of them at once
verdicts.py             what is right and wrong about an add-on's answer; exchanges.py and masking.py keep the record
faults.py, troubles.py  trouble on order
recording.py, guard.py  what every request that comes in goes through
platform_api/           what add-ons and the Heroku CLI ask: a module for each kind of thing; shapes.py has the JSON
oauth/  portal/         tokens of add-ons and of people; the partner's own API
webhooks/  logs/        subscriptions, events, deliveries; lines, drains, what add-ons write
starting.py             what a simulator is started with on a command line
pages/                  the marketplace and the developer's tools, from templates/ and static/
"""

from .errors import AddOnFailed, HerokuError, StateUnreadable
from .simulator import Simulator

__all__ = ["AddOnFailed", "HerokuError", "Simulator", "StateUnreadable"]
