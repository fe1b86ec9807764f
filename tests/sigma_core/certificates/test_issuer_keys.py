"""The issuer's keys: published with their time, rotated ahead of it, and destroyed after it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from certificate_samples import sample_payload

from sigma_core.certificates.bundle import issue
from sigma_core.certificates.issuer_keys import OVERLAP, IssuerKeys
from sigma_core.certificates.keyset import KeySet, TrustedKey
from sigma_core.certificates.signing_key import KeyFileError, load_or_create_signing_key
from sigma_core.certificates.verify import verify_bundle

ORIGIN = "sigma.example/log"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def issuer(folder: Path, origin: str = ORIGIN) -> IssuerKeys:
    return IssuerKeys(folder / "certificates.pem", folder / "log.pem", folder / "trusted-keys.json", origin)


def now() -> datetime:
    return datetime.now(UTC)


def test_the_first_key_and_the_logs_are_published_on_first_use(folder: Path) -> None:
    keys = issuer(folder)
    published = keys.published()
    assert list(published.by_id) == [keys.signing_key_at(now()).key_id]
    assert [key.name for key in published.logs] == [ORIGIN]
    assert published.logs[0].public_key.public_bytes_raw() == keys.log_keys_at(now())[0].public_key.public_bytes_raw()
    assert KeySet.parse((folder / "trusted-keys.json").read_bytes()).to_bytes() == published.to_bytes()


def test_a_key_set_from_before_there_was_a_log_gets_the_logs_key(folder: Path) -> None:
    first = load_or_create_signing_key(folder / "certificates.pem")
    old = KeySet([TrustedKey(first.public_key, valid_from=datetime(2026, 1, 1, tzinfo=UTC))])
    (folder / "trusted-keys.json").write_bytes(old.to_bytes())
    published = issuer(folder).published()
    assert published.by_id.keys() == old.by_id.keys()
    assert [key.name for key in published.logs] == [ORIGIN]


def test_a_log_keeps_its_name_wherever_it_is_served_from_later(folder: Path) -> None:
    issuer(folder).published()
    assert issuer(folder, "elsewhere.example/log").log_origin == ORIGIN


def test_a_rotation_takes_over_when_its_time_comes_and_both_keys_vouch_for_their_own(folder: Path) -> None:
    keys, start = issuer(folder), now()
    old = keys.signing_key_at(start)
    fresh = keys.rotate(start)
    takes_over = start + OVERLAP
    assert fresh.valid_from == takes_over
    assert keys.signing_key_at(takes_over - timedelta(milliseconds=1)).key_id == old.key_id
    assert keys.signing_key_at(takes_over).key_id == fresh.key_id
    for moment in (start, takes_over, start + timedelta(days=30)):
        payload = sample_payload(issued_at=moment, sandbox_analyzed_at=moment, expires_at=moment + timedelta(days=365))
        bundle = issue(payload, keys.signing_key_at(moment)).to_bytes()
        assert verify_bundle(bundle, keys.published(), at=moment).key_id == keys.signing_key_at(moment).key_id


def test_a_rotation_asked_for_twice_is_one(folder: Path) -> None:
    keys, start = issuer(folder), now()
    keys.published()
    first = keys.rotate(start)
    assert keys.rotate(start + timedelta(seconds=30)).key_id == first.key_id
    assert len(keys.published().by_id) == 2


def test_another_process_sees_the_rotation_without_being_told(folder: Path) -> None:
    keys, other, start = issuer(folder), issuer(folder), now()
    assert len(other.published().by_id) == 1
    fresh = keys.rotate(start)
    assert other.signing_key_at(start + OVERLAP).key_id == fresh.key_id


def test_a_private_key_is_destroyed_once_its_time_is_over_and_its_public_half_stays(folder: Path) -> None:
    keys, start = issuer(folder), now()
    first = keys.signing_key_at(start).key_id
    keys.rotate(start)
    second = keys.rotate(start + timedelta(days=1))
    keys.rotate(start + timedelta(days=2))
    assert not (folder / "certificates.pem").exists()
    assert first in issuer(folder).published().by_id
    assert sorted(path.name for path in folder.glob("*.pem"))[-1] == "log.pem"
    with pytest.raises(KeyFileError):
        issuer(folder).signing_key_at(start)
    assert issuer(folder).signing_key_at(start + timedelta(days=1, hours=1)).key_id == second.key_id


def test_a_rotation_that_died_before_it_was_published_changes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, start = issuer(folder), now()
    before = keys.published().to_bytes()

    def die(*_: object) -> None:
        raise OSError("the machine stopped")

    with monkeypatch.context() as patch:
        patch.setattr("sigma_core.certificates.issuer_keys.write_whole", die)
        with pytest.raises(OSError, match="stopped"):
            keys.rotate(start)
    assert issuer(folder).published().to_bytes() == before
    assert issuer(folder).rotate(start).valid_from == start + OVERLAP


def test_key_files_are_their_owners_only(folder: Path) -> None:
    keys = issuer(folder)
    keys.published()
    keys.rotate(now())
    assert {oct(path.stat().st_mode & 0o777) for path in folder.glob("*.pem")} == {"0o600"}


# The log's key


WEEK = timedelta(days=7)


def test_two_log_keys_sign_while_one_takes_over_and_the_new_one_alone_after(folder: Path) -> None:
    keys, start = issuer(folder), now().replace(microsecond=0)
    [old] = keys.log_keys_at(start)
    fresh = keys.rotate_log_key(start, WEEK)
    assert [key.name for key in keys.published().logs] == [ORIGIN, ORIGIN]
    for moment in (start, start + WEEK - timedelta(milliseconds=1)):
        assert [key.public_key for key in keys.log_keys_at(moment)] == [fresh.public_key, old.public_key]
    assert [key.public_key for key in keys.log_keys_at(start + WEEK)] == [fresh.public_key]
    assert issuer(folder, "elsewhere.example/log").log_origin == ORIGIN


def test_a_log_rotation_asked_for_while_one_runs_is_the_same(folder: Path) -> None:
    keys, start = issuer(folder), now().replace(microsecond=0)
    first = keys.rotate_log_key(start, WEEK)
    assert keys.rotate_log_key(start + timedelta(days=3), WEEK) == first
    later = keys.rotate_log_key(start + WEEK, timedelta(0))
    assert later != first
    assert sorted(key.valid_until or start for key in keys.published().logs)[1:] == [
        start + WEEK,
        start + WEEK + OVERLAP,
    ]


def test_a_log_key_whose_time_is_over_is_destroyed_and_no_first_one_is_made_in_its_place(folder: Path) -> None:
    keys, start = issuer(folder), now().replace(microsecond=0)
    keys.rotate_log_key(start, WEEK)
    keys.rotate_log_key(start + WEEK, WEEK)
    assert not (folder / "log.pem").exists()
    assert len(issuer(folder).published().logs) == 3
    assert not (folder / "log.pem").exists()
    (folder / "trusted-keys.json").touch()
    assert len(issuer(folder).log_keys_at(start + WEEK)) == 2


def test_a_log_rotation_that_died_before_it_was_published_changes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, start = issuer(folder), now().replace(microsecond=0)
    before = keys.published().to_bytes()

    def die(*_: object) -> None:
        raise OSError("the machine stopped")

    with monkeypatch.context() as patch:
        patch.setattr("sigma_core.certificates.issuer_keys.write_whole", die)
        with pytest.raises(OSError, match="stopped"):
            keys.rotate_log_key(start, WEEK)
    assert issuer(folder).published().to_bytes() == before
    assert len(issuer(folder).log_keys_at(start)) == 1
    issuer(folder).rotate_log_key(start, WEEK)
    assert len(issuer(folder).log_keys_at(start)) == 2


def test_without_the_private_key_of_one_that_is_in_use_no_checkpoint_is_signed(folder: Path) -> None:
    keys, start = issuer(folder), now().replace(microsecond=0)
    fresh = keys.rotate_log_key(start, WEEK)
    for path in folder.glob("log-*.pem"):
        path.unlink()
    other = issuer(folder)
    assert [key.public_key for key in other.log_keys_at(start)] != [fresh.public_key]
    with pytest.raises(KeyFileError):
        other.log_keys_at(start + WEEK)
