"""Installed skills: found where agents keep them, held against the certificate that is theirs, told file by file."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from certificate_samples import EXPIRES_AT, KEY, NOW, SKILL_MD, key_set, logged_bundle, sample_package, signing_key

from sigma_core.certificates.installed import (
    Installed,
    InstalledState,
    KeptBundle,
    agent_folders,
    certificate_of,
    installed_state,
    read_bundles,
    skill_folders,
)
from sigma_core.certificates.status_list import StatusList, bits_of, list_uri
from sigma_core.certificates.verify import open_bundle
from sigma_core.certificates.vocabulary import CertificateStatus
from sigma_core.errors import SigmaError
from sigma_core.submissions.package import Package

GOLDEN = logged_bundle().to_bytes()
BASE = "https://sigma.example/status/1"


def kept(data: bytes = GOLDEN) -> KeptBundle:
    return KeptBundle.of(data, open_bundle(data, key_set()).payload)


def state(package: Package | SigmaError, *bundles: KeptBundle, **options: object) -> Installed:
    return installed_state("skills/x", package, bundles or (kept(),), key_set(), **({"at": NOW} | options))  # type: ignore[arg-type]


def lists(status: CertificateStatus | None = None) -> dict[str, bytes]:
    return {
        list_uri(BASE, each): StatusList(
            uri=list_uri(BASE, each),
            status=each,
            valid_from=NOW - timedelta(hours=1),
            valid_until=NOW + timedelta(hours=1),
            ttl=timedelta(minutes=5),
            bits=bits_of([42] if each is status else []),
        ).sign(KEY)
        for each in (CertificateStatus.SUSPENDED, CertificateStatus.REVOKED)
    }


# States


def test_the_certified_files_are_certified() -> None:
    found = state(sample_package())
    assert (found.state, found.certificate_id, found.code) == (InstalledState.CERTIFIED, "cert_01", None)
    assert state(sample_package(), status_lists=lists()).state is InstalledState.CERTIFIED


def test_a_changed_script_is_drift_and_names_the_file() -> None:
    found = state(sample_package({"SKILL.md": SKILL_MD, "tide.sh": b"curl evil\n", "more.txt": b""}))
    assert found.state is InstalledState.DRIFTED
    assert (found.changed, found.added, found.removed) == (("tide.sh",), ("more.txt",), ())


def test_a_changed_skill_md_is_drift_of_the_certificate_of_its_name() -> None:
    found = state(sample_package({"SKILL.md": SKILL_MD + b"And send the log.\n", "tide.sh": b"curl -s $1\n"}))
    assert (found.state, found.changed) == (InstalledState.DRIFTED, ("SKILL.md",))


@pytest.mark.parametrize("status", [CertificateStatus.SUSPENDED, CertificateStatus.REVOKED])
def test_a_withdrawn_certificate_shows(status: CertificateStatus) -> None:
    assert state(sample_package(), status_lists=lists(status)).state.value == status.value


def test_status_lists_of_others_say_nothing() -> None:
    other = {uri.replace("/1/", "/2/"): data for uri, data in lists(CertificateStatus.REVOKED).items()}
    assert state(sample_package(), status_lists=other).state is InstalledState.CERTIFIED


def test_an_expired_certificate_shows() -> None:
    assert state(sample_package(), at=EXPIRES_AT).state is InstalledState.EXPIRED


def test_a_certificate_that_does_not_hold_says_why() -> None:
    found = state(sample_package(), at=NOW - timedelta(days=365))
    assert (found.state, found.code) == (InstalledState.REFUSED, "NOT_YET_VALID")


def test_a_skill_that_nothing_certifies() -> None:
    other = sample_package({"SKILL.md": b"---\nname: other\n---\n"})
    object.__setattr__(other, "manifest", {"name": "other"})
    assert state(other).state is InstalledState.UNCERTIFIED
    assert installed_state("x", sample_package(), [], key_set(), at=NOW).state is InstalledState.UNCERTIFIED


def test_a_folder_that_is_no_package_says_why() -> None:
    found = state(SigmaError("a.bin: too large", code="LIMIT_FILE_BYTES"))
    assert (found.state, found.code) == (InstalledState.UNREADABLE, "LIMIT_FILE_BYTES")


# Which certificate


def test_the_certificate_of_exactly_these_files_is_taken_before_a_newer_one_of_the_same_skill_md() -> None:
    other_files = {"SKILL.md": SKILL_MD, "tide.sh": b"curl -s $2\n"}
    newer = logged_bundle(
        package=sample_package(other_files), certificate_id="cert_02", issued_at=NOW - timedelta(days=1)
    ).to_bytes()
    bundles = [kept(), kept(newer)]
    assert certificate_of(sample_package(), bundles) == bundles[0]
    assert certificate_of(sample_package(other_files), bundles) == bundles[1]
    assert certificate_of(sample_package({"SKILL.md": SKILL_MD}), bundles) == bundles[1]  # by skillHash, the newest


def test_only_bundles_that_a_trusted_key_signed_count(tmp_path: Path) -> None:
    (tmp_path / "good.sigma.json").write_bytes(GOLDEN)
    (tmp_path / "bad.sigma.json").write_bytes(GOLDEN[:-1])
    (tmp_path / "other.json").write_bytes(GOLDEN)
    (tmp_path / "folder.sigma.json").mkdir()
    assert [bundle.certificate_id for bundle in read_bundles([tmp_path, tmp_path / "none"], key_set())] == ["cert_01"]
    assert read_bundles([tmp_path], key_set(signing_key(2))) == []


# Where skills are


def skill(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_bytes(SKILL_MD)
    return folder


def test_skills_are_found_in_order_and_not_inside_each_other(tmp_path: Path) -> None:
    first, second = skill(tmp_path / "a"), skill(tmp_path / "group" / "b")
    skill(first / "examples" / "inner")
    skill(tmp_path / "node_modules" / "c")
    (tmp_path / "empty").mkdir()
    assert list(skill_folders(tmp_path)) == [first, second]
    assert list(skill_folders(first)) == [first]
    assert list(skill_folders(tmp_path / "missing")) == []


def test_a_linked_skill_is_found_and_a_circle_of_links_ends(tmp_path: Path) -> None:
    real = skill(tmp_path / "elsewhere" / "real")
    installed = tmp_path / "skills"
    installed.mkdir()
    (installed / "linked").symlink_to(real)
    (installed / "circle").symlink_to(installed)
    (installed / "broken").symlink_to(tmp_path / "missing")
    assert list(skill_folders(installed)) == [installed / "linked"]


def test_depth_is_bounded(tmp_path: Path) -> None:
    skill(tmp_path / "/".join("abcdefghij"))
    assert list(skill_folders(tmp_path)) == []


def test_agent_folders_are_those_that_exist_in_home_and_project_each_once(tmp_path: Path) -> None:
    home, project = tmp_path / "home", tmp_path / "project"
    for folder in (home / ".claude" / "skills", home / ".codex" / "skills", project / ".claude" / "skills"):
        folder.mkdir(parents=True)
    (project / ".agents").mkdir()
    (project / ".agents" / "skills").symlink_to(home / ".codex" / "skills")
    found = agent_folders(home, project)
    assert {path.resolve() for path in found} == {
        home / ".claude" / "skills",
        home / ".codex" / "skills",
        project / ".claude" / "skills",
    }
    assert len(found) == 3
