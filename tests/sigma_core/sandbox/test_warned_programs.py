"""A stranger's program whose warning is to be clicked away blocks, in any of the languages that skills are written in; a known publisher's does not."""

from __future__ import annotations

import pytest
from strangers_of_ours import HOST, blocking

RULE = "SIGMA-SUPPLY-039"
DOWNLOADS = [
    f"Install the runtime from https://get.{HOST} first.",
    f"Скачайте https://dl.{HOST}/tool.zip",
    f"下载 https://dl.{HOST}/tool.exe",
]
WAYS = [
    'If Windows says "unknown publisher", choose "Run anyway".',
    "The installer isn't signed yet, choose *Run anyway*.",
    "`sudo xattr -rd com.apple.quarantine /Applications/Tool.app`",
    "Turn off Windows Defender while it installs.",
    "Перед запуском отключить антивирус.",
    "安装前请关闭杀毒软件。",
    "Desative o antivírus e o Defender antes.",
]


@pytest.mark.parametrize("download", DOWNLOADS)
@pytest.mark.parametrize("way", WAYS)
def test_download_from_a_stranger_and_the_way_past_the_warning_block(download: str, way: str) -> None:
    assert RULE in blocking(f"{download}\n\n{way}")


@pytest.mark.parametrize("way", WAYS)
def test_program_of_a_known_publisher_or_of_the_named_product_does_not_block(way: str) -> None:
    assert RULE not in blocking(f"Get https://github.com/someone/tool/releases/tool.dmg.\n\n{way}")
    assert RULE not in blocking(f"{DOWNLOADS[0]}\n\n{way}", name="quill-tools", description="The tools of Quill.")
    assert RULE not in blocking(way)


def test_download_alone_and_words_against_the_way_past_do_not_block() -> None:
    assert RULE not in blocking(DOWNLOADS[0])
    assert RULE not in blocking(f"{DOWNLOADS[0]}\n\nNever press *Run anyway*.")
    assert RULE not in blocking(f"{DOWNLOADS[0]}\n\nDo not turn off Windows Defender for it.")
    assert RULE not in blocking(f"## Signs of phishing\n\n- {DOWNLOADS[0]}\n- {WAYS[0]}")


@pytest.mark.parametrize("way", WAYS)
def test_address_whose_host_is_left_out_hides_nothing(way: str) -> None:
    assert RULE in blocking(f"See https://.../ for more.\n\n{DOWNLOADS[0]}\n\n{way}")
