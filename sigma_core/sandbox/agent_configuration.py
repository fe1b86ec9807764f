"""Configuration for agents that the package brings along: servers to start or to call, traffic sent elsewhere, permissions given away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.configuration_listings import MAX_LISTING
from sigma_core.sandbox.declared import DeclaredSurface
from sigma_core.sandbox.package_sources import judge_server_command
from sigma_core.sandbox.readings import Finding
from sigma_core.sandbox.started_commands import is_server_configuration, read_json, servers
from sigma_core.sandbox.text_places import TextPlaces
from sigma_core.sandbox.vocabulary import HostClass, name_set

_TRAFFIC = name_set(
    "ANTHROPIC_BASE_URL ANTHROPIC_BEDROCK_BASE_URL ANTHROPIC_VERTEX_BASE_URL OPENAI_BASE_URL OPENAI_API_BASE GOOGLE_GEMINI_BASE_URL GEMINI_BASE_URL AZURE_OPENAI_ENDPOINT HTTPS_PROXY HTTP_PROXY ALL_PROXY https_proxy http_proxy all_proxy"
)
_FOLDERS = (".claude/", ".cursor/", ".codex/", ".gemini/", ".windsurf/", ".openclaw/", ".vscode/")
_BLANKET_TOOLS = frozenset({"*", "Bash", "Bash(*)", "Bash(*:*)", "Bash(:*)"})
_BLANKET_VALUES = frozenset({"bypassPermissions", "approve-all", "dontAsk", "yolo", "never"})
_MODE_KEYS = ("permissionMode", "defaultMode", "approvalMode", "approval_policy")
_SERVERS_SHOWN = ('"mcpServers"', '"servers"', "context_servers")
_SWITCHES = ("enableAllProjectMcpServers", "dangerouslySkipPermissions", "autoApproveAll", "chat.tools.autoApprove")


def judge_agent_configuration(declared: DeclaredSurface, place: TextPlaces) -> Iterator[Finding]:
    """Findings of an agent's settings or server file; nothing for other files."""
    lowered = place.path.lower()
    name = lowered.rpartition("/")[2]
    settings = name.startswith("settings") and any(folder in lowered for folder in _FOLDERS)
    if is_server_configuration(place.path) or settings or name == "plugin.json":
        for server in servers(place.text):
            yield from judge_server_command(place, server.command, server.start)
            yield from _judge_address(declared, place, server.url)
            for word in server.command:
                yield from _judge_address(declared, place, word)
    # A document that shows its servers has them switched on; one that shows none switches on whatever comes.
    if place.is_document and not any(key in place.text for key in _SERVERS_SHOWN):
        for fence in place.fences:
            document = (
                read_json(fence.text[:MAX_LISTING]) if any(switch in fence.text for switch in _SWITCHES) else None
            )
            context = "mention" if fence.cautionary else "use"
            for key in _switched_on(document):
                at = fence.start + max(fence.text.find(f'"{key}"'), 0)
                yield place.at("SIGMA-SUPPLY-028", key, at, at + len(key) + 2, context)
    if settings or name in {"config.json", "openclaw.json", "clawdbot.json"}:
        document = read_json(place.text)
        if isinstance(document, dict):
            yield from _judge_settings(declared, place, document)


def _judge_address(declared: DeclaredSurface, place: TextPlaces, text: str) -> Iterator[Finding]:
    for _, _, url, host in vocabulary.urls_in(text):
        if not declared.trusts(host, besides=place.path) and vocabulary.classify_host(host) is not HostClass.LOCAL:
            yield place.of("SIGMA-SUPPLY-026", url, url)
        if url.startswith("http://") and vocabulary.classify_host(host) is not HostClass.LOCAL:
            yield place.of("SIGMA-SUPPLY-016", url, url)


def _judge_settings(declared: DeclaredSurface, place: TextPlaces, document: dict[str, Any]) -> Iterator[Finding]:
    variables = document.get("env")
    for name, value in variables.items() if isinstance(variables, dict) else ():
        if name in _TRAFFIC and isinstance(value, str):
            for _, _, url, host in vocabulary.urls_in(value):
                if not declared.trusts(host, besides=place.path):
                    yield place.of("SIGMA-SUPPLY-027", f"{name} = {url}", name)
    permissions = document.get("permissions")
    groups = [document, permissions if isinstance(permissions, dict) else {}]
    for group in groups:
        allowed = group.get("allow")
        for tool in allowed if isinstance(allowed, list) else ():
            if isinstance(tool, str) and tool in _BLANKET_TOOLS:
                yield place.of("SIGMA-SUPPLY-028", f"allow {tool}", f'"{tool}"')
        for key in _MODE_KEYS:
            if isinstance(group.get(key), str) and group[key] in _BLANKET_VALUES:
                yield place.of("SIGMA-SUPPLY-028", f"{key} = {group[key]}", key)
    for key in _switched_on(document):
        yield place.of("SIGMA-SUPPLY-028", key, key)


def _switched_on(document: Any) -> Iterator[str]:
    """The switches of blanket permission that settings turn on, at the top or one below."""
    for group in [document, *document.values()] if isinstance(document, dict) else ():
        if isinstance(group, dict):
            yield from (key for key in _SWITCHES if group.get(key) is True)
