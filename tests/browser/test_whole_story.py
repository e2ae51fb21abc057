"""The story that the README tells, played by a real browser: web, worker, simulator and Postgres are real processes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from chromium import Window, chromium, free_port, needs_chromium, see
from playwright.sync_api import Browser, Page, expect

PROJECT = Path(__file__).parents[2]

pytestmark = [
    needs_chromium,
    pytest.mark.skipif(
        json.loads((PROJECT / "addon-manifest.json").read_bytes())["id"] != "acme-postgres",
        reason="this story is Acme Postgres's: tell your own",
    ),
]


@contextmanager
def everything_running(folder: Path, port: int, simulator_port: int) -> Iterator[subprocess.Popen[str]]:
    """`./run`, as a child whose data is in `folder`; stopped as by Ctrl-C."""
    words = ["--folder", str(folder), "--port", str(port), "--simulator-port", str(simulator_port)]
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    with subprocess.Popen(
        [sys.executable, "-m", "app", "dev", *words],
        cwd=PROJECT,
        env=environment | {"NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if "The add-on and its Heroku are running" in line:
                break
        assert process.poll() is None, "".join(said)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            said.extend(process.stdout)
            process.wait(30)
    assert process.returncode == 0, "".join(said)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


class Story(Window):
    """What the story's customer does, at the simulator of this address."""

    def __init__(self, browser: Browser, simulator: str, **how: object) -> None:
        super().__init__(browser, **how)
        self.simulator = simulator

    def create_app(self, name: str) -> None:
        self.page.goto(f"{self.simulator}/")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_role("button", name="Create app").click()
        expect(self.page.get_by_role("heading", level=1, name=name)).to_be_visible()

    def install(self, app: str, plan: str) -> None:
        self.page.goto(f"{self.simulator}/marketplace/apps/{app}/install")
        self.page.get_by_role("radio", name=plan).check()
        self.page.get_by_role("button", name="Install").click()

    def open_addon(self, app: str) -> None:
        self.page.goto(f"{self.simulator}/marketplace/apps/{app}")
        self.page.locator("a.row-link").click()

    def config_url(self, app: str) -> str:
        """What a customer copies out of the app's config."""
        self.page.goto(f"{self.simulator}/marketplace/apps/{app}")
        section = self.page.locator("section", has=self.page.get_by_role("heading", name="Config vars"))
        section.locator("summary, button").first.click()
        return section.locator("text=/^postgres:\\/\\//").first.inner_text().strip()

    def open_dashboard(self) -> Page:
        with self.context.expect_page() as opened:
            self.page.get_by_role("button", name="Open dashboard").click()
        dashboard = opened.value
        dashboard.wait_for_url("**/dashboard/**")
        return dashboard

    def releases(self, app: str) -> str:
        self.page.goto(f"{self.simulator}/marketplace/apps/{app}")
        return self.page.locator("section", has=self.page.get_by_role("heading", name="Releases")).inner_text()


def opens(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


def test_a_stranger_sells_uses_rotates_and_removes_a_database(browser: Browser, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dev")
    folder.chmod(0o755)
    port, simulator_port = free_port(), free_port()
    simulator = f"http://127.0.0.1:{simulator_port}"
    with everything_running(folder, port, simulator_port):
        story = Story(browser, simulator, viewport={"width": 1200, "height": 900})
        page = story.page

        story.create_app("demo")
        story.install("demo", "standard")
        # No reload: the page watches the add-on become ready by itself.
        expect(page.get_by_text("provisioned", exact=True).first).to_be_visible()
        see(page, "app-provisioned")

        first_url = story.config_url("demo")
        with psycopg.connect(first_url) as connection:
            connection.execute("CREATE TABLE greeting (words text)")
            connection.execute("INSERT INTO greeting VALUES ('hello')")

        story.open_addon("demo")
        page.get_by_role("radio", name="premium").check()
        page.get_by_role("button", name="Change plan").click()
        expect(page.get_by_text("acme-postgres:premium").first).to_be_visible()
        see(page, "addon-premium")

        dashboard = story.open_dashboard()
        expect(dashboard.get_by_text("premium").first).to_be_visible()
        assert first_url not in dashboard.content()
        see(dashboard, "dashboard")
        dashboard.get_by_role("button", name="Show the values").click()
        expect(dashboard.get_by_text(first_url)).to_be_visible()
        see(dashboard, "dashboard-shown")

        releases_before = story.releases("demo")
        dashboard.get_by_text("Rotate credentials").first.click()
        dashboard.get_by_role("button", name="Rotate now").click()
        expect(dashboard.get_by_text("A rotation is under way")).to_be_visible()
        expect(dashboard.get_by_text("The previous ones work until")).to_be_visible()
        see(dashboard, "dashboard-rotating")
        second_url = story.config_url("demo")
        assert second_url != first_url
        assert story.releases("demo") != releases_before
        assert opens(first_url)
        with psycopg.connect(second_url) as connection:
            assert connection.execute("SELECT words FROM greeting").fetchone() == ("hello",)

    # Yesterday's data is there today.
    with everything_running(folder, port, simulator_port):
        assert story.config_url("demo") == second_url
        assert opens(second_url)
        dashboard.reload()
        dashboard.get_by_text("Retire the previous ones now").click()
        dashboard.get_by_role("button", name="Retire them now").click()
        expect(dashboard.get_by_text("Rotate credentials").first).to_be_visible()
        assert not opens(first_url)
        assert opens(second_url)
        see(dashboard, "dashboard-retired")

        story.open_addon("demo")
        page.get_by_label("To confirm, type").fill("demo")
        page.get_by_role("button", name="Remove acme-postgres").click()
        expect(page.get_by_text("Nothing installed")).to_be_visible()
        dashboard.reload()
        expect(dashboard.get_by_text("This add-on is gone")).to_be_visible()
        see(dashboard, "dashboard-gone")
        for _ in range(100):
            if not opens(second_url):
                break
            page.wait_for_timeout(100)
        assert not opens(second_url)
    # The one thing a browser may complain about is the page that says 410, and what went away during the restart.
    assert [text for text in story.complaints if "410" not in text and "ERR_" not in text] == []


def test_the_story_works_on_a_phone_in_the_dark_without_javascript(browser: Browser, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dev")
    folder.chmod(0o755)
    port, simulator_port = free_port(), free_port()
    with everything_running(folder, port, simulator_port):
        how = {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark", "java_script_enabled": False}
        story = Story(browser, f"http://127.0.0.1:{simulator_port}", **how)
        page = story.page
        story.create_app("pocket")
        story.install("pocket", "test")
        expect(page.get_by_text("provisioned", exact=True).first).to_be_visible()
        see(page, "phone-app")
        url = story.config_url("pocket")
        assert opens(url)
        story.open_addon("pocket")
        with story.context.expect_page() as opened:
            page.get_by_role("button", name="Open dashboard").click()
        dashboard = opened.value
        dashboard.get_by_role("button").first.click()  # without JavaScript the form waits to be sent
        dashboard.wait_for_url("**/dashboard/**")
        see(dashboard, "phone-dashboard")
        assert dashboard.evaluate("document.documentElement.scrollWidth") <= 360
        dashboard.get_by_role("button", name="Show the values").click()
        expect(dashboard.get_by_text(url)).to_be_visible()
        dashboard.get_by_text("Rotate credentials").first.click()
        dashboard.get_by_role("button", name="Rotate now").click()
        expect(dashboard.get_by_text("A rotation is under way")).to_be_visible()
        dashboard.get_by_role("button", name="Sign out").click()
        expect(dashboard.get_by_text("signed out").first).to_be_visible()
        see(dashboard, "phone-signed-out")
        assert story.complaints == []
