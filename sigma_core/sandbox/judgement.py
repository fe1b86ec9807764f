"""What was seen, weighed against what was said: flows become threats or ordinary work, and undeclared doings become mismatches.

Everything here is decided from names: the kind of host, whether SKILL.md or the manifest names it, whether a key's name and a host's name belong together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import re2

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.declared import DeclaredSurface
from sigma_core.sandbox.facts import Location
from sigma_core.sandbox.layers import FileKind
from sigma_core.sandbox.markdown import CAUTION
from sigma_core.sandbox.observations import Ability, Capability, Flow, Sink, Source
from sigma_core.sandbox.readings import MAX_SUBJECT, Asked, Finding, Reading, Seen
from sigma_core.sandbox.replaced_packages import swaps_in
from sigma_core.sandbox.use_or_mention import TOLD
from sigma_core.sandbox.vocabulary import HostClass, name_set

_OWN_SERVICE: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("gcloud", ("googleapis.com", "google.com")),
    ("application_default", ("googleapis.com",)),
    ("service", ("googleapis.com", "kubernetes.default.svc")),
    (".npmrc", ("npmjs.org",)),
    (".pypirc", ("pypi.org",)),
    (".aws", ("amazonaws.com",)),
    (".kube", ("kubernetes.default.svc",)),
    (".docker", ("docker.com", "docker.io")),
    ("gh", ("github.com",)),
    (".git-credentials", ("github.com", "gitlab.com")),
    (".claude", ("anthropic.com",)),
    (".codex", ("openai.com", "chatgpt.com")),
    (".gemini", ("googleapis.com",)),
)
_BRANDS = name_set(
    "aws amazon slack github gitlab openai anthropic claude stripe docker gcp google azure npm pypi telegram discord twilio sendgrid heroku notion jira linear cloudflare vercel supabase firebase mongodb postgres redis mysql database "
    "ssh kube kubernetes gemini huggingface groq binance coinbase metamask solana ethereum eth wallet private mnemonic seed"
)
_GENERIC_SECRET = re2.compile(
    r"(?i)^(?:credentials|secrets?)\.|^(?:service|private)[_-]?(?:account|key)|keystore|phantom|local state|web data|sessions?"
)
_PERSISTENCE_WORDS = re2.compile(
    r"(?i)\b(?:cron\w*|startup|start-up|launchd|launch ?agents?|systemd|services?|daemon|schedul\w*|autostart|auto-start|at boot|on boot|login item|shell profile|bashrc|zshrc|profile|git hooks?|hooks?|alias|PATH|heartbeat|background)\b"
)
_STEERING_WORDS = re2.compile(
    r"(?i)(?:\bsettings\b|\bconfig\w*|\bmcp\b|\bhooks?\b|\bmemory\b|\brules?\b|CLAUDE\.md|AGENTS\.md|SOUL\.md|\bagents?\.md\b|\binstall\w*|\bidentity\b|\bworkspace\b)"
)
_SECRET_WORDS = re2.compile(
    r"(?i)(?:\bssh\b|\baws\b|credential|\bkeys?\b|wallet|cookies?|keychain|history|\btokens?\b|secrets?|netrc|npmrc|kube|docker|\bauth|login|passwords?|browser|config|profile|account|sessions?)"
)
_NAME_PART = re2.compile(r"[a-z0-9]{4,}")
_PROGRAM = re2.compile(r"(?i)\.(?:sh|exe|msi|dmg|pkg|zip|7z|rar|ps1|bat|bin|py|js|scr|apk|tar\.gz|tgz)(?:$|[?#])")
_PACKAGE = re2.compile(r"(?i)\.(?:whl|tgz|tar\.gz|zip|deb|rpm|dmg|pkg|msi|exe|apk|vsix)(?:$|[?#])")
_CONTACT = re2.compile(
    r"(?i)\b(?:help|support|questions?|contact|feedback to|e\.g\.|for example|your[-\w]*\.|@(?:your|example|company|domain|acme|mail|test)|placeholder|sales)\b"
)
"""Words around an address that people write to by themselves."""
_BADGE_HOSTS = frozenset({"github.com", "gitlab.com", "img.shields.io", "codecov.io"})
_CODE_HOSTS = ("github.com", "githubusercontent.com")
_PASTE = re2.compile(
    r"(?i)(?:paste|glot\.io|rentry|hastebin|ghostbin|termbin|ix\.io|sprunge|0x0\.st|transfer\.sh|file\.io|gofile|anonfiles|bashupload|catbox|mega\.nz|mediafire|telegra\.ph|gist)"
)
_SETUP = re2.compile(
    r"(?i)\b(?:install\w*|set-?up|prerequisites?|requirements?|requires?|bootstrap|download|before (?:you|using)|fallback)\b"
)
_OWN_BOT = re2.compile(r"(?i)/(?:bot|webhooks/|services/)[<$%{\[]")
"""A chat service's address whose bot or hook is a variable: whoever sets it gets the messages."""
_ANYBODYS = re2.compile(
    r"(?i)\b(?:docs\.google\.com/(?:document|spreadsheets)/d/|[\w-]+\.notion\.site|notion\.so/|hackmd\.io|gist\.github|trello\.com/[bc]/|pastebin\.com|rentry\.)"
)
"""Pages of one person at a well-known service, who may change them at any time."""
_ELIDED = re2.compile(r"(?i)\b(?:irm|iwr|curl|wget|mshta|downloadstring)\b[\s(\"']{0,3}(?:https?://)?(?:…|\.\.\.)")
"""A fetch with dots in the place of its address: a form that is spoken of."""
_OWN_WORK = re2.compile(
    r"(?i)-ExclusionPath\s+\S*[\\/](?:src|dev|code|repos?|projects?|workspaces?|git|target|node_modules|build|\.cargo|\.rustup)\b"
)
"""A folder in which the person builds programs: antivirus is kept off it for speed."""
NAME_LOOKUP = "dns"
"""The origin of what a name server answered where the name is not known."""
_DISCLOSED = re2.compile(
    r"(?i)\b(?:affiliat\w*|referr?al\w*|partner (?:code|link|id|tag|program)\w*|commissions?|associates?)\b"
)
"""Words by which a document says that links earn somebody money."""
_MANY_PLACES = 8
"""A host that is named more often than this belongs to what the package is about."""
SEVERAL_SECRETS = 3
"""Different files of secrets that one script has to name before the list itself is a fact."""
_CODE_KINDS = frozenset(
    {FileKind.PYTHON, FileKind.SHELL, FileKind.JAVASCRIPT, FileKind.POWERSHELL, FileKind.CODE, FileKind.NOTEBOOK}
)
_DATA_KINDS = frozenset({FileKind.JSON, FileKind.YAML, FileKind.TOML})


_OF_INSTALLERS = frozenset({"SIGMA-THREAT-032", "SIGMA-THREAT-045"})
"""Fetch-and-run lines that text rules find, and whose host decides."""
_OF_STRANGERS = frozenset({"SIGMA-THREAT-054", "SIGMA-THREAT-056"})
"""Lines that matter only where a host is neither known nor the package's own."""
_OF_FOREIGN_PLACES = frozenset(
    {"SIGMA-ORDER-030", "SIGMA-ORDER-032", "SIGMA-ORDER-033", "SIGMA-ORDER-036", "SIGMA-ORDER-043"}
)
"""Instructions that matter only where every destination is one that nothing else in the package speaks of."""
_OF_FOREIGN_NAMES = frozenset(
    {"SIGMA-CODE-003", "SIGMA-CODE-009", "SIGMA-CODE-010", "SIGMA-CODE-014", "SIGMA-CODE-016"}
)
"""Code's destinations that matter only where nothing else in the package speaks of them; the same in the examples of documents are a reader's to fill in."""
_OF_BAD_CODE = frozenset({"SIGMA-CODE-001", "SIGMA-CODE-002", "SIGMA-CODE-006", "SIGMA-CODE-019"})
"""What background documents on safe code show as examples."""
_NO_INSTALLERS = name_set(
    "exec compile system popen getoutput getstatusoutput runsource runcode timeit Function constructor execSync _compile runInThisContext runInNewContext runInContext "
    "claude codex gemini cursor-agent opencode goose amp copilot run call check_call check_output Popen create_subprocess_shell awk gawk mawk sed make trap PROMPT_COMMAND BASH_ENV ENV"
) | {"new Function"}
"""What runs a text that was just fetched, as no publisher has people install anything."""
_NAMED_HOST = re2.compile(
    r"(?i)(?:@|//|\b)((?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,6}[a-z][a-z-]{1,18})(?:[\s'\"`:/?)\\]|$)"
)
_DOTTED = re2.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63}){1,8}")
_FILE_ENDINGS = name_set(
    "txt md json jsonl yaml yml toml ini cfg conf log csv tsv xml html htm css js mjs ts tsx py rb go rs sh sql db sqlite sqlite3 pdf png jpg jpeg gif svg webp mp3 mp4 wav docx xlsx pptx zip tgz gz tar whl lock get set"
)
_ASKED_OF_OWN_SERVICE = {
    "SIGMA-ORDER-001": "SIGMA-ORDER-020",
    "SIGMA-ORDER-003": "SIGMA-ORDER-020",
    "SIGMA-ORDER-005": "SIGMA-ORDER-028",
    "SIGMA-ORDER-015": "",
    "SIGMA-ORDER-020": "",
    "SIGMA-ORDER-021": "",
    "SIGMA-ORDER-026": "",
    "SIGMA-ORDER-028": "",
    "SIGMA-ORDER-029": "",
}
"""What an instruction amounts to where it names only the package's own service; empty for nothing."""


def background_reading(path: str) -> bool:
    """Whether a document is background reading of the package rather than what the agent is told to do."""
    return path.startswith(("references/", "reference/", "docs/", "resources/", "templates/", "examples/", "assets/"))


def _address(remote: str) -> str:
    """The address of a destination as prose names it: without the word and the marks before it."""
    return remote.rsplit(maxsplit=1)[-1].strip("`\"'(") if remote.split() else remote


@dataclass(frozen=True, slots=True)
class _Target:
    """A destination: its host, what is known of the host, and whether the package speaks of it."""

    url: str
    host: str
    known: HostClass
    named: bool
    branded: bool

    @property
    def trusted(self) -> bool:
        return self.known in {HostClass.LOCAL, HostClass.KNOWN, HostClass.INSTALLER} or (
            (self.named or self.branded) and self.known in {HostClass.UNKNOWN, HostClass.RESERVED}
        )


class Judgement:
    """Turns the readings of one package into final findings."""

    def __init__(self, declared: DeclaredSurface, readings: Iterable[Reading]) -> None:
        self.declared = declared
        self.readings = list(readings)
        self.findings: list[Finding] = []

    def judge(self) -> list[Finding]:
        """All findings: those of the rules as they stand, those of flows after weighing, and the mismatches."""
        for reading in self.readings:
            self.findings += [
                self._weighed(reading, finding) for finding in reading.findings if self._holds(reading, finding)
            ]
            for asked in reading.asked:
                self._asked(reading, asked)
            moved = self._moved_with(reading)
            for seen in reading.seen:
                if isinstance(seen.what, Flow):
                    self._flow(reading, seen, seen.what)
                else:
                    self._capability(reading, seen, seen.what, moved)
        self._mismatches()
        self._spread_theft()
        self._collected_secrets()
        self._memory_kept_quiet()
        self._configured_drops()
        self._programs_from_nowhere()
        self._lookalikes()
        return self.findings

    def _add(self, rule_id: str, subject: str, seen: Seen) -> None:
        self.findings.append(Finding(rule_id, subject, seen.location, seen.line_text, seen.context, seen.hidden))

    def target(self, text: str, path: str, *, in_prose: bool) -> _Target:
        """What is known of the destination ``text``. A host that only the same command names is not named by it."""
        urls = vocabulary.urls_in(text)
        host = urls[0][3] if urls else text.split("/", maxsplit=1)[0].split(":", maxsplit=1)[0].lower()
        # A placeholder's bracket ends an address, and says that the person fills it in.
        url_path = vocabulary.after_host(urls[0][2] + text[urls[0][1] : urls[0][1] + 1], host) if urls else ""
        known = vocabulary.classify_host(host, url_path) if host not in {"", "?"} else HostClass.UNKNOWN
        if known is HostClass.DROP and _OWN_BOT.search(url_path):
            known = HostClass.KNOWN
        named = bool(host) and self.declared.names_host(host, besides=path if in_prose else "")
        branded = bool(host) and self.declared.names_owner(host, title_only=in_prose)
        if host in {"raw.githubusercontent.com", "github.com", "gist.githubusercontent.com", "gist.github.com"}:
            parts = [part.lower() for part in url_path.strip("/").split("/")[:2] if len(part) >= 3]
            words = set(_NAME_PART.findall(self.declared.title))
            ours = any(
                (len(part) >= 5 and part in self.declared.title)
                or any(len(piece) >= 4 and piece in words for piece in part.split("-"))
                for part in parts
            )
            known = known if known in {HostClass.INSTALLER, HostClass.DROP} else HostClass.UNKNOWN
            return _Target(text, host, known, ours, ours)
        return _Target(text, host, known, named, branded)

    # -- instructions -------------------------------------------------------------------------------------------------

    def _asked(self, reading: Reading, asked: Asked) -> None:
        """An instruction whose every destination is the package's own service asks for that service, not for a copy elsewhere."""
        finding = asked.finding
        if finding.rule_id in _OF_FOREIGN_PLACES:
            anybodys = finding.rule_id == "SIGMA-ORDER-043" and any(
                _ANYBODYS.search(remote) for remote in asked.remotes
            )
            if anybodys or (asked.remotes and all(self._foreign(reading, remote, finding) for remote in asked.remotes)):
                self.findings.append(finding)
            return
        own = bool(asked.remotes) and all(self._own_service(reading, remote) for remote in asked.remotes)
        explained = not asked.remotes and bool(asked.linked) and all(self._well_known(link) for link in asked.linked)
        named = finding.rule_id == "SIGMA-ORDER-001" and vocabulary.secret_file(finding.line_text)
        if not (own or explained) or (named and not background_reading(reading.path)):
            self.findings.append(finding)
        elif explained:
            self.findings.append(replace(finding, context=TOLD) if finding.context == "use" else finding)
        elif finding.rule_id in _ASKED_OF_OWN_SERVICE:
            softer = _ASKED_OF_OWN_SERVICE[finding.rule_id]
            if softer:
                self.findings.append(replace(finding, rule_id=softer))
        else:
            self.findings.append(finding)

    def _foreign(self, reading: Reading, remote: str, finding: Finding) -> bool:
        """Whether a destination is named by this sentence alone and belongs to nobody that the package speaks of."""
        remote = _address(remote)
        text = remote if "://" in remote else f"https://{remote.rsplit('@', 1)[-1]}"
        if not vocabulary.urls_in(text) or ("@" in remote and _CONTACT.search(finding.line_text)):
            return False
        return self._named_only_at(self.target(text, reading.path, in_prose=True), finding.location)

    def _holds(self, reading: Reading, finding: Finding) -> bool:
        """Whether what a pattern matched is what its rule means, where the names in it decide that."""
        if finding.rule_id in _OF_BAD_CODE and reading.kind not in _CODE_KINDS and background_reading(reading.path):
            return False
        if finding.rule_id == "SIGMA-CODE-018":
            return swaps_in(finding.subject)
        if finding.rule_id == "SIGMA-CODE-020":
            return not _DISCLOSED.search(self.declared.text)
        return finding.rule_id not in _OF_FOREIGN_NAMES or self._of_foreign_name(reading, finding)

    def _of_foreign_name(self, reading: Reading, finding: Finding) -> bool:
        """Whether the last host or address in what the rule matched belongs to nobody that the package speaks of."""
        names = [host for _, _, _, host in vocabulary.urls_in(finding.subject)] or [
            match.group(1).lower() for match in _NAMED_HOST.finditer(finding.subject)
        ]
        if not names or (finding.rule_id == "SIGMA-CODE-003" and _CONTACT.search(finding.line_text)):
            return False
        if finding.rule_id == "SIGMA-CODE-016" and reading.kind in _DATA_KINDS:
            return False  # manifests and lock files are read as such
        in_prose = reading.kind not in _CODE_KINDS | _DATA_KINDS
        host = names[-1]
        if host.endswith(_CODE_HOSTS) or vocabulary.package_host(host) or host.rsplit(".", 1)[-1] in _FILE_ENDINGS:
            return False
        target = self.target(f"https://{host}/", reading.path, in_prose=in_prose)
        if in_prose:
            # Documents show a client's address as an example; the reader fills in their own.
            return finding.rule_id != "SIGMA-CODE-009" and self._named_only_at(target, finding.location)
        foreign = target.known in {HostClass.UNKNOWN, HostClass.DROP, HostClass.RAW_ADDRESS}
        return foreign and not target.named and not target.branded

    def named_only_at(self, url: str, at: Location) -> bool:
        """Whether ``url`` belongs to nobody that is known, and to nobody that the package speaks of but on these lines."""
        return self._named_only_at(self.target(url, at.file, in_prose=True), at)

    def _named_only_at(self, target: _Target, at: Location) -> bool:
        """Whether the destination's owner is no known one, not in the package's name, and named on these lines alone."""
        if target.branded or target.known not in {HostClass.UNKNOWN, HostClass.DROP, HostClass.RAW_ADDRESS}:
            return False
        owner = vocabulary.registrable(target.host)
        if "." not in owner or owner.startswith(("example", "your", "my-", "acme")):
            return False
        places = self._places.get(owner, ())
        if len(places) > _MANY_PLACES:
            return False
        here = sum(
            place.file == at.file and at.line_start - 2 <= place.line_start <= at.line_end + 2 for place in places
        )
        return len(places) <= here and self._mentions[owner] <= max(here, 1)

    @cached_property
    def _mentions(self) -> Counter[str]:
        """How often the documents name each owner of a host, in addresses and without."""
        return Counter(vocabulary.registrable(match.group()) for match in _DOTTED.finditer(self.declared.text))

    @cached_property
    def _places(self) -> dict[str, list[Location]]:
        """Where each owner of a host is named by an address."""
        places: dict[str, list[Location]] = {}
        for reading in self.readings:
            for _, host, place, _ in reading.urls:
                places.setdefault(vocabulary.registrable(host), []).append(place)
        return places

    @staticmethod
    def _well_known(link: str) -> bool:
        """Whether a link leads to the pages of a well-known service, which explain words and take no data; what anybody can have there is none."""
        for _, _, url, host in vocabulary.urls_in(link):
            shared = vocabulary.registrable(host).count(".") > 1
            return not shared and vocabulary.classify_host(host, vocabulary.after_host(url, host)) is HostClass.KNOWN
        return False

    def _own_service(self, reading: Reading, remote: str) -> bool:
        remote = _address(remote)
        text = remote if "://" in remote else f"https://{remote}"
        if "@" in remote or "." not in remote or not vocabulary.urls_in(text):
            return False
        target = self.target(text, reading.path, in_prose=True)
        return target.branded or target.known in {HostClass.LOCAL, HostClass.KNOWN, HostClass.INSTALLER}

    # -- flows --------------------------------------------------------------------------------------------------------

    def _flow(self, reading: Reading, seen: Seen, flow: Flow) -> None:
        if flow.sink is Sink.EXECUTE:
            self._executed(reading, seen, flow)
        elif flow.sink is Sink.EXECUTE_IN_LOOP:
            self._executed_in_loop(reading, seen, flow)
        elif flow.sink in {Sink.SEND, Sink.SEND_HEADER}:
            self._sent(reading, seen, flow)
        elif flow.sink is Sink.NAME_LOOKUP:
            self._add("SIGMA-THREAT-011", flow.origin, seen)
        elif flow.sink is Sink.AGENT_FILE:
            target = self.target(flow.origin, reading.path, in_prose=seen.in_prose)
            vouched = flow.source is Source.REMOTE and (
                self._vouches(flow.origin, target, in_prose=seen.in_prose)
                or (target.named and target.known is HostClass.UNKNOWN)
            )
            self._add("SIGMA-THREAT-007" if vouched else "SIGMA-THREAT-020", flow.origin, seen)
        elif flow.sink is Sink.AUTOSTART:
            self._add("SIGMA-THREAT-021", flow.origin, seen)
        elif flow.sink is Sink.LOG:
            self._add("SIGMA-THREAT-019", flow.origin, seen)

    def _executed(self, reading: Reading, seen: Seen, flow: Flow) -> None:
        if flow.source is Source.REQUEST:
            if reading.kind in _CODE_KINDS:
                self._add("SIGMA-CODE-002", flow.origin, seen)
        elif flow.source is Source.DECODED:
            self._add("SIGMA-THREAT-005", flow.origin, seen)
        elif flow.source is Source.REMOTE:
            target = self.target(flow.origin, reading.path, in_prose=seen.in_prose)
            if (
                target.known is HostClass.LOCAL
                and target.host not in {"", "?", NAME_LOOKUP}
                and not target.host.startswith(("$", "{"))
            ) or (seen.in_prose and flow.origin and not flow.origin.strip("./…")):
                return
            vouched = self._vouches(flow.origin, target, in_prose=seen.in_prose) or (
                seen.in_prose
                and background_reading(reading.path)
                and not flow.origin.startswith("http://")
                and target.known in {HostClass.UNKNOWN, HostClass.KNOWN}
            )
            if flow.target.rpartition(".")[2] in _NO_INSTALLERS and target.known is not HostClass.INSTALLER:
                vouched = False
            self._add("SIGMA-THREAT-013" if vouched else "SIGMA-THREAT-003", target.host or flow.origin, seen)

    def _executed_in_loop(self, reading: Reading, seen: Seen, flow: Flow) -> None:
        """Whoever answers a program that asks again and again commands it; that the documents name them makes no installer of it."""
        target = self.target(flow.origin, reading.path, in_prose=seen.in_prose)
        # What stands before the colon of an address whose host is computed.
        computed = {"", "?", NAME_LOOKUP, "http", "https"}
        if target.known is not HostClass.LOCAL or target.host in computed:
            self._add("SIGMA-THREAT-060", target.host or flow.origin, seen)

    def _vouches(self, url: str, target: _Target, *, in_prose: bool) -> bool:
        """Whether a host may hand out an installer: a known publisher's, or the product's own that the package is about."""
        own = self.declared.names_owner(target.host, title_only=True) or (target.named and target.branded)
        # A name that only resembles the package's, and that no document speaks of, anybody can register.
        own = own and (in_prose or target.named)
        return target.known is HostClass.INSTALLER or (
            url.startswith("https://") and target.known in {HostClass.UNKNOWN, HostClass.KNOWN} and own
        )

    def _weighed(self, reading: Reading, finding: Finding) -> Finding:
        """A pattern's finding by where it stands: background documents show commands, and installers belong to a host."""
        if finding.rule_id.startswith("SIGMA-OPS-") and background_reading(reading.path):
            return replace(finding, rule_id="SIGMA-OPS-010")
        if finding.rule_id == "SIGMA-INJ-019" and self._badge(finding):
            return replace(finding, context="mention")
        if finding.rule_id == "SIGMA-INJ-005" and finding.context == "use" and self._own_bot(reading, finding):
            return replace(finding, context=TOLD)
        if finding.rule_id == "SIGMA-THREAT-030" and _OWN_WORK.search(finding.line_text):
            return replace(finding, context="mention")
        return self._vouched_installer(reading, finding)

    @staticmethod
    def _own_bot(reading: Reading, finding: Finding) -> bool:
        """Whether every address on the finding's lines is that of a bot or hook whose key the person fills in."""
        lines = reading.text.split("\n")[finding.location.line_start - 1 : finding.location.line_end]
        spots = [line[start : end + 1] for line in lines for start, end, _, _ in vocabulary.urls_in(line)]
        return bool(spots) and all(_OWN_BOT.search(spot) for spot in spots)

    @staticmethod
    def _badge(finding: Finding) -> bool:
        """Whether a picture's address differs by project only, at hosts whose logs nobody but they read."""
        hosts = [host for _, _, _, host in vocabulary.urls_in(finding.subject)]
        whole = len(finding.subject) < MAX_SUBJECT
        return whole and bool(hosts) and "?" not in finding.subject and all(host in _BADGE_HOSTS for host in hosts)

    def _vouched_installer(self, reading: Reading, finding: Finding) -> Finding:
        """A fetch-and-run line that a text rule found, judged by its host like the ones that syntax found."""
        urls = vocabulary.urls_in(finding.subject) or vocabulary.urls_in(finding.line_text)
        if finding.rule_id in _OF_STRANGERS:
            known = urls and all(self.declared.trusts(host, besides=reading.path) for _, _, _, host in urls)
            return replace(finding, context="mention") if known else finding
        if finding.rule_id in _OF_INSTALLERS and _ELIDED.search(finding.line_text):
            return replace(finding, context="mention")
        if finding.rule_id not in _OF_INSTALLERS or not urls:
            return finding
        targets = [(url, self.target(url, reading.path, in_prose=True)) for _, _, url, _ in urls]
        known = background_reading(reading.path) and all(target.known is HostClass.KNOWN for _, target in targets)
        vouched = known or all(self._vouches(url, target, in_prose=True) for url, target in targets)
        return replace(finding, rule_id="SIGMA-THREAT-013") if vouched else finding

    def _sent(self, reading: Reading, seen: Seen, flow: Flow) -> None:
        target = self.target(flow.target, reading.path, in_prose=seen.in_prose)
        unknown_place = not target.host.strip("?.") or target.host.startswith(("$", "{"))
        if target.known is HostClass.LOCAL and not unknown_place:
            return
        subject = f"{flow.origin} -> {target.host or '?'}"
        source = flow.source
        if source is Source.INPUT:
            if target.known in {HostClass.RAW_ADDRESS, HostClass.HIDDEN_SERVICE}:
                self._add("SIGMA-THREAT-047", target.host, seen)
            elif seen.in_prose and not unknown_place and self._named_only_at(target, seen.location):
                self._add("SIGMA-THREAT-050", target.host, seen)
            elif not (target.trusted or unknown_place or seen.in_prose):
                self._add("SIGMA-MIS-010", target.host, seen)
        elif source is Source.DECODED:
            if target.known is not HostClass.KNOWN and not target.host.startswith(("$", "{")):
                self._add("SIGMA-THREAT-046", target.host, seen)
        elif source is Source.SECRET_FILE:
            own = any(
                part in flow.origin.lower() and any(target.host.endswith(name) for name in names)
                for part, names in _OWN_SERVICE
            )
            soft = bool(_GENERIC_SECRET.search(flow.origin)) and (target.trusted or unknown_place)
            if own or soft or (flow.sink is Sink.SEND_HEADER and target.trusted):
                self._add("SIGMA-THREAT-018", subject, seen)
            else:
                self._add("SIGMA-THREAT-001", subject, seen)
        elif source is Source.ENVIRONMENT:
            self._add("SIGMA-THREAT-002", subject, seen)
        elif source is Source.SECRET_VARIABLE:
            self._variable_sent(seen, flow, target, subject, unknown_place)
        elif source is Source.PERSONAL:
            own_cookie = "cookie" in flow.origin and (target.trusted or unknown_place)
            self._add(
                "SIGMA-THREAT-018" if own_cookie else "SIGMA-THREAT-015",
                subject,
                seen,
            )
        elif (
            self.declared.local_claim
            and target.known is HostClass.UNKNOWN
            and target.branded
            and not (target.named or seen.in_prose)
        ):
            # A host that is only named after the package is not spoken of, and the documents say that nothing leaves.
            self._add("SIGMA-MIS-003", f"{self.declared.local_claim} / {target.host}", seen)
        elif unknown_place or target.trusted:
            self._add("SIGMA-THREAT-024", subject, seen)
        elif target.known is HostClass.DROP:
            chat = any(word in self.declared.words for word in ("discord", "slack", "telegram", "webhook")) and (
                "hooks.slack" in target.host or "discord" in target.host or "telegram" in target.host
            )
            self._add("SIGMA-THREAT-024" if chat else "SIGMA-THREAT-040", subject, seen)
        elif source is Source.HOST_DATA:
            self._add("SIGMA-THREAT-009", subject, seen)
        elif seen.in_prose and reading.path.endswith(".md"):
            alone = self._named_only_at(target, seen.location)
            self._add("SIGMA-THREAT-050" if alone else "SIGMA-THREAT-024", subject, seen)
        else:
            self._add("SIGMA-THREAT-014", subject, seen)

    def _variable_sent(self, seen: Seen, flow: Flow, target: _Target, subject: str, unknown_place: bool) -> None:
        tokens = {token for token in flow.origin.lower().replace("-", "_").split("_") if len(token) >= 3}
        together = any(
            token in target.host for token in tokens - {"key", "api", "token", "secret", "auth", "access", "url", "app"}
        )
        chat = any(name in target.host and name in self.declared.words for name in ("telegram", "discord", "slack"))
        together = together or (chat and target.known is HostClass.DROP)
        together = together or (bool(tokens & {"github", "pat"}) and target.host.endswith(_CODE_HOSTS))
        foreign = bool(tokens & _BRANDS) and not together
        if target.known is HostClass.DROP and not together and flow.sink is Sink.SEND:
            self._add("SIGMA-THREAT-040", subject, seen)
        elif unknown_place or together or (target.trusted and not (foreign and target.known is HostClass.RESERVED)):
            self._add("SIGMA-THREAT-018", subject, seen)
        elif foreign or (
            flow.sink is Sink.SEND and target.known in {HostClass.RAW_ADDRESS, HostClass.HIDDEN_SERVICE, HostClass.DROP}
        ):
            self._add("SIGMA-THREAT-008", subject, seen)
        elif seen.in_prose:
            self._add("SIGMA-THREAT-018", subject, seen)
        elif flow.origin.lower() in self.declared.text and not self._goes_elsewhere(flow.origin, target.host):
            self._add("SIGMA-MIS-012", subject, seen)
        else:
            self._add("SIGMA-MIS-001", subject, seen)

    def _goes_elsewhere(self, variable: str, host: str) -> bool:
        """Whether the same key is also sent to another owner's host: then one of the two is not its service."""
        owner = vocabulary.registrable(host)
        for reading in self.readings:
            for seen in reading.seen:
                flow = seen.what
                if isinstance(flow, Flow) and flow.origin == variable and flow.sink in {Sink.SEND, Sink.SEND_HEADER}:
                    urls = vocabulary.urls_in(flow.target)
                    if urls and vocabulary.registrable(urls[0][3]) != owner:
                        return True
        return False

    # -- capabilities and mismatches ----------------------------------------------------------------------------------

    @staticmethod
    def _moved_with(reading: Reading) -> frozenset[str]:
        """The hosts to which this file sends something, or from which it runs or keeps something."""
        hosts = set()
        for seen in reading.seen:
            if isinstance(seen.what, Flow):
                text = seen.what.origin if seen.what.source is Source.REMOTE else seen.what.target
                hosts |= {host for _, _, _, host in vocabulary.urls_in(text)} or {text.split("/", 1)[0].lower()}
        return frozenset(hosts)

    def _capability(self, reading: Reading, seen: Seen, capability: Capability, moved: frozenset[str]) -> None:
        self._add("SIGMA-CAP-001", f"{capability.ability.value}: {capability.subject}", seen)
        if capability.ability is Ability.NETWORK:
            target = self.target(capability.subject, reading.path, in_prose=seen.in_prose)
            if target.known in {HostClass.RAW_ADDRESS, HostClass.HIDDEN_SERVICE} and not target.named:
                self._add("SIGMA-THREAT-039", target.host, seen)
            elif (
                reading.kind in _CODE_KINDS
                and target.known in {HostClass.UNKNOWN, HostClass.RESERVED, HostClass.DROP}
                and "." in target.host
                and not (target.named or target.branded)
            ):
                named_here = vocabulary.registrable(target.host) in reading.text.lower()
                if not named_here and not target.host.startswith(("{", "$")):
                    self._add("SIGMA-THREAT-046", target.host, seen)
                if target.host in moved:
                    self._add("SIGMA-MIS-002", target.host, seen)
                elif target.known is not HostClass.RESERVED and not target.host.endswith(_CODE_HOSTS):
                    self._add("SIGMA-MIS-013", target.host, seen)

    def _findings_by_file(self) -> dict[str, list[Finding]]:
        """What was found so far, in order, by file."""
        found: dict[str, list[Finding]] = {}
        for finding in self.findings:
            found.setdefault(finding.location.file, []).append(finding)
        return found

    def _mismatches(self) -> None:
        documents = self.declared.text
        done: set[tuple[str, str]] = set()
        found = self._findings_by_file()
        for reading in self.readings:
            if reading.kind not in _CODE_KINDS:
                continue
            for finding in found.get(reading.path, ()):
                if (
                    finding.context == "use"
                    and finding.rule_id == "SIGMA-THREAT-006"
                    and not _PERSISTENCE_WORDS.search(documents)
                ):
                    self.findings.append(
                        Finding(
                            "SIGMA-MIS-004", finding.subject, finding.location, finding.line_text, "use", finding.hidden
                        )
                    )
                if (
                    finding.context == "use"
                    and finding.rule_id == "SIGMA-THREAT-007"
                    and not _STEERING_WORDS.search(documents)
                ):
                    self.findings.append(
                        Finding(
                            "SIGMA-MIS-005", finding.subject, finding.location, finding.line_text, "use", finding.hidden
                        )
                    )
            for seen in reading.seen:
                if not isinstance(seen.what, Capability):
                    continue
                ability = seen.what.ability
                if (
                    ability is Ability.SECRET_READ
                    and not seen.what.subject.startswith(".env")
                    and not _SECRET_WORDS.search(documents)
                ):
                    self._add("SIGMA-MIS-006", seen.what.subject, seen)
                if (
                    ability is Ability.NETWORK
                    and (self.declared.local_claim or self.declared.network_denied)
                    and (reading.path, "local") not in done
                ):
                    target = self.target(seen.what.subject, reading.path, in_prose=False)
                    if not target.trusted and target.host not in {"", "?"}:
                        done.add((reading.path, "local"))
                        self._add(
                            "SIGMA-MIS-003", f"{self.declared.local_claim or 'safety.network'} / {target.host}", seen
                        )

    def _spread_theft(self) -> None:
        """Secrets read in one file of code, and an unnamed host contacted in another."""
        reads, talks = [], []
        for reading in self.readings:
            for seen in reading.seen:
                if not isinstance(seen.what, Capability) or seen.context != "use" or seen.in_prose:
                    continue
                what = seen.what
                if (
                    what.ability is Ability.SECRET_READ
                    and not what.subject.startswith(".env")
                    and not _GENERIC_SECRET.search(what.subject)
                    and not vocabulary.agent_file(what.subject)
                    and ".clawdbot" not in what.subject
                    and ".openclaw" not in what.subject
                ):
                    reads.append((reading.path, seen))
                elif what.ability is Ability.NETWORK:
                    target = self.target(what.subject, reading.path, in_prose=False)
                    if not target.trusted and target.host not in {"", "?"}:
                        talks.append((reading.path, target.host))
        for path, seen in reads:
            other = next((host for place, host in talks if place != path), None)
            if other is not None and isinstance(seen.what, Capability):
                self._add("SIGMA-THREAT-041", f"{seen.what.subject} / {other}", seen)

    def _collected_secrets(self) -> None:
        """A script that lists several files of secrets and talks to the network, however the two are tied together."""
        for reading in self.readings:
            if reading.kind not in _CODE_KINDS:
                continue
            talks = next((seen for seen in reading.seen if self._talks(seen)), None)
            if talks is None:
                continue
            named = {name.lower() for name in vocabulary.secret_files(reading.text) if not name.startswith(".env")}
            if len({name.rpartition("/")[2] or name for name in named}) >= SEVERAL_SECRETS:
                self._add("SIGMA-THREAT-051", ", ".join(sorted(named))[:160], talks)

    @staticmethod
    def _talks(seen: Seen) -> bool:
        """Whether this is contact with another machine, in code that runs."""
        if seen.context != "use" or seen.in_prose:
            return False
        what = seen.what
        if isinstance(what, Flow):
            return what.sink in {Sink.SEND, Sink.SEND_HEADER}
        return what.ability is Ability.NETWORK and vocabulary.classify_host(what.subject) is not HostClass.LOCAL

    def _memory_kept_quiet(self) -> None:
        """A passage for the agent's memory, and a word that it is to be kept from the person, in one document."""
        found = self._findings_by_file()
        for reading in self.readings:
            told = [finding for finding in found.get(reading.path, ()) if finding.context == "use"]
            planted = next((finding for finding in told if finding.rule_id == "SIGMA-INJ-007"), None)
            if planted is not None and any(finding.rule_id == "SIGMA-INJ-002" for finding in told):
                self.findings.append(replace(planted, rule_id="SIGMA-ORDER-006"))

    def _programs_from_nowhere(self) -> None:
        """Links in documents to a program on a raw address, or to a paste board from a section on setting up."""
        for reading in self.readings:
            if reading.kind not in {FileKind.MARKDOWN, FileKind.TEXT} | _CODE_KINDS:
                continue
            in_code = reading.kind in _CODE_KINDS
            lines = reading.text.split("\n")
            for url, host, at, hidden in reading.urls:
                known = vocabulary.classify_host(host)
                if in_code and not (
                    known in {HostClass.RAW_ADDRESS, HostClass.HIDDEN_SERVICE} and _PACKAGE.search(url)
                ):
                    continue
                program = in_code or (
                    known in {HostClass.RAW_ADDRESS, HostClass.HIDDEN_SERVICE} and bool(_PROGRAM.search(url))
                )
                if not program and not (known is HostClass.DROP and _PASTE.search(host)):
                    continue
                before = "\n".join(line[:300] for line in lines[max(0, at.line_start - 8) : at.line_start])
                # The words of an address are not the document's.
                said = " ".join(word for word in before.split() if "://" not in word)
                if not CAUTION.search(said) and (program or _SETUP.search(before)):
                    self.findings.append(Finding("SIGMA-THREAT-042", host, at, url, "use", hidden))

    def _configured_drops(self) -> None:
        for reading in self.readings:
            if reading.kind not in {FileKind.JSON, FileKind.YAML, FileKind.TOML}:
                continue
            for url, host, at, hidden in reading.urls:
                if self.target(url, reading.path, in_prose=False).known in {
                    HostClass.DROP,
                    HostClass.RAW_ADDRESS,
                    HostClass.HIDDEN_SERVICE,
                } and not self.declared.names_host(host):
                    self.findings.append(Finding("SIGMA-MIS-009", host, at, url, "use", hidden))

    def _lookalikes(self) -> None:
        """A host that carries a declared host as its beginning and belongs to somebody else."""
        trusted = {host for host in self.declared.document_hosts.get("(manifest)", frozenset()) if host.count(".") >= 1}
        for reading in self.readings:
            for _url, host, at, hidden in reading.urls:
                for name in sorted(trusted):
                    if host.startswith(name + ".") and vocabulary.registrable(host) != vocabulary.registrable(name):
                        self.findings.append(Finding("SIGMA-MIS-008", host, at, "", "use", hidden))
