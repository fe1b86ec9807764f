"""Whether a matched text asks and does (``use``) or is quoted, warned of, tested for (``mention``), decided from what stands around it.

Between the two is ``told``: its own sentence tells what could happen, or what becomes of it. Few words do that, and an attacker has them too: what is told
blocks nothing, but a warning stays (`derive`).
"""

from __future__ import annotations

import re2

from sigma_core.sandbox.layers import Layer
from sigma_core.sandbox.markdown import CAUTION, disposed

PLAIN_QUOTES = "\"'“‘«„"
ALL_QUOTES = PLAIN_QUOTES + "`"

_LIST_ITEM = re2.compile(r"^[ \t>]*(?:[-*+]|\d+[.)])\s")
_SENTENCE_END = re2.compile(r"[.!?。！？](?:\s|$)")
_NEGATION = re2.compile(
    r"(?i)\b(?:never|not|don'?t|doesn'?t|won'?t|cannot|can'?t|avoid\w*|refus\w+|reject\w*|block(?:s|ed|ing)|prevent\w*|detect\w*|flag\w*|looks? (?:like|for)|such as|e\.g\.|examples?|attempt\w*|attacks?|attackers?|malicious|suspicious|originally|removed|markers?|classif\w+|tells? the (?:model|agent)|asks? (?:it|the model) to|"
    r"phishing|red flags?|beware|watch(?:ing)? for|says?|claims?|patterns?|phrases?|contain\w*|trying to|tries to|rather than|injections?|jailbreaks?|scan\w*|checks? for|treat|untrusted|threats?|protect\w*|against|hostile|payloads?|alert(?:s|ing)? on|monitor(?:s|ing)?|ransomware|infostealers?|stealers?|adversar\w+|typically|defend\w*)\b|❌|🚫|⚠"
)
_AFFIRMED = re2.compile(
    r"(?i)\b(?:not optional|non-?negotiable|not negotiable|without exceptions?|no exceptions?|(?:do not|don'?t|never|must not|cannot|can'?t|may not|should not) (?:ever )?(?:skip|forget|omit|miss|be skipped|be omitted|proceed|continue|begin|start|respond|answer|wait|ask|prompt|confirm|"
    r"request|tell|inform|notify|mention|reveal|alert|announce|disclose|show|report|surface|discuss)\b[^.;]{0,80}?(?:[,:—–]|\bbut\b|\bbefore\b|\buntil\b|\bunless\b|\band\b|$)|if (?:this|it|that|the [a-z ]{1,20}) (?:is not|isn'?t|does not|doesn'?t|has not|fails)[^,.;]{0,60},|not found,|does not exist,|cannot be (?:found|reached),)"
)
"""Negations that strengthen what follows them: "do not skip this step: send ..."."""
_NEGATED_BEFORE = re2.compile(r"(?:不要|不得|切勿|请勿|禁止|严禁|勿)[^，。；]{0,8}$")
_NEGATED_AFTER = re2.compile(
    r"^[^,.。，、]{0,16}(?:하지 ?(?:말|마|않)|지 ?(?:마세요|말고)|しないで|てはいけ|ないこと|禁止)"
)
"""Chinese puts its "do not" before the verb, Korean and Japanese put theirs after it."""
_HYPOTHETICAL = re2.compile(
    r"(?i)\b(?:servers?|packages?|plug-?ins?|dependenc(?:y|ies)|extensions?|scripts?|programs?|code|bugs?|mistakes?|errors?|inputs?|someone|somebody|anyone|insiders?|strangers?|intruders?|commands?|hooks?)"
    r" (?:could|might|would)(?: \w+ly| also| then| even)?\s$"
)
"""What a thing or a stranger could do is not asked of the agent."""
TOLD = "told"
_TURN = re2.compile(r"(?i)(?:\b(?:but|however|instead|otherwise|then|except|afterwards)\b|;| — )")
_CODE_MENTION = re2.compile(
    r"(?i)(?:\b(?:e?grep|rg|re\.(?:compile|search|match|findall)|regex\w*|patterns?|match|detect\w*|block\w*|deny\w*|danger\w*|suspicious|malicious|echo|print|console\.\w+|assert\w*|test\w*|raise|error|warn\w*|log\w*|description|help|contains|includes|signature\w*|rules?|ioc\w*|validate-command|check-url|scan-content|example)\b|^\s*case\s+\S+\s+in\s[^)\n;&]*$|^\s*(?:#|//|\*|\"\"\"))"
)


def prose_context(text: str, start: int, end: int, cautionary: bool, *, quotes: str = ALL_QUOTES) -> str:
    """``use``, ``mention`` or ``told`` of the match ``start:end`` in prose.

    ``cautionary`` says that headings or the lead-in already announce a danger; ``quotes`` are the marks that set apart what follows them; none where quotation
    does not matter.
    """
    if cautionary:
        return "mention"
    head = text[max(0, start - 160) : start]
    sentence = _AFFIRMED.sub(" ", _last_sentence(head))
    if _NEGATION.search(sentence) or _NEGATED_BEFORE.search(head) or _NEGATED_AFTER.search(text[end : end + 24]):
        return "mention"
    line_head = text[text.rfind("\n", 0, start) + 1 : start][-400:]
    # In YAML and JSON every value stands in quotes; in prose they set what is quoted apart.
    in_data = ":" in line_head[: line_head.find('"')] if '"' in line_head else False
    quoted = (not in_data and line_head.count('"') % 2 == 1) or line_head.count("“") > line_head.count("”")
    if quoted and quotes:
        return "mention"
    if _LIST_ITEM.search(line_head):
        lead = next(
            (
                line
                for line in reversed(text[max(0, start - 1_500) : start].split("\n")[:-1])
                if line.strip() and not _LIST_ITEM.search(line)
            ),
            "",
        )
        if CAUTION.search(lead[-240:]):
            return "mention"
    opening = head.rstrip(" ")[-1:]
    if opening and opening in quotes and not head.endswith(" "):
        return "mention"
    line_end = text[end : end + 60].split("\n", 1)[0]
    if CAUTION.search(line_end) and ("|" in line_end or "→" in line_end or "->" in line_end):
        return "mention"
    refused = line_head.count("`") % 2 == 1 and disposed(text[end : end + 80], within=True)
    return TOLD if refused or _HYPOTHETICAL.search(head) else "use"


def command_context(layer: Layer, offset: int, cautionary: bool) -> str:
    """``use`` or ``mention`` of a command line at ``offset`` of a document."""
    return "mention" if cautionary or CAUTION.search(layer.before(offset)) else "use"


def code_context(before: str, cautionary: bool) -> str:
    """``use`` or ``mention`` of a match in code or configuration; ``before`` is what stands before it in its line."""
    return "mention" if cautionary or _CODE_MENTION.search(before) else "use"


def _last_sentence(head: str) -> str:
    """What stands before the match in its own sentence."""
    head = head.rsplit("\n", 1)[-1]
    ends = [match.end() for match in _SENTENCE_END.finditer(head)]
    sentence = head[ends[-1] :] if ends else head
    # "Never do this, but always do that": what stands before the turn does not govern what follows it.
    turns = [match.end() for match in _TURN.finditer(sentence)]
    return sentence[turns[-1] :] if turns else sentence
