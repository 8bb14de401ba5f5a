"""Runs the first Python example of a Markdown page, and fails if it does not print
what the comment behind its `print` says: `python readme_example.py README.md`.
"""

import contextlib
import io
import pathlib
import re
import sys


def run(page: str) -> tuple[str, str]:
  """What the page's first example printed, and what the page says that it prints."""
  text = pathlib.Path(page).read_text()
  code = re.search(r'^```python\n(.*?)^```$', text, re.MULTILINE | re.DOTALL)[1]
  expected = ''.join(line + '\n' for line in re.findall(r'print\(.*\)  # (.*)', code))
  with contextlib.redirect_stdout(io.StringIO()) as printed:
    exec(compile(code, page, 'exec'), {'__name__': 'example'})
  return printed.getvalue(), expected


if __name__ == '__main__':
  printed, expected = run(sys.argv[1])
  if printed != expected or not expected:
    sys.exit(f'The example printed {printed!r}, but the page says {expected!r}.')
  import bmc_jax

  print(
    f'bmc_jax {bmc_jax.__version__} of {bmc_jax.__file__} printed {printed.strip()}.'
  )
