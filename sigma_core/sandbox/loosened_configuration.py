"""Configuration that takes checks off an agent or editor and brings a stranger in: settings and server entries in files and in the listings of documents."""

from __future__ import annotations

from collections.abc import Iterator

import re2

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.configuration_listings import Listing, configuration_listings, may_hold_configuration
from sigma_core.sandbox.declared import DeclaredSurface
from sigma_core.sandbox.readings import Finding
from sigma_core.sandbox.started_commands import Trigger, servers, shown_commands
from sigma_core.sandbox.text_places import TextPlaces
from sigma_core.sandbox.vocabulary import HostClass, name_set

SEVERAL_KEYS = 2
"""Services whose keys one stranger's server must be handed: its own key is a common need."""
_LOOSENED = re2.compile(
    r"(?i)\"(?:autoApprove|alwaysAllow|autoAllow)\"\s*:\s*\[[^\]\n]{0,200}\"\*\"|\"(?:autoApprove(?:All)?|dangerouslySkipPermissions|enableAllProjectMcpServers|chat\.tools\.(?:global\.)?autoApprove|yolo(?:Mode)?)\"\s*:\s*true"
    r"|\"(?:defaultMode|permissionMode|approvalMode)\"\s*:\s*\"(?:bypassPermissions|yolo|never|dontAsk|approve-all)\"|\bapproval_policy\s*=\s*\"never\"|\"?\bask\"?\s*:\s*\"(?:off|never)\"|\"Bash\((?:\*|\*:\*|:\*)\)\""
    r"|\bNODE_TLS_REJECT_UNAUTHORIZED\"?\s*[:=]\s*[\"']?0|\b(?:http\.proxyStrictSSL|strictSSL|rejectUnauthorized|verify_ssl|sslVerify)\"?\s*[:=]\s*false|\"auth\"\s*:\s*\{\s*\"mode\"\s*:\s*\"(?:none|off)\""
    r"|\"sandbox\"\s*:\s*(?:false|\"off\"|\{[^}\n]{0,80}\"(?:mode|enabled)\"\s*:\s*(?:\"off\"|false))|\bsandbox_mode\s*=\s*\"danger-full-access\"|\bsecurity\.workspace\.trust\.enabled\"\s*:\s*false|\bextensions\.verifySignature\"\s*:\s*false|\btask\.allowAutomaticTasks\"\s*:\s*\"on\""
)
"""A check that agents and editors make unless their settings say otherwise, and that is said otherwise here."""
_STRANGE = frozenset({HostClass.UNKNOWN, HostClass.DROP, HostClass.RAW_ADDRESS, HostClass.HIDDEN_SERVICE})
_VARIABLE = re2.compile(r"\$\{?(?:env:|input:)?([A-Za-z][A-Za-z0-9_]{2,60})\}?")
_KEYS_OF = name_set(
    "openai anthropic claude gemini google github gh gitlab aws azure gcp stripe slack discord telegram hf huggingface xai groq mistral deepseek openrouter npm pypi docker cloudflare vercel supabase notion linear jira database postgres mongodb twilio sendgrid"
)


_KEYS_OF_MODELS = name_set("openai anthropic claude gemini openrouter aws azure gcp stripe")
"""Of these one key is enough: they pay for anything, anywhere."""
_STARTS = re2.compile(
    r"\"(?:\w*[sS]ervers|hooks|scripts|tasks|statusLine|apiKeyHelper|awsAuthRefresh|awsCredentialExport|otelHeadersHelper|\w+Command)\"\s*:"
)
_SERVER_ADDED = re2.compile(r"\bmcp\s+add(?:-json)?\b[^\n]{4,400}")


def judge_loosened_configuration(declared: DeclaredSurface, place: TextPlaces) -> Iterator[Finding]:
    """A finding for each listing with a check taken off beside a stranger's address, and for each stranger's server that is handed keys of several services."""
    if not may_hold_configuration(place):
        return
    loosened = _LOOSENED.search(place.text) is not None
    for listing in configuration_listings(place) if loosened or _STARTS.search(place.text) else ():
        if loosened:
            yield from _beside_a_stranger(declared, place, listing)
        if "ervers" in listing.text:
            for server in servers(listing.text):
                given = " ".join([server.url, *server.command, *server.headers])
                yield from _keys_of_others(declared, place, listing, given, server.start, server.end)
        if place.is_document:
            yield from _calls_a_stranger(declared, place, listing)
    if place.is_document:
        for match in _SERVER_ADDED.finditer(place.text):
            line = Listing(match.group(), match.start(), place.command_context(match.start()))
            yield from _keys_of_others(declared, place, line, line.text, 0, len(line.text))


def _calls_a_stranger(declared: DeclaredSurface, place: TextPlaces, listing: Listing) -> Iterator[Finding]:
    for command in shown_commands(listing.text):
        hosts = sorted(_strangers(declared, command.text))
        if command.trigger is not Trigger.SERVER and hosts:
            start, end = listing.start + command.start, listing.start + command.end
            yield place.at("SIGMA-SUPPLY-040", f"{command.trigger.value}: {hosts[0]}", start, end, listing.context)


def _beside_a_stranger(declared: DeclaredSurface, place: TextPlaces, listing: Listing) -> Iterator[Finding]:
    match = _LOOSENED.search(listing.text)
    hosts = sorted(_strangers(declared, listing.text)) if match is not None else []
    if match is not None and hosts:
        start, end = listing.start + match.start(), listing.start + match.end()
        yield place.at("SIGMA-SUPPLY-035", f"{match.group()[:80]} + {hosts[0]}", start, end, listing.context)


def _keys_of_others(
    declared: DeclaredSurface, place: TextPlaces, listing: Listing, given: str, start: int, end: int
) -> Iterator[Finding]:
    """``given`` is what a server at ``start:end`` of the listing is called with."""
    hosts = sorted(_strangers(declared, given))
    if not hosts:
        return
    names = sorted({match[1] for match in _VARIABLE.finditer(given) if vocabulary.secret_variable(match[1])})
    services = {service for name in names if (service := name.lower().partition("_")[0]) in _KEYS_OF}
    others = {service for service in services & _KEYS_OF_MODELS if not any(service in host for host in hosts)}
    if others or len(services) >= SEVERAL_KEYS:
        subject = f"{', '.join(names)[:120]} -> {hosts[0]}"
        yield place.at("SIGMA-SUPPLY-036", subject, listing.start + start, listing.start + end, listing.context)


def _strangers(declared: DeclaredSurface, text: str) -> Iterator[str]:
    """Hosts of the addresses in ``text`` that nobody known owns and that the package is not named after."""
    for _, _, _, host in vocabulary.urls_in(text):
        if (
            "." in host
            and not host.startswith(("$", "{", "your", "my-"))
            and vocabulary.classify_host(host) in _STRANGE
            and not declared.names_owner(host, title_only=True)
        ):
            yield host
