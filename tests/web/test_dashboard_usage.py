"""How full it is: in words, as bars and as charts."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from rig import Rig
from visits import Browser, install, install_at_heroku, words

from app.resources.history import Hour
from app.resources.traces import Reading
from app.web.chart import draw
from app.web.pages import amount, place, span

MEGABYTE = 1024**2


class TestUsage:
    async def _read(self, rig: Rig, uuid: str, used: list[int], *, limit: int, name: str = "storage") -> None:
        """Hourly readings, the last of them now."""
        unit = "bytes" if name == "storage" else "count"
        async with rig.context.database.transaction() as session:
            for age, amount_used in enumerate(reversed(used)):
                at = rig.clock() - timedelta(hours=age)
                session.add(
                    Reading(resource_uuid=UUID(uuid), name=name, at=at, used=amount_used, limit=limit, unit=unit)
                )

    async def test_what_is_used_is_told_in_words_and_drawn(self, key_rig: Rig, browser: Browser):
        uuid = await install(key_rig)
        await self._read(key_rig, uuid, [4 * MEGABYTE, 12 * MEGABYTE, 16 * MEGABYTE], limit=64 * MEGABYTE)
        await self._read(key_rig, uuid, [0, 0, 19], limit=20, name="connections")
        page = await browser.arrive(uuid)
        assert "Usage Storage 16.0 MB of 64.0 MB 25 %" in words(page)
        assert "Connections 19 of 20 95 %" in words(page)
        assert 'aria-label="Storage was between 4.0 MB and 16.0 MB"' in page.text
        assert page.text.count("<polyline") == 2
        assert '<rect class="fill warn" width="95.00%"' in page.text

    async def test_a_measure_that_the_present_plan_no_longer_has_is_not_shown(self, key_rig: Rig, browser: Browser):
        uuid = await install(key_rig)
        await self._read(key_rig, uuid, [3], limit=20, name="connections")
        key_rig.clock.forward(minutes=5)
        await self._read(key_rig, uuid, [MEGABYTE], limit=64 * MEGABYTE)
        page = await browser.arrive(uuid)
        assert "Storage 1.0 MB" in words(page)
        assert "Connections" not in page.text

    async def test_over_the_limit_the_page_says_until_when_writes_work_and_what_to_do(
        self, key_rig: Rig, browser: Browser
    ):
        uuid = await install(key_rig, name="acme-postgres-full-1")
        await self._read(key_rig, uuid, [70 * MEGABYTE], limit=64 * MEGABYTE)
        noon = datetime(2030, 1, 31, 12, tzinfo=UTC)
        async with key_rig.context.database.transaction() as session:
            resource = await session.merge(await key_rig.resource(uuid))
            resource.over_quota_at = noon
        told = words(await browser.arrive(uuid))
        assert "Storage 70.0 MB of 64.0 MB over the limit" in told
        assert "From 31 Jan 2030, 13:00 UTC on writes are refused" in told
        assert "heroku addons:upgrade acme-postgres-full-1 acme-postgres:PLAN" in told

        async with key_rig.context.database.transaction() as session:
            resource = await session.merge(await key_rig.resource(uuid))
            resource.read_only_at = noon + timedelta(hours=1)
        told = words(await browser.see(uuid))
        assert "Read-only: writes are refused" in told
        assert "Since 31 Jan 2030, 13:00 UTC this add-on is read-only" in told
        assert "Everything still works" not in told

    async def test_the_first_measurement_of_a_real_database_appears(self, rig: Rig):
        uuid = await install_at_heroku(rig)
        async with rig.context.database.transaction() as session:
            await rig.context.queue.enqueue(session, "measure_usage", UUID(uuid))
        await rig.work()
        browser = Browser(rig)
        told = words(await browser.arrive(uuid))
        await browser.http.aclose()
        assert re.search(r"Storage [\d.]+ MB of 64\.0 MB", told)
        assert "Connections 0 of 5 0 %" in told
        assert 'psql "$ACME_POSTGRES_URL"' in told


class TestChart:
    until = datetime(2026, 11, 8, tzinfo=UTC)
    since = until - timedelta(days=7)

    def _draw(self, readings: dict[int, int], limit: int = 100):
        """`readings` by their age in hours."""
        hours = [Hour(self.until - timedelta(hours=age), used) for age, used in readings.items()]
        return draw(hours, limit=limit, since=self.since, until=self.until)

    @pytest.mark.parametrize("readings", [{}, {1: 5}])
    def test_fewer_than_two_hours_make_no_chart(self, readings):
        assert self._draw(readings) is None

    def test_a_line_goes_from_edge_to_edge(self):
        chart = self._draw(dict.fromkeys(range(168, -1, -1), 10))
        assert len(chart.lines) == 1
        assert chart.lines[0].startswith("0.00,")
        assert chart.lines[0].rpartition(" ")[2].startswith("100.00,")
        assert (chart.lowest, chart.highest) == (10, 10)
        assert len(chart.days) == 8

    def test_a_silence_is_a_hole_and_a_lonely_hour_a_dot(self):
        chart = self._draw({20: 1, 19: 2, 10: 3, 1: 4, 0: 5})
        first, lonely, last = (line.split() for line in chart.lines)
        assert (len(first), len(last)) == (2, 2)
        assert lonely == [lonely[0]] * 2

    @pytest.mark.parametrize(
        ("used", "limit", "is_seen"),
        [(39, 100, False), (40, 100, True), (150, 100, True), (0, 100, True), (5, 0, True)],
    )
    def test_the_limit_is_drawn_once_it_is_in_sight(self, used, limit, is_seen):
        chart = self._draw({1: used, 0: used}, limit)
        assert (chart.limit_y is not None) is is_seen
        assert chart.limit_y is None or 0 <= chart.limit_y <= 100
        assert all(0 <= float(point.split(",")[1]) <= 100 for point in chart.lines[0].split())


class TestWordsForPeople:
    @pytest.mark.parametrize(
        ("duration", "words"),
        [
            (timedelta(hours=2), "2 hours"),
            (timedelta(hours=1), "1 hour"),
            (timedelta(minutes=90), "90 minutes"),
            (timedelta(days=1), "1 day"),
            (timedelta(seconds=61), "61 seconds"),
        ],
    )
    def test_durations_are_in_the_largest_unit_without_a_rest(self, duration, words):
        assert span(duration) == words

    @pytest.mark.parametrize(
        ("region", "words"),
        [
            ("amazon-web-services::us-east-1", "Virginia, United States"),
            ("amazon-web-services::mars-1", "mars-1"),
            ("somewhere", "somewhere"),
        ],
    )
    def test_regions_are_places_and_unknown_ones_keep_their_name(self, region, words):
        assert place(region) == words

    @pytest.mark.parametrize(
        ("value", "unit", "words"),
        [
            (0, "bytes", "0 bytes"),
            (1023, "bytes", "1,023 bytes"),
            (1536, "bytes", "1.5 KB"),
            (3 * 1024**4, "bytes", "3.0 TB"),
            (12345, "count", "12,345"),
        ],
    )
    def test_amounts_have_their_unit(self, value, unit, words):
        assert amount(value, unit) == words
