"""How somebody works a page: with a pointer, or with the Tab key and no pointer at all."""

from dataclasses import dataclass

from playwright.async_api import Locator, Page, expect

_MOST_TABS = 150
_IS_VISIBLE_FOCUS = "e => e === document.activeElement && getComputedStyle(e).outlineStyle !== 'none'"


@dataclass
class Hands:
    page: Page
    by_keyboard: bool

    async def press(self, role: str, name: str, *, exact: bool = True) -> None:
        """Follow a link, push a button."""
        target = self.page.get_by_role(role, name=name, exact=exact).first
        if self.by_keyboard:
            await self._reach(target)
            await self.page.keyboard.press("Enter")
        else:
            await target.click()

    async def write(self, label: str, text: str) -> None:
        target = self.page.get_by_label(label)
        if self.by_keyboard:
            await self._reach(target)
            await self.page.keyboard.press("ControlOrMeta+A")
            await self.page.keyboard.type(text)
        else:
            await target.fill(text)

    async def choose(self, label: str, option: str) -> None:
        """Of a list; its letters are typed, as people do."""
        target = self.page.get_by_label(label)
        if self.by_keyboard:
            await self._reach(target)
            await self.page.keyboard.type(option)
        else:
            await target.select_option(label=option)

    async def reads(self, words: str) -> None:
        await expect(self.page.get_by_text(words).first).to_be_visible()

    async def _reach(self, target: Locator) -> None:
        await expect(target).to_be_visible()
        for _ in range(_MOST_TABS):
            if await target.evaluate(_IS_VISIBLE_FOCUS):
                return
            await self.page.keyboard.press("Tab")
        raise AssertionError(f"The Tab key does not lead to {target}, or the focus is not seen there.")
