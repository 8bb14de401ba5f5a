"""A hand mesh that any 21 joints can wear, and pictures of it.

`pose_mesh` dresses joints; `render` draws them. The mesh and the shapes of bodies are
MakeHuman's, CC0 (see ORIGIN.md beside this file); everything else is computed.
"""

from bmc_jax.data.procedural.mesh.asset import SHAPES as SHAPES
from bmc_jax.data.procedural.mesh.asset import HandMesh as HandMesh
from bmc_jax.data.procedural.mesh.asset import load_mesh as load_mesh
from bmc_jax.data.procedural.mesh.scene import pose_mesh as pose_mesh
