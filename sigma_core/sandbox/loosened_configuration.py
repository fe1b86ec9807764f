"""Configuration that takes checks off an agent or editor and brings a stranger in: settings and server entries in files and in the listings of documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import re2

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.configuration_listings import (
    MAX_LISTING,
    Listing,
    configuration_listings,
    may_hold_configuration,
)
from sigma_core.sandbox.declared import DeclaredSurface
from sigma_core.sandbox.install_commands import Tool, install_commands
from sigma_core.sandbox.popular_names import Registry, is_listed
from sigma_core.sandbox.readings import Finding
from sigma_core.sandbox.started_commands import Server, StartedCommand, Trigger, servers, shown_commands, shown_units
from sigma_core.sandbox.text_places import TextPlaces
from sigma_core.sandbox.vocabulary import HostClass, name_set
from sigma_core.sandbox.worded_pattern import WordedPattern

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
_KINDS_OF_KEYS = {
    **dict.fromkeys(
        name_set("openai anthropic claude gemini google openrouter xai groq mistral deepseek huggingface hf"), "models"
    ),
    **dict.fromkeys(name_set("github gh gitlab npm pypi docker"), "code"),
    **dict.fromkeys(name_set("aws azure gcp cloudflare vercel supabase digitalocean hetzner"), "clouds"),
    **dict.fromkeys(name_set("stripe paypal binance coinbase wallet eth ethereum solana private mnemonic"), "money"),
    **dict.fromkeys(name_set("slack discord telegram twilio sendgrid gmail"), "messages"),
    **dict.fromkeys(name_set("database postgres mongodb mysql redis"), "data"),
}
"""Services by what their keys open."""
_KNOWN_SCOPES = name_set(
    "modelcontextprotocol anthropic-ai openai google google-cloud microsoft azure aws cloudflare vercel stripe playwright upstash supabase sentry notionhq smithery composio pipedream zapier"
)
_REGISTRIES = {Tool.PIP: Registry.PYPI, Tool.NPM: Registry.NPM}
_STARTS = re2.compile(
    r"\"(?:\w*[sS]ervers|hooks|scripts|tasks|statusLine|apiKeyHelper|awsAuthRefresh|awsCredentialExport|otelHeadersHelper|\w+Command)\"\s*:"
)
_SERVER_ADDED = WordedPattern(r"\bmcp\s+add(?:-json)?\b[^\n]{4,400}")


def judge_loosened_configuration(declared: DeclaredSurface, place: TextPlaces) -> Iterator[Finding]:
    """A finding for each listing with a check taken off beside a stranger's address, and for each stranger's server that is handed keys of several services."""
    if not may_hold_configuration(place):
        return
    if place.is_document:
        for fence in place.fences:
            shown = Listing(fence.text[:MAX_LISTING], fence.start, "mention" if fence.cautionary else "use")
            yield from _of_strangers(declared, place, shown, shown_units(shown.text))
    loosened = _LOOSENED.search(place.text) is not None
    for listing in configuration_listings(place) if loosened or _STARTS.search(place.text) else ():
        if loosened:
            yield from _beside_a_stranger(declared, place, listing)
        if "ervers" in listing.text:
            for server in servers(listing.text):
                given = " ".join([server.url, *server.command, *server.headers])
                yield from _keys_of_others(declared, place, listing, given, server.start, server.end)
                yield from _keys_for_a_package(declared, place, listing, server)
        if place.is_document:
            yield from _of_strangers(declared, place, listing, shown_commands(listing.text))
    if place.is_document:
        for match in place.matches(_SERVER_ADDED):
            line = Listing(match.group(), match.start(), place.command_context(match.start()))
            yield from _keys_of_others(declared, place, line, line.text, 0, len(line.text))


def _of_strangers(
    declared: DeclaredSurface, place: TextPlaces, listing: Listing, commands: Iterable[StartedCommand]
) -> Iterator[Finding]:
    for command in commands:
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


def _keys_for_a_package(
    declared: DeclaredSurface, place: TextPlaces, listing: Listing, server: Server
) -> Iterator[Finding]:
    """A server that is fetched by a name which no list knows, and is given the keys of services of different kinds."""
    kinds: dict[str, str] = {}
    for name in server.variables:
        service = name.lower().partition("_")[0]
        if vocabulary.secret_variable(name) and service in _KINDS_OF_KEYS:
            kinds[_KINDS_OF_KEYS[service]] = name
    if len(kinds) < SEVERAL_KEYS:
        return
    for command in install_commands(" ".join(server.command)[:1_000]):
        for wanted in command.wanted:
            registry = _REGISTRIES.get(command.tool)
            owner = wanted.name.removeprefix("@").partition("/")[0].lower()
            unknown = registry is not None and bool(wanted.name) and not is_listed(registry, wanted.name)
            named = any(word in wanted.name.lower() for word in _KINDS_OF_KEYS) or owner in _KNOWN_SCOPES
            if command.runs and unknown and not named and owner not in declared.title:
                subject = f"{', '.join(sorted(kinds.values()))} -> {wanted.name}"
                start, end = listing.start + server.start, listing.start + server.end
                yield place.at("SIGMA-SUPPLY-043", subject[:200], start, end, listing.context)


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
