"""What the bench makes of its numbers."""

import json
import math
from xml.etree import ElementTree as ET

from bench.chart import chart
from bench.figures import Bar, Spread, ratios, words
from bench.report import Section, Table, markdown, write


def section(name="provision", **more):
    table = Table(["who", "a second"], [["ours", "12.0 (10.0-14.0)"]], "16 clients")
    return Section(name, name.title(), ["How it was measured."], [table], measured="2026-11-21, 2 cores", **more)


def test_a_spread_is_the_median_between_the_lowest_and_the_highest():
    assert Spread.of([30, 10, 20]) == Spread(20, 10, 30)
    assert str(Spread.of([1234.5, 0.123, 20])) == "20.0 (0.12-1,234)"


def test_ratios_are_taken_round_by_round():
    # The machine was slow in the second round: both were, and the ratio is the same.
    assert ratios([100, 10, 100], [200, 20, 200]) == Spread(0.5, 0.5, 0.5)


def test_a_round_in_which_nothing_was_done_tells_nothing():
    assert ratios([5, 7], [0, 14]) == Spread(0.5, 0.5, 0.5)
    assert math.isnan(ratios([5], [0]).median)
    assert words(math.nan) == "?"


def test_a_section_is_a_heading_words_and_tables():
    text = markdown(section(remarks=["Ruby is not installed."]))
    assert text == (
        "## Provision\n\n`python -m bench provision`; 2026-11-21, 2 cores.\n\nHow it was measured.\n\n"
        "**16 clients**\n\n"
        "| who | a second |\n| --- | ---: |\n| ours | 12.0 (10.0-14.0) |\n\nRuby is not installed.\n"
    )


def test_a_part_that_is_measured_again_leaves_the_others_as_they_were(tmp_path):
    bars = [Bar("ours <16>", Spread(12, 10, 14), is_ours=True)]
    folder = tmp_path / "new"
    write([section(bars=bars), section("growth")], folder)
    before = (folder / "measurements.md").read_text()
    write([section("growth", remarks=["Measured again."])], folder)
    after = (folder / "measurements.md").read_text()
    assert after == before.rstrip("\n") + "\n\nMeasured again.\n"
    assert list(json.loads((folder / "measurements.json").read_text())) == ["provision", "growth"]
    assert "ours &lt;16&gt;" in (folder / "measurements.svg").read_text()


def test_the_picture_is_drawn_to_scale_says_its_numbers_and_loads_nothing():
    bars = [Bar("pgbench", Spread(1000, 900, 1200)), Bar("ours", Spread(600, 500, 700), is_ours=True)]
    text = chart("Provisions a second", bars)
    picture = ET.fromstring(text)
    widths = [float(bar.get("width")) for bar in picture.iter("{http://www.w3.org/2000/svg}rect")]
    assert round(widths[1] / widths[0], 3) == 0.6
    assert picture.get("aria-label") == "Provisions a second: pgbench 1,000, ours 600"
    assert "href" not in text
    assert "script" not in text
