"""Browsers for the customer's pages."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from rig import Rig
from visits import Browser


@pytest.fixture
async def new_browser(key_rig: Rig) -> AsyncIterator[Callable[[], Browser]]:
    async with AsyncExitStack() as stack:

        def new_browser() -> Browser:
            browser = Browser(key_rig)
            stack.push_async_callback(browser.http.aclose)
            return browser

        yield new_browser


@pytest.fixture
def browser(new_browser) -> Browser:
    return new_browser()
