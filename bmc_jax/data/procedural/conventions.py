"""How tools and datasets label the joints of a hand, as proportions of its bones.

No two of them mean the same place by a joint: MANO's middle MCP->PIP bone is 31 mm of
an adult's hand, STB's 40 mm. What is drawn for everybody's keypoints (`anyone`) covers
all of them and what lies between. The numbers are medians over many hands; no pose of
any dataset is in them.
"""

from typing import NamedTuple

import numpy as np

from bmc_jax.data.procedural.pose import LENGTH_RATIOS, ROOT_DIRECTIONS

BONE_RATIOS = {
  # DexYCB, and so FreiHAND and HO-3D.
  'mano': LENGTH_RATIOS.tolist(),
  # MakeHuman's hand (CC0), whose joints are those of its skeleton.
  'makehuman': [
    [1.32, 0.83, 1.13, 0.73],
    [3.14, 0.79, 0.71, 0.73],
    [3.03, 1.00, 0.78, 0.78],
    [2.89, 0.88, 0.74, 0.77],
    [2.80, 0.68, 0.45, 0.57],
  ],
  # RHD's characters.
  'rhd': [
    [1.12, 1.20, 0.91, 0.76],
    [2.71, 1.08, 0.81, 0.79],
    [2.70, 1.00, 0.89, 0.85],
    [2.54, 0.89, 0.81, 0.77],
    [2.36, 0.83, 0.51, 0.65],
  ],
  # STB, whose wrist is extrapolated from the palm's centre.
  'stb': [
    [0.49, 0.75, 0.70, 0.65],
    [1.81, 0.85, 0.55, 0.50],
    [1.90, 1.00, 0.63, 0.53],
    [1.94, 0.93, 0.58, 0.50],
    [1.81, 0.80, 0.38, 0.48],
  ],
  # MediaPipe's landmarks in the image, from FreiHAND's evaluation images: those in its
  # world landmarks are others (index PIP bone 0.77).
  'mediapipe': [
    [0.90, 0.85, 0.78, 0.68],
    [2.05, 0.96, 0.62, 0.58],
    [2.00, 1.00, 0.68, 0.60],
    [1.87, 0.90, 0.66, 0.58],
    [1.80, 0.72, 0.50, 0.52],
  ],
}
"""Bone lengths over the middle MCP->PIP bone: thumb to little finger, root bone to tip.

Those of `mano` are `pose.LENGTH_RATIOS`.
"""


class Ranges(NamedTuple):
  """How fingers bend and palms are built.

  Attributes:
    angles: (5, 3, 2, 3) least, middle and greatest flexion and abduction, degrees, by
      finger and bone.
    roots: (5, 3) directions of the root bones, as `pose.ROOT_DIRECTIONS`.
  """

  angles: np.ndarray
  roots: np.ndarray


# The wider one of DexYCB's and RHD's 1st and 99th percentiles, and a little more.
_WIDE = np.array(
  [
    [
      [[-20, 18, 65], [-35, -8, 30]],
      [[-30, 5, 50], [-35, -10, 15]],
      [[-20, 25, 80], [-15, 0, 20]],
    ],
    [
      [[-30, 18, 88], [-32, -12, 8]],
      [[-8, 38, 105], [-12, 0, 15]],
      [[-15, 12, 75], [-5, 2, 12]],
    ],
    [
      [[-28, 22, 92], [-20, -4, 12]],
      [[-4, 42, 110], [-10, 0, 12]],
      [[-15, 12, 75], [-5, 2, 10]],
    ],
    [
      [[-22, 25, 92], [-18, 3, 24]],
      [[-4, 42, 112], [-16, -4, 6]],
      [[-15, 12, 72], [-5, 4, 10]],
    ],
    [
      [[-18, 30, 94], [-26, 5, 40]],
      [[-6, 38, 112], [-22, -6, 6]],
      [[-15, 12, 70], [-6, 3, 12]],
    ],
  ],
  np.float32,
)

# RHD's 1st, 50th and 99th percentile and 5 degrees more; nothing of DexYCB.
_RHD = np.array(
  [
    [
      [[-19, 7, 49], [-24, -9, 29]],
      [[-31, 12, 42], [-52, -19, 4]],
      [[-32, -7, 48], [-43, 0, 27]],
    ],
    [
      [[-29, 21, 81], [-43, -13, 13]],
      [[-8, 23, 101], [-4, 7, 36]],
      [[-16, 0, 58], [-12, -3, 8]],
    ],
    [
      [[-24, 26, 91], [-16, -2, 16]],
      [[1, 42, 113], [-7, 3, 19]],
      [[-13, 0, 76], [-6, 3, 11]],
    ],
    [
      [[-15, 36, 96], [-24, 0, 32]],
      [[-4, 51, 116], [-18, -3, 9]],
      [[-14, 2, 73], [-11, 1, 9]],
    ],
    [
      [[-21, 37, 92], [-34, 8, 49]],
      [[-3, 53, 117], [-32, -9, 7]],
      [[-16, 1, 71], [-10, 5, 14]],
    ],
  ],
  np.float32,
)
_RHD_ROOTS = np.array(
  [
    [0.55, 0.73, 0.40],
    [0.22, 0.97, 0.06],
    [0.00, 1.00, 0.02],
    [-0.20, 0.98, 0.03],
    [-0.43, 0.90, 0.09],
  ],
  np.float32,
)

RANGES = {
  'wide': Ranges(_WIDE, ROOT_DIRECTIONS),
  'rhd': Ranges(_RHD, _RHD_ROOTS / np.linalg.norm(_RHD_ROOTS, axis=1, keepdims=True)),
}
"""Those of everybody, and others to learn what it costs not to know some people.

The palm of `wide` is DexYCB's median one.
"""
