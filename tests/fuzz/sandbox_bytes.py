"""Coverage-guided fuzzing of the sandbox with atheris (https://github.com/google/atheris), where it is installed; not part of the tests.

    python tests/fuzz/sandbox_bytes.py [facts | READER] [libFuzzer options, such as -max_total_time=60 -max_len=4096 -rss_limit_mb=512]

``facts`` (the default) derives the facts of a package of one file whose name the first byte chooses; READER is a name in ``tests/sigma_core/sandbox/byte_readers.py``.
Whatever raises ends the run, and libFuzzer writes the bytes to a file in the working folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "sigma_core" / "sandbox")]

import atheris  # noqa: E402  # type: ignore[import-not-found, unused-ignore]

with atheris.instrument_imports(include=["sigma_core.sandbox"]):
    from byte_readers import FILES, READERS, facts_of


def facts(data: bytes) -> None:
    """The facts of ``data`` under a name that its first byte chooses."""
    if data:
        facts_of(FILES[data[0] % len(FILES)], data[1:])


def main(arguments: list[str]) -> int:
    """Fuzz until libFuzzer ends it; exit code 2 for a reader that there is not."""
    name = arguments[1] if len(arguments) > 1 and not arguments[1].startswith("-") else "facts"
    if name != "facts" and name not in READERS:
        print(f"There is no reader {name}. There are: facts, {', '.join(READERS)}", file=sys.stderr)
        return 2
    target = facts if name == "facts" else READERS[name]
    atheris.Setup(
        [arguments[0], *[option for option in arguments[1:] if option != name]], lambda data: target(data) and None
    )
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
