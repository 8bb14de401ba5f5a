"""The code in README and docs runs as it stands there."""

import pathlib
import re

import pytest

from tests.fixtures_hands import as_users_call

ROOT = pathlib.Path(__file__).resolve().parent.parent
BLOCK = re.compile(r'^```python\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def _pages():
  pages = [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]
  # tests/test_interop.py and tests/test_readme.py run these; TFDS takes a builder once.
  pages = [page for page in pages if page.stem not in ('interop', 'data')]
  return [page for page in pages if BLOCK.search(page.read_text())]


@pytest.mark.parametrize('page', _pages(), ids=lambda page: page.name)
def test_python_blocks_run_in_their_order(page, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  namespace = {'__name__': page.stem}
  text = page.read_text()
  with as_users_call():
    for block in BLOCK.finditer(text):
      # The lines of the page in tracebacks.
      start = text[: block.start(1)].count('\n')
      exec(compile('\n' * start + block[1], str(page), 'exec'), namespace)
