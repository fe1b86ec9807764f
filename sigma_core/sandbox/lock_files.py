"""Lock files of npm, yarn, pnpm, poetry, uv, pipenv, cargo, go, bundler and composer: what is locked, where it comes from, and whether its bytes are fixed.

JSON is parsed; the other formats are written by machines, one value a line, and are scanned so. Nothing is guessed: what is not written as the
format has it is left out, and `LockFile.fault` says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from sigma_core.sandbox import node_lock_files, other_lock_files, python_lock_files
from sigma_core.sandbox.lock_entries import MAX_ENTRIES, Found, Locked, Unreadable
from sigma_core.sandbox.popular_names import Registry

MAX_CHARACTERS = 16_000_000


@dataclass(frozen=True, slots=True)
class LockFile:
    """A lock file's packages, the package URL type of their registry, and the manifest that the file belongs to.

    ``direct`` names what the project itself asks for, where the format says so. ``fault`` says why the file, or part of
    it, could not be read; empty where all of it was.
    """

    ecosystem: str
    manifest: str
    packages: tuple[Locked, ...]
    direct: frozenset[str] | None = None
    fault: str = ""

    @property
    def registry(self) -> Registry | None:
        """The list of well-known names to compare with, where there is one."""
        return _REGISTRIES.get(self.ecosystem)


def read_lock_file(path: str, text: str) -> LockFile | None:
    """The lock file at ``path``, or None for any other file. Never raises for what a file holds."""
    folder, _, name = path.rpartition("/")
    reader = _READERS.get(name.lower())
    if reader is None:
        return None
    ecosystem, manifest, read = reader
    found, fault = Found(), ""
    if len(text) > MAX_CHARACTERS:
        fault = f"more than {MAX_CHARACTERS} characters"
    elif text.strip():
        try:
            found = read(text)
        except Unreadable as unreadable:
            fault = str(unreadable)
    if len(found.packages) > MAX_ENTRIES:
        fault = f"more than {MAX_ENTRIES} packages"
    elif found.unread:
        fault = f"{found.unread} entries not in the format"
    return LockFile(
        ecosystem,
        f"{folder}/{manifest}" if folder else manifest,
        tuple(found.packages[:MAX_ENTRIES]),
        found.direct,
        fault,
    )


def is_lock_file(path: str) -> bool:
    """Whether a file is named like a lock file."""
    return path.rpartition("/")[2].lower() in _READERS


_REGISTRIES = {"npm": Registry.NPM, "pypi": Registry.PYPI}
_READERS = {
    "package-lock.json": ("npm", "package.json", node_lock_files.npm),
    "npm-shrinkwrap.json": ("npm", "package.json", node_lock_files.npm),
    "yarn.lock": ("npm", "package.json", node_lock_files.yarn),
    "pnpm-lock.yaml": ("npm", "package.json", node_lock_files.pnpm),
    "poetry.lock": ("pypi", "pyproject.toml", python_lock_files.toml_packages),
    "uv.lock": ("pypi", "pyproject.toml", python_lock_files.toml_packages),
    "pipfile.lock": ("pypi", "Pipfile", python_lock_files.pipenv),
    "cargo.lock": ("cargo", "Cargo.toml", other_lock_files.cargo),
    "go.sum": ("golang", "go.mod", other_lock_files.go_sum),
    "gemfile.lock": ("gem", "Gemfile", other_lock_files.bundler),
    "composer.lock": ("composer", "composer.json", other_lock_files.composer),
}
