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
_PLAIN_ENDINGS = (".conf", ".cfg", ".ini", ".cnf", ".properties", ".env", ".toml", ".config", ".mod", ".service", "config", "rc", ".xml", ".plist", ".tfvars", ".repo", ".list", ".sources")
_PLAIN_NAMES = name_set("dockerfile containerfile caddyfile procfile requirements.txt constraints.txt .npmrc .yarnrc .gitmodules .lfsconfig .gitconfig pip.conf go.mod sshd_config ssh_config daemon.json")
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
        kind = FileKind.TEXT if place.path.lower().endswith((".plist", ".html.j2")) else place.kind
        yield Settings(place.text[:MAX_LISTING], 0, "use", kind, whole=True)


def is_settings_file(path: str, kind: FileKind) -> bool:
    """Whether the name of a file, which no format of data tells, says that programs are set up by it."""
    name = path.lower().rpartition("/")[2]
    for ending in _TEMPLATES:
        name = name.removesuffix(ending)
    if name in _PLAIN_NAMES or name.startswith((".env", "dockerfile", "requirements")):
        return True
    if kind is FileKind.CODE:
        return name.endswith(_CODE_ENDINGS)
    if kind in _PROGRAMS:
        return False
    return name.endswith(_PLAIN_ENDINGS) or (kind is FileKind.HTML and name.endswith((".html", ".xml")))
