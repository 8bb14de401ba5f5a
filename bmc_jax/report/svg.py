"""Matplotlib figures as inline SVG that takes its colours from the page.

A figure is drawn with placeholder colours, which become CSS variables in the SVG. So
one drawing serves the light page, the dark page and print, and a series can be hidden
by its class.
"""

import contextlib
import io
import re
from collections.abc import Iterator

import matplotlib
from matplotlib import axes, figure

NUM_COLORS = 8  # colours of the series in web/page.css

TEXT = '#000001'
GRID = '#000002'
CHANCE = '#000003'
HULL = '#000004'
_VARIABLES = {TEXT: 'ink', GRID: 'grid', CHANCE: 'chance', HULL: 'hull'}
_VARIABLES |= {f'#0000a{i}': f's{i}' for i in range(NUM_COLORS)}

_STYLE = {
  'axes.axisbelow': True,
  'axes.edgecolor': GRID,
  'axes.facecolor': 'none',
  'axes.grid': True,
  'axes.labelcolor': TEXT,
  'axes.linewidth': 0.8,
  'axes.spines.right': False,
  'axes.spines.top': False,
  'figure.facecolor': 'none',
  'font.size': 9,
  'grid.color': GRID,
  'grid.linewidth': 0.6,
  'lines.linewidth': 1.8,
  'lines.solid_capstyle': 'round',
  'path.simplify': False,
  'svg.fonttype': 'none',
  'svg.hashsalt': 'bmc_jax',
  'text.color': TEXT,
  'text.parse_math': False,
  'xtick.color': GRID,
  'xtick.labelcolor': TEXT,
  'ytick.color': GRID,
  'ytick.labelcolor': TEXT,
}


def series_color(index: int) -> str:
  """Placeholder colour of the series with this index in its group."""
  return f'#0000a{index % NUM_COLORS}'


def series_class(index: int) -> str:
  """Class (and gid) of all that is drawn for the series with this index."""
  return f's{index % NUM_COLORS}'


@contextlib.contextmanager
def figure_style() -> Iterator[None]:
  """Within it figures look like the page."""
  with matplotlib.rc_context(_STYLE):
    yield


def new_axes(width: float, height: float) -> tuple[figure.Figure, axes.Axes]:
  """A figure of one plot; width and height in inches."""
  drawing = figure.Figure(figsize=(width, height), layout='constrained')
  return drawing, drawing.add_subplot()


def row_axes(labels: list[str], xlabel: str) -> tuple[figure.Figure, axes.Axes]:
  """A figure of one row a label, the first on top; row k is at y = k."""
  drawing, plot = new_axes(3.6, 0.7 + 0.23 * len(labels))
  plot.set_yticks(range(len(labels)), labels)
  plot.set(ylim=(len(labels) - 0.4, -0.6), xlabel=xlabel)
  plot.tick_params(axis='y', length=0)
  plot.grid(False, axis='y')
  return drawing, plot


def to_svg(drawing: figure.Figure, name: str, label: str) -> str:
  """Turns a figure into an `<svg>` element.

  Artists with the gid `sK` get it as their class.

  Args:
    drawing: the figure.
    name: unique in the page, letters, digits and '-'; prefix of the element ids.
    label: what the figure shows, for screen readers; plain text without markup.

  Returns:
    The element, without width and height (the page's style sets them).
  """
  buffer = io.StringIO()
  drawing.savefig(buffer, format='svg', metadata={'Date': None})
  text = buffer.getvalue()
  text = text[text.index('<svg') :]
  text = re.sub(r'<metadata>.*?</metadata>|<style.*?</style>', '', text, flags=re.S)
  text = re.sub(r'<!--.*?-->\s*', '', text, flags=re.S)
  view = re.search(r'viewBox="([^"]*)"', text)
  assert view is not None
  text = re.sub(
    r'<svg[^>]*>',
    f'<svg class="plot" role="img" aria-label="{label}" viewBox="{view[1]}">',
    text,
    count=1,
  )
  text = re.sub(r'id="(s\d)"', r'class="\1"', text)
  used = set(re.findall(r'#([\w-]+)', text))
  text = re.sub(
    r' id="([^"]+)"',
    lambda match: f' id="{name}-{match[1]}"' if match[1] in used else '',
    text,
  )
  text = text.replace('xlink:href="#', f'href="#{name}-')
  text = text.replace('url(#', f'url(#{name}-')
  text = re.sub(r'font: ([\d.]+px)[^";]*', r'font-size: \1', text)
  text = re.sub(r'-?\d+\.\d{3,}', _shorten, text)
  text = re.sub(r' *\n+ *', '\n', text)
  for color, variable in _VARIABLES.items():
    text = text.replace(color, f'var(--{variable})')
  return text


def _shorten(match: re.Match) -> str:
  """A hundredth of a point is all a drawing needs."""
  return f'{float(match[0]):.2f}'.rstrip('0').rstrip('.')
