"""Shell scripts and command lines: what commands can do, and where bytes flow through pipes, substitutions, variables and files.

Words are resolved first (quotes, escapes, assigned variables, string building), so that a command hidden in pieces is read as the command it becomes.
"""

from sigma_core.sandbox.shell.reader import read_shell

__all__ = ["read_shell"]
