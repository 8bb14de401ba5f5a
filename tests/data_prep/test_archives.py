"""Archives as sources: the same data as from the folder, and nothing outside of it."""

import io
import os
import shutil
import tarfile
import zipfile

import pytest

from bmc_jax.data_prep import archives
from bmc_jax.data_prep import build as build_lib
from tests.fixtures.layouts import write_photos


def _tar(path, **members):
  """A tar file; a member is the content, or a TarInfo."""
  with tarfile.open(path, 'w:gz') as archive:
    for name, content in members.items():
      if isinstance(content, tarfile.TarInfo):
        archive.addfile(content)
      else:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
  return path


def _zip(path, members):
  with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
    for name, content in members.items():
      archive.writestr(name, content)
  return path


def _zip_link(name, target):
  info = zipfile.ZipInfo(name)
  info.external_attr = 0o120777 << 16
  return {info: target}


def _tar_link(name, target, kind=tarfile.SYMTYPE):
  info = tarfile.TarInfo(name)
  info.type, info.linkname = kind, target
  return info


@pytest.mark.parametrize('kind', ['zip', 'tar', 'gztar'])
def test_an_archive_gives_the_files_of_the_folder(tmp_path, kind):
  write_photos(tmp_path / 'real' / 'real_world_testset', 2)
  archive = shutil.make_archive(str(tmp_path / 'set'), kind, tmp_path / 'real')
  source = tmp_path / 'real' / 'real_world_testset'
  files = sorted(file for file in source.rglob('*') if file.is_file())
  with archives.unpacked(tmp_path / archive, tmp_path / 'there') as found:
    assert found.name == 'real_world_testset'
    for file in files:
      assert (found / file.relative_to(source)).read_bytes() == file.read_bytes()
    assert sum(path.is_file() for path in found.rglob('*')) == len(files)
  assert not (tmp_path / 'there').exists()


@pytest.mark.parametrize(
  'name', ['../out.txt', 'a/../../out.txt', '/out.txt', 'C:\\out.txt', '..\\out.txt']
)
@pytest.mark.parametrize('kind', ['zip', 'tar'])
def test_nothing_is_written_outside_of_the_folder(tmp_path, kind, name):
  make = _zip if kind == 'zip' else lambda path, members: _tar(path, **members)
  archive = make(tmp_path / f'set.{kind}', {'a/b.txt': b'b', name: b'x'})
  with pytest.raises(ValueError, match='which lies outside of its folder; get it'):
    with archives.unpacked(archive, tmp_path / 'deep' / 'there'):
      pass
  assert [path for path in tmp_path.rglob('*') if path.is_file()] == [archive]


@pytest.mark.parametrize(
  'member',
  [
    _zip_link('link', '/etc/passwd'),
    _tar_link('link', '/etc/passwd'),
    _tar_link('link', '../../secret', tarfile.LNKTYPE),
    _tar_link('link', '', tarfile.FIFOTYPE),
  ],
)
def test_links_and_devices_are_refused(tmp_path, member):
  if isinstance(member, dict):
    archive = _zip(tmp_path / 'set.zip', member)
  else:
    archive = _tar(tmp_path / 'set.tar', link=member)
  with pytest.raises(ValueError, match="holds 'link', which is a link or a device"):
    with archives.unpacked(archive, tmp_path / 'there'):
      pass
  assert not (tmp_path / 'there').exists()


@pytest.mark.parametrize('kind', ['zip', 'tar'])
def test_a_bomb_is_refused_before_it_unfolds(tmp_path, kind):
  zeros = bytes(4 * 2**20)
  make = _zip if kind == 'zip' else lambda path, members: _tar(path, **members)
  archive = make(tmp_path / f'set.{kind}', {f'{i}.bin': zeros for i in range(8)})
  with pytest.raises(ValueError, match='unpacks to more than 200 times its size'):
    with archives.unpacked(archive, tmp_path / 'there'):
      pass
  assert not (tmp_path / 'there').exists()


@pytest.mark.parametrize('kind', ['zip', 'tar'])
@pytest.mark.parametrize('share', [0.0, 0.4, 0.9])
def test_an_archive_that_is_cut_off_is_one_sentence(tmp_path, kind, share):
  content = os.urandom(50_000)
  make = _zip if kind == 'zip' else lambda path, members: _tar(path, **members)
  archive = make(tmp_path / f'set.{kind}', {'a.bin': content, 'b.bin': content})
  archive.write_bytes(archive.read_bytes()[: int(share * archive.stat().st_size)])
  with pytest.raises(ValueError, match='get a complete copy'):
    with archives.unpacked(archive, tmp_path / 'there'):
      pass


def test_a_build_from_a_hostile_archive_writes_nothing(tmp_path, capsys):
  archive = _zip(tmp_path / 'set.zip', {'images/../../evil.jpg': b'x'})
  arguments = ['--source', str(archive), '--out', str(tmp_path / 'out')]
  assert build_lib.main(['hand_graph_cnn_real', *arguments]) == 2
  assert "holds 'images/../../evil.jpg'" in capsys.readouterr().err
  assert os.listdir(tmp_path) == ['set.zip']


def test_a_build_from_an_archive_is_the_one_from_its_folder(tmp_path):
  write_photos(tmp_path / 'source', 4)
  archive = shutil.make_archive(str(tmp_path / 'set'), 'zip', tmp_path / 'source')
  first, second = (
    build_lib.build('hand_graph_cnn_real', tmp_path / out, source=source)
    for out, source in (('a', tmp_path / 'source'), ('b', archive))
  )
  (shard,) = first.glob('*array_record*')
  assert (second / shard.name).read_bytes() == shard.read_bytes()
  assert not list(second.parent.glob('incomplete.*'))


@pytest.mark.parametrize('kind', ['zip', 'tar'])
def test_what_macos_adds_is_left_out(tmp_path, kind):
  make = _zip if kind == 'zip' else lambda path, members: _tar(path, **members)
  members = {
    'export/result.json': b'{}',
    'export/.DS_Store': b'x',
    'export/._result.json': b'x',
    '__MACOSX/export/._result.json': b'x',
    '.DS_Store': b'x',
  }
  archive = make(tmp_path / f'set.{kind}', members)
  with archives.unpacked(archive, tmp_path / 'there') as found:
    assert found.name == 'export'
    assert os.listdir(found) == ['result.json']


@pytest.mark.parametrize('kind', ['zip', 'tar'])
def test_a_colon_in_a_name_does_no_harm(tmp_path, kind):
  make = _zip if kind == 'zip' else lambda path, members: _tar(path, **members)
  archive = make(tmp_path / f'set.{kind}', {'2026-01-01 12:30.jpg': b'x'})
  with archives.unpacked(archive, tmp_path / 'there') as found:
    assert os.listdir(found) == ['2026-01-01 12:30.jpg']


@pytest.mark.filterwarnings('ignore:Duplicate name')
@pytest.mark.parametrize('names', [('a', 'a'), ('a', 'a/b'), ('a/b', 'a')])
def test_a_name_twice_is_one_sentence(tmp_path, names):
  archive = tmp_path / 'set.zip'
  with zipfile.ZipFile(archive, 'w') as content:
    for name in names:
      content.writestr(name, b'x')
  expected = f'set.zip holds {names[1]!r} twice, or a file and a folder of that name'
  with pytest.raises(ValueError, match=expected):
    with archives.unpacked(archive, tmp_path / 'there'):
      pass


def test_messages_name_the_archive_and_not_where_it_is_unpacked(tmp_path, capsys):
  write_photos(tmp_path / 'source', 4)
  (tmp_path / 'source' / 'images' / '00001.jpg').write_bytes(b'')
  archive = shutil.make_archive(str(tmp_path / 'set'), 'zip', tmp_path / 'source')
  arguments = ['hand_graph_cnn_real', '--source', archive, '--out', str(tmp_path / 'o')]
  assert build_lib.main(arguments) == 2
  captured = capsys.readouterr()
  assert f'error: {archive}/images/00001.jpg cannot be' in captured.err
  assert build_lib.main([*arguments, '--max-bad', '1']) == 0
  assert f'left out: {archive}/images/00001.jpg' in capsys.readouterr().out
  card = (tmp_path / 'o' / 'hand_graph_cnn_real' / '1.0.0' / 'README.md').read_text()
  assert f'- {archive}/images/00001.jpg' in card and 'incomplete' not in card
