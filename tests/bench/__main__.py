"""``python -m tests.bench [NAME ...]``: name the machine, then run the benchmarks of those names, or all of them."""

from __future__ import annotations

import ast
import importlib
import os
import platform
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def benchmarks() -> dict[str, str]:
    """Name and first line of each module here that defines ``main()``; none is imported for it."""
    found = {}
    for path in sorted(FOLDER.glob("[!_]*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in module.body):
            found[path.stem] = (ast.get_docstring(module) or "").partition("\n")[0]
    return found


def machine() -> str:
    """What figures depend on: processor, cores, Python, and how busy the machine is with other things."""
    load = ", ".join(f"{average:.2f}" for average in os.getloadavg())
    return (
        f"{processor()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, "
        f"load average {load} (1, 5, 15 minutes)"
    )


def processor() -> str:
    """The processor's name as the kernel gives it, or its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def run(names: list[str]) -> int:
    """Run the benchmarks of these names, or all. Exit code 2 when there is none of that name."""
    known = benchmarks()
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"There is no benchmark {', '.join(unknown)}. There are:", file=sys.stderr)
        for name, purpose in known.items():
            print(f"  {name:<14} {purpose}", file=sys.stderr)
        return 2
    print(machine(), flush=True)
    for name in names or known:
        print(f"\n== {name}: {known[name]}", flush=True)
        importlib.import_module(f"tests.bench.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
