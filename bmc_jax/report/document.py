"""The frame of every page: style and scripts inside, no other file needed."""

import html
import os
import pathlib
from importlib import resources

from bmc_jax.console.outputs import Kind, write_text

_SIGNATURE = 'Written by bmc_jax'


def write_document(
  path: str | os.PathLike[str],
  title: str,
  header: str,
  sections: list[tuple[str, str, str]],
  *,
  command: str,
) -> pathlib.Path:
  """Writes a page with a title, links to its sections, and the sections.

  Args:
    path: the file to write.
    title: plain text.
    header: HTML below the title.
    sections: (element id, title, content in HTML) of each.
    command: what writes such a page, for its foot.

  Returns:
    The path.

  Raises:
    ValueError: it does not end in .html, or something else is in its place.
    OSError: it cannot be written; what was there before stays.
  """
  links = ''.join(f'<a href="#{key}">{name}</a>' for key, name, _ in sections)
  body = ''.join(
    f'<section id="{key}"><h2>{name}</h2>{content}</section>\n'
    for key, name, content in sections
  )
  title = html.escape(title)
  nav = f'<nav><div class="wide">{links}</div></nav>' if len(sections) > 1 else ''
  page = (
    f'<header class="wide"><h1>{title}</h1>{header}</header>'
    f'{nav}<main class="wide">{body}</main>'
    f'<footer class="wide">{_SIGNATURE}; rebuild with <code>{command}</code>.'
    '</footer>'
  )
  text = _template(viewer='class="posing"' in body)
  text = text.replace('<!--title-->', title).replace('<!--body-->', page)
  write_text(path, text, PAGES)
  return pathlib.Path(path)


def _is_page(path: pathlib.Path) -> bool:
  return _SIGNATURE in path.read_text('utf-8', errors='replace')


PAGES = Kind('pages', ('.html', '.htm'), _is_page)


def read_part(*names: str) -> str:
  """Files of `bmc_jax/report/web`, one after the other."""
  folder = resources.files('bmc_jax.report').joinpath('web')
  return '\n'.join(folder.joinpath(name).read_text('utf-8') for name in names)


def _template(*, viewer: bool) -> str:
  """The empty page, its styles and scripts in it; those of the viewer if it has one."""
  styles, scripts = ['page.css'], ['page.js']
  if viewer:
    styles += ['viewer.css']
    scripts += ['hand_math.js', 'viewer.js']
  text = read_part('page.html').replace('<!--styles-->', read_part(*styles))
  return text.replace('<!--scripts-->', read_part(*scripts))


def facts(items: dict[str, str]) -> str:
  """A list of names and plain texts."""
  rows = ''.join(
    f'<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>'
    for name, text in items.items()
  )
  return f'<dl class="facts">{rows}</dl>'


def table(rows: list[list[str]]) -> str:
  """A table of plain texts, whose first row and column are headings."""
  head = ''.join(f'<th scope="col">{html.escape(cell)}</th>' for cell in rows[0])
  body = ''.join(
    f'<tr><th scope="row">{html.escape(row[0])}</th>'
    + ''.join(f'<td>{html.escape(cell)}</td>' for cell in row[1:])
    + '</tr>'
    for row in rows[1:]
  )
  return (
    f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
    f'<tbody>{body}</tbody></table></div>'
  )
