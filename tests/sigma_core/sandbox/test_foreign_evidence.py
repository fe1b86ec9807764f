"""Evidence from others: YARA-X packs and other scanners' SARIF, beside the facts and never among them."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packages_of_ours import package_of

from sigma_core.sandbox.evidence import MAX_FINDINGS
from sigma_core.sandbox.foreign_sarif import MAX_RUNS, ForeignSarifError, read_sarif
from sigma_core.sandbox.yara_packs import MAX_PACK_BYTES, MAX_WORK, YaraPack, YaraPackError, compile_pack, scan

PACKAGE = package_of({"scripts/run.sh": "#!/bin/sh\necho one\ncurl https://mirror.example/x\n", "a b.py": "print(1)\n"})

CURL = b"""rule fetches {
    meta: title = "Fetches something" severity = "high"
    strings: $curl = "curl " $scheme = "https://"
    condition: all of them
}"""


# YARA-X


def test_a_match_is_evidence_with_its_place_and_the_hash_of_its_pack() -> None:
    pack = compile_pack([("net.yar", CURL)])
    evidence = scan(pack, PACKAGE)
    assert evidence.source == f"yara:{pack.sha256}"
    [finding] = evidence.findings
    assert finding.as_json() == {
        "ruleId": "net.yar:fetches",
        "title": "Fetches something",
        "severity": "HIGH",
        "file": "scripts/run.sh",
        "lineStart": 3,
        "lineEnd": 3,
        "subject": "2 matches, first $curl",
        "excerpt": "curl",
    }
    assert evidence.incidents == ()


def test_a_rule_without_patterns_and_without_meta_is_evidence_too() -> None:
    [finding, *_] = scan(compile_pack([("a.yar", b"rule whole { condition: filesize > 0 }")]), PACKAGE).findings
    assert (finding.title, finding.severity, finding.line_start, finding.excerpt) == ("whole", "MEDIUM", 1, "")


def test_the_hash_of_a_pack_follows_from_its_files_in_any_order() -> None:
    other = b"rule other { condition: false }"
    one, again = compile_pack([("a.yar", CURL), ("b.yar", other)]), compile_pack([("b.yar", other), ("a.yar", CURL)])
    assert (one.sha256, one.count) == (again.sha256, 2)
    assert one.sha256 != compile_pack([("a.yar", CURL)]).sha256


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        ([], "1 to"),
        ([("a.yar", b"x" * (MAX_PACK_BYTES + 1))], "bytes in all"),
        ([("a.yar", b"rule broken { condition: nope }")], "a.yar:1:26: error[E009]: unknown identifier `nope`"),
        ([("a.yar", b'include "/etc/passwd"')], "include"),
        ([("a.yar", b'import "time"\nrule late { condition: time.now() > 0 }')], "module 'time'"),
        ([("a.yar", b"\xff")], "not UTF-8"),
    ],
)
def test_a_pack_that_cannot_be_used_is_refused_by_name(sources: list[tuple[str, bytes]], words: str) -> None:
    with pytest.raises(YaraPackError) as refused:
        compile_pack(sources)
    assert words in refused.value.message


def test_work_is_counted_and_its_bound_is_said() -> None:
    pack = compile_pack([("net.yar", CURL)])
    evidence = scan(YaraPack(pack.rules, MAX_WORK, pack.sha256), PACKAGE)
    assert evidence.findings == ()
    assert "units of work" in evidence.incidents[0]


# SARIF


def log(*results: dict[str, Any], **run: Any) -> dict[str, Any]:
    driver = {"name": "other", "version": "2", "rules": [{"id": "R1", "defaultConfiguration": {"level": "error"}}]}
    return {"version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": list(results), **run}]}


def at(uri: str, line: int = 2) -> list[dict[str, Any]]:
    return [{"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": line}}}]


def read(document: Any) -> Any:
    [evidence] = read_sarif(json.dumps(document).encode(), "other.sarif", PACKAGE)
    return evidence


@pytest.mark.parametrize(
    ("uri", "file"),
    [
        ("scripts/run.sh", "scripts/run.sh"),
        ("./scripts/run.sh", "scripts/run.sh"),
        ("file:///home/ci/checkout/scripts/run.sh", "scripts/run.sh"),
        ("a%20b.py", "a b.py"),
        ("scripts\\run.sh", "scripts/run.sh"),
        ("../../etc/passwd", ""),
        ("", ""),
    ],
)
def test_a_result_points_at_a_file_of_the_package_or_at_none(uri: str, file: str) -> None:
    evidence = read(log({"ruleIndex": 0, "message": {"text": "Bad."}, "locations": at(uri)}))
    [finding] = evidence.findings
    assert (finding.file, finding.rule_id, finding.severity, finding.title) == (file, "R1", "HIGH", "Bad.")
    assert evidence.tool == "other 2"
    assert evidence.source.startswith("sarif:")
    assert bool(evidence.incidents) == (not file)


def test_what_the_scanner_set_aside_is_left_out_and_counted() -> None:
    aside = [
        {"ruleId": "R1", "suppressions": [{"kind": "inSource"}]},
        {"ruleId": "R1", "baselineState": "absent"},
        {"ruleId": "R1", "kind": "pass"},
    ]
    evidence = read(log(*aside))
    assert evidence.findings == ()
    assert evidence.incidents[0].startswith("3 results")


def test_results_are_bounded_and_the_bound_is_said() -> None:
    evidence = read(log(*({"ruleId": "R1", "locations": at("a%20b.py")} for _ in range(MAX_FINDINGS + 3))))
    assert len(evidence.findings) == MAX_FINDINGS
    assert evidence.incidents == (f"3 results beyond the first {MAX_FINDINGS} were left out",)


def test_foreign_text_is_made_safe_to_print_and_cut() -> None:
    [finding] = read(log({"ruleId": "R\x1b[31m", "message": {"text": "\u202e" + "x" * 9_000}})).findings
    assert "\x1b" not in finding.rule_id
    assert len(finding.title) < 300
    assert finding.title.isprintable()


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ([], "version"),
        ({"version": "2.0.0", "runs": []}, "version"),
        ({"version": "2.1.0", "runs": {}}, "log.runs"),
        ({"version": "2.1.0", "runs": [3]}, "log.runs[0]"),
        ({"version": "2.1.0", "runs": [{}]}, "runs[0].tool.driver.name"),
        ({"version": "2.1.0", "runs": [{}] * (MAX_RUNS + 1)}, "runs"),
        (log({"ruleIndex": 7}), "runs[0].results[0].ruleIndex"),
        (log({"ruleId": 7}), "runs[0].results[0].ruleId"),
        (log({"ruleId": "R1", "level": "fatal"}), "runs[0].results[0].level"),
        (log({"ruleId": "R1", "message": "text"}), "runs[0].results[0].message"),
        (log({"ruleId": "R1", "locations": at("a", -4)}), "region"),
    ],
)
def test_a_log_of_another_shape_is_refused_with_the_place(document: Any, place: str) -> None:
    with pytest.raises(ForeignSarifError) as refused:
        read_sarif(json.dumps(document).encode(), "other.sarif", PACKAGE)
    assert refused.value.message.startswith("other.sarif: ")
    assert place in refused.value.message


@pytest.mark.parametrize("data", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b"9" * 10_000])
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(ForeignSarifError):
        read_sarif(data, "other.sarif", PACKAGE)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["runs", "tool", "driver", "name", "rules", "results", "ruleId", "ruleIndex", "message", "text", "locations",
             "physicalLocation", "artifactLocation", "uri", "index", "region", "startLine", "level", "artifacts", "suppressions"]
        ),
        inner,
        max_size=6,
    ),
    max_leaves=40,
)  # fmt: skip


@given(run=st.dictionaries(st.sampled_from(["results", "artifacts"]), JSON), result=JSON)
def test_any_document_is_read_or_refused(run: dict[str, Any], result: Any) -> None:
    document = log() | {}
    document["runs"][0] |= run
    if isinstance(document["runs"][0]["results"], list):
        document["runs"][0]["results"].append(result)
    with suppress(ForeignSarifError):
        [evidence] = read_sarif(json.dumps(document).encode(), "other.sarif", PACKAGE)
        assert evidence.tool == "other 2"
