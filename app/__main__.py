"""The command line: `python -m app COMMAND`."""

import asyncio
import base64
import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import rich
import structlog
import typer
import uvicorn
from alembic import command as alembic
from alembic.config import Config
from fastapi import FastAPI
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from app.commands import alerts, audit, batches, operators, reconcile, resources
from app.commands import plans as plans_group
from app.commands.terminal import clear_errors
from app.conformance import page as conformance_page
from app.conformance.command_line import conform_command
from app.conformance.options import Options as ConformOptions
from app.conformance.page_run import PageRun
from app.context import open_context
from app.dev import run as dev_run
from app.dev.folder import DEV_FOLDER
from app.log import configure_logging
from app.main import create_app
from app.operations.reencrypt import count_rows
from app.operations.reencrypt import reencrypt as reencrypt_rows
from app.plans import plans
from app.settings import BadSettingsError, Settings, read_database_url, read_settings
from app.simulator import starting
from app.simulator.portal.manifests import refusals as manifest_refusals
from app.simulator.tool_environment import how_to_use
from app.web.connection import BoundedConnection
from app.web.health import newest_migration
from app.worker import run_worker

PROJECT = Path(__file__).parent.parent

cli = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
cli.add_typer(operators.cli, name="operators")
cli.add_typer(audit.cli, name="audit")
cli.add_typer(resources.cli, name="resources")
cli.add_typer(batches.cli, name="batches")
cli.add_typer(plans_group.cli, name="plans")
cli.add_typer(alerts.cli, name="alerts")
cli.command()(reconcile.reconcile)


def _settings() -> Settings:
    settings = read_settings()
    configure_logging(settings.log_format)
    return settings


def web_app() -> FastAPI:
    """The web application of this environment, for the server program: it makes one in every process."""
    settings = _settings()
    companion = partial(run_worker, install_signal_handlers=False) if settings.worker_in_web else None
    return create_app(settings, companion=companion)


@cli.command()
def web(
    host: Annotated[
        str, typer.Option(help="The address to listen on; a platform's router needs them all.")
    ] = "0.0.0.0",
) -> None:
    """Answer Heroku and customers on PORT (Procfile: web)."""
    with clear_errors():
        settings = _settings()
        asyncio.run(_try_context(settings))
    uvicorn.run(
        "app.__main__:web_app",
        factory=True,
        host=host,
        port=settings.port,
        loop="uvloop",
        http=BoundedConnection,
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=90,
        timeout_graceful_shutdown=20,
    )


async def _try_context(settings: Settings) -> None:
    """Fail now, with a sentence, rather than inside the server program."""
    async with open_context(settings):
        pass


@cli.command()
def worker() -> None:
    """Do the background work (Procfile: worker)."""

    async def work(settings: Settings) -> None:
        async with open_context(settings) as context:
            await run_worker(context)

    with clear_errors():
        asyncio.run(work(_settings()))


@cli.command()
def migrate() -> None:
    """Bring the database up to date (Procfile: release). Needs DATABASE_URL alone."""
    with clear_errors():
        read_database_url()
        configure_logging(os.environ.get("LOG_FORMAT", "json"))
        alembic.upgrade(Config(toml_file=PROJECT / "pyproject.toml"), "head")
        structlog.get_logger(__name__).info("the database is up to date", revision=newest_migration())


@cli.command()
def keys() -> None:
    """Print fresh values for ENCRYPTION_KEYS and SECRET_KEYS."""
    typer.echo(f"ENCRYPTION_KEYS={base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}")
    typer.echo(f"SECRET_KEYS={secrets.token_urlsafe(48)}")


@cli.command()
def reencrypt() -> None:
    """Seal every stored secret with the newest of ENCRYPTION_KEYS; the others may leave the list after that."""

    async def work(settings: Settings) -> int:
        total = 0
        async with open_context(settings) as context:
            with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=Console()) as progress:
                bar = progress.add_task("Rows", total=await count_rows(context))
                async for looked_at, renewed in reencrypt_rows(context):
                    progress.advance(bar, looked_at)
                    total += renewed
        return total

    with clear_errors():
        renewed = asyncio.run(work(_settings()))
    rich.print(f"{renewed} secrets were sealed anew. Older keys may leave ENCRYPTION_KEYS now.")


@cli.command()
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
    if content.get("id") != json.loads((PROJECT / "addon-manifest.json").read_bytes())["id"]:
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


cli.command("conform")(conform_command(_plans))


@cli.command()
def dev(
    port: Annotated[int | None, typer.Option(help="Where the add-on listens.")] = None,
    simulator_port: Annotated[int | None, typer.Option(help="Where the simulator listens.")] = None,
    folder: Annotated[Path, typer.Option(help="Where the data is kept.")] = DEV_FOLDER,
    *,
    reset: Annotated[bool, typer.Option("--reset", help="Ask, then forget everything that is kept.")] = False,
) -> None:
    """Run everything on this machine: Postgres, web, worker and the simulator."""
    sys.exit(dev_run.run_dev(port=port, simulator_port=simulator_port, reset=reset, folder=folder))


if __name__ == "__main__":
    cli()
