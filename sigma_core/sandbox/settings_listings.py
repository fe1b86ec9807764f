"""Settings wherever they are written and in whatever format: files that are neither documents nor programs, build files, and listings of documents in such a format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sigma_core.sandbox.configuration_listings import MAX_LISTING
from sigma_core.sandbox.layers import FileKind
from sigma_core.sandbox.text_places import TextPlaces
from sigma_core.sandbox.vocabulary import name_set

_FORMATS = frozenset({FileKind.JSON, FileKind.YAML, FileKind.TOML})
_PROGRAMS = frozenset({FileKind.PYTHON, FileKind.SHELL, FileKind.JAVASCRIPT, FileKind.POWERSHELL, FileKind.NOTEBOOK})
_CODE_ENDINGS = (".tf", ".hcl", ".gradle", ".kts", "gemfile", "podfile", "vagrantfile", "fastfile")
"""Settings that are written in a programming language."""
_NO_SETTINGS = (
    ".txt",
    ".md",
    ".rst",
    ".adoc",
    ".org",
    ".csv",
    ".tsv",
    ".xsd",
    ".css",
    ".scss",
    ".less",
    ".tex",
    ".bib",
    ".log",
    ".html",
    ".htm",
    ".svg",
    ".xhtml",
    ".c",
    ".h",
    ".cpp",
    ".vue",
    ".svelte",
    ".astro",
    ".patch",
    ".diff",
    ".srt",
    ".vtt",
    ".pem",
    ".pub",
    ".lock",
    ".sum",
    ".nu",
    ".sentinel",
    ".rego",
    ".awk",
    ".zig",
    ".nim",
    ".clj",
    ".hs",
    ".ml",
    ".el",
    ".vim",
    ".glsl",
    ".proto",
    ".graphql",
    ".ps",
    ".eml",
    ".ics",
    ".jsonld",
)
"""Readable files that are prose, data, pages or programs in a language without a reader of its own."""
_NO_SETTINGS_NAMES = name_set(
    "license licence notice authors contributors changelog readme copying codeowners .gitkeep .gitignore .dockerignore .gitattributes"
)
_BY_NAME = (".env", "dockerfile", "containerfile", "requirements", "constraints")
_TEMPLATES = (".example", ".sample", ".tmpl", ".template", ".j2", ".dist")
_LANGUAGES = name_set(
    "yaml yml json jsonc toml ini conf cfg config properties env dotenv nginx apache caddyfile dockerfile docker hcl terraform tf xml gitconfig npmrc editorconfig gradle helm compose ssh-config systemd"
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings at ``start`` of a file's text; ``context`` says whether they are to be used or shown, ``whole`` whether they are the file."""

    text: str
    start: int
    context: str
    kind: FileKind
    whole: bool


def settings_listings(place: TextPlaces) -> Iterator[Settings]:
    """The whole of a file of settings, and each listing of a document whose language is one of settings."""
    if place.kind is FileKind.MARKDOWN:
        for fence in place.fences:
            words = fence.language.strip().lower().split()
            if words and words[0].strip("{}.") in _LANGUAGES:
                context = "mention" if fence.cautionary else "use"
                yield Settings(fence.text[:MAX_LISTING], fence.start, context, FileKind.TEXT, whole=False)
    elif place.kind in _FORMATS or is_settings_file(place.path, place.kind):
        yield Settings(place.text[:MAX_LISTING], 0, "use", place.kind, whole=True)


def is_settings_file(path: str, kind: FileKind) -> bool:
    """Whether the name of a file, which no format of data tells, says that programs are set up by it."""
    name = path.lower().rpartition("/")[2]
    for ending in _TEMPLATES:
        name = name.removesuffix(ending)
    if name.startswith(_BY_NAME):
        return True
    if kind is FileKind.CODE:
        return name.endswith(_CODE_ENDINGS)
    if kind is FileKind.HTML:
        return name.endswith((".xml", ".plist"))
    return kind is FileKind.TEXT and not name.endswith(_NO_SETTINGS) and name not in _NO_SETTINGS_NAMES
