"""Reading /metrics in tests, and an install as Heroku's simulator makes it."""

from prometheus_client.parser import text_string_to_metric_families
from rig import Rig

TOKEN = "prometheus-may-read-this"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


class Lines(dict):
    def sum(self, name: str, **labels: str) -> float:
        """Of the lines of this name that have these labels."""
        return sum(
            number for (line, had), number in self.items() if line == name and labels.items() <= dict(had).items()
        )


async def scrape(rig: Rig) -> Lines:
    """Every line by its name and labels, as things are now."""
    rig.clock.forward(seconds=6)
    answer = await rig.http.get("/metrics", headers=BEARER)
    assert answer.status_code == 200
    return Lines(
        {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }
    )


async def install(rig: Rig, plan: str):
    app = rig.simulator.world.create_app(f"shop-{len(rig.simulator.world.apps)}")
    return await rig.simulator.calls.provision(app.name, plan)
