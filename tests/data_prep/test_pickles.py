"""The restricted unpickler: what it reads, and that nothing that it reads can act."""

import io
import os
import pickle
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from bmc_jax.data_prep import pickles
from tests.fixtures.memory import peak_memory

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def _load(tmp_path, data: bytes):
  path = tmp_path / 'anno.pickle'
  path.write_bytes(data)
  return pickles.load(path)


def _refusal(tmp_path, data: bytes) -> str:
  """The message with which the pickle is refused: one sentence that names the file."""
  with pytest.raises(ValueError, match='anno.pickle') as error:
    _load(tmp_path, data)
  message = str(error.value)
  assert '\n' not in message and message.endswith('.')
  return message


def _assert_same(a, b):
  assert type(a) is type(b)
  if isinstance(a, dict):
    assert list(a) == list(b)
    a, b = list(a.values()), list(b.values())
  if isinstance(a, list | tuple):
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
      _assert_same(x, y)
  elif isinstance(a, np.ndarray):
    assert a.dtype == b.dtype and a.flags.writeable
    np.testing.assert_array_equal(a, b)
  else:
    assert a == b or a != a


DTYPES = st.one_of(
  st_numpy.boolean_dtypes(),
  st_numpy.integer_dtypes(endianness='?'),
  st_numpy.floating_dtypes(endianness='?', sizes=(16, 32, 64)),
  st_numpy.unicode_string_dtypes(endianness='?', max_len=5),
)
ARRAYS = st_numpy.arrays(DTYPES, st_numpy.array_shapes(min_dims=0, min_side=0))
LEAVES = st.one_of(
  st.none(),
  st.booleans(),
  st.integers(),
  st.floats(),
  st.text(),
  ARRAYS,
  ARRAYS.map(lambda array: np.asfortranarray(array)),
  st.floats(width=32).map(np.float32),
  st.integers(-9, 9).map(np.int64),
)
PLAIN = st.recursive(
  LEAVES,
  lambda inner: st.one_of(
    st.lists(inner, max_size=3),
    st.tuples(inner, inner),
    st.dictionaries(st.text() | st.integers(), inner, max_size=3),
  ),
  max_leaves=8,
)


@given(PLAIN, st.sampled_from(PROTOCOLS), st.booleans())
def test_arrays_and_containers_come_back(tmp_path_factory, value, protocol, old):
  data = pickle.dumps(value, protocol)
  if old and protocol < 4:  # there a name is a line; later it has a length before it
    data = data.replace(b'cnumpy._core.', b'cnumpy.core.')
  _assert_same(_load(tmp_path_factory.getbasetemp(), data), value)


# Byte for byte what cPickle of Python 2.7 wrote of {'xyz': values}, NumPy 1.16.
VALUES = np.array([[1.5, -2], [0.25, 300]], '<f4')
OF_PYTHON_2 = {
  0: b"(dp1\nS'xyz'\np2\ncnumpy.core.multiarray\n_reconstruct\np3\n(cnumpy\nndarray\np4"
  b"\n(I0\ntS'b'\ntRp5\n(I1\n(I2\nI2\ntcnumpy\ndtype\np6\n(S'f4'\nI0\nI1\ntRp7\n(I3\n"
  b"S'<'\nNNNI-1\nI-1\nI0\ntbI00\nS'\\x00\\x00\\xc0?\\x00\\x00\\x00\\xc0\\x00\\x00\\x80>"
  b"\\x00\\x00\\x96C'\ntbs.",
  2: b'\x80\x02}q\x01U\x03xyzq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\n'
  b'ndarray\nq\x04K\x00\x85U\x01b\x87Rq\x05(K\x01K\x02K\x02\x86cnumpy\ndtype\nq\x06U'
  b'\x02f4K\x00K\x01\x87Rq\x07(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb'
  b'\x89U\x10\x00\x00\xc0?\x00\x00\x00\xc0\x00\x00\x80>\x00\x00\x96Ctbs.',
}


@pytest.mark.parametrize('protocol', OF_PYTHON_2)
def test_pickles_of_python_2_are_read(tmp_path, protocol):
  (loaded,) = _load(tmp_path, OF_PYTHON_2[protocol]).items()
  assert loaded[0] == 'xyz'
  _assert_same(loaded[1], VALUES)


def test_text_of_python_2_is_latin_1(tmp_path):
  assert _load(tmp_path, b"S'caf\\xe9'\np1\n.") == 'caf\xe9'


@pytest.mark.parametrize(
  'pattern', ['rhd_layout/evaluation/*.pickle', 'ho3d_layout/**/*.pkl']
)
def test_real_annotations_are_what_pickle_itself_reads(test_data, pattern):
  paths = sorted((test_data / 'data').glob(pattern))
  if not paths:
    pytest.skip(f'no real samples: there is no data/{pattern}')
  for path in paths:
    trusted = pickle.loads(path.read_bytes(), encoding='latin1')
    _assert_same(pickles.load(path), trusted)


class _Call:
  """Pickled, it calls a function when it is loaded."""

  def __init__(self, function, *arguments):
    self._call = function, arguments

  def __reduce__(self):
    return self._call


@pytest.mark.parametrize('protocol', PROTOCOLS)
@pytest.mark.parametrize(
  ('function', 'name'),
  [
    (os.system, 'posix.system'),
    (eval, 'eval'),
    (getattr, 'getattr'),
    (__import__, '__import__'),
    (np.load, 'numpy.load'),
    (np.fromfile, 'fromfile'),
    (np.testing.measure, 'numpy.testing._private.utils.measure'),
    (np.vectorize, 'numpy.vectorize'),
    (io.open, 'open'),
    (bytearray, 'bytearray'),
  ],
)
@pytest.mark.parametrize('nest', [lambda x: x, lambda x: {'xyz': [(1, x)]}])
def test_no_function_of_others_is_called(tmp_path, protocol, function, name, nest):
  trace = tmp_path / 'trace'
  data = pickle.dumps(nest(_Call(function, f'touch {trace}')), protocol)
  assert name in _refusal(tmp_path, data)
  assert not trace.exists()


@pytest.mark.parametrize(
  'data',
  [
    b"cos\nsystem\n(S'touch {trace}'\ntR.",  # GLOBAL and REDUCE
    b"(S'touch {trace}'\nios\nsystem\n.",  # INST
    b"(cos\nsystem\nS'touch {trace}'\no.",  # OBJ
    b'\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x0ftouch {trace}\x85R.',  # STACK_GLOBAL
    b'\x80\x04\x8c\x05numpy\x8c\x07os.path\x93.',  # through a module that is allowed
    b'\x80\x04\x8c\x15numpy.core.multiarray\x8c\x0c__builtins__\x93.',
    b'\x80\x02cnumpy\nndarray\n)\x81.',  # NEWOBJ
    b'\x80\x02\x82\x01.',  # EXT1
    b'Psomething\n.',  # PERSID
  ],
)
def test_every_opcode_that_names_something_is_judged(tmp_path, data):
  trace = tmp_path / 'trace'
  _refusal(tmp_path, data.replace(b'{trace}', str(trace).encode()))
  assert not trace.exists()


def test_the_file_and_the_forbidden_name_are_told(tmp_path):
  message = _refusal(tmp_path, b"cos\nsystem\n(S'true'\ntR.")
  assert message == (
    f'{tmp_path / "anno.pickle"} was not read, because it asks for os.system; '
    'annotations need only arrays of numbers and plain containers, so get the file '
    "from the dataset's own site."
  )


def test_a_pickle_cannot_change_the_functions_that_the_next_one_uses(tmp_path):
  # BUILD sets attributes of what lies on the stack: here the defaults of a function,
  # which would then take no arguments.
  hostile = b"c_codecs\nencode\n(N}S'__defaults__'\n(S'a'\nS'latin1'\ntstb."
  _refusal(tmp_path, hostile)
  _refusal(tmp_path, b'c_codecs\nencode\n)R.')
  assert _load(tmp_path, pickle.dumps(b'\xff', 2)) == b'\xff'


@pytest.mark.parametrize(
  ('value', 'named'),
  [
    (np.array([{}, []], object), "an array of type 'O8'"),
    (np.zeros(2, 'f4,i4'), "an array of type 'V8'"),
    (np.array(['2020-01-01'], 'M8[D]'), "an array of type 'M8'"),
    (np.ma.zeros(3), 'numpy.ma'),
    ({1, 2}, 'set'),
    (range(3), 'range'),
    (np.dtype('f4'), 'a value of type Dtype'),
    (np.float32, 'numpy.float32'),
  ],
)
def test_what_is_no_plain_array_is_refused_by_name(tmp_path, value, named):
  for protocol in PROTOCOLS:
    assert named in _refusal(tmp_path, pickle.dumps(value, protocol))


def test_hostile_records_of_dtypes_are_refused(tmp_path):
  good = pickle.dumps(np.zeros(4, 'f4'), 2)
  plain = b'NNNJ\xff\xff\xff\xff'
  assert plain in good
  # A subarray, and fields that lie outside of the 4 bytes of an item.
  for state in (b'(h\x04I9\ntNN', b"N(S'x'\nt}S'x'\n(h\x04I9999\nts"):
    _refusal(tmp_path, good.replace(plain, state + plain[3:]))


LARGE = 2**31 - 2
SMALL_FILES_OF_LARGE_SIZES = [
  b'Nr' + struct.pack('<I', LARGE) + b'.',  # LONG_BINPUT
  b'Np%d\n.' % LARGE,  # PUT
  b'\x8e' + struct.pack('<Q', 2**36) + b'.',  # BINBYTES8
  b'\x96' + struct.pack('<Q', 2**36) + b'.',  # BYTEARRAY8
  b'\x8d' + struct.pack('<Q', 2**36) + b'.',  # BINUNICODE8
  b'\x80\x04\x95' + struct.pack('<Q', 2**36) + b'N.',  # FRAME
  b'\x8b' + struct.pack('<I', LARGE) + b'.',  # LONG4
  b'c__builtin__\nbytes\n(L68719476736L\ntR.',
  b'cnumpy\nndarray\n((L68719476736L\ntS"f8"\ntR.',
  b'cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S"V68719476736"\ntRtR.',
  b'cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S"S999999"\ntRtR.',
]


@pytest.mark.parametrize('data', SMALL_FILES_OF_LARGE_SIZES)
def test_a_small_file_takes_little_memory(tmp_path, data):
  assert peak_memory(_refusal, tmp_path, data) < 1e6


def test_an_array_of_a_large_shape_needs_its_bytes(tmp_path):
  data = b'cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(L68719476736L\nt'
  data += b"S'b'\ntR."
  assert _load(tmp_path, data).size == 0
  assert peak_memory(_load, tmp_path, data) < 1e6


def test_containers_that_hold_themselves_or_grow_without_end_are_refused(tmp_path):
  itself = []
  itself.append(itself)
  assert 'nested more than 16 deep' in _refusal(tmp_path, pickle.dumps(itself))
  many = [0]
  for _ in range(100):
    many = [many] * 100  # 100^100 items in all
  assert 'nested more than 16 deep' in _refusal(tmp_path, pickle.dumps(many))
  many = [0]
  for _ in range(10):
    many = [many] * 100
  message = _refusal(tmp_path, pickle.dumps(many))  # no deeper, but 100^10 items
  assert 'asks for containers that repeat each other without end' in message
  often = {index: [VALUES] * 3 for index in range(10)}  # as honest files repeat a value
  assert len(_load(tmp_path, pickle.dumps(often))) == 10


def test_a_pickle_that_is_cut_off_anywhere_is_one_sentence(tmp_path):
  data = pickle.dumps({0: {'xyz': np.arange(6, dtype='f4')}}, 2)
  for size in range(len(data)):
    message = _refusal(tmp_path, data[:size])
    assert 'cannot be read as a pickle' in message
    assert message.endswith('get a complete copy.')


@given(st.data())
def test_wrong_bytes_are_read_or_refused_in_one_sentence(tmp_path_factory, data):
  content = bytearray(pickle.dumps({0: {'K': np.eye(3, dtype='f4'), 'n': 'x'}}, 2))
  for _ in range(data.draw(st.integers(1, 3))):
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255))
  try:
    _load(tmp_path_factory.getbasetemp(), bytes(content))
  except ValueError as error:
    assert 'anno.pickle' in str(error) and '\n' not in str(error)


def test_a_missing_file_is_named(tmp_path):
  with pytest.raises(FileNotFoundError, match='nothing.pickle'):
    pickles.load(tmp_path / 'nothing.pickle')
