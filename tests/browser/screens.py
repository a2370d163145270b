"""Pictures for the documentation, made on the way by the tests that walk through the studio.

make screens: with LIKENESS_SCREENS naming a folder they train as long as a person would, and keep what is seen.
"""

import os
from pathlib import Path

from selenium.webdriver import Chrome

from benchmarks.studio_screens import DESK, picture, save
from tests.browser.serving import wide

FOLDER = os.environ.get("LIKENESS_SCREENS")


def keep(page: Chrome, name: str, size: tuple[int, int] = DESK, theme: str = "light", height: int = 1100) -> None:
    """The page as it is now, from its top, `height` pixels of it; nothing where no pictures are wanted."""
    if FOLDER:
        save(picture(page, size, theme, height), Path(FOLDER) / f"{name}.png")
        wide(page)
