"""Settings that take a protection off which the package promises, or which nothing honest is without: verification, sign-in, narrow rights, private data, scans, approvals.

Published skills hardly carry one in a file that is to be copied, and say what it is for where they do: for a demonstration, for the person's own machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from sigma_core.sandbox.configuration_listings import MAX_LISTING
from sigma_core.sandbox.declared import DeclaredSurface
from sigma_core.sandbox.kinds import kind_of_language
from sigma_core.sandbox.layers import FileKind
from sigma_core.sandbox.linear_pattern import linear_pattern
from sigma_core.sandbox.readings import Finding
from sigma_core.sandbox.required_words import words_of
from sigma_core.sandbox.settings_listings import Settings, is_settings_file, settings_listings
from sigma_core.sandbox.text_places import TextPlaces
from sigma_core.sandbox.vocabulary import name_set
from sigma_core.sandbox.worded_pattern import WordedPattern

BLOCKING = "SIGMA-MIS-017"
SUSPICIOUS = "SIGMA-MIS-018"
MOST = 20
"""Settings of one form that are looked at in one listing."""
NEAR = 260
"""Characters before a setting that say what it is for."""
_SECRETS = "the person's secrets"
_IS = r"[\"'\]]{0,2}\s{0,3}(?:=>|[:=,])\s{0,3}"
_NO = r"[\"']?(?:false|no|off|0|disabled?|none)\b"
_YES = r"[\"']?(?:true|yes|on|1)\b"
_ANYONE = r"[\"']?0\.0\.0\.0(?:/0)?"


@dataclass(frozen=True)
class _Protection:
    """What a group of settings takes off: the words that promise it, and the settings, those that nothing honest needs (``never``) and those that some systems do (``seldom``)."""

    name: str
    promise: str
    never: tuple[str, ...]
    seldom: tuple[str, ...] = ()

    @cached_property
    def promised(self) -> Any:
        """Words by which documents promise the protection."""
        return linear_pattern(rf"(?i){self.promise}")

    @cached_property
    def settings(self) -> tuple[tuple[WordedPattern, bool], ...]:
        """Each setting, and whether nothing honest needs it."""
        return tuple(
            (WordedPattern(rf"(?im){text}"), never)
            for never, texts in ((True, self.never), (False, self.seldom))
            for text in texts
        )


_PROTECTIONS = (
    _Protection(
        "verification of the other end",
        r"verif(?:y|ied|ies)|\btls\b|certificate|encrypted|https|\bsecur(?:e|ity|ed)|harden|owasp|signed",
        never=(
            rf"\b(?:rejectUnauthorized|sslVerify|strict-ssl|http\.sslVerify|validate_certs|verify_ssl|ssl_verify|tls_verify|verifyCertificates?){_IS}{_NO}",
            rf"\b(?:InsecureSkipVerify|insecure_skip_verify|tlsAllowInvalidCertificates|tlsInsecure|TrustServerCertificate|cleartextTrafficPermitted|usesCleartextTraffic){_IS}{_YES}",
            r"\bNODE_TLS_REJECT_UNAUTHORIZED[\"']?\s{0,3}[:=]\s{0,3}[\"']?0",
            r"\bproxy_ssl_verify\s+off\b|\bVERIFY(?:PEER|HOST),?\s{0,3}(?:=>|,)\s{0,3}(?:false|0)|NSAllowsArbitraryLoads</key>\s{0,20}<true",
            r"(?:^|[(,\s])verify\s?=\s?False\b",
            r"\bssl_protocols[^;\n]{0,60}\b(?:SSLv[23]|TLSv1(?:\.1)?[ ;])|\bssl_ciphers[^;\n]{0,80}(?:[ :\"'](?:RC4|DES|aNULL|NULL|EXPORT|MD5)\b|[ :\"']DES-CBC)",
            rf"\bmin(?:imum)?[-_]?(?:tls|protocol|ssl)?[-_]?version{_IS}[\"']?(?:TLS[-_]?v?1(?:[._][01])?\b[\"']?\s*$|SSL)",
        ),
        seldom=(
            r"\bStrictHostKeyChecking[= ][\"']?no\b",
            r"\bsslmode=disable\b",
        ),
    ),
    _Protection(
        "sign-in",
        r"\bauth(?:entication|orization|enticated|orized)?\b|sign(?:ed)?-?in\b|log(?:ged)?-?in\b|\btokens?\b|\bsecur(?:e|ity|ed)|harden|owasp|password|validation|\bprivate\b",
        never=(
            rf"\balg(?:orithm)?s?{_IS}\[?[^\]\n]{{0,60}}[\"']none[\"']",
            rf"\bverify_(?:signature|exp|aud|iss){_IS}{_NO}|\bignoreExpiration{_IS}{_YES}|\bverify_signature[\"']?\s?:\s?False",
            r"\bprotected-mode\s+no\b|\b0\.0\.0\.0/0\s+trust\b|\banyRequest\(\)\.permitAll\(\)",
            r"\bexposure\.include\s?[:=]\s?[\"']?\*|\bshow-values\s?[:=]\s?[\"']?ALWAYS",
            rf"\banonymous{_IS}\{{?\s{{0,12}}[\"']?enabled{_IS}{_YES}",
            rf"\b(?:mfa|2fa|two_?factor|totp)\w{{0,12}}{_IS}(?:\{{?\s{{0,12}}[\"']?(?:required|enabled|enforced){_IS})?{_NO}|\blockout_?(?:attempts|threshold){_IS}0\b",
            rf"\b(?:bcrypt[\"']?\s{{0,4}}\n\s{{0,12}}|salt_?|bcrypt_?|hash_?)(?:rounds|cost){_IS}[1-4]\b",
            rf"\bpasswords?\w{{0,10}}{_IS}\{{?\s{{0,8}}(?:[\"']?(?:algorithm|hash|hasher|encoding){_IS})?[\"'](?:md5|sha-?1|plain(?:text)?|none)[\"']",
            rf"\b(?:http_?only){_IS}{_NO}",
            r"\b(?:bypass|allow(?:ed)?|trusted|whitelist)_?(?:ips?|cidrs?|prox(?:y|ies)|networks?)[\"']?\s{0,3}[:=]\s{0,3}\[?\s{0,4}[\"'](?:0\.0\.0\.0/0|\*)[\"']",
            r"\b(?:PermitEmptyPasswords|PermitRootLogin)\s+yes\b",
        ),
        seldom=(
            rf"^\s{{0,20}}[\"']?auth(?:entication|orization|_required|Required|_enabled)?{_IS}(?:\{{?\s{{0,20}}[\"']?enabled{_IS})?{_NO}",
            rf"\bxpack\.security\.enabled{_IS}{_NO}",
            rf"\bcsrf\w{{0,12}}{_IS}{_NO}|\.csrf\(\w+\s?->\s?\w+\.disable\(|\bhelmet{_IS}{_NO}",
            rf"\b(?:session|cookie)\w{{0,12}}[^\n]{{0,40}}\bsecure{_IS}{_NO}|^\s{{0,12}}[\"']?secure{_IS}{_NO}",
            rf"(?s)\b(?:allow_?)?origins?{_IS}(?:true\b|\[?\s?[\"']\*[\"']).{{0,80}}\bcredentials{_IS}{_YES}",
        ),
    ),
    _Protection(
        "narrow rights",
        r"least[- ]privilege|unprivileged|without (?:any )?rights|non-?root|restricted|minimal (?:rights|permissions)|permissions? small|narrow|\bsecur(?:e|ity|ed)|harden|owasp|asks? (?:before|first|the)|approv(?:e|es|al)|they need",
        never=(
            r"(?s)\bresources:\s{0,4}(?:\[\s?[\"']\*[\"']\s?\]|\n\s{0,12}- [\"']\*[\"'])\s{0,20}verbs:\s{0,4}(?:\[\s?[\"']\*[\"']\s?\]|\n\s{0,12}- [\"']\*[\"'])",
            r"(?s)\broleRef:.{0,120}\bname:\s{0,3}cluster-admin\b",
            rf"(?s)\b(?:actions?){_IS}\[?\s{{0,8}}\"\*(?::\*)?\"\s{{0,8}}\]?.{{0,60}}\bresources?{_IS}\[?\s{{0,8}}\"\*\"",
            r"^permissions:\s{0,4}write-all\b",
            r"\bchmod (?:-R )?(?:0?777|a\+rwx)\b",
            r"\"(?:defaultMode|permissionMode|approvalMode)\"\s?:\s?\"(?:bypassPermissions|yolo|never|dontAsk|approve-all)\"|\bapproval_policy\s?=\s?\"never\"|\bsandbox_mode\s?=\s?\"danger-full-access\"|\"chat\.tools\.(?:global\.)?autoApprove\"\s?:\s?true|\"(?:alwaysAllow|autoApprove)\"\s?:\s?\[\s?\"\*\"",
            r"\"(?:Bash|Write|Edit|WebFetch)\((?:\*{1,2}|:\*|\*:\*)?\)\"|\"Bash\((?:sudo|rm|curl|wget|sh|bash|eval|chmod|ssh)(?: -\w+)?[: ]\*\)\"",
            r"\"security\.workspace\.trust\.enabled\"\s?:\s?false|\"task\.allowAutomaticTasks\"\s?:\s?\"on\"|\"ask\"\s?:\s?\"(?:off|never)\"",
            rf"(?s)\b(?:from_port|fromPort){_IS}[\"']?(?:22|3389|5432|3306|6379|27017|0)\b.{{0,140}}{_ANYONE}",
            r"\"--?\w*\"?,?\s?\"/\"\s?\]\s?,\s?\"trust\"\s?:\s?true|\"/\"\s?\]\s?,\s{0,20}\"trust\"\s?:\s?true",
        ),
        seldom=(
            rf"\bprivileged{_IS}{_YES}|\ballowPrivilegeEscalation{_IS}{_YES}|\brunAsUser{_IS}0\b|\bhost(?:PID|Network|IPC){_IS}{_YES}",
            r"^\s{0,20}-?\s?[\"']?/var/run/docker\.sock:|[\"'\s-]/:/\w",
            r"^USER (?:root|0)\b",
            r"\"trust\"\s?:\s?true",
        ),
    ),
    _Protection(
        "private and recorded data",
        r"\bprivate\b|encrypt(?:ed|ion)|audit|harden|\bsecur(?:e|ity|ed)|no (?:request bodies|tokens|personal|secrets)|redact|personal data|least[- ]privilege",
        never=(
            rf"\bblock_public_(?:acls|policy){_IS}{_NO}|\brestrict_public_buckets{_IS}{_NO}|\bacl{_IS}[\"']?public-read(?:-write)?\b",
            rf"\bpublicly_accessible{_IS}{_YES}|\bstorage_encrypted{_IS}{_NO}",
            rf"\b(?:enable_logging|enable_log_file_validation|is_multi_region_trail){_IS}{_NO}",
            rf"\blog_?(?:request_?)?(?:authorization\w{{0,8}}|bodies|headers|passwords?|tokens?|secrets?){_IS}{_YES}",
            rf"\b(?:encrypt(?:ion|ed)?(?:_at_rest)?|audit_?log(?:s|ging)?|access_?log(?:s|ging)?|point_in_time_recovery|deletion_protection){_IS}(?:\{{?\s{{0,12}}[\"']?enabled{_IS})?{_NO}",
            rf"\b(?:include|capture|record|collect|send)_?(?:prompts?|request_?bodies|secrets|environment|env_?vars|credentials|keystrokes|clipboard){_IS}{_YES}",
            r"\bautoindex\s+on\b|location ~ /\\\. \{ allow all",
        ),
        seldom=(rf"\bredact\w{{0,8}}{_IS}(?:\[\s?\]|{_NO})",),
    ),
    _Protection(
        _SECRETS,
        r"secrets?|credential|\bkeys?\b|private|\bsecur(?:e|ity|ed)|\blocal\b",
        never=(
            r"\b(?:include[sd]?|files|paths|globs|patterns|context(?:_?files)?|attach(?:ments)?|collect|index|upload|backup|sync|watch|sources|assets|copy|mirror)[\"']?\s{0,3}[:=]\s{0,3}\[?[^\]{}=]{0,240}(?:~|\$HOME|\$\{HOME\}|/home/\w{1,30}|/root|\*\*)/\.(?:ssh|aws|gnupg|kube|netrc|npmrc|pypirc|docker/config|git-credentials|config/gh|env\b)",
        ),
    ),
    _Protection(
        "review and approval",
        r"approv(?:e|es|ed|al)|review|\basks?\b|confirm|agree|human|permission|\bsecur(?:e|ity|ed)",
        never=(
            rf"\b(?:required_approving_review_count|required_(?:reviews|reviewers|approvals)|min_?(?:reviews|reviewers|approvals)){_IS}[\"']?0\b",
            rf"\b(?:require[sd]?_?(?:code_?owner_?)?(?:reviews?|approvals?|confirmation|consent)|enforce_admins|human_in_the_loop|(?:ask|confirm|approve)_?before_?\w{{1,20}}|approval_required|confirmation_required|needs_approval){_IS}(?:{_NO}|[\"']?never\b)",
            rf"\b(?:allow_force_pushes|allow_deletions|skip_?(?:approval|confirmation|permission)s?\w{{0,8}}|auto_?approve_?(?:all)?|dangerously_?(?:skip_?permissions|bypass\w{{0,30}}|allow\w{{0,20}})){_IS}{_YES}[\"']?\s{{0,2}}(?:[,;}}#]|$)",
            rf"\b(?:secret_scanning|push_protection|secret_scanning_push_protection|vulnerability_alerts){_IS}(?:\{{?\s{{0,12}}[\"']?(?:status|enabled){_IS})?(?:{_NO}|[\"']?disabled\b)",
        ),
        seldom=(
            rf"\b(?:auto_?accept\w{{0,10}}|unattended){_IS}{_YES}",
            rf"^\s{{0,20}}[\"']?(?:sandbox|sandboxed|isolation){_IS}(?:\{{?\s{{0,12}}[\"']?(?:enabled|mode){_IS})?{_NO}",
        ),
    ),
    _Protection(
        "scans and checks",
        r"\bchecks?\b|\bscan|secrets?\b|\bhooks?\b|\bpinned?\b|vulnerab|\baudit|\bsecur(?:e|ity|ed)|sign(?:ed|ing)\b|\btest(?:s|ed|ing)?\b",
        never=(
            r"\bpaths\s?=\s?\[\s{0,8}(?:'''|\"\"\"|['\"])\^?\.[*+]\$?(?:'''|\"\"\"|['\"])",
            r"\b(?:semgrep|gitleaks|trivy|bandit|npm audit|pip-audit|snyk|trufflehog|checkov|codeql|osv-scanner|detect-secrets)\b[^\n|>]{0,160}\|\|\s?(?:true|:|exit 0)|--audit-level[= ]none\b",
            rf"\b(?:verify_?(?:checksums?|signatures|integrity|hash(?:es)?)|check_?(?:signatures?|checksums?)|signature_?(?:check|verification|required)|require_?(?:signatures?|hashes|signed_commits)|gpgcheck|repo_gpgcheck){_IS}{_NO}|\[trusted=yes\]|\bAllowUnsigned\w{{0,12}}{_IS}{_YES}",
            r"(?s)\bignore:\s{0,12}-\s{0,3}dependency-name:\s{0,3}[\"']\*[\"']\s{0,8}(?:\n\s{0,2}\S|\z)",
            r"(?s)\b(?:semgrep|gitleaks|trivy|bandit|npm audit|pip-audit|snyk|trufflehog|checkov|codeql)\b.{0,120}\bcontinue-on-error:\s?true",
        ),
        seldom=(
            r"\A#![^\n]{0,40}sh\n(?:[^\n]{0,80}\n){0,3}?exit 0\s{0,4}\n\s{0,4}\w",
            r"\b(?:gpgsign|fsckObjects)\s?=\s?false",
            r"\bignore-scripts\s?=\s?false|\bvalidateDistributionUrl\s?=\s?false|\bnetworkTimeout\s?=\s?0",
        ),
    ),
)
_ERRORS_SHOWN = _Protection(
    "what errors show",
    r"stack traces?|production",
    never=(),
    seldom=(rf"^\s{{0,12}}[\"']?(?:debug|APP_DEBUG|DJANGO_DEBUG|FLASK_DEBUG){_IS}{_YES}",),
)
"""Debugging is common in settings; it is out of place only in those for production."""
_SCOPED = linear_pattern(
    r"(?i)(?:^|[^/\w.-])(?:dev|develop(?:er|ment)?|local(?:ly|host)?|demo\w{0,10}|sandbox|self-signed|playground|disposable|throw-?away|tests?|testing|ci only|lab|never|avoid|do not|don'?t|not (?:for|in) production|bad|insecure|unsafe|vulnerable|wrong|anti-?pattern|dangerous|because)\b|❌|127\.0\.0\.1"
)
"""Words before a setting that say where it belongs, or that it does not."""
_SCOPED_PATH = linear_pattern(
    r"(?i)(?:^|[/._-])(?:dev|devel|develop|development|local|tests?|testing|demo|sandbox|playground|fixtures?|vulnerable|insecure|bad|evals?)(?:[/._-]|$)"
)
_SCOPED_WORDS = linear_pattern(
    r"(?i)\b(?:local(?:ly|host)?|development|demo\w{0,10}|sandbox|self-signed|playground|disposable|lab|not (?:for|in) production|never in production|only for|on purpose|deliberately|intentionally|because|since|so that)\b"
)
"""Words of a document that scope or explain a setting which they speak of."""
_PRODUCTION = linear_pattern(r"(?i)(?:^|[/._-])(?:prod|production|release|deploy(?:ment)?)(?:[/._-]|$)")
_REVIEWS = linear_pattern(
    r"(?i)audit|review|vulnerab|pen-?test|attack|scanner|footgun|foot-gun|threat|misconfig|insecure|exploit|detect|sharp"
)
"""What the title of a skill that shows others' faults says."""
_HANDED_OUT = name_set("templates template assets boilerplate scaffold starter hooks")
_PROGRAMS = frozenset({FileKind.PYTHON, FileKind.JAVASCRIPT, FileKind.CODE})
_SHORT_KEY = 5
_LEFT_OUT = linear_pattern(
    r"(?i)exclu|ignor|deny|denied|block|forbid|redact|protect|sensitive|secret|scan|detect|allowlist|rules?\b"
)
"""Words by which a list of secret files keeps hands off them."""
_KEY = linear_pattern(r"[A-Za-z][A-Za-z0-9]{3,40}")


def judge_weakened_settings(declared: DeclaredSurface, place: TextPlaces) -> Iterator[Finding]:
    """A finding for each setting that takes a protection off; it blocks where the package promises that protection, where the file is for production, or where nothing honest needs it. Time is linear in the text."""
    if _SCOPED_PATH.search(place.path):
        return
    for settings in [*settings_listings(place), *_code(place)]:
        words = words_of(settings.text)
        for protection in (*_PROTECTIONS, _ERRORS_SHOWN) if _PRODUCTION.search(place.path) else _PROTECTIONS:
            for pattern, never in protection.settings:
                for match in islice(pattern.finditer(settings.text, words), MOST):
                    if _is_explained(declared, place, settings, match) or (
                        protection.name == _SECRETS and _LEFT_OUT.search(_before(settings, match))
                    ):
                        continue
                    rule = _rule(declared, place, settings, protection, never=never)
                    start, end = settings.start + match.start(), settings.start + match.end()
                    subject = f"{protection.name}: {' '.join(match.group().split())[:120]}"
                    yield place.at(rule, subject, start, end, settings.context)


def _code(place: TextPlaces) -> Iterator[Settings]:
    """Programs, and those that documents show: their clients and middleware are set up in code."""
    if place.kind is FileKind.MARKDOWN:
        for fence in place.fences:
            if kind_of_language(fence.language) in _PROGRAMS:
                yield Settings(
                    fence.text[:MAX_LISTING],
                    fence.start,
                    "mention" if fence.cautionary else "use",
                    FileKind.CODE,
                    whole=False,
                )
    elif place.is_code and place.kind is not FileKind.NOTEBOOK and not is_settings_file(place.path, place.kind):
        handed_out = bool(_HANDED_OUT & set(place.path.lower().split("/")[:-1]))
        yield Settings(place.text[:MAX_LISTING], 0, "use", place.kind, whole=handed_out)


def _rule(
    declared: DeclaredSurface, place: TextPlaces, settings: Settings, protection: _Protection, *, never: bool
) -> str:
    if settings.whole:
        kept = (
            never
            or _PRODUCTION.search(place.path)
            or protection.promised.search(declared.title)
            or protection.promised.search(declared.text)
        )
        return BLOCKING if kept else SUSPICIOUS
    listing = settings.kind is FileKind.TEXT
    promised = protection.promised.search(declared.title) and not _REVIEWS.search(declared.title)
    return BLOCKING if listing and never and promised else SUSPICIOUS


def _before(settings: Settings, match: Any) -> str:
    """The match, and what stands a few lines before it."""
    return settings.text[max(0, match.start() - NEAR // 2) : match.end()]


def _is_explained(declared: DeclaredSurface, place: TextPlaces, settings: Settings, match: Any) -> bool:
    """Whether the setting is commented out, or words around it or a line of the documents say where it belongs or why it is so."""
    row = settings.text[: match.start()].rpartition("\n")[2]
    if row.lstrip().startswith(("#", "//", ";", "--", "*", "<!--")):
        return True
    start = settings.start + match.start()
    end = settings.text.find("\n", match.end())
    around = place.text[max(0, start - NEAR) : settings.start + (end if end >= 0 else len(settings.text))]
    if _SCOPED.search(around):
        return True
    name = place.path.lower().rpartition("/")[2]
    key = max((key.group().lower() for key in _KEY.finditer(match.group())), key=len, default="")
    named = [word for word in (name, key) if len(word) > _SHORT_KEY and word in declared.text]
    return bool(named) and any(
        any(word in line for word in named) and _SCOPED_WORDS.search(line) for line in declared.text.split("\n")
    )
