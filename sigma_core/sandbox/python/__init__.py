"""Python by its syntax tree: what a module can do, and where its values flow. Each expression has one abstract value; own functions are read where they are called."""

from sigma_core.sandbox.python.module import read_python

__all__ = ["read_python"]
