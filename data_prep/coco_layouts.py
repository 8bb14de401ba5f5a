"""Where public datasets in the form of COCO keep their files, told by their names."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_FILE = re.compile(
  r'(coco_wholebody|halpe|onehand10k|panoptic|rhd)_(train|val|test)(_.*)?', re.ASCII
)
_FOLDERS = {
  ('coco_wholebody', 'train'): ('train2017',),
  ('coco_wholebody', 'val'): ('val2017',),
  ('halpe', 'train'): ('hico_20160224_det/images/train2015', 'train2015'),
  ('halpe', 'val'): ('val2017',),
  ('onehand10k', 'train'): ('Train/source',),
  ('onehand10k', 'test'): ('Test/source',),
  ('rhd', 'train'): ('training/color', 'RHD_published_v2/training/color'),
  ('rhd', 'test'): ('evaluation/color', 'RHD_published_v2/evaluation/color'),
}


def find_public(source: Path) -> list[Path]:
  """The files of public datasets in a folder or in its `annotations`."""
  found = [*source.glob('annotations/*.json'), *source.glob('*.json')]
  return sorted(path for path in found if _FILE.fullmatch(path.stem))


def split_of(path: Path) -> str | None:
  """The split of a public dataset's file; None for any other file."""
  match = _FILE.fullmatch(path.stem)
  return match[2] if match else None


def folders_of(path: Path, source: Path) -> tuple[Path, ...]:
  """Where the images of a public dataset's file may be, beside the usual places."""
  match = _FILE.fullmatch(path.stem)
  names = _FOLDERS.get((match[1], match[2]), ()) if match else ()
  return tuple(base / name for name in names for base in (source, source / 'images'))


def runs_from_tips(content: Mapping[str, Any], path: Path) -> bool:
  """Whether the fingers of a file are known to run from tip to base, whatever the
  names of its keypoints say: mmpose's JSON of RHD.
  """
  info = content.get('info')
  told = info.get('description') if isinstance(info, Mapping) else None
  return told == 'RHD' or path.stem.startswith('rhd_') and split_of(path) is not None
