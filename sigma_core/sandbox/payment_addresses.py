"""Payment addresses of the author's in what the person will hand out or pay by: wallets, accounts and donation links in skills that are about something else, or beside values to be filled in."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from sigma_core.sandbox.declared import DeclaredSurface
from sigma_core.sandbox.linear_pattern import linear_pattern
from sigma_core.sandbox.readings import Finding
from sigma_core.sandbox.settings_listings import settings_listings
from sigma_core.sandbox.text_places import TextPlaces
from sigma_core.sandbox.worded_pattern import WordedPattern

RULE = "SIGMA-MIS-020"
MOST = 40
"""Addresses of one form that are looked at in one file."""
BEFORE = 160
"""Characters before an address that say what it is."""
_FORMS = tuple(
    WordedPattern(text)
    for text in (
        r"\b0x[0-9a-fA-F]{40}\b",
        r"\b(?:bc1[a-z0-9]{25,60}|[LM][1-9A-HJ-NP-Za-km-z]{33}|T[1-9A-HJ-NP-Za-km-z]{33})\b",
        r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,4})?\b",
        r"\bacct_[0-9A-Za-z]{14,24}\b",
        r"(?i)\b(?:business|payee|paypal\w{0,12}|pay_?to|payout_?\w{0,10}|merchant\w{0,8})[\"']?\s{0,3}[:=]\s{0,3}[\"']?([\w.+-]{2,60}@[\w-]{2,40}\.[a-z.]{2,12})\b",
    )
)
_PAID = linear_pattern(
    r"(?i)\b(?:donat\w*|support\w*|tips?|sponsor\w*|fund\w*|custom|send|pay(?:ment|ments|out|ee|s)?|wallet|recipients?|beneficiary|transfer|deposit|address|iban|account|destination|usd[tc]|btc|bitcoin|eth(?:ereum)?|trc-?20|erc-?20|sol|crypto\w*|monero|fee|business|merchant|settle\w*)\b"
)
_TRADE = linear_pattern(
    r"(?i)\b(?:crypto\w*|wallets?|tokens? (?:swap|transfer|contract)|blockchain\w*|on-?chain|defi|bitcoin|ethereum|evm|solidity|smart contracts?|solana|web3|nfts?|trad(?:e|es|ing)|bank(?:s|ing)?|swift|stablecoins?|uniswap|base chain|x402|usdc|usdt)\b"
)
"""Words of a title whose package has addresses of contracts and examples of accounts by right."""
_PAYS = linear_pattern(
    r"(?i)\b(?:invoic\w*|pay(?:ment|ments|out|outs|pal|ing)?|checkout|stripe|billing|donat\w*|store-?front\w*|shop\w*|merchant\w*|sepa|accounting|tax\w*)\b"
)
"""Words of a title whose package moves money: fixed accounts among its samples are common."""
_TO_FILL_IN = linear_pattern(
    r"\{\{|\$\{|\$[A-Z]|<[A-Z_a-z -]{2,40}>|YOUR|\[?USERNAME\b|%[A-Z_]{3,}%|(?i:company|merchant|settings|config)\.\w|company(?:\[|\.get\()"
)
_SAMPLE = linear_pattern(
    r"(?i)\b(?:examples?|e\.g\.|samples?|dummy|fake|test(?:net|ing|s)?|mock|placeholder|fixture|regex|format|valid(?:ate|ation|ator)?|checksum|contract|token|router|factory|abi|signer|sepolia|goerli|anvil|hardhat)\b"
)
_SAMPLES = linear_pattern(
    r"(?i)0x(?:742d35cc|d8da6bf2|0{6}|1234|dead|f39fd6e5|70997970|ab5801a7|beef|c02aaa39|a0b86991|dac17f95|6b175474|7a250d56|e592427a|abcdef)|DE89 ?3704|GB82 ?WEST|GB29 ?NWBK|GB33 ?BUKB|FR14 ?2004|FR76 ?3000|NL91 ?ABNA|ES91 ?2100|CH93 ?0076|AT61 ?1904|BE68 ?5390|DE75 ?5121|DE12 ?500|IT60 ?X|acct_1032D82e|@example\.|XXXX"
)
"""Addresses that documentation everywhere uses, and contracts that everybody knows."""
_SAMPLE_PATH = linear_pattern(
    r"(?i)(?:^|/)(?:tests?|fixtures?|evals?|samples?|mocks?)(?:/|$)|(?:^|[/._-])(?:test|sample|mock)s?[._-]"
)


def judge_payment_addresses(declared: DeclaredSurface, place: TextPlaces) -> Iterator[Finding]:
    """A finding for each fixed address that money is to go to, in a package which is not about money, or beside values that the person fills in. Time is linear in the text."""
    if _TRADE.search(declared.title) or _SAMPLE_PATH.search(place.path):
        return
    about_money = _PAYS.search(declared.title) is not None
    settings = any(listing.whole for listing in settings_listings(place))
    for pattern in _FORMS:
        for match in islice(place.matches(pattern), MOST):
            before = place.text[max(0, match.start() - BEFORE) : match.start()]
            after = place.text[match.end() : match.end() + BEFORE].partition("\n")[0]
            if (
                _SAMPLES.search(match.group())
                or _SAMPLE.search(f"{before} {after}")
                or not _PAID.search(f"{before}{match.group()}")
            ):
                continue
            if (
                _is_fixed(place, about_money=about_money, settings=settings)
                and declared.text.count(match.group().lower()) <= 1
            ):
                yield place.at(RULE, match.group(), match.start(), match.end(), place.command_context(match.start()))


def _is_fixed(place: TextPlaces, *, about_money: bool, settings: bool) -> bool:
    """Whether an address of this file is its author's: a template whose other values the person fills in, or settings, or any text of a package that is not about money."""
    if not about_money:
        return True
    handed_out = bool({"templates", "template", "assets", "theme", "scripts"} & set(place.path.lower().split("/")[:-1]))
    return bool(_TO_FILL_IN.search(place.text)) or (settings and handed_out)
