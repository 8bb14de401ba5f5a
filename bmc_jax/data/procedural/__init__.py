"""Procedural hands: posed by forward kinematics, rendered in JAX, in two domains."""
