"""The least that FastAPI can be asked to do: the same short answer to every request."""

from fastapi import FastAPI


def app() -> FastAPI:
    """For the server program."""
    app = FastAPI()

    @app.get("/health/live")
    @app.post("/heroku/resources")
    async def hello() -> dict[str, str]:
        return {"status": "ok"}

    return app
