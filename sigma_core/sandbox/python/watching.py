"""Conditions that ask who is watching: debuggers, analysts' machines, and the tools that run on them."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable

from sigma_core.sandbox.observations import Source
from sigma_core.sandbox.python.values import Value
from sigma_core.sandbox.vocabulary import name_set

_DEBUGGERS = name_set(
    "sys.gettrace ctypes.windll.kernel32.IsDebuggerPresent ctypes.windll.kernel32.CheckRemoteDebuggerPresent"
)
_ANALYSIS_WORDS = name_set(
    "sandbox cuckoo joesandbox anyrun malware malwaretest virustotal analyst maltest vmware virtualbox vboxservice vboxtray vmtoolsd vmwaretray qemu-ga wireshark procmon procmon64 x64dbg x32dbg ollydbg fiddler processhacker"
)
_MAX_PARTS = 64


def watcher_sought(test: ast.expr, read: Value, look: Callable[[str], Value]) -> str:
    """What a condition looks for, or empty: a debugger, or the words of an analyst's machine in the names of host, user or programs. ``read`` is the condition's value."""
    if not read.comes_from(Source.HOST_DATA):
        return ""
    if any(origin in _DEBUGGERS for _, origin in read.labels):
        return "debugger"
    for part in itertools.islice(ast.walk(test), _MAX_PARTS):
        texts: tuple[str, ...] = ()
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            texts = (part.value,)
        elif isinstance(part, ast.Name):
            value = look(part.id)
            texts = (*value.texts, *(item.text for item in (value.items or ())[:_MAX_PARTS]))
        word = next((text for text in texts if text.lower().removesuffix(".exe") in _ANALYSIS_WORDS), "")
        if word:
            return word
    return ""
