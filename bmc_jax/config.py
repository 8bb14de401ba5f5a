"""The type that configs are annotated with."""

from typing import TYPE_CHECKING, Any

import ml_collections

if TYPE_CHECKING:
  Config = Any  # the fields of a ConfigDict have no types that a checker could know
else:
  Config = ml_collections.ConfigDict
