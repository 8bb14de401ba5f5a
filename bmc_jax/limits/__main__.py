"""Fits, shows and compares limits: `python -m bmc_jax.limits --help`."""

from bmc_jax.limits_command import main

if __name__ == '__main__':
  main()
