"""Published sizes and ranges of motion of the adult hand, each with its source.

Plain data for `clinical_limits`; `docs/limits.md` shows it as tables. None of the
sources was read in the original: `Source.checked` names the text that quotes it.
"""

from typing import NamedTuple


class Source(NamedTuple):
  """Where figures come from.

  Attributes:
    citation: authors, title, journal, year.
    checked: the text that the figures were compared with.
  """

  citation: str
  checked: str


class Motion(NamedTuple):
  """A range of motion in degrees, from the clinical zero position.

  Attributes:
    finger: a finger of `skeleton.FINGERS`, or 'fingers' for index to little.
    joint: as clinicians call it.
    movement: what is counted positive.
    low, high: of the range.
    low_source, high_source: keys of `SOURCES`.
  """

  finger: str
  joint: str
  movement: str
  low: float
  high: float
  low_source: str
  high_source: str


class Allowance(NamedTuple):
  """What is ours, not a source's: degrees or millimetres, and why it is needed."""

  value: tuple[float, ...]
  reason: str


SOURCES = {
  'AAOS': Source(
    'American Academy of Orthopaedic Surgeons, Joint Motion: Method of Measuring and '
    'Recording, 1965',
    'two study-card pages, "ROM Flashcards" (brainscape.com) and "T&M: Thumb, Finger, '
    'Wrist ROM" (quizwizapp.com), the first of which names AAOS at each figure',
  ),
  'Chen': Source(
    'F. Chen Chen et al., Constraint study for a hand exoskeleton: human hand '
    'kinematics and dynamics, Journal of Robotics 2013, 910961, table 6',
    'a public research log that copies table 6',
  ),
  'Barakat': Source(
    'M. J. Barakat, J. Field and J. Taylor, The range of movement of the thumb, Hand '
    '8, 2013',
    'its abstract (100 adults); journal and year are from memory',
  ),
  'Minamikawa': Source(
    'Y. Minamikawa et al., Stability and constraint of the proximal interphalangeal '
    'joint, J. Hand Surg. Am. 18, 198-204, 1993',
    'its abstract (12 index fingers)',
  ),
  'BOA': Source(
    'A study to examine the normal rotational alignment of fingers using digital '
    'photography and image analysis, Orthopaedic Proceedings 94-B Supp. III, BOA085',
    'its abstract (30 adults)',
  ),
  'Buryanov': Source(
    'A. Buryanov and V. Kotiuk, Proportions of hand segments, Int. J. Morphol. 28(3), '
    '755-758, 2010',
    'two public programs that hold its table 1 (X-rays of 66 adults)',
  ),
}

# Where sources differ, the wider one is taken: limits have to admit supple hands. Of
# abduction Chen gives the whole arc: half of it to each side is our reading. The
# thumb's radial abduction begins with what AAOS calls flexion of the CMC.
MOTIONS = (
  Motion('thumb', 'CMC', 'palmar abduction', 0, 71, 'AAOS', 'Barakat'),
  Motion('thumb', 'CMC', 'radial abduction', -15, 71, 'AAOS', 'Barakat'),
  Motion('thumb', 'MCP', 'flexion', -15, 80, 'Barakat', 'Chen'),
  Motion('thumb', 'MCP', 'sideways', -15, 15, 'Minamikawa', 'Minamikawa'),
  Motion('thumb', 'IP', 'flexion', -20, 90, 'AAOS', 'Barakat'),
  Motion('thumb', 'IP', 'sideways', -15, 15, 'Minamikawa', 'Minamikawa'),
  Motion('fingers', 'MCP', 'flexion', -45, 90, 'AAOS', 'AAOS'),
  Motion('index', 'MCP', 'abduction', -30, 30, 'Chen', 'Chen'),
  Motion('middle', 'MCP', 'abduction', -22.5, 22.5, 'Chen', 'Chen'),
  Motion('ring', 'MCP', 'abduction', -22.5, 22.5, 'Chen', 'Chen'),
  Motion('little', 'MCP', 'abduction', -25, 25, 'Chen', 'Chen'),
  Motion('index', 'PIP', 'flexion', 0, 110, 'AAOS', 'Chen'),
  Motion('middle', 'PIP', 'flexion', 0, 110, 'AAOS', 'Chen'),
  Motion('ring', 'PIP', 'flexion', 0, 120, 'AAOS', 'Chen'),
  Motion('little', 'PIP', 'flexion', 0, 135, 'AAOS', 'Chen'),
  Motion('fingers', 'PIP', 'sideways', -15, 15, 'Minamikawa', 'Minamikawa'),
  Motion('fingers', 'DIP', 'flexion', -5, 90, 'Chen', 'AAOS'),
  Motion('fingers', 'DIP', 'sideways', -15, 15, 'Minamikawa', 'Minamikawa'),
)

# BOA: how far index to little are turned about their length when they lie flat, which
# shows flexion of a hinge as sideways motion in axes taken from the palm.
FINGER_ROTATION = (13.0, 10.0, 5.0, 12.0)

ALLOWANCES = {
  'finger fan': Allowance(
    (15.0, 0.0, -15.0, -30.0),
    'abduction of index to little is 0 on the line from the wrist through the knuckle, '
    'in the clinic where the finger is parallel to the middle one: the lines of '
    'neighbours are 14 to 16 degrees apart (medians of DexYCB), and either may be the '
    'middle of the range',
  ),
  'thumb fan': Allowance(
    (25.0, 40.0),
    'abduction of the thumb is 0 on the line from the wrist through its CMC, in the '
    'clinic beside the index: the two are 25 (STB) to 40 degrees (DexYCB) apart',
  ),
  'thumb plane': Allowance(
    (27.0,),
    'palmar abduction is counted from the plane of the root bones of thumb and index, '
    "which is turned against the palm's by 27 degrees (medians of DexYCB and RHD)",
  ),
  'thumb pronation': Allowance(
    (0.0, 90.0),
    'the hinge axes of the thumb turn with its pronation, which 3D joints do not tell: '
    'flexion may go towards the palm, towards the little finger, or between',
  ),
  'fingertip label': Allowance(
    (11.0,),
    'the tip of a finger is labelled on the skin: 4 mm of soft tissue beside a bone of '
    "20 mm (Buryanov's means) turn the direction of the last bone by 11 degrees",
  ),
  'carpus': Allowance(
    (0.0, 40.0),
    'millimetres from the wrist joint to the base of a metacarpal, in the direction of '
    'the root bone',
  ),
  'thumb carpus': Allowance(
    (15.0, 55.0), 'millimetres from the wrist joint to the CMC of the thumb'
  ),
  'root angles': Allowance(
    (15.0, 70.0, 5.0, 25.0),
    'least and largest angle between the root bones of thumb and index, and between '
    'those of the other neighbours',
  ),
  'palm curvature': Allowance(
    (-0.002, 0.01, 0.0, 0.03),
    'least and largest curvature in 1/mm between thumb and index, and between the '
    'other neighbours',
  ),
}

# Buryanov: (mean, standard deviation) in mm, thumb to little.
METACARPALS = (
  (46.22, 3.94),
  (68.12, 6.27),
  (64.60, 5.38),
  (58.00, 5.06),
  (53.69, 4.36),
)
PROXIMAL_PHALANGES = (
  (31.57, 3.13),
  (39.78, 4.94),
  (44.63, 3.81),
  (41.37, 3.87),
  (32.74, 2.77),
)
MIDDLE_PHALANGES = ((22.38, 2.51), (26.33, 3.00), (25.65, 3.29), (18.11, 2.54))
DISTAL_PHALANGES = (
  (21.67, 1.60),
  (15.82, 2.26),
  (17.40, 1.85),
  (17.30, 2.22),
  (15.96, 2.45),
)
FINGERTIPS = ((5.67, 0.61), (3.84, 0.59), (3.95, 0.61), (3.95, 0.60), (3.73, 0.62))
"""Soft tissue beyond the distal phalanx."""
