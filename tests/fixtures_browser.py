"""A real browser for the tests of pages, where there is one."""

import contextlib
import shutil
from collections.abc import Iterator

import pytest


@contextlib.contextmanager
def open_browser() -> Iterator:
  """A headless Chromium; the test is skipped, with the reason, where there is none."""
  playwright = pytest.importorskip('playwright.sync_api')
  names = ('chromium', 'chromium-browser', 'google-chrome')
  program = next(filter(None, map(shutil.which, names)), None)
  if program is None:
    pytest.skip(f'no browser: none of {", ".join(names)} is installed')
  with playwright.sync_playwright() as running:
    browser = running.chromium.launch(executable_path=program, args=['--no-sandbox'])
    yield browser
    browser.close()
