"""What a batch of log lines costs a web process, measured: `python -m bench.logs`. See docs/drivers.md.

Makes a Postgres of its own, installs one resource, sends it batches as Heroku does, and throws all away afterwards.
Processor time of this process alone, so that whatever else the machine does matters little; the driver takes none.
"""

import asyncio
import base64
import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import uuid4

import httpx2
import typer
from fastapi import FastAPI

from app.dev.postgres import DevPostgres
from app.log import configure_logging
from app.main import create_app
from app.resources.log_lines import read_lines
from app.settings import read_settings
from app.web.log_drain import PATH
from bench.million import migrate

_PASSWORD: Final = "bench-bench-bench"  # noqa: S105 - of nothing that lives longer than this # nosec B105
_LINE: Final = (
    '<158>1 {at} host heroku router - at=info method=GET path="/" host=shop.herokuapp.com request_id={id}'
    ' fwd="203.0.113.7" dyno=web.1 connect=0ms service=4ms status=200 bytes=612 protocol=http\n'
)


def main(batches: Annotated[int, typer.Option(min=1, help="How many of each size.")] = 300) -> None:
    """Measure small and large batches."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        with DevPostgres(folder, durable=False) as server:
            migrate(server.url)
            asyncio.run(_measure(server.url, batches))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _measure(url: str, batches: int) -> None:
    settings = read_settings(
        {
            "DATABASE_URL": url,
            "PUBLIC_URL": "http://127.0.0.1:5000",
            "ADDON_PASSWORD": _PASSWORD,
            "ADDON_SSO_SALT": _PASSWORD,
            "HEROKU_CLIENT_SECRET": _PASSWORD,
            "ENCRYPTION_KEYS": base64.urlsafe_b64encode(b"bench" * 6 + b"..").decode(),
            "SECRET_KEYS": _PASSWORD * 3,
        }
    )
    configure_logging("json")
    app, token = create_app(settings), f"d.{uuid4()}"
    async with app.router.lifespan_context(app):
        await _install(app, token)
        for lines in (1, 20, 500):
            body = _batch(lines)
            for _ in range(20):
                await _send(app, token, body)
            begun = time.process_time()
            for _ in range(batches):
                await _send(app, token, body)
            each = (time.process_time() - begun) / batches
            begun = time.process_time()
            for _ in range(batches):
                read_lines(body)
            reading = (time.process_time() - begun) / batches
            size = f"{lines:4} lines, {len(body):7,} bytes"
            typer.echo(f"{size}: {each * 1000:5.2f} ms a batch, {reading * 1000:5.2f} of it for reading")


async def _install(app: FastAPI, token: str) -> None:
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://bench", auth=("acme-postgres", _PASSWORD)
    ) as http:
        body = {"uuid": str(uuid4()), "plan": "test", "log_drain_token": token}
        (await http.post("/heroku/resources", json=body)).raise_for_status()


def _batch(lines: int) -> bytes:
    texts = [_LINE.format(at=datetime.now(UTC).isoformat(), id=uuid4()).encode() for _ in range(lines)]
    return b"".join(b"%d %s" % (len(text), text) for text in texts)


async def _send(app: FastAPI, token: str, body: bytes) -> None:
    headers = {"logplex-drain-token": token, "logplex-frame-id": uuid4().hex, "content-length": str(len(body))}
    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": PATH,
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    if sent[0]["status"] != 204:
        raise SystemExit(f"It was answered {sent[0]['status']}.")


if __name__ == "__main__":
    typer.run(main)
