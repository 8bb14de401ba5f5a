"""Where a pickle ends, and whether it asks for more memory than its bytes justify."""

import io
import pickle
import pickletools


def find_end(data: bytes, start: int = 0) -> int:
  """Walks over the opcodes of a pickle without running any.

  `pickle.load` allocates the sizes that a file states before it has read that much, so
  this is asked first.

  Args:
    data: holds a pickle, and may go on behind it.
    start: of the pickle.

  Returns:
    The place behind its last byte.

  Raises:
    ValueError: it is cut off, or states a size that its bytes do not hold.
  """
  stream = io.BytesIO(data)
  stream.seek(start)
  while (code := stream.read(1)) != pickle.STOP:
    opcode = pickletools.code2op.get(code.decode('latin1'))
    if opcode is None:
      raise ValueError(f'there is no opcode {code!r}' if code else 'it is cut off')
    if opcode.name == 'STRING':  # pickletools takes it for ASCII
      stream.readline()
    elif opcode.arg is not None:
      argument = opcode.arg.reader(stream)  # raises if there is less than it says
      # Entries of the memory are numbered in order, and each takes a byte or more.
      if opcode.name in ('PUT', 'LONG_BINPUT') and argument > stream.tell() - start:
        raise ValueError(f'it asks for a memory of {argument} entries')
  return stream.tell()
