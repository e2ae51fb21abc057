"""The checker's page inside a simulator: choose, watch, read what failed and why, check again."""

from collections.abc import Mapping
from pathlib import Path

import jinja2
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.simulator.errors import not_found
from app.simulator.pages.rendering import form, page, render
from app.simulator.parts import Section, parts

from .page_run import PageRun
from .reports import Format, evidence, write
from .requirement import Level, Requirement
from .requirements import ALL, GROUPS
from .selection import NothingSelected, select

PATH = "/marketplace/conformance"
_DOWNLOADS = {
    "json": (Format.JSON, "application/json"),
    "xml": (Format.JUNIT, "application/xml"),
    "sarif": (Format.SARIF, "application/sarif+json"),
    "md": (Format.MARKDOWN, "text/markdown; charset=utf-8"),
    "txt": (Format.TEXT, "text/plain; charset=utf-8"),
}


def section(run: PageRun) -> Section:
    """Return the pages for `Simulator.add_section`."""
    held = _Pages(run)
    routes = [
        Route(PATH, page(held.show)),
        Route(PATH, form(held.start), methods=["POST"]),
        Route(f"{PATH}/stop", form(held.stop), methods=["POST"]),
        Route(f"{PATH}/report.{{ending}}", page(held.download)),
    ]
    return Section("Conformance", PATH, routes, run.aclose)


class _Pages:
    """The handlers of the pages about `run`."""

    def __init__(self, run: PageRun) -> None:
        self.run = run
        self._templates: jinja2.Environment | None = None

    async def show(self, request: Request) -> Response:
        report = self.run.report()
        return render(
            request,
            "conformance.html",
            templates=self._environment(request),
            run=self.run,
            report=report,
            groups=GROUPS,
            total=len(ALL),
            failed_count=report.count("failed"),
            downloads=_DOWNLOADS,
            evidence=evidence,
        )

    async def start(self, request: Request, fields: Mapping[str, str]) -> str:  # noqa: ARG002 - all form handlers alike
        self.run.start(self._chosen(fields))
        return PATH

    async def stop(self, request: Request, fields: Mapping[str, str]) -> str:  # noqa: ARG002 - all form handlers alike
        self.run.stop()
        return PATH

    async def download(self, request: Request) -> Response:
        """Serve the report as a file in the format that its ending says."""
        known = _DOWNLOADS.get(request.path_params["ending"])
        if known is None or not self.run.results:
            raise not_found("report; check something first")
        report_format, media_type = known
        name = f"conformance-{self.run.options.journal_path(parts(request).offer.slug).stem}"
        headers = {"Content-Disposition": f'attachment; filename="{name}.{request.path_params["ending"]}"'}
        return Response(write(self.run.report(), report_format), headers=headers, media_type=media_type)

    def _chosen(self, fields: Mapping[str, str]) -> list[Requirement]:
        level = Level.MUST if fields.get("level") == "must" else Level.SHOULD
        what = fields.get("what", "")
        if what == "failed":
            return [one.requirement for one in self.run.results if one.outcome == "failed"]
        try:
            return select(ALL, only=[what] if what else [], level=level)
        except NothingSelected:
            raise not_found("requirement or group") from None

    def _environment(self, request: Request) -> jinja2.Environment:
        """Return the simulator's own templates with ours before them."""
        if self._templates is None:
            theirs = parts(request).templates
            loaders = [jinja2.FileSystemLoader(Path(__file__).parent / "templates"), theirs.loader]
            self._templates = theirs.overlay(loader=jinja2.ChoiceLoader([one for one in loaders if one]))
        return self._templates
