"""Settings that send traffic, packages or clones through a stranger: addresses of model providers, proxies, registries and mirrors, wherever they are written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, islice

import re2

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.facts import Location
from sigma_core.sandbox.readings import Finding
from sigma_core.sandbox.text_places import TextPlaces
from sigma_core.sandbox.vocabulary import HostClass, name_set
from sigma_core.sandbox.worded_pattern import WordedPattern

MOST = 200
"""Settings of one kind that are looked at in one file."""
_ADDRESS = r"((?:https?|socks5h?|wss?)://[^\s\"'`<>|)]{4,300}|(?:[a-z0-9-]{1,40}\.){1,4}[a-z]{2,18}:[0-9]{2,5}\b)"
_OWNER = r"(?:ANTHROPIC|CLAUDE|OPENAI|AZURE_OPENAI|GEMINI|GOOGLE_GEMINI|GOOGLE_GENAI|OPENROUTER|MISTRAL|GROQ|DEEPSEEK|XAI|COHERE|GITHUB|GH|GITLAB|HF|HUGGINGFACE|STRIPE|SLACK|AWS|NPM|PIP|DOCKER)"
_VARIABLE = (
    rf"(?:{_OWNER}(?:_[A-Z0-9]{{1,20}}){{0,3}}_(?:BASE_?URL|API_?BASE|API_?URL|API_?HOST|ENDPOINT(?:_URL)?)|(?:HTTPS?|ALL|https?|all)_(?:PROXY|proxy)"
    r"|(?:PIP|UV)_(?:EXTRA_|DEFAULT_)?INDEX(?:_URL)?|UV_PYTHON_INSTALL_MIRROR|(?:NPM_CONFIG|npm_config)_(?:REGISTRY|registry)|YARN_NPM_REGISTRY_SERVER|YARN_REGISTRY|BUN_CONFIG_REGISTRY|GOPROXY|GOSUMDB"
    r"|HOMEBREW_(?:API|BOTTLE|ARTIFACT)_DOMAIN|HOMEBREW_(?:BREW|CORE)_GIT_REMOTE|RUSTUP_(?:DIST_SERVER|UPDATE_ROOT)|PLAYWRIGHT_DOWNLOAD_HOST|ELECTRON_MIRROR|NODEJS_ORG_MIRROR|NVM_NODEJS_ORG_MIRROR)"
)
_VARIABLES = WordedPattern(
    rf"\b({_VARIABLE})[\"'`\])}}*]{{0,4}}(?:\s{{0,3}}[:=,]{{1,2}}\s{{0,3}}|\s{{1,2}}(?:to|is|as)\s{{1,3}}|[ \t]{{1,4}})[\"'`(<\[]{{0,3}}{_ADDRESS}"
)
_COMMANDS = WordedPattern(
    rf"(?i)\b((?:npm|yarn|pnpm)\s+config\s+set\s+(?:-g\s+|--\w+\s+)?(?:https?-?)?proxy|pip3?\s+config\s+(?:--\w+\s+)?set\s+(?:global|user|site)\.proxy|git\s+config\s+(?:--\w+\s+){{0,2}}(?:https?\.proxy|core\.gitproxy)"
    rf"|networksetup\s+-set\w*(?:proxy|autoproxyurl)\s+\S{{1,30}}|gsettings\s+set\s+org\.gnome\.system\.proxy\S{{0,20}}\s+\S{{1,20}}|netsh\s+winhttp\s+set\s+proxy)[\s=]+[\"']?{_ADDRESS}"
)
_FILES = WordedPattern(
    rf"(?im)^[ \t]*(\[url[ \t]+[\"']?)(https?://[^\s\"'`\]]{{4,200}})[\"']?\][^\n]{{0,20}}\n[^\[]{{0,80}}insteadof|^[ \t]*((?:extra-|default-)?index-url|registry|@[\w-]{{1,40}}:registry|https?-proxy|proxy)[ \t]*=[ \t]*[\"']?{_ADDRESS}"
)
_OWNERS_TOLD_APART = name_set("GITHUB GH GITLAB AWS DOCKER STRIPE SLACK")
"""Of these a person may run a server of their own, under a name that nobody else knows."""
_GATEWAYS = name_set(
    "moonshot.cn moonshot.ai siliconflow.cn siliconflow.com z.ai bigmodel.cn minimax.io minimaxi.com minimax.chat fireworks.ai cerebras.ai nvidia.com sambanova.ai novita.ai hyperbolic.xyz deepinfra.com anyscale.com lepton.ai "
    "portkey.ai helicone.ai litellm.ai requesty.ai braintrust.dev langchain.com langfuse.com ppinfra.com stepfun.com baichuan-ai.com lingyiwanwu.com modelscope.cn kimi.com hf-mirror.com venice.ai nebius.com nebius.ai chutes.ai featherless.ai "
    "goproxy.cn goproxy.io athens.azurefd.net npmmirror.com tuna.tsinghua.edu.cn ustc.edu.cn sjtu.edu.cn bfsu.edu.cn rsproxy.cn"
)
"""Model gateways and mirrors that serve everyone and say who they are."""
_STRANGE = frozenset({HostClass.UNKNOWN, HostClass.DROP, HostClass.RAW_ADDRESS, HostClass.HIDDEN_SERVICE})
_TO_FILL_IN = re2.compile(
    r"^(?:your|example|my-?(?:company|corp|org|domain|host|proxy)|company|corp|acme|domain|host|foo|internal|my-?(?:app|site|server|api|project|service|store|shop|team|cluster|registry|mcp)\.)"
)
"""The owner's name in an address that the reader is to write in."""


def judge_redirected_traffic(place: TextPlaces, named_only_at: Callable[[str, Location], bool]) -> Iterator[Finding]:
    """A finding for each setting whose address is a stranger's that nothing else in the package speaks of. Time is linear in the text."""
    found = (islice(place.matches(search), MOST) for search in (_VARIABLES, _COMMANDS, _FILES))
    for match in chain.from_iterable(found):
        name, address = [group for group in match.groups() if group][:2]
        url = address if "://" in address else f"https://{address}"
        hosts = [host for _, _, _, host in vocabulary.urls_in(url)]
        if (
            not hosts
            or not strange_host(hosts[0])
            or (name.partition("_")[0] in _OWNERS_TOLD_APART and not place.is_document)
        ):
            continue
        finding = place.at(
            "SIGMA-SUPPLY-041", f"{name} = {url}", match.start(), match.end(), place.command_context(match.start())
        )
        if named_only_at(url, finding.location):
            yield finding


def strange_host(host: str) -> bool:
    """Whether ``host`` is a public name that is neither known, nor a gateway's or mirror's, nor one to fill in."""
    labels = host.split(".")
    return (
        vocabulary.classify_host(host) in _STRANGE
        and not vocabulary.package_host(host)
        and not vocabulary.private_name(host)
        and not _TO_FILL_IN.search(vocabulary.registrable(host))
        and not any(".".join(labels[at:]) in _GATEWAYS for at in range(len(labels)))
    )
