"""Tables and lists that commands print."""

from collections.abc import Sequence


def format_table(rows: list[list[str]]) -> str:
  """Columns of text below each other, the first row ruled off."""
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  lines = [
    '  '.join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
    for row in rows
  ]
  return '\n'.join([lines[0], '-' * len(lines[0]), *lines[1:]])


def format_markdown(rows: Sequence[Sequence[str]]) -> str:
  """A Markdown table, the first row its heading."""
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  lines = [
    '| ' + ' | '.join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + ' |'
    for row in rows
  ]
  rule = '| ' + ' | '.join('-' * width for width in widths) + ' |'
  return '\n'.join([lines[0], rule, *lines[1:]])


def counted(count: int, noun: str) -> str:
  """How many there are of what: 1 hand, 2 hands, 3 entries."""
  if count == 1:
    return f'1 {noun}'
  return f'{count} {noun[:-1]}ies' if noun.endswith('y') else f'{count} {noun}s'


def shorten(names: Sequence[str], most: int = 4) -> str:
  """A list of names; of many the first ones and the last one."""
  if len(names) > most:
    names = [*names[: most - 1], '...', names[-1]]
  return ', '.join(names)
