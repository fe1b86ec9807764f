"""Configuration that takes checks off an agent or editor and brings a stranger in: settings and server entries in files and in the listings of documents."""

from __future__ import annotations

from collections.abc import Iterator

import re2

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.configuration_listings import Listing, configuration_listings
from sigma_core.sandbox.declared import DeclaredSurface
from sigma_core.sandbox.readings import Finding
from sigma_core.sandbox.started_commands import Server, servers
from sigma_core.sandbox.text_places import TextPlaces
from sigma_core.sandbox.vocabulary import HostClass, name_set

SEVERAL_KEYS = 2
"""Services whose keys one stranger's server must be handed: its own key is a common need."""
_LOOSENED = re2.compile(
    r"(?i)\"(?:autoApprove|alwaysAllow|autoAllow)\"\s*:\s*\[[^\]\n]{0,200}\"\*\"|\"(?:autoApprove(?:All)?|dangerouslySkipPermissions|enableAllProjectMcpServers|chat\.tools\.(?:global\.)?autoApprove|yolo(?:Mode)?)\"\s*:\s*true"
    r"|\"(?:defaultMode|permissionMode|approvalMode)\"\s*:\s*\"(?:bypassPermissions|yolo|never|dontAsk|approve-all)\"|\bapproval_policy\s*=\s*\"never\"|\"ask\"\s*:\s*\"(?:off|never)\"|\"Bash\((?:\*|\*:\*|:\*)\)\""
    r"|\bNODE_TLS_REJECT_UNAUTHORIZED\"?\s*[:=]\s*[\"']?0|\b(?:http\.proxyStrictSSL|strictSSL|rejectUnauthorized|verify_ssl|sslVerify)\"?\s*[:=]\s*false|\"auth\"\s*:\s*\{\s*\"mode\"\s*:\s*\"(?:none|off)\""
    r"|\"sandbox\"\s*:\s*(?:false|\"off\"|\{[^}\n]{0,80}\"(?:mode|enabled)\"\s*:\s*(?:\"off\"|false))|\bsandbox_mode\s*=\s*\"danger-full-access\"|\bsecurity\.workspace\.trust\.enabled\"\s*:\s*false|\bextensions\.verifySignature\"\s*:\s*false|\btask\.allowAutomaticTasks\"\s*:\s*\"on\""
)
"""A check that agents and editors make unless their settings say otherwise, and that is said otherwise here."""
_STRANGE = frozenset({HostClass.UNKNOWN, HostClass.DROP, HostClass.RAW_ADDRESS, HostClass.HIDDEN_SERVICE})
_VARIABLE = re2.compile(r"\$\{?(?:env:|input:)?([A-Za-z][A-Za-z0-9_]{2,60})\}?")
_KEYS_OF = name_set(
    "openai anthropic claude gemini google github gh gitlab aws azure gcp stripe slack discord telegram hf huggingface xai groq mistral deepseek openrouter npm pypi docker cloudflare vercel supabase notion linear jira database postgres mongodb twilio sendgrid"
)


def judge_loosened_configuration(declared: DeclaredSurface, place: TextPlaces) -> Iterator[Finding]:
    """A finding for each listing with a check taken off beside a stranger's address, and for each stranger's server that is handed keys of several services."""
    loosened = _LOOSENED.search(place.text) is not None
    if not loosened and "ervers" not in place.text:
        return
    for listing in configuration_listings(place):
        if loosened:
            yield from _beside_a_stranger(declared, place, listing)
        if "ervers" in listing.text:
            for server in servers(listing.text):
                yield from _keys_of_others(declared, place, listing, server)


def _beside_a_stranger(declared: DeclaredSurface, place: TextPlaces, listing: Listing) -> Iterator[Finding]:
    match = _LOOSENED.search(listing.text)
    hosts = sorted(_strangers(declared, listing.text)) if match is not None else []
    if match is not None and hosts:
        start, end = listing.start + match.start(), listing.start + match.end()
        yield place.at("SIGMA-SUPPLY-035", f"{match.group()[:80]} + {hosts[0]}", start, end, listing.context)


def _keys_of_others(
    declared: DeclaredSurface, place: TextPlaces, listing: Listing, server: Server
) -> Iterator[Finding]:
    hosts = sorted(_strangers(declared, " ".join([server.url, *server.command])))
    if not hosts:
        return
    handed = " ".join([server.url, *server.command, *server.headers])
    names = sorted({match[1] for match in _VARIABLE.finditer(handed) if vocabulary.secret_variable(match[1])})
    services = {service for name in names if (service := name.lower().partition("_")[0]) in _KEYS_OF}
    if len(services) >= SEVERAL_KEYS:
        start, end = listing.start + server.start, listing.start + server.end
        yield place.at("SIGMA-SUPPLY-036", f"{', '.join(names)[:120]} -> {hosts[0]}", start, end, listing.context)


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
