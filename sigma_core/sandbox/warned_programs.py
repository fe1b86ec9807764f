"""Programs of a stranger whose warnings are to be clicked away: the download, and what makes the machine let it pass, in one document."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import re2

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.declared import DeclaredSurface
from sigma_core.sandbox.linear_pattern import linear_pattern
from sigma_core.sandbox.readings import Finding
from sigma_core.sandbox.text_places import TextPlaces
from sigma_core.sandbox.vocabulary import HostClass

MOST = 20
"""Places of one kind that are looked at in one document."""
_OFF = r"turn(?:ed)? off|switch(?:ed)? off|disable|deactivate|pause|stop|отключ\w*|выключ\w*|desactiv\w*|desativ\w*|deshabilit\w*|apag\w+|tắt|关掉|关闭|禁用|停用|退出|無効|끄|deaktivier\w*|ausschalten|désactiv\w*|wyłącz\w*|kapat\w*|matikan|nonaktifkan"
_GUARD = r"anti-?virus(?:es)?|defender|smart ?screen|gatekeeper|real-?time protection|антивирус\w*|защитник\w*|杀毒软件|杀软|实时防护|实时保护|安全软件|防病毒|diệt virus|virenscanner|virenschutz"
_LET_PASS = linear_pattern(
    rf"(?i)\bxattr\s+-[a-z]*[cdr][a-z]*\b[^\n]{{0,60}}(?:quarantine|\.app\b)|\brun anyway\b|\bopen anyway\b|\bкак администратор[^\n]{{0,60}}(?:вирус|антивирус)|\ballow on device\b|permitir (?:no|en el) dispositivo|разрешить на устройстве|在设备上允许|允许在设备上|仍要运行|ejecutar de todas formas|executar (?:assim )?mesmo assim|trotzdem ausführen|exécuter quand même|vẫn chạy"
    rf"|(?:{_OFF})[^.。\n]{{0,40}}(?:{_GUARD})|(?:{_GUARD})[^.。\n]{{0,30}}(?:{_OFF}|\boff\b)"
)
"""What makes a machine run a program that it warned of."""
_BUTTON = re2.compile(
    r"(?i)^(?:run anyway|open anyway|allow on device|permitir|разрешить|允许|在设备上|仍要运行|ejecutar|executar|trotzdem|exécuter|vẫn chạy)"
)
"""What is written on a button: it stands in quotes, beside words such as "not signed", and is meant all the same."""
_PASTED = linear_pattern(
    r"(?i)\b(?:copy|copie|copia|copiez|kopier\w*|скопиру\w+)\b[^.\n]{0,60}\b(?:commands?|comandos?|commandes?|befehl\w*|команд\w*)\b[^\n]{0,100}\b(?:terminal|powershell|cmd|consola?|console|konsole|терминал\w*|командн\w+)\b"
    r"|(?:复制|拷贝)[^。\n]{0,12}(?:命令|指令)[^。\n]{0,24}(?:终端|命令行|PowerShell|cmd)|コマンド[^。\n]{0,12}コピー[^。\n]{0,24}(?:ターミナル|PowerShell)|명령[^.\n]{0,12}복사[^.\n]{0,24}(?:터미널|PowerShell)|sao chép[^.\n]{0,20}lệnh[^.\n]{0,40}(?:terminal|powershell)"
)
"""A command that a page shows is to be put into a terminal by hand."""
_FORBIDDEN = re2.compile(
    r"(?i)\b(?:never|do not|don'?t|must not|nunca|niemals|jamais|никогда|не)\b[^.\n]{0,40}$|(?:不要|切勿|请勿)[^。\n]{0,20}$"
)
_PROGRAM = re2.compile(r"(?i)\.(?:exe|msi|dmg|pkg|zip|7z|rar|iso|scr|apk|appimage|msix|jar|tar\.gz|tgz)(?:$|[?#])")
_FETCH = re2.compile(
    r"(?i)\b(?:install\w*|download\w*|dl|get it|setup|instal\w+|baix\w+|descarg\w+|télécharg\w+|herunterlad\w+|pobier\w*|indir\w*|unduh)\b|скача\w*|устано\w*|загруз\w*|下载|安装|tải|cài|ダウンロード|インストール|다운로드|설치"
)
_STRANGE = frozenset({HostClass.UNKNOWN, HostClass.DROP, HostClass.RAW_ADDRESS})


def judge_warned_programs(declared: DeclaredSurface, place: TextPlaces) -> Iterator[Finding]:
    """A finding where a document has a stranger's program fetched and the machine's warning of it, or its guard, put out of the way."""
    program = next(_strange_programs(declared, place), "")
    if not program:
        return
    for count, match in enumerate(_LET_PASS.finditer(place.text)):
        if count >= MOST:
            return
        context = _context(place, match.start(), match.end())
        yield place.at("SIGMA-SUPPLY-039", f"{match.group()[:80]} + {program}", match.start(), match.end(), context)


def judge_pasted_commands(declared: DeclaredSurface, place: TextPlaces) -> Iterator[Finding]:
    """A finding where a document has a command of a stranger's page copied into a terminal."""
    page = next(_strange_programs(declared, place), "")
    for match in islice(_PASTED.finditer(place.text), MOST) if page else ():
        context = place.prose_context(match.start(), match.end())
        yield place.at("SIGMA-SUPPLY-047", f"{match.group()[:80]} + {page}", match.start(), match.end(), context)


def _context(place: TextPlaces, start: int, end: int) -> str:
    if _BUTTON.search(place.text[start:end]) is None:
        return place.prose_context(start, end)
    before = place.text[max(0, start - 80) : start]
    return "mention" if place.is_cautionary(start) or _FORBIDDEN.search(before) else "use"


def _strange_programs(declared: DeclaredSurface, place: TextPlaces) -> Iterator[str]:
    text = place.text
    for start, end, url, host in vocabulary.urls_in(text):
        if (
            "." not in host
            or vocabulary.classify_host(host, vocabulary.after_host(url, host)) not in _STRANGE
            or vocabulary.package_host(host)
            or declared.names_owner(host, title_only=True)
        ):
            continue
        line = text[max(text.rfind("\n", 0, start) + 1, start - 200) : end + 60].split("\n\n", 1)[0]
        if (_PROGRAM.search(url) or _FETCH.search(line)) and place.prose_context(start, end) == "use":
            yield url
