"""The tools of the docs do what they say."""

import importlib.util
import re
import types

import pytest

from tests.fixtures.session import ROOT


def _tool(name: str) -> types.ModuleType:
  path = ROOT / 'docs' / 'tools' / f'{name}.py'
  spec = importlib.util.spec_from_file_location(name, path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


@pytest.fixture
def hooks():
  pytest.importorskip('latex2mathml', reason='the extra docs is not installed')
  return _tool('hooks')


@pytest.fixture
def page():
  return types.SimpleNamespace(file=types.SimpleNamespace(src_path='api/some.md'))


def test_formulas_become_mathml(hooks):
  content = r'<p>so <span class="arithmatex">\(a &lt; b_1\)</span>.</p>'
  drawn = hooks.on_page_content(content)
  assert re.match(r'<p>so <math .*display="inline".*</math>\.</p>', drawn)
  assert '<msub><mi>b</mi><mn>1</mn></msub>' in drawn and 'arithmatex' not in drawn
  block = hooks.on_page_content('<div class="arithmatex">\n\\[x^2\\]\n</div>')
  assert 'display="block"' in block


def test_links_out_of_the_docs_become_text(hooks, page):
  text = '[the code](../../bmc_jax/skeleton.py) of [the method](../concepts.md#a)'
  drawn = hooks.on_page_markdown(text, page)
  assert drawn == 'the code of [the method](../concepts.md#a)'


def test_a_link_to_a_missing_file_is_an_error(hooks, page):
  with pytest.raises(FileNotFoundError, match=r'api/some.md links to ../nothing.md'):
    hooks.on_page_markdown('[x](../nothing.md)', page)


def test_the_readme_prints_what_it_says():
  printed, expected = _tool('readme_example').run(str(ROOT / 'README.md'))
  assert printed == expected != ''


def test_every_module_of_the_pure_core_has_an_api_page():
  pages = ''.join(page.read_text() for page in (ROOT / 'docs' / 'api').glob('*.md'))
  named = set(re.findall(r'^::: (bmc_jax[.\w]+)', pages, re.MULTILINE))
  pure = re.search(
    r'The pure modules \((.*?)\)', (ROOT / 'CONTRIBUTING.md').read_text(), re.S
  )
  assert {f'bmc_jax.{name}' for name in re.findall(r'`([\w.]+)`', pure[1])} <= named


def test_the_workflow_runs_the_targets_of_ci():
  workflow = (ROOT / '.github' / 'workflows' / 'ci.yml').read_text()
  calls = re.findall(r'^make (.*)', (ROOT / '.ci' / 'run').read_text(), re.M)
  targets = {word for call in calls for word in call.split() if word[0] != '-'}
  assert targets - {'venv'} == set(re.findall(r'target: (\w+)', workflow))
