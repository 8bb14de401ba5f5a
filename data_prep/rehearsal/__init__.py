"""Whole datasets of drawn hands in the original layouts of the paper's datasets.

    bmc-jax build rehearsal --out rehearsal --scale 0.01

writes below `rehearsal` the folders RHD_published_v2, FreiHAND_pub_v2, HO3D_v3 and
dexter+object, which the builders then read as they read the real ones: what the paper's
experiment does with files, crops, cameras and tables can be tried before anything is
downloaded. A scale of 1 has as many images as the real datasets.

RHD's hands have the shapes, poses and looks of the procedural domain `studio`; the
others' those of `wild`, FreiHAND's, HO-3D's and Dexter+Object's of different persons,
the latter two with things in hand. Hands are drawn as squares of `--tile` px, enlarged
to their size in the image and laid over a background, so pictures are blurrier than
photos, and a square can be seen around each hand. It is 1.7 times as large as the box
of the joints: crops of 1.5 times that box lie within it.
"""
