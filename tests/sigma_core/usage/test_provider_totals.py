"""Files of what providers billed: read whole, or refused with file, line and rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from sigma_core.usage.provider_totals import ProviderTotalsInvalid, read_totals
from sigma_core.usage.reconciliation import ProviderTotal

HEAD = "provider,model,day,tokens_in,tokens_out,cost_micro_usd\n"
LINE = "openai,gpt-5,2026-11-21,24000,1600,3210\n"


def written(tmp_path: Path, text: str | bytes, name: str = "totals.csv") -> Path:
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return tmp_path / name


def test_a_file_and_a_folder_of_files_are_read(tmp_path: Path) -> None:
    one = written(tmp_path, "\ufeff" + HEAD + LINE)
    total = ProviderTotal("openai", "gpt-5", "2026-11-21", 24_000, 1_600, 3_210)
    assert read_totals(one) == [total]
    written(
        tmp_path, "day,model,provider,tokens_out,tokens_in,cost_micro_usd,note\n2026-11-21,m,vllm,1,2,,x\n", "b.csv"
    )
    assert read_totals(tmp_path) == [ProviderTotal("vllm", "m", "2026-11-21", 2, 1, None), total]


def test_without_a_folder_there_are_no_totals(tmp_path: Path) -> None:
    assert read_totals(tmp_path / "none") == read_totals(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("provider,model,day\n", "line 1: the column tokens_in is missing"),
        ("", "line 1: the column provider is missing"),
        (HEAD + LINE.replace("24000", "-1"), "line 2: tokens_in is not a whole number"),
        (HEAD + LINE.replace("24000", "2.5"), "line 2: tokens_in is not a whole number"),
        (HEAD + LINE.replace("24000", "9" * 5_000), "line 2: tokens_in is not a whole number"),
        (HEAD + LINE.replace("24000", ""), "line 2: tokens_in is not a whole number"),
        (HEAD + LINE.replace("2026-11-21", "21.11.2026"), "line 2: day is not a day"),
        (HEAD + LINE.replace("2026-11-21", "2026-W47-6"), "line 2: day is not a day"),
        (HEAD + LINE.replace("openai", " "), "line 2: provider is empty"),
        (HEAD + "openai\n", "line 2: model is empty"),
        (HEAD + LINE + LINE, "line 3: openai/gpt-5 on 2026-11-21 has a total already"),
        (HEAD + '"open', "not CSV"),
        (b"\xff\xfe\x00", "not CSV"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, text: str | bytes, rule: str) -> None:
    with pytest.raises(ProviderTotalsInvalid, match=rule) as refusal:
        read_totals(written(tmp_path, text))
    assert "totals.csv" in refusal.value.message


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProviderTotalsInvalid, match="No such file"):
        read_totals(tmp_path / "none.csv")
