"""From the 2D keypoints of any detector to metric 3D hands."""
