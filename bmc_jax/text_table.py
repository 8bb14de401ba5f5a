"""Tables that commands print."""


def format_table(rows: list[list[str]]) -> str:
  """Columns of text below each other, the first row ruled off."""
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  lines = [
    '  '.join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
    for row in rows
  ]
  return '\n'.join([lines[0], '-' * len(lines[0]), *lines[1:]])
