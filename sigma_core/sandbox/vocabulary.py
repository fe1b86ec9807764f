"""What names mean: hosts, secret files and variables, files that steer agents, places that start programs."""

from __future__ import annotations

import ipaddress
from enum import StrEnum
from functools import lru_cache

import re2

from sigma_core.sandbox.linear_pattern import linear_pattern


def name_set(names: str) -> frozenset[str]:
    """The blank-separated ``names`` as a set: how the long tables of this package are written."""
    return frozenset(names.split())


class HostClass(StrEnum):
    """What is known about a host from its name alone."""

    LOCAL = "local"
    RESERVED = "reserved"
    KNOWN = "known"
    INSTALLER = "installer"
    DROP = "drop"
    RAW_ADDRESS = "raw_address"
    HIDDEN_SERVICE = "hidden_service"
    UNKNOWN = "unknown"


# Services whose point is to take or hand out anything anonymously: request bins, paste boards, tunnels, anonymous file drops, chat webhooks.
_DROP = name_set(
    "webhook.site requestbin.com requestbin.net pipedream.net requestcatcher.com beeceptor.com hookbin.com oast.fun oast.pro oast.live oast.site oast.online oast.me "
    "interact.sh burpcollaborator.net dnslog.cn ceye.io canarytokens.com ngrok.io ngrok.app ngrok-free.app ngrok-free.dev ngrok.dev trycloudflare.com serveo.net localhost.run loca.lt "
    "localtunnel.me bore.pub pagekite.me pastebin.com paste.ee hastebin.com glot.io rentry.co rentry.org ghostbin.com dpaste.com dpaste.org controlc.com termbin.com ix.io sprunge.us 0x0.st "
    "transfer.sh file.io gofile.io anonfiles.com bashupload.com tmpfiles.org catbox.moe uguu.se temp.sh oshi.at ufile.io mega.nz mediafire.com free.beeceptor.com "
    "typedwebhook.tools webhookrelay.com smee.io mockbin.org mockbin.io putsreq.com postb.in telegra.ph hooks.zapier.com hook.eu1.make.com hook.us1.make.com hook.eu2.make.com formspree.io ntfy.sh getform.io formsubmit.co duckdns.org no-ip.org ddns.net hopto.org workers.dev.pw"
)
_DROP_PATHS = re2.compile(
    r"(?i)\b(?:discord(?:app)?\.com/api/(?:v\d+/)?webhooks/|hooks\.slack\.com/(?:services|workflows)/|api\.telegram\.org/bot|gist\.githubusercontent\.com/|gist\.github\.com/[\w-]+/[0-9a-f]{20})"
)
# Publishers whose "pipe this into a shell" is their documented way to install.
_INSTALLERS = name_set(
    "sh.rustup.rs rustup.rs astral.sh bun.sh deno.land get.docker.com get.pnpm.io get.volta.sh fnm.vercel.app ollama.com ollama.ai get.sdkman.io get.helm.sh "
    "raw.githubusercontent.com/homebrew raw.githubusercontent.com/nvm-sh raw.githubusercontent.com/helm raw.githubusercontent.com/ohmyzsh raw.githubusercontent.com/pyenv raw.githubusercontent.com/rvm raw.githubusercontent.com/aquasecurity raw.githubusercontent.com/anchore raw.githubusercontent.com/golangci raw.githubusercontent.com/trufflesecurity "
    "install.python-poetry.org pyenv.run bootstrap.pypa.io deb.nodesource.com rpm.nodesource.com tailscale.com sdk.cloud.google.com aka.ms cli.github.com cli.github.io claude.ai opencode.ai "
    "starship.rs foundry.paradigm.xyz get.k3s.io fly.io cursor.com install.determinate.systems nixos.org mise.run mise.jdx.dev get.jetpack.io zed.dev warp.dev openclaw.ai clawd.bot molt.bot "
    "get.tuist.io dl.google.com cli.doppler.com getcomposer.org get.rvm.io just.systems git.io get.haskellup.org get-ghcup.haskell.org ghcup.haskell.org sh.brew.sh brew.sh apt.llvm.org dl.cloudsmith.io packagecloud.io cdn.jsdelivr.net install.duckdb.org get.sigstore.dev community.chocolatey.org get.scoop.sh proton.me"
)
# Hosts so common in honest work that naming them in code needs no mention in SKILL.md.
_KNOWN = name_set(
    "github.com githubusercontent.com github.io gitlab.com bitbucket.org pypi.org pythonhosted.org npmjs.org npmjs.com yarnpkg.com crates.io rubygems.org golang.org go.dev docker.com docker.io "
    "googleapis.com google.com forms.gle gstatic.com youtube.com microsoft.com microsoftonline.com azure.com windows.net office.com live.com apple.com icloud.com amazonaws.com amazon.com cloudflare.com openai.com anthropic.com "
    "huggingface.co hf.co mistral.ai groq.com openrouter.ai deepseek.com perplexity.ai cohere.ai cohere.com elevenlabs.io replicate.com together.ai x.ai telegram.org slack.com discord.com discordapp.com "
    "twitter.com x.com reddit.com linkedin.com facebook.com instagram.com whatsapp.com notion.com notion.so atlassian.net atlassian.com stripe.com paypal.com shopify.com twilio.com sendgrid.com "
    "wikipedia.org wikimedia.org w3.org schema.org ietf.org json-schema.org mozilla.org python.org nodejs.org npmjs.com jsdelivr.net unpkg.com cdnjs.com debian.org ubuntu.com archlinux.org "
    "apache.org opensource.org creativecommons.org spdx.org shields.io img.shields.io readthedocs.io stackoverflow.com docs.rs vercel.com netlify.com heroku.com supabase.co firebaseio.com "
    "coingecko.com binance.com coinbase.com etherscan.io infura.io alchemy.com solana.com openstreetmap.org open-meteo.com wttr.in ipify.org brave.com duckduckgo.com bing.com tavily.com exa.ai serpapi.com "
    "git-scm.com kernel.org opsgenie.com pagerduty.com datadoghq.com sentry.io newrelic.com grafana.com grafana.net algolia.com mailgun.net postmarkapp.com airtable.com asana.com trello.com monday.com hubspot.com salesforce.com zendesk.com "
    "figma.com miro.com dropbox.com dropboxapi.com box.com deepl.com wolframalpha.com newsapi.org nasa.gov data.gov europa.eu arxiv.org crossref.org nih.gov doi.org openalex.org semanticscholar.org yahoo.com finnhub.io alphavantage.co polygon.io coinmarketcap.com hetzner.cloud "
    "digitalocean.com render.com railway.app codeberg.org sourceforge.net bytedance.com volces.com volcengine.com baidu.com aliyun.com aliyuncs.com tencent.com qq.com feishu.cn larksuite.com dingtalk.com bilibili.com zhihu.com yandex.net "
    "chatgpt.com spotify.com twitch.tv vimeo.com soundcloud.com imdb.com themoviedb.org openweathermap.org weatherapi.com mapbox.com here.com tomtom.com tfl.gov.uk census.gov who.int worldbank.org imf.org sec.gov "
    "clawhub.com clawhub.ai clawdhub.com openclaw.ai clawd.bot molt.bot agentskills.io modelcontextprotocol.io"
)
_RESERVED = name_set("example.com example.org example.net")
# Where packages come from: the public registries, and mirrors and vendors' indexes that publish for everyone.
_PACKAGE_HOSTS = name_set(
    "pypi.org pythonhosted.org pypi.python.org registry.npmjs.org registry.yarnpkg.com npm.pkg.github.com crates.io rubygems.org packagist.org proxy.golang.org conda.anaconda.org repo.anaconda.com"
)
_PACKAGE_MIRRORS = name_set(
    "download.pytorch.org pypi.nvidia.com pypi.ngc.nvidia.com pypi.tuna.tsinghua.edu.cn mirrors.tuna.tsinghua.edu.cn mirrors.aliyun.com pypi.doubanio.com pypi.mirrors.ustc.edu.cn mirrors.ustc.edu.cn mirrors.cloud.tencent.com repo.huaweicloud.com mirrors.huaweicloud.com "
    "registry.npmmirror.com registry.npm.taobao.org cdn.npmmirror.com npm.jsr.io npm.fontawesome.com piwheels.org storage.googleapis.com data.pyg.org flashinfer.ai wheels.vllm.ai abetlen.github.io"
)
_RESERVED_LABELS = name_set("example test invalid localhost")
# Hosts under which anybody may have a name of their own; what stands before them is the owner.
_TENANTS = name_set(
    "web.app firebaseapp.com firebaseio.com run.app appspot.com cloudfunctions.net azurewebsites.net blob.core.windows.net azureedge.net cloudfront.net onrender.com supabase.co fly.dev deno.dev "
    "glitch.me repl.co replit.app surge.sh r2.dev railway.app ngrok-free.app ngrok.io ngrok.app trycloudflare.com gitlab.io bitbucket.io github.io hf.space streamlit.app lambda-url.on.aws execute-api.on.aws"
)
_BUCKET = re2.compile(r"^[a-z0-9][a-z0-9.-]{1,62}\.s3(?:[.-][a-z0-9-]+){0,3}\.amazonaws\.com$")
_SECOND_LEVEL = name_set("co com org net gov edu ac github vercel netlify pages workers herokuapp")

_URL = re2.compile(
    r"(?i)\b(?:https?|wss?|ftps?|tcp|stratum\+tcp|smtps?)://(?:[^\s/@'\"<>`]{1,200}@)?(\[[0-9a-fA-F:.]{2,45}\]|[\w.*-]{1,253}|\$\{?\w+\}?[\w.-]*|\{[\w.]+\}[\w.-]*)(?::\d{1,5})?([/?#][^\s'\"<>`\\)\]}|*]*)?"
)
_BARE_HOST = linear_pattern(
    r"(?i)\b((?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?:com|net|org|io|dev|app|ai|co|sh|xyz|site|online|top|ru|cn|tk|pw|cc|me|info|biz|club|live|pro|fun|link|us|uk|de|eu|in|so|gg|tech|cloud|store|onion|test|example))\b"
)
_DIGITS_HOST = re2.compile(r"^(?:0x[0-9a-f]{8}|[0-9]{8,10})$")


def urls_in(text: str) -> list[tuple[int, int, str, str]]:
    """``(start, end, url, host)`` of every URL in ``text``; the host is lower case without port."""
    found = []
    for match in _URL.finditer(text):
        host = match.group(1).lower().strip("[].")
        url = match.group().rstrip(".,;:!?")
        found.append((match.start(), match.start() + len(url), url, host))
    return found


def after_host(url: str, host: str) -> str:
    """What stands behind ``host`` in ``url``; nothing where it names no host (``https://.../x``)."""
    return url.split(host, 1)[-1] if host else ""


def bare_hosts_in(text: str) -> list[str]:
    """Names in prose that look like hosts (``api.example.com``), lower case."""
    return [match.group(1).lower() for match in _BARE_HOST.finditer(text)]


_PRIVATE_NAMES = (".internal", ".local", ".lan", ".corp", ".intranet", ".home", ".svc")


def private_name(host: str) -> bool:
    """Whether ``host`` lies under a name that networks use for themselves alone."""
    return host.endswith(_PRIVATE_NAMES)


def registrable(host: str) -> str:
    """The last labels that belong to one owner: two, or three under a shared second level. A heuristic, not the public suffix list."""
    host = host.lower().strip(".")
    labels = host.split(".")
    if _BUCKET.search(host):
        return host
    for known in range(2, min(len(labels), 4)):
        if ".".join(labels[-known:]) in _TENANTS:
            return ".".join(labels[-known - 1 :])
    if len(labels) >= 3 and labels[-2] in _SECOND_LEVEL and len(labels[-1]) <= 3:
        return ".".join(labels[-3:])
    return ".".join(labels[-2:])


def _under(host: str, names: frozenset[str]) -> bool:
    labels = host.split(".")
    return any(".".join(labels[at:]) in names for at in range(len(labels)))


@lru_cache(maxsize=4_096)
def classify_host(host: str, path: str = "") -> HostClass:
    """What ``host`` (with the URL's path where it matters) is known to be."""
    if (
        not host
        or host.startswith(("$", "{", "<"))
        or host in {"localhost", "0.0.0.0", "host.docker.internal"}
        or host.endswith((".local", ".internal", ".localhost", ".svc", ".lan"))
    ):
        return HostClass.LOCAL
    if host.endswith(".onion"):
        return HostClass.HIDDEN_SERVICE
    try:
        address = ipaddress.ip_address(int(host, 0) if _DIGITS_HOST.search(host) else host)
    except ValueError:
        pass
    else:
        documentation = any(address in block for block in _DOCUMENTATION)
        return (
            HostClass.LOCAL
            if (address.is_private and not documentation) or address.is_loopback or address.is_link_local
            else HostClass.RAW_ADDRESS
        )
    if "." not in host:
        return HostClass.LOCAL
    if _under(host, _DROP) or (path and _DROP_PATHS.search(f"{host}{path}")):
        return HostClass.DROP
    if _under(host, _RESERVED) or host.rsplit(".", 1)[-1] in _RESERVED_LABELS:
        return HostClass.RESERVED
    owner = path.strip("/").split("/", 1)[0].lower()
    if _under(host, _INSTALLERS) or f"{host}/{owner}" in _INSTALLERS:
        return HostClass.INSTALLER
    if _BUCKET.search(host) or (
        host.count(".") >= 2 and host.endswith((".firebaseio.com", ".supabase.co", ".cloudfront.net"))
    ):
        return HostClass.UNKNOWN
    return HostClass.KNOWN if _under(host, _KNOWN) else HostClass.UNKNOWN


def package_host(host: str) -> bool:
    """Whether ``host`` is a public package registry or one of its well-known mirrors."""
    return _under(host, _PACKAGE_HOSTS) or _under(host, _PACKAGE_MIRRORS)


_DOCUMENTATION = tuple(ipaddress.ip_network(block) for block in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"))


_SECRET_FILE = re2.compile(
    r"(?i)(?:\.ssh(?:/|\\+)?(?:id_[\w\[\]*?-]+|authorized_keys|known_hosts|config|\*|$|['\"\s)])|\bid_(?:rsa|dsa|ecdsa|ed25519)\b|\.aws(?:/|\\+)?(?:credentials|config|\*|$|['\"\s)])|\.netrc\b|\.git-credentials|\.npmrc\b|\.pypirc\b|"
    r"\.docker/config\.json|\.kube/config|\.config/gcloud|application_default_credentials|\.azure/|\.config/gh(?:/|$)|\.gnupg|\.password-store|/etc/(?:shadow|passwd|sudoers)\b|/etc/(?:pass\[w\]d|shad\[o\]w)|"
    r"login data\b|cookies\.sqlite|logins\.json|key[34]\.db|local state\b|web data\b|keychain(?:s|-db)?\b|login\.keychain|wallet\.dat|\bkeystore\b|\.ethereum|\.solana|solana/id\.json|\.bitcoin|\.electrum|exodus|metamask|"
    r"nkbihfbeogaeaoehlefnkodbefgpgknn|phantom\b|\.bash_history|\.zsh_history|\.python_history|\.mysql_history|\.psql_history|/proc/(?:self|\$?\{?\w+\}?)/environ|security/credentials|serviceaccount/token|"
    r"169\.254\.169\.254|metadata\.google\.internal|\.terraform\.d/credentials|\.vault-token|\.s3cfg|\.boto\b|\.pgpass|\.my\.cnf|credentials\.(?:json|ya?ml|toml|db)|secrets?\.(?:json|ya?ml|toml|env)|"
    r"(?:service[_-]?account|private[_-]?key)[\w-]*\.(?:json|pem)|auth-profiles\.json|\.(?:openclaw|clawdbot|moltbot|claude|codex|gemini|cursor)(?:/|\\+)[\w./-]*(?:\.env|openclaw\.json|clawdbot\.json|credentials|auth|mcp\.json|\.credentials\.json|sessions?|oauth)|"
    r"\.claude\.json|library/messages/chat\.db|tdata\b|telegram desktop)"
)
_DOTENV = re2.compile(r"(?i)(?:^|[/\\\s'\"])\.env(?:\.(?:local|production|prod|development))?(?:$|[\s'\")])")
_AGENT_FILE = re2.compile(
    r"(?i)(?:\b(?:CLAUDE|AGENTS?|SOUL|MEMORY|IDENTITY|HEARTBEAT|BOOTSTRAP|TOOLS|USER|GEMINI|COPILOT-INSTRUCTIONS)\.md\b|\.cursorrules|\.windsurfrules|\.clinerules|\.cursor/(?:rules|mcp\.json)|\.github/copilot-instructions|"
    r"\.claude/(?:settings(?:\.local)?\.json|commands|agents|hooks|skills|CLAUDE)|\.claude\.json|\.mcp\.json\b|claude_desktop_config\.json|\.codex/|\.gemini/settings|\.(?:openclaw|clawdbot|moltbot)/(?:openclaw|clawdbot|moltbot|exec-approvals)\.json|"
    r"\.(?:openclaw|clawdbot)/workspace/|\.continue/config|\.aider\.conf|mcp_settings\.json|mcp_config\.json)"
)
_AUTOSTART = re2.compile(
    r"(?i)(?:\.(?:bashrc|bash_profile|bash_login|bash_logout|zshrc|zshenv|zprofile|zlogin|profile|xinitrc|xprofile)\b|/etc/(?:profile(?:\.d)?|rc\.local|cron(?:tab|\.\w+)|init\.d|systemd|ld\.so\.preload|environment)\b|"
    r"launchagents|launchdaemons|systemd/(?:user|system)|\.config/autostart|crontab|/var/spool/cron|start menu.{0,40}startup|currentversion\\+run|authorized_keys|sitecustomize\.py|usercustomize\.py|site-packages/[^\s'\"]*\.pth|"
    r"\.git/hooks/|git config --global core\.hookspath|schtasks|pythonstartup|\.config/fish/config\.fish|\.vimrc\b|fish/conf\.d)"
)
_SECRET_NAME = re2.compile(
    r"(?i)(?:^|_|\b)(?:api_?key|apikey|secret|token|passwd|password|passphrase|private_?key|credential|mnemonic|seed_?phrase|auth|access_?key|client_?secret|session_?key|cookie|service_?account|pat)(?:s|$|_|\b)|(?:KEY|TOKEN|SECRET|PASSWORD)S?$"
)


def secret_file(text: str) -> str:
    """The part of ``text`` that names a file holding secrets of the person, or empty."""
    match = _SECRET_FILE.search(text)
    if match is None:
        return ".env" if _DOTENV.search(text) else ""
    return str(match.group()).strip(" '\"")


def secret_file_places(text: str, most: int) -> list[tuple[int, int, str]]:
    """``(start, end, name)`` of the first ``most`` parts of ``text`` that name a file holding secrets, ``.env`` among them, in order."""
    places = []
    for search in (_SECRET_FILE, _DOTENV):
        for count, match in enumerate(search.finditer(text)):
            if count >= most:
                break
            places.append((match.start(), match.end(), match.group().strip(" '\"")))
    return sorted(places)[:most]


def secret_files(text: str) -> frozenset[str]:
    """Every part of ``text`` that names a file holding secrets of the person."""
    return frozenset(match.group().strip(" '\"") for match in _SECRET_FILE.finditer(text))


def agent_file(text: str) -> str:
    """The part of ``text`` that names a file which steers an agent (rules, memory, settings, servers), or empty."""
    match = _AGENT_FILE.search(text)
    return str(match.group()) if match else ""


def autostart_place(text: str) -> str:
    """The part of ``text`` that names a place from which programs are started later, or empty."""
    match = _AUTOSTART.search(text)
    return match.group() if match else ""


_ACTS_UNASKED = re2.compile(
    r"(?i)(?:authorized_keys|sitecustomize\.py|usercustomize\.py|site-packages/[^\s'\"]*\.pth|ld\.so\.preload|/etc/(?:rc\.local|profile\.d|init\.d)|currentversion\\+run|start menu.{0,40}startup|/var/spool/cron)"
)


def acts_unasked(place: str) -> bool:
    """Whether a start-up place is one that honest skills have no use for."""
    return bool(_ACTS_UNASKED.search(place))


def secret_variable(name: str) -> bool:
    """Whether an environment variable's name says that its value is a secret."""
    return bool(_SECRET_NAME.search(name))
