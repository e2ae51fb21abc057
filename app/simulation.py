"""`python -m app simulate` and `conform`: the only commands that know both this add-on and the simulator."""

import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import uvicorn

from app.commands.process import clear_errors
from app.conformance import page as conformance_page
from app.conformance.command_line import conform_command
from app.conformance.options import Options as ConformOptions
from app.conformance.page_run import PageRun
from app.log import configure_logging
from app.plans import plans
from app.settings import BadSettingsError, read_settings
from app.simulator import starting
from app.simulator.portal.manifests import refusals as manifest_refusals
from app.simulator.tool_environment import how_to_use

_OWN_MANIFEST: Final = Path(__file__).parent.parent / "addon-manifest.json"


def simulate(
    manifest: Annotated[Path, typer.Option(help="The add-on's addon-manifest.json, in any language's project.")],
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where the simulator listens, on this machine only.")
    ] = 5100,
    base_url: Annotated[str | None, typer.Option(help="The add-on's base_url; default: api.test's.")] = None,
    sso_url: Annotated[str | None, typer.Option(help="The add-on's sso_url; default: api.test's.")] = None,
    plan: Annotated[
        list[str] | None, typer.Option(help="A plan and its monthly price in cents, as basic=500; repeat it.")
    ] = None,
    state: Annotated[Path | None, typer.Option(help="A file that keeps the simulator's world between runs.")] = None,
    *,
    reset: Annotated[bool, typer.Option("--reset", help="Forget what the state file keeps, and begin anew.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Do not say how to use it.")] = False,
) -> None:
    """Run a pretend Heroku for an add-on in any language, and say how the Heroku CLI finds it.

    ADDON_PASSWORD, ADDON_SSO_SALT and HEROKU_CLIENT_SECRET are taken from the environment; the first two override the
    manifest's placeholders.
    """
    if reset and state is None:
        raise typer.BadParameter("--reset is about the file that --state names.")
    with (
        clear_errors(starting.CannotStart),
        starting.started(
            manifest,
            os.environ,
            port=port,
            base_url=base_url,
            sso_url=sso_url,
            plans=partial(_plans, plan),
            state_path=state,
            is_new_world=reset,
        ) as ready,
    ):
        simulator = ready.simulator
        own_port = ready.listener.getsockname()[1]
        repeated = ConformOptions(manifest, base_url, sso_url, own_port, tuple(plan or ()))
        checked = PageRun(simulator, repeated.target(ready, os.environ), repeated)
        simulator.add_section(conformance_page.section(checked))
        configure_logging(os.environ.get("LOG_FORMAT", "console"))
        if not quiet:
            owner = next(iter(simulator.world.customers.values()))
            slug = ready.manifest["id"]
            typer.echo(how_to_use(ready.url, owner.api_key, slug=slug, addon_base_url=ready.addon_base_url))
        _say_what_heroku_would_refuse(manifest, ready.manifest)
        # `heroku logs --tail` reads for ever: it must not hold up the end.
        config = uvicorn.Config(
            simulator.app, access_log=False, log_config=None, server_header=False, timeout_graceful_shutdown=2
        )
        uvicorn.Server(config).run(sockets=[ready.listener])


def _say_what_heroku_would_refuse(path: Path, content: Mapping[str, Any]) -> None:
    """The simulator can work with a manifest that `heroku addons:admin:manifest:push` could not publish."""
    reasons = manifest_refusals(content, content["id"])
    if reasons:
        typer.secho(f"{path}: Heroku would not publish this manifest yet.", err=True, fg="yellow")
        typer.secho("\n".join(f"  {reason}" for reason in reasons), err=True, fg="yellow")


def _own_plans(content: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The price list of this project, if the manifest is this project's and there are settings to read it with."""
    if content.get("id") != json.loads(_OWN_MANIFEST.read_bytes())["id"]:
        return None
    try:
        price_list = plans(read_settings(os.environ))
    except BadSettingsError:
        return None
    return [
        starting.read_plan(f"{plan.name}={plan.price_cents}") for plan in price_list.values() if not plan.is_withdrawn
    ]


def _plans(texts: Sequence[str] | None, content: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """What is for sale: as `--plan` says, else as this project does."""
    try:
        return [starting.read_plan(text) for text in texts] if texts else _own_plans(content)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


conform = conform_command(_plans)
