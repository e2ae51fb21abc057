"""The add-on's work in the background: whatever is unfinished of a resource is finished, also after a restart."""

import asyncio
import secrets
from collections import defaultdict
from typing import TYPE_CHECKING

from addon_heroku import GaveUp, Gone
from addon_store import Resource

if TYPE_CHECKING:
    from addon import AddOn


class Jobs:
    def __init__(self, addon: "AddOn") -> None:
        self._addon = addon
        self._tasks: dict[str, set[asyncio.Task[None]]] = defaultdict(set)

    def start(self, resource: Resource) -> None:
        task = asyncio.create_task(self._run(resource))
        self._tasks[resource.uuid].add(task)
        task.add_done_callback(self._tasks[resource.uuid].discard)

    def cancel(self, uuid: str) -> None:
        for task in self._tasks.pop(uuid, ()):
            task.cancel()

    def is_at_work(self, uuid: str) -> bool:
        return bool(self._tasks.get(uuid))

    async def aclose(self) -> None:
        tasks = [task for of_one in self._tasks.values() for task in of_one]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, resource: Resource) -> None:
        addon, was_provisioning = self._addon, resource.state == "provisioning"
        try:
            await self._finish(resource)
        except Gone:
            addon.log(f"Heroku no longer knows {resource.uuid}.")
        except GaveUp as error:
            addon.log(f"Gave up on {resource.uuid}: {error}")
            if was_provisioning and not addon.has("dead-job-leaves-provisioning"):
                await self._announce_failure(resource)
        except Exception as error:  # noqa: BLE001 - work that crashed is started again by the next request or start
            addon.log(f"{type(error).__name__} while working on {resource.uuid}.")
        finally:
            if addon.has("work-brings-removed-back"):
                await asyncio.sleep(addon.settings.work_seconds)
                resource.state = "provisioned"

    async def _finish(self, resource: Resource) -> None:
        addon = self._addon
        await addon.heroku.token(resource)  # first: a grant lives five minutes
        if resource.state == "provisioning":
            await asyncio.sleep(addon.settings.work_seconds)
            if addon.has("provisioned-before-config"):
                await addon.heroku.call(resource, "POST", f"/addons/{resource.uuid}/actions/provision")
        await asyncio.gather(addon.heroku.write_log(resource), self._push_config(resource), self._subscribe(resource))
        if resource.state != "provisioning" or addon.has("never-announces"):
            return
        await addon.heroku.call(resource, "POST", f"/addons/{resource.uuid}/actions/provision")
        if resource.state == "provisioning":
            resource.state = "provisioned"
            addon.store.save()

    async def _announce_failure(self, resource: Resource) -> None:
        if resource.state == "provisioning":
            resource.state = "failed"
            self._addon.store.save()
        try:
            await self._addon.heroku.call(resource, "POST", f"/addons/{resource.uuid}/actions/deprovision")
        except (Gone, GaveUp) as error:
            self._addon.log(f"Heroku could not be told that {resource.uuid} failed: {type(error).__name__}.")

    async def _push_config(self, resource: Resource) -> None:
        """Send the config that is right at the moment until Heroku has it; others may change it meanwhile."""
        has = self._addon.has
        is_first = has("second-post-starts-again")
        while (is_first or resource.pushed != resource.config) and not has("config-never-pushed"):
            config, is_first = resource.config, False
            sent = config | {"ACME_KEYS_SECRET": "not-in-the-manifest"} if has("undeclared-config-pushed") else config
            if has("pushed-config-broken"):
                sent = sent | {"ACME_KEYS_URL": "keys.acme.example"}
            pairs = [{"name": name, "value": value} for name, value in sent.items()]
            await self._addon.heroku.call(resource, "PATCH", f"/addons/{resource.uuid}/config", {"config": pairs})
            if has("config-pushed-twice"):
                await self._addon.heroku.call(resource, "PATCH", f"/addons/{resource.uuid}/config", {"config": pairs})
            resource.pushed = config
            self._addon.store.save()

    async def _subscribe(self, resource: Resource) -> None:
        if resource.is_subscribed:
            return
        path = f"/addons/{resource.uuid}/webhooks"
        url = f"{self._addon.settings.url}/webhooks/{resource.uuid}"
        if not resource.webhook_secret:
            resource.webhook_secret = secrets.token_hex(20)
            self._addon.store.save()
        known = await self._addon.heroku.call(resource, "GET", path)
        if all(one["url"] != url for one in known.json()):
            order = {"include": ["api:addon"], "level": "sync", "url": url, "secret": resource.webhook_secret}
            await self._addon.heroku.call(resource, "POST", path, order)
        resource.is_subscribed = True
        self._addon.store.save()
