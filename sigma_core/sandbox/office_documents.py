"""Office documents (OOXML and OpenDocument): the words of their parts, hidden ones apart, and what they do or fetch when opened.

Formats: ECMA-376 and ISO/IEC 26300. The XML is read by its tags alone: no entity is expanded, nothing outside the file is looked up, malformed parts give what they have.
"""

from __future__ import annotations

import html
from dataclasses import dataclass, field

import re2

_TEXT_PARTS = re2.compile(
    r"(?i)^(?:word/(?:document|comments\w*|footnotes|endnotes|header\d*|footer\d*)|ppt/(?:slides|notesSlides|comments|slideMasters)/[\w.-]+|xl/(?:sharedStrings|comments\d*|worksheets/[\w.-]+|threadedComments/[\w.-]+)|docProps/\w+|content|meta|settings|customXml/\w+)\.xml$"
)
_BLOCK_END = re2.compile(
    r"</(?:w:p|a:p|si|row|text:p|text:h|dc:\w+|cp:\w+)>|<(?:w:br|w:tab|text:line-break|text:tab)\b[^<>]{0,200}>"
)
_RUN = re2.compile(r"(?s)<w:r\b[^<>]{0,400}>(.*?)</w:r>")
_HIDDEN_RUN = re2.compile(
    r"<w:(?:vanish|webHidden|specVanish)\s*/>|<w:sz w:val=\"[0-4]\"\s*/>|<w:color w:val=\"(?i:ffffff)\""
)
_TAG = re2.compile(r"<[^<>]*>")
_COMMENT = re2.compile(r"(?s)<!--(.*?)-->")
_EXTERNAL = re2.compile(r"(?is)<Relationship\b[^<>]*>")
_TARGET = re2.compile(r"(?i)\bTarget=\"([^\"]+)\"")
_KIND = re2.compile(r"(?i)\bType=\"[^\"]{0,300}/(\w+)\"")
_FIELD = re2.compile(
    r"(?i)<w:instrText[^<>]{0,200}>[^<>]{0,400}\b(DDEAUTO|DDE|INCLUDETEXT|INCLUDEPICTURE)\b|\b(?:=|\+)(?:cmd|msexcel|dde)\|"
)
_LOADED = frozenset({"attachedTemplate", "oleObject", "frame", "subDocument", "externalLinkPath"})
"""Relationships that are followed on opening; a hyperlink waits for a click."""


@dataclass
class OfficeDocument:
    """``words`` are those a reader sees, ``hidden`` those that the document's own formatting hides; ``links`` are external targets with their kind."""

    words: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)
    macros: list[str] = field(default_factory=list)
    fields: list[str] = field(default_factory=list)

    @property
    def loaded(self) -> list[str]:
        """External targets that are fetched on opening."""
        return [target for kind, target in self.links if kind in _LOADED]


def is_office_part(name: str) -> bool:
    """Whether a member's name is one that tells an Office document from another zip."""
    return name in {"[Content_Types].xml", "content.xml"} or name.startswith(("word/", "xl/", "ppt/"))


def add_part(document: OfficeDocument, name: str, content: bytes) -> bool:
    """Read one member into ``document``; False where it is no part that this reader knows."""
    lower = name.lower()
    if lower.endswith(("vbaproject.bin", "vbadata.xml")) or lower.startswith("basic/") or "/macrosheets/" in lower:
        document.macros.append(name)
        return True
    if not lower.endswith((".xml", ".rels", ".vml")):
        return False
    text = content.decode("utf-16" if content[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8", "replace")
    if lower.endswith(".rels"):
        _relationships(document, text)
        return True
    document.fields += [match.group().strip()[-60:] for match in _FIELD.finditer(text)][:20]
    document.hidden += [comment.strip() for comment in _COMMENT.findall(text)[:50] if comment.strip()]
    if _TEXT_PARTS.search(name):
        hidden = [match.group(1) for match in _RUN.finditer(text) if _HIDDEN_RUN.search(match.group(1))]
        document.hidden += [words for run in hidden[:200] if (words := _words(run))]
        document.words.append(_words(text))
    return True


def _relationships(document: OfficeDocument, text: str) -> None:
    for match in _EXTERNAL.finditer(text):
        target, kind = _TARGET.search(match.group()), _KIND.search(match.group())
        if 'TargetMode="External"' in match.group() and target is not None:
            document.links.append((kind.group(1) if kind else "", html.unescape(target.group(1))))


def _words(xml: str) -> str:
    """The text of an XML part: block ends as line ends, tags away, entities written out."""
    broken = _BLOCK_END.sub("\n", _COMMENT.sub("", xml))
    return html.unescape(_TAG.sub("", broken)).strip()
