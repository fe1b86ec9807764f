"""Hosts of nobody known that one value of a configuration alone names, under a key that hands out code or receives traffic, files or secrets.

Files of settings in any format, and the listings of documents in one; what people write in sentences is read in `sigma_core.sandbox.stranger_hosts`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from sigma_core.sandbox.configuration_listings import MAX_LISTING
from sigma_core.sandbox.declared import DeclaredSurface
from sigma_core.sandbox.facts import Location
from sigma_core.sandbox.layers import FileKind
from sigma_core.sandbox.linear_pattern import linear_pattern
from sigma_core.sandbox.readings import Finding
from sigma_core.sandbox.redirected_traffic import strange_host
from sigma_core.sandbox.settings_listings import Settings, settings_listings
from sigma_core.sandbox.stranger_hosts import OWN_WORDS, ends_like_a_host, is_spoken_of, serves_everyone
from sigma_core.sandbox.text_places import TextPlaces
from sigma_core.sandbox.vocabulary import name_set

RULE = "SIGMA-SUPPLY-050"
MOST = 1_000
"""Addresses of one listing that are looked at."""
BEFORE = 120
"""Characters of a value's own line that hold its key."""
ABOVE = 320
"""Characters above a value that hold the names of the sections around it."""
_ADDRESS = linear_pattern(
    r"(?i)(?:(?:[a-z]{2,8}\+)?(?:https?|wss?|git|ssh|grpcs?|tcp|tls|redis|amqps?|postgres(?:ql)?|mongodb(?:\+srv)?|smtps?|ldaps?)\\?://(?:[^\s/@'\"<>`|$]+@)?)((?:[a-z0-9][a-z0-9-]*\.)+[a-z]+)\b"
    r"|(?:^|[\s\"'=\[(@])((?:[a-z0-9][a-z0-9-]*\.)+(?:com|net|org|io|dev|app|ai|co|xyz|cloud|tech|tools|site|online|host|run|network|systems|services|space|store|pro|eu|de|uk|us|me|info|sh|cc|ru|cn|tk|gg|so|to))(?:[:/][\w./:@-]|[\"'\s;,)\]]|$)"
)
"""An address with its scheme, or the name of a host alone, and what may follow one."""
_READ = linear_pattern(
    r"(?i)(?:\$?schema\w*|schemaLocation|xmlns(?::\w+)?|@?context|@?id|@?type|namespace|apiVersion|apiGroups?|kind|home(?:page)?|web ?site|docs?(?:_?url)?|documentation\w*|help\w*|licen[cs]e\w*|see|references?|examples?|authors?|maintainers?|e?-?mail\w*|avatar\w*|logo\w*|icon\w*|favicon|title|name|names|description|summary|notes?"
    r"|comment|prompt|question|answer|text|content|quote|citation|landing\w*|url_for_\w+|package|bundle_?id|applicationId|group_?id|artifact_?id|labels?|annotations?|class|social\w*|twitter|linkedin|terms\w*|privacy\w*|about|bugs|readme|tutorial|blog|product_?url|company|competitors?|sites?|pages?|expected\w*|input|output)[\"'\])}]{0,3}\s{0,3}(?:[:=]|=>)\s{0,3}[\"'\[(<]{0,3}$"
)
"""A key whose value people or parsers read, and nothing goes to."""
_RECEIVES = linear_pattern(
    r"(?i)(?:^|[^a-z])(?:\w*(?:registr(?:y|ies)|mirrors?|prox(?:y|ies)|endpoint|web_?hooks?|callback\w{0,10}|base_?ur[il]|base_?path|api_?(?:ur[il]|base|host|server)|jwks(?:_?ur[il])?|issuer|authority|upstream|telemetry|analytics|collector|ingest\w{0,8}|remote(?:_?url)?|manifest(?:_?url)?|download(?:_?ur[il]|_?host|_?base)?|distributionUrl|update(?:_?ur[il]|_?server)"
    r"|upload(?:_?ur[il]|_?to)?|publish(?:_?to|_?url)?|push_?(?:to|url)?|sync_?(?:to|url)?|copy_?to|backup_?(?:to|url)?|submit_?to|forward_?to|send_?to|report_?(?:to|ur[il])?|log_?(?:host|server|drain)|dsn|smtp_?(?:host|server)?|registry-mirrors|insecure-registries|sink|relay|gateway|broker|token_?ur[il]|auth_?ur[il]|server_?ur[il]|repo(?:sitory)?_?ur[il]|index(?:[-_]?ur[il])?|GOPROXY|OTLP_\w{0,10}|[A-Z]{2,16}_(?:ENDPOINT|HOST|SERVER|REMOTE|ISSUER|BROKER|GATEWAY))"
    r"|proxy_pass|mirror|resolver|syslog:server|server|target|recipient|FROM|image|uses|source|origin|fetch|script-src[^;]*|connect-src[^;]*|form-action[^;]*|monetization|image:|maven|repo|address|funding|donate|(?:GOPROXY|PROXY|MIRROR|REGISTRY|HOST|SERVER)|host)[\"'\])}]{0,3}\s{0,3}(?:[:=]{0,2}|=>)\s{0,3}(?:[\"'\[({<]|\w{1,12}\(|href=|src=|- ){0,3}\s{0,2}$"
)
"""A key, right before its value, whose value hands out code or receives what is sent."""
_SCRIPT = linear_pattern(
    r"(?i)<(?:script\b[^>]{0,80}\bsrc|form\b[^>]{0,80}\baction|link\b[^>]{0,60}\brel=[\"']monetization[\"'][^>]{0,40}\bhref)\s?=\s?[\"']?$"
)
"""What a page has run, sends to or pays to."""
_PLAIN = linear_pattern(
    r"(?i)(?:^|[\s\"'{,(-])(?:ur[il]|href|link|location|registry|path|value|script|gem|git|service)[\"'\])}]{0,3}\s{0,3}(?:[:=]|=>|\s)\s{0,3}(?:[\"'\[({]|\w{1,12}\(){0,3}$|^\s*-\s*[\"']?$|^[^a-zA-Z]*[\"']?$|\[url\s+[\"']?$"
)
"""A key that says nothing of its own: the sections above it say what it is for."""
_SECTION = linear_pattern(
    r"(?i)\b\w*(?:registr(?:y|ies)|registryUrls|mirrors?|prox(?:y|ies)|repositor(?:y|ies)|repositoryUrl|repos|maven|index|sources?|remote_?write|web_?hook\w{0,10}|receivers?|sinks?|exporters?|mcpServers|servers|hooks|collectors?|outputs?|telemetry|analytics|push_?to|publish|plugin_?repositories|insteadOf|funding|updates?|payment|checkout)\b"
)
_PAGES = (".html", ".htm")
_SAMPLES = name_set("evals eval fixtures fixture tests test samples sample data schemas schema examples locales i18n")
"""Folders of texts that nothing is configured by."""


def judge_configured_hosts(
    declared: DeclaredSurface, place: TextPlaces, named_only_at: Callable[[str, Location], bool]
) -> Iterator[Finding]:
    """A finding for each value that turns to a host which no list knows, which the package names nowhere else, and whose owner its documents do not speak of. Time is linear in the text."""
    if _SAMPLES & set(place.path.lower().split("/")[:-1]):
        return
    own_words = ""
    page = place.path.lower().endswith(_PAGES)
    done: set[str] = set()
    for settings in [*settings_listings(place), *_pages(place)]:
        for match in islice(_ADDRESS.finditer(settings.text), MOST):
            group = 1 if match[1] else 2
            host = match[group].lower()
            start, end = match.start(group), match.end(group)
            if host in done or not ends_like_a_host(host) or serves_everyone(host) or not strange_host(host):
                continue
            key = _key(settings, match.start() if group == 1 else start, scheme=group == 1, page=page)
            if not key:
                continue
            at = settings.start + start, settings.start + end
            finding = place.at(RULE, f"{key}: {host}", *at, settings.context)
            own_words = own_words or OWN_WORDS.sub("", declared.text) or " "
            if named_only_at(f"https://{host}/", finding.location) and not is_spoken_of(host, own_words):
                done.add(host)
                yield finding


def _pages(place: TextPlaces) -> Iterator[Settings]:
    """A page that is handed out: what it loads and where it sends is set up in its markup."""
    if place.path.lower().endswith(_PAGES):
        yield Settings(place.text[:MAX_LISTING], 0, "use", FileKind.HTML, whole=True)


def _key(settings: Settings, start: int, *, scheme: bool, page: bool) -> str:
    """What the value at ``start`` is for, where it hands out or receives something; else empty."""
    text = settings.text
    row = text[text.rfind("\n", 0, start) + 1 : start][-BEFORE:]
    if row.lstrip().startswith(("#", "//", ";", "<!--", "* ", "--")) or _READ.search(row):
        return ""
    if settings.kind is FileKind.HTML:
        in_source = scheme and not page and _in_markup(text, start)
        return "page" if _SCRIPT.search(row) or in_source else ""
    found = _RECEIVES.search(row)
    if found is not None:
        return str(found.group()).strip(" \t\"'=:[({<-.") or "setting"
    if not scheme or not _PLAIN.search(row):
        return ""
    above = text[max(0, start - ABOVE) : start]
    sections = [part.group() for part in _SECTION.finditer(above)]
    if not sections and text[start : start + 240].lower().find("insteadof") >= 0:
        sections = ["insteadOf"]
    return sections[-1] if sections else ""


def _in_markup(text: str, start: int) -> bool:
    """Whether an address in XML stands in an element that names a source: a mirror, a repository, a server."""
    before = text[max(0, start - ABOVE) : start]
    return _SECTION.search(before) is not None and before.rstrip().endswith((">", '"'))
