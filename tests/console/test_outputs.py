"""Outputs: whole or not at all, of the right ending, told in one sentence."""

import ast
import errno
import os

import pytest

from bmc_jax.console.outputs import ANY, Kind, check_output, replacing
from tests.fixtures.session import ROOT

DISK = '/dev/full'  # Linux: every write to it finds the disk full


def _fill(partial):
  """Writes half a file, and then finds the disk full."""
  partial.write_text('half of')
  with open(DISK, 'w') as disk:
    disk.write('the rest')


def _raise(error):
  def raise_it(partial):
    partial.write_text('half of')
    raise error

  return raise_it


@pytest.mark.parametrize(
  'write, kind, message',
  [
    (_fill, OSError, 'There is no room to write .*x.json: make room and'),
    (_raise(ValueError('no hands')), ValueError, 'no hands'),
    (_raise(KeyboardInterrupt()), KeyboardInterrupt, '^$'),
    # As tensorstore tells a full disk.
    (_raise(RuntimeError("x [os_error_code='28']")), OSError, 'no room to write'),
    # Of another file, which was read meanwhile.
    (_raise(PermissionError(errno.EACCES, 'denied', '/other')), OSError, "'/other'"),
  ],
)
@pytest.mark.parametrize('there', [True, False])
def test_an_error_leaves_the_file_as_it_was(tmp_path, write, kind, message, there):
  path = tmp_path / 'x.json'
  if there:
    path.write_text('good')
  with pytest.raises(kind, match=message) as error, replacing(path) as partial:
    write(partial)
  assert '\n' not in str(error.value) and 'Errno 28' not in str(error.value)
  assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == (
    [('x.json', 'good')] if there else []
  )


def test_a_file_appears_with_its_folders_when_it_is_whole(tmp_path):
  path = tmp_path / 'a' / 'b' / 'x.tar.JSON'
  with replacing(path, Kind('limits', ('.json',))) as partial:
    assert partial.suffix == '.JSON' and partial.parent == path.parent
    partial.write_text('new')
    assert not path.exists()
  assert [file.name for file in path.parent.iterdir()] == [path.name]
  assert path.read_text() == 'new'


def test_a_link_and_the_mode_of_a_file_stay(tmp_path):
  real, link = tmp_path / 'real' / 'x.json', tmp_path / 'x.json'
  real.parent.mkdir()
  real.write_text('old')
  real.chmod(0o640)
  link.symlink_to(real)
  with replacing(link, Kind('limits', ('.json',))) as partial:
    partial.write_text('new')
  assert link.is_symlink() and real.read_text() == 'new'
  assert real.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
  'ask', [check_output, lambda *a, **k: replacing(*a, **k).__enter__()]
)
def test_what_does_not_fit_is_refused(tmp_path, monkeypatch, ask):
  file = tmp_path / 'x.json'
  file.write_text('good')
  with pytest.raises(ValueError, match=r'pages are written as \.html or \.htm; name'):
    ask(file, Kind('pages', ('.html', '.htm')))
  with pytest.raises(ValueError, match='is a folder'):
    ask(tmp_path)
  with pytest.raises(ValueError, match='is no ordinary file'):
    ask('/dev/null')
  monkeypatch.setattr(os, 'access', lambda path, mode: False)
  with pytest.raises(ValueError, match='write-protected'):
    ask(file)
  assert file.read_text() == 'good'


def test_what_is_read_is_not_written_and_a_check_makes_nothing(tmp_path):
  file, link = tmp_path / 'x.json', tmp_path / 'link.json'
  file.write_text('good')
  link.symlink_to(file)
  with pytest.raises(ValueError, match='is read, so it cannot be written'):
    check_output(link, ANY, None, 'clinical', file)
  with pytest.raises(ValueError, match='in a folder of yours'):
    check_output(file / 'below.json')
  check_output(tmp_path / 'a' / 'b.json', ANY, None, file)
  assert {path.name for path in tmp_path.iterdir()} == {'x.json', 'link.json'}


def test_a_folder_that_can_not_be_written_is_told(tmp_path):
  (tmp_path / 'file').write_text('')
  with pytest.raises(OSError, match='in a folder of yours') as error:
    with replacing(tmp_path / 'file' / 'x.json') as partial:
      partial.write_text('new')
  assert '\n' not in str(error.value)


# Who calls them has a file of `replacing` in hand, or the folder is thrown away as a
# whole.
IN_GOOD_HANDS = {
  'export/stablehlo.py',
  'export/tflite.py',
  'data_prep/cards.py',
  'data_prep/contact_sheet.py',
  'data_prep/beam.py',
  'data_prep/archives.py',
  'data_prep/folders.py',
  'data_prep/rehearsal/layouts.py',
}
WRITERS = {'write_text', 'write_bytes', 'savefig', 'imwrite', 'copyfile'}
WRITERS |= {'savez', 'savez_compressed', 'shutil.copy'}


def _bare_writes(text):
  """Lines that write a file outside of a block of `replacing`."""
  if not any(word in text for word in (*WRITERS, "'w", "'x")):
    return
  nodes = [(ast.parse(text), False)]
  while nodes:
    node, inside = nodes.pop()
    if isinstance(node, ast.With):
      inside |= any('replacing(' in ast.unparse(item) for item in node.items)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
      name, arguments = node.func.attr, [ast.unparse(arg) for arg in node.args]
      named = {name, ast.unparse(node.func)}
      writes = named & WRITERS and 'buffer' not in arguments  # in memory
      opens = name in ('open', 'ZipFile') and {"'w'", "'wb'", "'xb'"} & {*arguments}
      if (opens or writes) and not inside:
        yield node.lineno
    nodes += [(child, inside) for child in ast.iter_child_nodes(node)]


def test_every_file_is_written_as_a_whole():
  bare = [
    f'{path}:{line}'
    for part in ('bmc_jax', 'data_prep', 'configs')
    for path in sorted((ROOT / part).rglob('*.py'))
    if not any(str(path).endswith(name) for name in IN_GOOD_HANDS)
    and path.name != 'outputs.py'
    for line in _bare_writes(path.read_text())
  ]
  assert not bare
  assert [*_bare_writes('from pathlib import Path\nPath("x").write_text("")')] == [2]
