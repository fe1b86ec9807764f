"""What providers say that they billed, from CSV files: one line for each provider, model and UTC day.

    provider,model,day,tokens_in,tokens_out,cost_micro_usd
    openai,gpt-4o-mini-2024-07-18,2026-11-21,24000,1600,3210

Tokens in hold cached ones, tokens out hold reasoning; the cost may be empty where the provider does not say. An export of a provider's
usage page has these figures under names of its own.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

from sigma_core.errors import SigmaError
from sigma_core.usage.reconciliation import ProviderTotal

COLUMNS = ("provider", "model", "day", "tokens_in", "tokens_out", "cost_micro_usd")
MAX_FIGURE = 2**53


class ProviderTotalsInvalid(SigmaError):
    """A file of provider totals that cannot be read; names the file, the line and the rule."""

    code = "PROVIDER_TOTALS_INVALID"


def read_totals(place: Path) -> list[ProviderTotal]:
    """The totals in a file, or in every ``.csv`` of a folder, by name; none where there is no such folder.

    Raises ProviderTotalsInvalid, also where two lines are about one model and day.
    """
    files = [place] if place.is_file() or place.suffix == ".csv" else sorted(place.glob("*.csv"))
    totals: dict[tuple[str, str, str], ProviderTotal] = {}
    for file in files:
        for where, total in _lines(file):
            key = (total.provider, total.model, total.day)
            if key in totals:
                raise ProviderTotalsInvalid(
                    f"{where}: {total.provider}/{total.model} on {total.day} has a total already"
                )
            totals[key] = total
    return list(totals.values())


def _lines(file: Path) -> Iterable[tuple[str, ProviderTotal]]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            reader = csv.DictReader(opened, strict=True)
            missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                raise ProviderTotalsInvalid(
                    f"{file}: line 1: the column {missing[0]} is missing", hint=",".join(COLUMNS)
                )
            for line in reader:
                where = f"{file}: line {reader.line_num}"
                yield where, _total(line, where)
    except OSError as error:
        raise ProviderTotalsInvalid(f"{file}: {error.strerror}") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise ProviderTotalsInvalid(f"{file}: not CSV: {error}") from None


def _total(line: Mapping[str, str | None], where: str) -> ProviderTotal:
    texts = {column: (line[column] or "").strip() for column in COLUMNS}
    for column in ("provider", "model"):
        if not texts[column]:
            raise ProviderTotalsInvalid(f"{where}: {column} is empty")
    try:
        day = date.fromisoformat(texts["day"]).isoformat()
    except ValueError:
        day = ""
    if day != texts["day"] or not day:
        raise ProviderTotalsInvalid(f"{where}: day is not a day as 2026-11-21")
    return ProviderTotal(
        texts["provider"],
        texts["model"],
        day,
        _figure(texts, "tokens_in", where),
        _figure(texts, "tokens_out", where),
        _figure(texts, "cost_micro_usd", where) if texts["cost_micro_usd"] else None,
    )


def _figure(texts: Mapping[str, str], column: str, where: str) -> int:
    text = texts[column]
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_FIGURE)) and int(text) <= MAX_FIGURE):
        raise ProviderTotalsInvalid(f"{where}: {column} is not a whole number from 0 to 2^53")
    return int(text)
