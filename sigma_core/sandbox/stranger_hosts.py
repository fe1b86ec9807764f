"""Hosts of nobody known that one passage of a document alone names, judged by what the words around them do: settings and sources turned to them, or programs
taken from them with a check left out, unseen, with wide rights, or in the place of what everyone uses.

It reads passages rather than sentences, so that table rows, settings in fences, comments, checklists and front matter are read alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.container_rights import PUBLIC_REGISTRIES
from sigma_core.sandbox.facts import Location
from sigma_core.sandbox.judgement import background_reading
from sigma_core.sandbox.linear_pattern import linear_pattern
from sigma_core.sandbox.readings import Finding
from sigma_core.sandbox.redirected_traffic import strange_host
from sigma_core.sandbox.text_places import TextPlaces
from sigma_core.sandbox.vocabulary import name_set

MOST = 100
"""Strange hosts that are looked at in one document."""
NEAR = 300
"""Characters on each side of a host, within its block, that belong to what is said of it."""
MANY_HOSTS = 3
"""A passage with more hosts is a list of links, not an instruction."""
_HOST = linear_pattern(
    r"(?i)((?:[a-z]{2,8}(?:\+[a-z]{2,6})?://(?:[^\s/@'\"<>`|]{1,60}@)?)?)((?:[a-z0-9](?:[a-z0-9-]{0,40}[a-z0-9])?\.){1,5}[a-z]{2,16})\b([:/]?)"
)
_COMMON_ENDS = name_set("com net org io dev app ai co xyz ru cn tk pw cc biz eu gg tech cloud de uk")
"""Ends of names that are hosts wherever they stand."""
_ENDS = _COMMON_ENDS | name_set(
    "site online top me club live pro fun us academy agency art bar best blog buzz cafe camp casa cash chat city codes company cyou deals digital direct directory download earth email energy exchange farm finance fit foundation fyi gallery games garden gs guru house icu ink international "
    "kim land lat life link lol love ltd market media mobi monster network news ninja ooo page party photos pics plus press pub quest rest rocks run sbs school services shop social software solutions space store stream studio support surf systems "
    "team today tools trade vip wang watch website wiki win work works world wtf zone aero am at blue ca cab ma pm vet ws cf ch cl cz dk es fi fm fr ga gq gr hk hu il im info ir it jp kr kz la li lt lu lv ml mx ng nl nu nz ph pk pl pt ro se sg si sk su sx th tr tw ua vc vn ws za"
)
_SERVE_EVERYONE = PUBLIC_REGISTRIES | name_set(
    "k8s.io golang.org godoc.org maven.org gradle.org nuget.org debian.org ubuntu.com archlinux.org alpinelinux.org fedoraproject.org openwrt.org videolan.org gnu.org gnupg.org sqlite.org kde.org gnome.org mozilla.org freedesktop.org r-project.org "
    "bioconductor.org cpan.org metacpan.org hex.pm pub.dev packagist.com bitnami.com chocolatey.org jitpack.io sonatype.org apache.org wpackagist.org drupal.org jfrog.io hashicorp.com terraform.io pulumi.com jetbrains.com spring.io jenkins.io unity3d.com openupm.com eclipse.org confluent.io "
    "archive.org helm.sh fluentbit.io sheetjs.com jquery.com fontawesome.com bootstrapcdn.com tailwindcss.com googletagmanager.com google-analytics.com plausible.io posthog.com mixpanel.com segment.io segment.com amplitude.com hotjar.com matomo.cloud opencollective.com ko-fi.com patreon.com buymeacoffee.com liberapay.com tidelift.com thanks.dev "
    "honeycomb.io lightstep.com signoz.io signoz.cloud axiom.co betterstack.com logtail.com logz.io loggly.com papertrailapp.com splunkcloud.com splunk.com sumologic.com elastic.co elastic-cloud.com dynatrace.com uptrace.dev bugsnag.com rollbar.com sonarcloud.io sonarqube.org codecov.io coveralls.io snyk.io circleci.com travis-ci.com travis-ci.org buildkite.com semaphoreci.com "
    "auth0.com okta.com clerk.com clerk.dev clerk.accounts.dev workos.com stytch.com authgear.com keycloak.org neon.tech planetscale.com upstash.io turso.io mongodb.net mongodb.com redislabs.com redis.io cockroachlabs.cloud adyen.com klarna.com lemonsqueezy.com paddle.com squareup.com square.com plaid.com braintreegateway.com mollie.com razorpay.com checkout.com "
    "githubcopilot.com browserstack.com saucelabs.com mailchimp.com intercom.io zapier.com make.com ifttt.com linear.app datadoghq.eu ddog-gov.com oracle.com oraclecloud.com ibm.com servicenow.com sap.com adobe.com mcr.microsoft.com letsencrypt.org opendns.com quad9.net nextdns.io vault.io docs.rs deno.com jsr.io esm.sh skypack.dev aiven.io timescale.com"
)
"""Registries, projects and services that serve everyone and say who they are."""
OWN_WORDS = linear_pattern(r"(?:[a-z0-9_-]+\.)+[a-z]{2,}|[^a-z0-9]+")
"""What is not a word of a document: the names of hosts, and what stands between words."""
_ADDRESS_TO_COME = r"[\"'`(<\[=*]{0,3}$"
_TURNED = linear_pattern(
    r"(?i)\b(?:point(?:s|ed|ing)?|chang(?:e|es|ed|ing)|set(?:s|ting)?|switch(?:es|ed|ing)?|swap(?:s|ped|ping)?|replac(?:e|es|ed|ing)|substitut(?:e|es|ed|ing)|map(?:s|ped|ping)?|redirect(?:s|ed|ing)?|rout(?:e|es|ed|ing)|repoint\w*|bump(?:s|ed)?|overrid\w+"
    r"|rewrit\w+|mov(?:e|es|ed|ing)|configur(?:e|es|ed|ing)|add(?:s|ed|ing)?|list(?:s|ed)?|put(?:s|ting)?|let|run(?:s|ning)?|register(?:s|ed|ing)?)\b(?:[^.\n]|\.[^\s]){0,160}?\b(?:to|at|for|by|with|from|through|via|against|into|on|use|towards?|be|is|as|over)\s+"
    + _ADDRESS_TO_COME
    + r"|\bus(?:e|es|ed|ing)\b(?:[^.\n]|\.[^\s]){0,160}?\b(?:to|for|by|with|through|via|on|as|over)\s+"
    + _ADDRESS_TO_COME
)
"""A verb that turns something, and a preposition right before the address."""
_SOURCE = linear_pattern(
    r"(?i)(?:\b|[_.-])(?:registr(?:y|ies)|npmRegistryServer|repositor(?:y|ies)|repos?|mirrors?|feed|upstream|update[_ -]?(?:site|url|channel|server|center)|channel|proxy|pac|rpc(?:[_ -]?url)?|dsn|broker|ldap[_ -]?uri|resolver|nameservers?|dns|relay|jwks(?:[_ -]uri)?"
    r"|sink|collector|(?:extra-)?index(?:[_ -]url)?|source|dependenc(?:y|ies)|artifact\w*|server[_ -]?ur[il]|endpoint|(?:api[_ -]?)?base(?:[_ -]?url)?|smtp[_ -]?(?:host|server)|[A-Z]{2,20}_(?:URI|HOST|SERVER|REMOTE|PROXY|MIRRORS?))[\"'`\])]{0,3}\s{0,3}(?:[:=|,]|=>|->|→|\bis\b|\bto\b|\bat\b|\s)\s{0,3}[\"'`<\[]{0,3}$"
)
"""A setting's name that says where packages, updates or traffic come from or go to, right before the address."""
_OFF = (
    r"(?:turn(?:ed|s|ing)?|switch(?:ed|es|ing)?|set|put)(?: \w+){0,4} off|\boff\b|disabl\w+|deactivat\w+|paus(?:e|ed|ing)|suspend\w*|stop(?:ped)?|whitelist\w*|exclu(?:de|ded|sion)\w*|ignor\w+|skip\w*|untick\w*|uncheck\w*|bypass\w*|collaps\w+|dismiss\w*"
    r"|click(?:ed)? (?:away|through)|wave\w* through|accept\w*|silenc\w+|allow\w*|don'?t (?:compare|check|verify|mind|worry)|not (?:compare|be compared|checked|verified)|\bfalse\b|\bno\b|none|dislike|complain|trust"
)
_CHECK = (
    r"anti-?virus\w*|defender|smart ?screen|gatekeeper|endpoint protection|\bEDR\b|signatures?\b|unsigned|checksums?|sha-?256\w*|hash(?:es)?\b|certificate (?:warning|error|check)\w*|play protect|quarantine|secure boot|\bgpg\b|fingerprints?|publisher|provenance|attestation"
    r"|lockfile|integrity|unknown (?:developer|publisher|source)s?|driver signature|developer mode|execution ?policy|\bSIP\b|firewall"
)
_UNCHECKED = linear_pattern(
    rf"(?i)(?:{_OFF})[^.\n|;]{{0,50}}(?:{_CHECK})|(?:{_CHECK})[^.\n|;]{{0,50}}(?:{_OFF})|--ignore-certs|--no-verify|--trusted-host|--no-check-certificate|--insecure\b|\bcurl\b[^\n]{{0,40}}\s-[a-zA-Z]{{0,4}}k\b|--force\b|--allow-unauthenticated|trusted=yes|--nogpgcheck"
    r"|(?:verify|ask|confirm|checksums?|signed|strict\w*)[\"'`]?\s{0,2}[:=]\s{0,2}[\"']?(?:false|no|off|none|0)\b|unsigned_plugins|signatures?\.required|insecure-registr|strict-?ssl|ExecutionPolicy|\bxattr\b"
)
_TAKES = linear_pattern(
    r"(?i)\b(?:install(?:s|ed|ing|er)?|download(?:s|ed|ing)?|fetch(?:es|ed|ing)?|curl|wget|iwr|irm|pip3?|npm|npx|uvx|brew|clone|load unpacked|side-?load\w*|unpack|attach|enable|add|put|run|execut\w+|get|gets|take[ns]?|grab|obtain(?:ed|s)?|pull(?:s|ed)?|retriev\w+|load(?:s|ed)?|flash(?:es|ed)?|launch|auto_?update|update[sd]?)\b"
)
_UNSEEN = linear_pattern(
    r"(?i)\b(?:silent\w*|quiet\w*|hidden|without (?:asking|a question|prompt\w*|confirm\w*|telling)|don'?t (?:ask|announce|tell|mention|bother|inform)|by yourself|no questions?|unattended|on the spot|self-?approv\w*|approve (?:by|it|the))\b|--silent\b|\s/(?:quiet|S|qn)\b"
)
_RIGHTS = linear_pattern(
    r"(?i)\b(?:as root|sudo|root rights?|admin(?:istrator)?(?: rights?| privileges?)?|elevated|localsystem|full disk access|accessibility|screen recording|input monitoring|root (?:certificate|CA)|trusted root|all (?:data|sites|pages|files|folders|rights|permissions)"
    r"|kernel|driver|microphone|contacts|key(?:chain|strokes)|clipboard|docker\.sock|--privileged|start(?:s)? at login|at log-?in|at boot|SMS|whole (?:account|disk|drive|home)|device admin\w*|mdm|configuration profile)\b"
)
_DISPLACED = linear_pattern(
    r"(?i)\b(?:instead of|in (?:the )?place of|in lieu of|rather than|takes? the place|replac\w+|never (?:\w+ ){0,4}(?:with|from|by)|in the official one)\b"
)
_RUN_AT_ONCE = linear_pattern(
    r"(?i)(?:\||&&|;)\s{0,3}(?:sudo )?(?:ba|z)?sh\b|chmod \+x|\bstart(?:s|ed)? it\b|\brun(?:s|ning)? it\b|\bexecut\w+ it\b|\bthen run\b"
)
_PROGRAM = linear_pattern(
    r"(?i)^[/:][^\s\"'`<>|)]{0,200}\.(?:exe|msi|msix|dmg|pkg|zip|7z|rar|apk|ipa|jar|sh|ps1|bat|bin|tgz|tar\.gz|tar\.xz|deb|rpm|xpi|crx|vsix|whl|ko|dll|iso|img|appimage|user\.js|mobileconfig|reg|xll|xlam|docm|xlsm|tflite|onnx|pt|pkl|gguf|uf2|hex|wasm)\b"
)
"""A file that is installed, loaded or run, right after the host."""
_TAKEN_HOW = (
    (_UNSEEN, "unseen"),
    (_DISPLACED, "in place of another"),
    (_RIGHTS, "with rights"),
    (_RUN_AT_ONCE, "run at once"),
)
_OF_WHAT_IS_TO_BE_DONE = frozenset({"turned to it", "in place of another", "with rights"})
"""Ways that background reading tells of well-known tools in, too."""
_NOT_MEANT = linear_pattern(
    r"(?i)\b(?:nothing|nobody|no one|none|nowhere|is(?:n'?t| not)|are(?:n'?t| not)|unless|declin\w+|reject\w*|look up|cite|close it)\b(?:[^.!?;\n]|[.!?][^\s]){0,160}$"
)
"""Words of a passage's own sentence by which nothing is taken from the host that follows."""
_LED = linear_pattern(r"(?i)(?:\b(?:at|from|via|to|through|by|with)[ \t]+[`\"'(]?|@|→ ?)$")
"""What stands before a host that nothing else tells from a file's name."""
_ITEM = linear_pattern(r"^[ \t>]{0,8}(?:[-*+|#]|\d{1,3}[.)])")
_SHORTEST_LABEL = 3
_SHORTEST_BEGINNING = 8
"""Letters of a longer name that stand for it: its affixes (`get`, `tools`, `app`) are not said of the owner."""


@dataclass(frozen=True, slots=True)
class _Named:
    """One host in its passage: characters ``start:end`` of its address, the text before it and around it in its passage, its line, and what follows the host."""

    host: str
    start: int
    end: int
    before: str
    line: str
    around: str
    path: str


def judge_stranger_hosts(place: TextPlaces, named_only_at: Callable[[str, Location], bool]) -> Iterator[Finding]:
    """A finding for each host of nobody known that something is turned to, or that something is taken from in a way that keeps others from looking. Time is linear in the text."""
    if not place.is_document:
        return
    own_words = ""
    for named in islice(_strangers(place.text), MOST):
        rule, how = _judged(named)
        told = how in _OF_WHAT_IS_TO_BE_DONE and background_reading(place.path)
        if not rule or told or _NOT_MEANT.search(named.before):
            continue
        # A setting's value stands in quotes; what stands before them decides.
        context = place.prose_context(named.start - _quotes(named.before), named.end)
        finding = place.at(rule, f"{named.host}: {how}", named.start, named.end, context)
        own_words = own_words or OWN_WORDS.sub("", place.text.lower()) or " "
        if named_only_at(f"https://{named.host}/", finding.location) and not is_spoken_of(named.host, own_words):
            yield finding


def _judged(named: _Named) -> tuple[str, str]:
    if _SOURCE.search(named.before):
        return "SIGMA-SUPPLY-048", "source"
    if _TURNED.search(named.before):
        return "SIGMA-SUPPLY-048", "turned to it"
    if _TAKES.search(named.around) and _UNCHECKED.search(named.around):
        return "SIGMA-SUPPLY-049", "unchecked"
    if not _TAKES.search(named.line):
        return "", ""
    if _PROGRAM.search(named.path):
        return "SIGMA-SUPPLY-049", "program"
    if named.before.endswith("]("):
        return "", ""  # a page to read
    how = next((how for search, how in _TAKEN_HOW if search.search(named.line)), "")
    return ("SIGMA-SUPPLY-049" if how else ""), how


def _strangers(text: str) -> Iterator[_Named]:
    for match in _HOST.finditer(text):
        host = match[2].lower()
        led = _LED.search(text[max(0, match.start() - 10) : match.start()]) is not None
        if not _is_host(host, scheme=bool(match[1]), led=led, followed=match[3]) or not strange_host(host):
            continue
        if serves_everyone(host):
            continue
        start, end = match.start(), match.end(2)
        head, tail = text[max(0, start - NEAR) : start], text[end : end + NEAR]
        head = head.rsplit("\n\n", 1)[-1]
        around = f"{head}{match[0]}{tail.split(chr(10) * 2, 1)[0]}"
        hosts = {vocabulary.registrable(name) for _, _, _, name in vocabulary.urls_in(around)}
        if len(hosts) < MANY_HOSTS:
            row = text[text.rfind("\n", 0, start) + 1 : start][-NEAR:]
            line = f"{row}{match[0]}{tail.split(chr(10), 1)[0]}" if _ITEM.search(row) else around
            yield _Named(host, start, end, head, line, around, text[end : end + NEAR])


def serves_everyone(host: str) -> bool:
    """Whether ``host`` belongs to a registry, project or service that publishes for all."""
    labels = host.split(".")
    return any(".".join(labels[at:]) in _SERVE_EVERYONE for at in range(len(labels)))


def ends_like_a_host(host: str) -> bool:
    """Whether the last label of ``host`` is one that hosts on the internet have: names within a cluster have others."""
    return host.rsplit(".", 1)[-1] in _ENDS


def _quotes(before: str) -> int:
    return len(before) - len(before.rstrip("\"'`(<[=*"))


def _is_host(host: str, *, scheme: bool, led: bool, followed: str) -> bool:
    """Whether a dotted name is a host's rather than a file's or an attribute's."""
    end = host.rsplit(".", 1)[-1]
    if scheme or end in _COMMON_ENDS:
        return scheme or end in _ENDS
    return end in _ENDS and (host.count(".") > 1 or "-" in host or led or followed == "/")


def is_spoken_of(host: str, own_words: str) -> bool:
    """Whether the document says the name of the host's owner apart from its address, as pages of a product do."""
    labels = vocabulary.registrable(host).split(".")[:-1]
    names = (label.replace("-", "") for label in labels if len(label) >= _SHORTEST_LABEL)
    return any(name[: max(_SHORTEST_BEGINNING, len(name) * 2 // 3)] in own_words for name in names)
