"""A public SKILL.md on GitHub: from the URL that somebody gives to the one address that is fetched.

Only GitHub's raw content host is ever asked, over `sigma_core.safe_fetch`, and nothing of the given URL but names that have
been checked goes into that address.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import quote, unquote, urlsplit

import re2

from sigma_core.errors import SigmaError
from sigma_core.safe_fetch import MAX_URL, Fetched, FetchRules, fetch
from sigma_core.submissions.package import is_skill_file

RAW_CONTENT = "https://raw.githubusercontent.com"
RULES = FetchRules(max_bytes=0, seconds=6.0, max_redirects=2)
SKILL_FILE = "SKILL.md"
DEFAULT_REF = "HEAD"

_OWNER = re2.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})")
_REPOSITORY = re2.compile(r"[A-Za-z0-9._-]{1,100}")
_REF = re2.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,199}")
_HOSTS = frozenset({"github.com", "www.github.com"})
_RAW_HOST = "raw.githubusercontent.com"


class SourceUrlInvalid(SigmaError):
    """A source URL that names no file in a public GitHub repository; names the rule."""

    code = "SOURCE_URL_INVALID"


@dataclass(frozen=True, slots=True)
class GithubFile:
    """A file in a repository at a ref (branch, tag or commit)."""

    owner: str
    repository: str
    ref: str
    path: str

    @property
    def url(self) -> str:
        """Where its bytes are."""
        return "/".join([RAW_CONTENT, self.owner, self.repository, quote(self.ref, safe="/+"), quote(self.path)])


def skill_file_at(source_url: str, source_ref: str | None = None) -> GithubFile:
    """The SKILL.md that ``source_url`` is about: of a repository, of a folder (``/tree/…``), or the file itself.

    ``source_ref`` replaces the ref that the URL names; without either it is the default branch. Raises SourceUrlInvalid.
    """
    if len(source_url) > MAX_URL or not source_url.isascii() or not source_url.isprintable() or "\\" in source_url:
        raise SourceUrlInvalid(f"a URL of at most {MAX_URL} plain ASCII characters is expected")
    try:
        parts = urlsplit(source_url)
        port = parts.port
    except ValueError:
        raise SourceUrlInvalid("this is not a URL") from None
    if parts.scheme != "https" or port not in (None, 443) or "@" in parts.netloc:
        raise SourceUrlInvalid("an https URL without user name or port is expected")
    steps = [unquote(step) for step in parts.path.strip("/").split("/")]
    if parts.hostname == _RAW_HOST and len(steps) >= 4:
        owner, repository, ref, *path = steps
    elif parts.hostname in _HOSTS and len(steps) >= 2:
        owner, repository, *rest = steps
        if rest and (rest[0] not in ("tree", "blob") or len(rest) < 2):
            raise SourceUrlInvalid("after the repository, /tree/<ref>/… or /blob/<ref>/… is expected")
        ref, path = (rest[1], rest[2:]) if rest else (DEFAULT_REF, [])
    else:
        raise SourceUrlInvalid("a repository, folder or file on github.com is expected")
    repository = repository.removesuffix(".git")
    if not path or not is_skill_file(path[-1]):
        path = [*path, SKILL_FILE]
    _check_names(owner, repository, source_ref or ref, path)
    return GithubFile(owner, repository, source_ref or ref, "/".join(path))


def fetch_skill_file(file: GithubFile, max_bytes: int) -> Fetched:
    """The file's bytes. Raises FetchError."""
    return fetch(file.url, replace(RULES, max_bytes=max_bytes))


def _check_names(owner: str, repository: str, ref: str, path: list[str]) -> None:
    if not _OWNER.fullmatch(owner) or not _REPOSITORY.fullmatch(repository) or repository in (".", ".."):
        raise SourceUrlInvalid("this is no name of an owner and repository on GitHub")
    if not _REF.fullmatch(ref) or any(step in ("", ".", "..") for step in ref.split("/")):
        raise SourceUrlInvalid("this is no name of a branch, tag or commit")
    for step in path:
        if step in ("", ".", "..") or not step.isprintable() or "/" in step or "\\" in step:
            raise SourceUrlInvalid("a path in a repository has no empty, dot or hidden steps")
