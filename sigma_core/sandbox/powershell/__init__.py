"""PowerShell and batch files, and the command lines in AppleScript and Visual Basic: what commands can do, and where values flow.

No grammar for these languages is kept well enough to depend on, so a small reader of our own follows words, strings, variables, pipes and calls.
"""

from sigma_core.sandbox.powershell.reader import read_powershell

__all__ = ["read_powershell"]
