"""Files of torch: what is read of them, and that nothing in them can act."""

import io
import pickle
import re
import struct
import tarfile
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmc_jax.torch_import import files
from tests.fixtures import torch_states as ft
from tests.fixtures.memory import peak_memory

SAVE = {'zip': ft.save_zip, 'legacy': ft.save_legacy}


def _arrays() -> dict[str, np.ndarray]:
  """One array of each type, scalars and empty ones among them."""
  values = np.random.default_rng(0).normal(size=(3, 4, 2))
  return {
    'a.weight': values.astype(np.float32),
    'half': values[0].astype(np.float16),
    'brain': values.astype(ft.BFLOAT16),
    'double': values[:, 0],
    'count': np.array(2**40 + 1, np.int64),
    'empty': np.zeros((0, 3), np.float32),
  }


def _assert_same(got, wanted):
  assert list(got) == list(wanted)
  for name, array in wanted.items():
    assert got[name].dtype == array.dtype and not got[name].flags.writeable
    np.testing.assert_array_equal(got[name], array, err_msg=name)


def _refusal(path) -> str:
  """The message with which a file is refused: one sentence that names it."""
  with pytest.raises(ValueError, match=path.name) as error:
    files.read_state_dict(path)
  message = str(error.value)
  assert '\n' not in message and message.endswith('.') and len(message) < 400
  return message


@pytest.mark.parametrize('format', SAVE)
def test_arrays_of_all_types_come_back(tmp_path, format):
  SAVE[format](tmp_path / 'w.pth', ft.tensors(_arrays()))
  _assert_same(files.read_state_dict(tmp_path / 'w.pth'), _arrays())


def test_arrays_come_back_from_safetensors(tmp_path):
  ft.save_safetensors(tmp_path / 'w.safetensors', _arrays())
  got = files.read_state_dict(tmp_path / 'w.safetensors')
  _assert_same({name: got[name] for name in _arrays()}, _arrays())


@pytest.mark.parametrize('format', SAVE)
def test_views_are_read_at_their_offsets_and_strides(tmp_path, format):
  base = np.arange(48, dtype=np.float32)
  storage = ft.storage('5', base)
  tree = {
    'row': ft.Tensor(storage, 40, (8,), (1,)),
    'transposed': ft.Tensor(storage, 6, (3, 2), (1, 3)),
    'channels_last': ft.Parameter(storage, 0, (2, 3, 2, 4), (24, 1, 12, 3)),
    'every_fifth': ft.OldTensor(storage, 2, (10,), (5,)),
    'last': ft.Tensor(storage, 47, (), ()),
  }
  SAVE[format](tmp_path / 'w.pt', tree)
  wanted = {
    'row': base[40:],
    'transposed': base[6:12].reshape(2, 3).T,
    'channels_last': base.reshape(2, 2, 4, 3).transpose(0, 3, 1, 2),
    'every_fifth': base[2::5],
    'last': base[47],
  }
  _assert_same(files.read_state_dict(tmp_path / 'w.pt'), wanted)


@pytest.mark.parametrize('format', SAVE)
@pytest.mark.parametrize('name', ['state_dict', 'model'])
def test_the_state_dict_of_a_checkpoint_is_found(tmp_path, format, name):
  arrays = {'a': np.arange(3, dtype=np.float32)}
  tree = {'epoch': 3, 'ema': {'a': ft.tensor(np.zeros(5, np.float32), 'e')}}
  tree |= {name: ft.tensors(arrays), 'loss': [0.5, None, 'x']}
  SAVE[format](tmp_path / 'w.pth', tree)
  _assert_same(files.read_state_dict(tmp_path / 'w.pth'), arrays)


def test_an_ordered_dict_of_python_2_is_read(tmp_path):
  pickled, storages = ft.dumps([['a', ft.tensor(np.float32([1, 2]), '0')]])
  # Python 2 calls OrderedDict with a list of its items.
  call = b'\x80\x02ccollections\nOrderedDict\n' + pickled[2:-1] + b'\x85R.'
  ft.write_zip(tmp_path / 'w.pth', call, {'0': storages[0].numbers.tobytes()})
  _assert_same(files.read_state_dict(tmp_path / 'w.pth'), {'a': np.float32([1, 2])})


@pytest.mark.parametrize('new', [True, False])
def test_files_of_torch_itself_are_read(tmp_path, new):
  torch = pytest.importorskip('torch', reason='torch is not installed')
  torch.manual_seed(0)
  net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
  state = net.to(memory_format=torch.channels_last).state_dict()
  flat = torch.randn(50)
  state |= {'view': flat[7:19].view(3, 4).T, 'bf16': flat.bfloat16()}
  state |= {'half': flat[::2].half(), 'double': torch.nn.Parameter(flat.double())}
  tree = {'state_dict': state, 'optimizer': torch.optim.Adam([flat]).state_dict()}
  torch.save(tree, tmp_path / 'w.pth', _use_new_zipfile_serialization=new)
  got = files.read_state_dict(tmp_path / 'w.pth')
  assert list(got) == list(state)
  for name, value in state.items():
    np.testing.assert_array_equal(
      got[name].astype(np.float64), value.detach().double().numpy(), err_msg=name
    )


CALLS = {
  'os.system': b"cos\nsystem\n(S'touch {trace}'\ntR.",
  'posix.system': b"(S'touch {trace}'\niposix\nsystem\n.",
  'builtins.eval': b'\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.',
  'os.popen': b'\x80\x04\x8c\x02os\x8c\x05popen\x93\x8c\x0dtouch {trace}\x85R.',
  'torch.load': b"ctorch\nload\n(S'{trace}'\ntR.",
  'torch.storage._load_from_bytes': b'ctorch.storage\n_load_from_bytes\n(tR.',
  'numpy.core.multiarray._reconstruct': b'cnumpy.core.multiarray\n_reconstruct\n.',
  'collections.OrderedDict.fromkeys': b'\x80\x04\x8c\x0bcollections'
  b'\x8c\x14OrderedDict.fromkeys\x93.',
  'argparse.Namespace': b'\x80\x02cargparse\nNamespace\n)\x81.',
}


@pytest.mark.parametrize('name', CALLS)
@pytest.mark.parametrize('format', SAVE)
def test_no_function_of_others_is_called(tmp_path, format, name):
  trace, path = tmp_path / 'trace', tmp_path / 'w.pth'
  pickled = CALLS[name].replace(b'{trace}', str(trace).encode())
  pickled = pickled.replace(b'\x8c\x0dtouch', b'\x8c%ctouch' % len(f'touch {trace}'))
  write = {'zip': ft.write_zip, 'legacy': ft.write_legacy}[format]
  write(path, pickled, {})
  message = _refusal(path)
  assert f"it holds '{name}', and only tensors" in message
  assert 'torch.save(model.state_dict(), PATH)' in message
  assert not trace.exists()


def test_a_file_cannot_change_how_the_next_one_is_read(tmp_path):
  # BUILD sets attributes of what lies on the stack.
  for name in (
    b'ccollections\nOrderedDict\n',
    b'ctorch._utils\n_rebuild_tensor_v2\n',
    b'ctorch\nFloatStorage\n',
  ):
    hostile = name + b"}}S'__defaults__'\nNs\x86b."
    ft.write_zip(tmp_path / 'w.pth', hostile, {})
    _refusal(tmp_path / 'w.pth')
  ft.save_zip(tmp_path / 'w.pth', ft.tensors(_arrays()))
  _assert_same(files.read_state_dict(tmp_path / 'w.pth'), _arrays())


@pytest.mark.parametrize('format', SAVE)
@pytest.mark.parametrize(
  'view',
  [
    (0, (13,), (1,)),
    (1, (12,), (1,)),
    (0, (3, 4), (4, 2)),  # the last is at 14
    (12, (), ()),
    (-1, (2,), (1,)),
    (0, (2,), (-1,)),
    (0, (-2,), (1,)),
    (True, (2,), (1,)),
    (0.0, (2,), (1,)),
    (0, (2, 2), (1,)),
    (2**63, (2,), (1,)),
    (0, (2,), (2**62,)),
    (0, (2**20, 2**20), (0, 0)),  # any size out of one number
    (0, (2**40,), (1,)),
    (0, [[2]], [1]),
  ],
)
def test_views_that_leave_their_storage_are_refused(tmp_path, format, view):
  tree = {'a': ft.Tensor(ft.storage('0', np.zeros(12, np.float32)), *view)}
  SAVE[format](tmp_path / 'w.pth', tree)
  assert 'cannot be read as a file of torch.save' in _refusal(tmp_path / 'w.pth')


@pytest.mark.parametrize('format', SAVE)
@pytest.mark.parametrize('count', [11, 13, 2**40, 2**62, 2**70])
def test_storages_of_another_length_than_stated_are_refused(tmp_path, format, count):
  storage = ft.storage('0', np.zeros(12, np.float32), count)
  SAVE[format](tmp_path / 'w.pth', {'a': ft.Tensor(storage, 0, (2,), (1,))})
  assert peak_memory(_refusal, tmp_path / 'w.pth') < 2e6


def test_an_archive_that_unpacks_to_more_is_refused(tmp_path):
  path = tmp_path / 'bomb.pth'
  pickled, _ = ft.dumps({'a': ft.tensor(np.zeros(4, np.float32), '0')})
  ft.write_zip(path, pickled, {'0': bytes(2**24)}, compression=zipfile.ZIP_DEFLATED)
  size = struct.pack('<I', 2**24)
  # The second time the directory tells less than the member unpacks to.
  for data in (path.read_bytes(), path.read_bytes().replace(size, b'\x10\0\0\0')):
    path.write_bytes(data)
    assert len(data) < 1e5 and peak_memory(_refusal, path) < 1e6
    assert 'it is compressed, and torch.save' in _refusal(path)


def test_an_archive_whose_members_share_bytes_is_refused(tmp_path):
  path = tmp_path / 'bomb.pth'
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('archive/data.pkl', ft.dumps({})[0])
    archive.writestr('archive/data/0', bytes(10_000))
    archive.filelist += 100 * archive.filelist[-1:]
  assert re.search('its [0-9]+ bytes claim to hold more than that', _refusal(path))


def test_a_pickle_of_large_sizes_takes_little_memory(tmp_path):
  # Sizes that a machine would grant.
  for code in (b'Nr' + struct.pack('<I', 2**22), b'\x8e' + struct.pack('<Q', 2**26)):
    ft.write_zip(tmp_path / 'w.pth', code + b'.', {})
    assert peak_memory(_refusal, tmp_path / 'w.pth') < 1e6
    ft.write_legacy(tmp_path / 'w.pth', code + b'.', {})
    assert peak_memory(_refusal, tmp_path / 'w.pth') < 1e6


@pytest.mark.parametrize('format', [*SAVE, 'safetensors'])
def test_a_file_that_is_cut_off_anywhere_is_one_sentence(tmp_path, format):
  suffix = 'safetensors' if format == 'safetensors' else 'pth'
  path = tmp_path / f'w.{suffix}'
  if format == 'safetensors':
    ft.save_safetensors(path, _arrays())
  else:
    SAVE[format](path, ft.tensors(_arrays()))
  data = path.read_bytes()
  for size in range(0, len(data), 7):
    path.write_bytes(data[:size])
    assert _refusal(path).endswith('get a complete copy.')


@given(st.data())
@pytest.mark.parametrize('format', SAVE)
def test_wrong_bytes_are_read_or_refused_in_one_sentence(
  tmp_path_factory, format, data
):
  path = tmp_path_factory.getbasetemp() / f'{format}.pth'
  SAVE[format](path, ft.tensors({'a': np.float32([1, 2]), 'b': np.float16([3])}))
  content = bytearray(path.read_bytes())
  for _ in range(data.draw(st.integers(1, 3))):
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255))
  path.write_bytes(content)
  try:
    files.read_state_dict(path)
  except ValueError as error:
    assert path.name in str(error) and '\n' not in str(error)


def _tar(path):
  with tarfile.open(path, 'w') as archive:
    archive.addfile(tarfile.TarInfo('sys_info'), io.BytesIO())


def _big_endian(path):
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('archive/data.pkl', pickle.dumps({}, 2))
    archive.writestr('archive/byteorder', 'big')


def _two_types(path):
  one = ft.tensor(np.zeros(4, np.float32), '0')
  two = ft.tensor(np.zeros(8, np.float16), '0')
  ft.save_zip(path, {'a': one, 'b': two})


OTHER_FILES = {
  'a text': (lambda path: path.write_text('hello'), 'get a complete copy'),
  'nothing': (lambda path: path.write_bytes(b''), r'\(it is cut off\)'),
  'an npz': (lambda path: np.savez(path.open('wb'), a=1), 'holds 0 data.pkl'),
  'a plain pickle': (lambda path: path.write_bytes(pickle.dumps({})), 'does not start'),
  'a list': (lambda path: ft.save_zip(path, [1, 2]), 'it holds no state dict'),
  'no tensors': (lambda path: ft.save_zip(path, OrderedDict(a=1)), 'no state dict'),
  'a tar': (_tar, 'the tar format of torch before 0.1.10: take a newer file'),
  'another byte order': (_big_endian, 'a machine of another byte order'),
  'a storage of two types': (_two_types, "names the storage '0' in two ways"),
}


@pytest.mark.parametrize('name', OTHER_FILES)
def test_other_files_are_refused_with_a_reason(tmp_path, name):
  write, message = OTHER_FILES[name]
  write(tmp_path / 'w.pth')
  with pytest.raises(ValueError, match=message):
    files.read_state_dict(tmp_path / 'w.pth')
  _refusal(tmp_path / 'w.pth')


def test_other_types_in_safetensors_are_named(tmp_path):
  ft.save_safetensors(tmp_path / 'w.safetensors', {'mask': np.zeros(3, bool)})
  assert "'mask' has the type BOOL" in _refusal(tmp_path / 'w.safetensors')


def test_a_missing_file_is_named(tmp_path):
  with pytest.raises(FileNotFoundError, match='There are no weights .*nope.pth; docs/'):
    files.read_state_dict(tmp_path / 'nope.pth')
