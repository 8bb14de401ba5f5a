"""Where the package was installed from, and so how one of its extras is added.

It is not on PyPI: `pip install 'bmc_jax[train]'` alone would find nothing.
"""

import importlib.metadata
import json
import shlex
import urllib.parse
import urllib.request

_CHECKOUT = 'in a checkout of its repository (bmc_jax is not on PyPI)'


def how_to_add(extra: str) -> str:
  """The command that adds the libraries of an extra, for messages."""
  arguments = pip_arguments(extra)
  if not arguments:
    return f"pip install '.[{extra}]' {_CHECKOUT}"
  return shlex.join(['pip', 'install', *arguments])


def pip_arguments(extra: str) -> list[str]:
  """What `pip install` takes for an extra; nothing if it is not known from where.

  Pip keeps the folder or the address that a package was installed from (PEP 610).
  """
  try:
    kept = importlib.metadata.distribution('bmc_jax').read_text('direct_url.json')
  except importlib.metadata.PackageNotFoundError:
    kept = None
  if not kept:
    return []
  origin = json.loads(kept)
  url = origin['url']
  if 'dir_info' in origin:
    path = urllib.request.url2pathname(urllib.parse.urlparse(url).path)
    editable = ['-e'] if origin['dir_info'].get('editable') else []
    return [*editable, f'{path}[{extra}]']
  if vcs := origin.get('vcs_info'):
    revision = vcs.get('requested_revision')
    url = f'{vcs["vcs"]}+{url}' + (f'@{revision}' if revision else '')
  return [f'bmc_jax[{extra}] @ {url}']
