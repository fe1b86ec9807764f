"""JavaScript and TypeScript: what a script can do, and where its values flow. The same abstract values as for Python."""

from sigma_core.sandbox.javascript.script import read_javascript

__all__ = ["read_javascript"]
