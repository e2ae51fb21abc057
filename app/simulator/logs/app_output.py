"""What Heroku prints into an app's log when something happens to the app, and what a visited sample app prints.

The words are those of https://devcenter.heroku.com/articles/logging and
https://devcenter.heroku.com/articles/http-routing#heroku-router-log-format.
"""

from uuid import uuid4

from app.simulator.records import App, Dyno
from app.simulator.world import Event

from .lines import Logs

# Facilities and severities as Heroku's lines have them: local0.info, syslog.notice, local3.info.
_API, _DYNO, _ROUTER = 134, 45, 158


def follow(logs: Logs, event: Event) -> None:
    for app in event.apps:
        if event.kind == "release" and event.action == "create":
            logs.write(app, "app", "api", f"{event.thing.description} by user {event.by_email}", priority=_API)
            text = f"Release v{event.thing.version} created by user {event.by_email}"
            logs.write(app, "app", "api", text, priority=_API)
        elif event.kind == "formation" and event.action == "update":
            line = event.thing
            text = f"Scaled to {line.type}@{line.quantity}:{line.size} by user {event.by_email}"
            logs.write(app, "app", "api", text, priority=_API)
        elif event.kind == "dyno":
            for text in _of_dyno(app, event.thing, event.action):
                logs.write(app, "heroku", event.thing.name, text, priority=_DYNO)
        elif event.kind == "app" and event.action == "destroy":
            logs.forget(app)


def _of_dyno(app: App, dyno: Dyno, action: str) -> list[str]:
    if action == "create":
        return [f"Starting process with command `{dyno.command}`"]
    if action == "update":
        return [f"State changed from starting to {dyno.state}"]
    if dyno.ends_at is not None:
        return ["Process exited with status 0", "State changed from up to complete"]
    number = int(dyno.name.rpartition(".")[2])
    is_restart = any(line.type == dyno.type and number <= line.quantity for line in app.formation)
    restart = ["Restarting", "State changed from up to starting"] if dyno.state == "up" else ["Restarting"]
    stop = ["Stopping all processes with SIGTERM", "Process exited with status 143"]
    return [*restart, *stop] if is_restart else stop


def visit(logs: Logs, app: App) -> None:
    """Print what one request to the app leaves in its log: the router's line and the web dyno's."""
    router = (
        f'at=info method=GET path="/" host={app.name}.herokuapp.com request_id={uuid4()} fwd="127.0.0.1" '
        "dyno=web.1 connect=0ms service=4ms status=200 bytes=612 protocol=http"
    )
    logs.write(app, "app", "web.1", '127.0.0.1 - "GET / HTTP/1.1" 200 612')
    logs.write(app, "heroku", "router", router, priority=_ROUTER)
