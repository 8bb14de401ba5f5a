"""What the site does to its pages: formulas become MathML, which browsers draw without
a script, and links to files of the repository that are no pages become plain text.
"""

import html
import pathlib
import re

import latex2mathml.converter

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
_FORMULA = re.compile(
  r'<(span|div) class="arithmatex">\s*\\([(\[])(.*?)\\[)\]]\s*</\1>', re.DOTALL
)
_LINK = re.compile(r'\[([^\]]*)\]\((\.\.[^)\s]*)\)')


def on_page_markdown(markdown: str, page, **_) -> str:
  """Takes the targets off links that lead out of docs/; a missing file is an error."""
  folder = (ROOT / 'docs' / page.file.src_path).parent

  def unlink(link: re.Match) -> str:
    target = (folder / link[2].partition('#')[0]).resolve()
    if not target.exists():
      raise FileNotFoundError(f'{page.file.src_path} links to {link[2]}: no such file.')
    return link[0] if (ROOT / 'docs') in target.parents else link[1]

  return _LINK.sub(unlink, markdown)


def on_page_content(content: str, **_) -> str:
  """Puts MathML in place of LaTeX."""

  def draw(formula: re.Match) -> str:
    display = 'inline' if formula[2] == '(' else 'block'
    return latex2mathml.converter.convert(html.unescape(formula[3]), display=display)

  return _FORMULA.sub(draw, content)
