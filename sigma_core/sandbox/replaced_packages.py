"""Words and manifests that put a package nobody knows in the place of one that everybody uses and whose name it extends: ``use requests-secure instead of requests``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import re2

from sigma_core.sandbox.install_commands import install_commands
from sigma_core.sandbox.layers import FileKind
from sigma_core.sandbox.popular_names import Registry, extends, is_listed, is_popular, normalised
from sigma_core.sandbox.readings import Finding, Reading
from sigma_core.sandbox.started_commands import read_json
from sigma_core.sandbox.text_places import TextPlaces
from sigma_core.sandbox.vocabulary import name_set
from sigma_core.sandbox.worded_pattern import WordedPattern

RULE = "SIGMA-SUPPLY-031"
_ALSO_KNOWN = name_set(
    "class-validator class-transformer better-sqlite3 next-auth drizzle-orm passport mongoose sequelize typeorm knex fastify koa hapi stripe langchain svelte angular nuxt cypress jimp pdf-lib pdfkit xlsx exceljs three "
    "mobx react-query formik apollo-server discord.js telegraf web3 ethers viem bitcoinjs-lib requests-html rolldown-vite tensorflow-cpu tensorflow-macos express-async-errors vite-plus express-rate-limit chokidar-cli "
    "sharp-cli tailwind-merge react-router-native prisma-client-py django-rest-framework flask-restx sqlite-vec openai-whisper faster-whisper"
)
"""Packages that every developer knows and that the lists of the most downloaded ones do not reach."""
MAX_MATCHES = 400
"""Replacements read in one file, of each form."""
_DOCUMENTS = frozenset({FileKind.MARKDOWN, FileKind.TEXT, FileKind.HTML})
_REGISTRIES = (Registry.NPM, Registry.PYPI)
_REGISTRY_SITES = ("npmjs.com", "npmjs.org", "pypi.org", "yarnpkg.com", "libraries.io", "unpkg.com", "jsdelivr.net")

_GAP = r"[ \t]*\n?[ \t>]*"
_WORDS = r"(?:[\w'-]+[ \t]+){0,4}"
_QUOTES = "`'\"“”‘’*"
_NAME = rf"([{_QUOTES}]{{0,3}}@?[a-z0-9][a-z0-9._/-]{{2,80}}(?:[{_QUOTES}]{{1,3}}|\b))"
_KIND = r"(?: (?:npm |python |pypi )?(?:package|module|library|dependency|fork|build))?"
_VERB = (
    r"(?:(?:p?npm|yarn|bun|pip3?|uv|poetry|pipx)(?: pip)? (?:i|install|add)|use|using|installs?|installing|add|import|prefer|choose|pick|require|depend on|pull in|switch to|move to|migrate to|adopt|pin)"
    r"(?: the| our| only| always| in)?"
)
_PLAIN = r"(?:(?:the|plain|upstream|stock|standard|original|regular|vanilla|old|public|deprecated|bare|official) ){0,3}"
_INSTEAD = (
    r"(?:instead of|in place of|in lieu of|rather than|in preference to|over|and not|not|"
    rf"as (?:a|an|the|our|its) {_WORDS}(?:replacement|substitute|successor|stand-in)(?: for| to| of)?)"
)
# Each form, and which of its names is the one put in the other's place.
_FORMS = tuple(
    (WordedPattern(rf"(?i)\b{pattern}"), new, old)
    for pattern, new, old in (
        (rf"{_VERB}{_GAP}{_NAME}{_KIND}[,(]?{_GAP}{_WORDS}{_INSTEAD}{_GAP}{_PLAIN}{_NAME}", 1, 2),
        (
            rf"(?:instead of|in place of|in lieu of|rather than){_GAP}{_PLAIN}{_NAME}{_KIND},?{_GAP}{_WORDS}{_VERB}{_GAP}{_NAME}",
            2,
            1,
        ),
        (rf"(?:replace|swap|exchange)(?:s|d)?(?: out)?{_GAP}{_PLAIN}{_NAME}{_KIND}{_GAP}(?:with|by|for){_GAP}{_PLAIN}{_NAME}", 2, 1),
        (rf"substitute{_GAP}{_PLAIN}{_NAME}{_KIND}{_GAP}for{_GAP}{_PLAIN}{_NAME}", 1, 2),
        (rf"(?:migrate|move|switch|upgrade|change|go) from{_GAP}{_PLAIN}{_NAME}{_KIND}{_GAP}to{_GAP}{_PLAIN}{_NAME}", 2, 1),
    )
) + tuple(
    (WordedPattern(rf"(?i){pattern}"), new, old)
    for pattern, new, old in (
        (
            rf"{_NAME}{_KIND}{_GAP}(?:replaces|supersedes|succeeds|(?:is|as|,|:|-|–|—){_GAP}(?:a|an|the|our|its)?{_GAP}{_WORDS}(?:replacement|successor|substitute|fork)(?: for| of| to)){_GAP}{_PLAIN}{_NAME}",
            1,
            2,
        ),
        (
            rf"{_NAME}{_KIND}{_GAP}(?:is|was|has been) (?:now |been )?(?:renamed to|superseded by|replaced by|succeeded by|moved to){_GAP}{_PLAIN}{_NAME}",
            2,
            1,
        ),
        (
            rf"{_NAME}{_KIND}{_GAP}(?:is|was|has been) (?:now |been )?(?:deprecated|unmaintained|abandoned|retired|insecure|compromised|vulnerable|outdated|broken)[^.\n]{{0,60}}[,;:.–—]{_GAP}(?:so |please |always )?{_VERB}{_GAP}{_NAME}",
            2,
            1,
        ),
        (
            rf"(?:do not|don't|never|avoid|stop){_GAP}(?:use|using|install|installing|add|adding|import|importing){_GAP}{_PLAIN}{_NAME}{_KIND}[^.\n]{{0,60}}[,;:.–—]{_GAP}(?:but |so |please |always )?{_VERB}{_GAP}{_NAME}",
            2,
            1,
        ),
    )
)  # fmt: skip

_SED = re2.compile(r"\bs[/#|@]\W{0,4}([a-zA-Z][\w.-]{1,60})[^/#|@\n]{0,20}[/#|@]\W{0,4}([a-zA-Z][\w.-]{1,60})")
_MOVED = re2.compile(r"\[['\"]([\w@/.-]{2,60})['\"]\] ?= ?[^\n]{0,60}\.pop\(['\"]([\w@/.-]{2,60})")


def judge_replacements(
    readings: Mapping[str, Reading], places: Mapping[str, TextPlaces], own_name: str
) -> Iterator[Finding]:
    """Findings of the whole package; ``own_name`` is what it calls itself."""
    replacements = [
        (place, new, old, start, end, quoted)
        for place in (places[path] for path in sorted(places))
        for new, old, start, end, quoted in (*_in_words(place), *_in_manifest(place))
        if replaces(new, old) and not _own(new, own_name)
    ]
    if not replacements:
        return
    documented = _documented(readings.values())
    installed = {normalised(Registry.PYPI, name) for place in places.values() for name in _installed(place)}
    for place, new, old, start, end, quoted in replacements:
        name = normalised(Registry.PYPI, new)
        # Names that stand in quotes, or that are installed here, are those of packages; others may be plain words.
        if name not in documented and (quoted or name in installed):
            context = "use" if place.path.endswith(".json") else place.prose_context(start, end)
            yield place.at(RULE, f"{new} in place of {old}", start, end, context)


def replaces(new: str, old: str) -> bool:
    """Whether ``new`` is in no list, and extends the well-known name ``old``."""
    if new in _ALSO_KNOWN or any(is_listed(registry, new) for registry in _REGISTRIES):
        return False
    return extends(new, old) and (old in _ALSO_KNOWN or any(is_popular(registry, old) for registry in _REGISTRIES))


def swaps_in(text: str) -> bool:
    """Whether an edit of a manifest (``sed 's/old/new/'``, ``deps["new"] = deps.pop("old")``) puts a package that no list has where a well-known one stood."""
    pairs = [match.groups() for match in _SED.finditer(text)]
    pairs += [(match[2], match[1]) for match in _MOVED.finditer(text)]
    return any(
        any(is_popular(registry, old.strip(".")) for registry in _REGISTRIES)
        and not any(is_listed(registry, new.strip(".")) for registry in _REGISTRIES)
        for old, new in pairs
    )


def _in_words(place: TextPlaces) -> Iterator[tuple[str, str, int, int, bool]]:
    if place.kind not in _DOCUMENTS:
        return
    for pattern, new, old in _FORMS:
        for match in islice(place.matches(pattern), MAX_MATCHES):
            quoted = all(match[group][0] in _QUOTES for group in (new, old))
            yield _bare(match[new]), _bare(match[old]), match.start(), match.end(), quoted


def _bare(name: str) -> str:
    return name.strip(_QUOTES).rstrip("./-_").lower()


def _in_manifest(place: TextPlaces) -> Iterator[tuple[str, str, int, int, bool]]:
    """Aliases of a package.json: a dependency or override ``"old": "npm:new@1.0.0"``."""
    if place.path.rpartition("/")[2] != "package.json":
        return
    for key, value in _texts(read_json(place.text), 0):
        if value.startswith("npm:"):
            at = max(place.text.find(value), 0)
            name = value[4:]
            yield name[:1] + name[1:].partition("@")[0], key, at, at + len(value), True


def _texts(value: Any, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and depth < 5:
        for key, item in value.items():
            if isinstance(item, str):
                yield key, item
            else:
                yield from _texts(item, depth + 1)


def _own(name: str, own_name: str) -> bool:
    own = normalised(Registry.PYPI, own_name)
    return len(own) > 3 and (own in normalised(Registry.PYPI, name) or normalised(Registry.PYPI, name) in own)


def _documented(readings: Iterable[Reading]) -> set[str]:
    """The parts of addresses that the package names, but for registries, where anybody may have a page."""
    return {
        normalised(Registry.PYPI, part)
        for reading in readings
        for url, host, _, _ in reading.urls
        if not host.endswith(_REGISTRY_SITES)
        for part in urlsplit(url).path.split("/")
        if part
    }


def _installed(place: TextPlaces) -> Iterator[str]:
    for command in install_commands(place.text):
        yield from (wanted.name for wanted in command.wanted if wanted.name)
