"""Which member names a package may have, alone and together.

A name is accepted only when every reader and every file system gives it the same meaning; nothing is rewritten.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

from sigma_core.policy import PackageLimits
from sigma_core.submissions.refusal import Refusal

_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Control, format (bidirectional, zero-width, tags), surrogate, private, unassigned, line and paragraph separators."""

# Invisible although Unicode calls them letters, marks or symbols: Hangul and Khmer fillers, Braille blank, grapheme
# joiner, variation selectors (UTS #39, Default_Ignorable_Code_Point).
_INVISIBLE = frozenset(
    chr(code)
    for block in (
        (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
        range(0x180B, 0x1810),
        range(0xFE00, 0xFE10),
        range(0xE0000, 0xE1000),
    )
    for code in block
)
_WINDOWS_CHARACTERS = frozenset('<>:"|?*')
# Device names of Windows, with or without an extension ("Naming Files, Paths, and Namespaces").
_WINDOWS_DEVICES = frozenset(
    {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}
    | {f"{device}{digit}" for device in ("COM", "LPT") for digit in "0123456789¹²³"}
)


def check_name(name: str, limits: PackageLimits) -> None:
    """Refuse ``name`` unless it is a clean, relative, NFC, forward-slash path within the limits.

    Directories are checked without their trailing slash. Undecodable bytes must arrive as surrogate escapes.
    """
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise Refusal("HOSTILE_PATH_NOT_UTF8", name) from None
    if size > limits.max_path_bytes:
        raise Refusal("LIMIT_PATH_BYTES", name, limit=limits.max_path_bytes, found=size)
    if "\\" in name:
        raise Refusal("HOSTILE_PATH_BACKSLASH", name)
    if name.startswith("/") or (name[1:2] == ":" and name[:1].isalpha()):
        raise Refusal("HOSTILE_PATH_ABSOLUTE", name)
    components = name.split("/")
    if len(components) > limits.max_path_depth:
        raise Refusal("LIMIT_PATH_DEPTH", name, limit=limits.max_path_depth, found=len(components))
    for component in components:
        _check_component(component, name)
    if not unicodedata.is_normalized("NFC", name):
        raise Refusal("HOSTILE_PATH_NOT_NFC", name)


def _check_component(component: str, name: str) -> None:
    if component == "..":
        raise Refusal("HOSTILE_PATH_TRAVERSAL", name)
    if component in {"", "."}:
        raise Refusal("HOSTILE_PATH_COMPONENT", name)
    for character in component:
        if " " <= character <= "~":
            continue
        category = unicodedata.category(character)
        if category in _FORBIDDEN_CATEGORIES or character in _INVISIBLE:
            raise Refusal("HOSTILE_PATH_CHARACTER", name, found=f"U+{ord(character):04X}")
    if component[-1] in ". " or component[0] == " ":
        raise Refusal("HOSTILE_PATH_WINDOWS_NAME", name, found="leading space, trailing dot or space")
    if not _WINDOWS_CHARACTERS.isdisjoint(component):
        raise Refusal("HOSTILE_PATH_WINDOWS_NAME", name, found=min(_WINDOWS_CHARACTERS.intersection(component)))
    if component.split(".", maxsplit=1)[0].rstrip(" ").upper() in _WINDOWS_DEVICES:
        raise Refusal("HOSTILE_PATH_WINDOWS_NAME", name, found=component)


def folded(name: str) -> str:
    """What two names share when some file system or reader may take them for the same (NFKC over full case folding)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).casefold()


def refuse_clashes(files: Iterable[str], directories: Iterable[str] = ()) -> None:
    """Refuse names that are equal or fold to equal, and files that are also directories.

    ``directories`` are entries of their own; the parents of every entry count as directories too, and those may be
    mentioned often, by one spelling only.
    """
    is_file_by_name: dict[str, bool] = {}
    name_by_fold: dict[str, str] = {}

    def claim(name: str, is_file: bool) -> None:
        known = name if name in is_file_by_name else name_by_fold.setdefault(folded(name), name)
        if is_file_by_name.setdefault(known, is_file) != is_file:
            raise Refusal("HOSTILE_FILE_IS_DIRECTORY", name, found=known)
        if known != name:
            raise Refusal("HOSTILE_DUPLICATE_NAME", name, found=known)

    def claim_parents(name: str) -> None:
        for index, character in enumerate(name):
            if character == "/":
                claim(name[:index], is_file=False)

    for name in files:
        if is_file_by_name.get(name):
            raise Refusal("HOSTILE_DUPLICATE_NAME", name, found=name)
        claim(name, is_file=True)
        claim_parents(name)
    seen_directories: set[str] = set()
    for name in directories:
        if name in seen_directories:
            raise Refusal("HOSTILE_DUPLICATE_NAME", name, found=name)
        seen_directories.add(name)
        claim(name, is_file=False)
        claim_parents(name)


class TakenNames:
    """The members of a package, as far as one more file must go with them: what `refuse_clashes` asks, at the cost of the new name alone.

    ``files`` go with each other.
    """

    def __init__(self, files: Iterable[str]) -> None:
        self._files: set[str] = set()
        self._folders: dict[str, str] = {}
        for name in files:
            self._files.add(folded(name))
            self._folders.update((folded(parent), parent) for parent in _parents(name))

    def has_room_for(self, name: str) -> bool:
        """Whether a file ``name`` is neither taken nor below a file, and its folders are spelled as those that are there."""
        own = folded(name)
        return (
            own not in self._files
            and own not in self._folders
            and all(
                folded(parent) not in self._files and self._folders.get(folded(parent), parent) == parent
                for parent in _parents(name)
            )
        )


def _parents(name: str) -> Iterator[str]:
    return (name[:index] for index, character in enumerate(name) if character == "/")
