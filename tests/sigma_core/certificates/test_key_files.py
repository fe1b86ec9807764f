"""The signing key file: made once, readable by its owner alone, and nothing else accepted in its place."""

from __future__ import annotations

import os
import pickle
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from sigma_core.certificates import signing_key
from sigma_core.certificates.signing_key import KeyFileError, SigningKey, load_or_create_signing_key, load_signing_key
from sigma_core.errors import ExitCode


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "keys" / "certificates.pem"


def refusal(path: Path) -> KeyFileError:
    with pytest.raises(KeyFileError) as refused:
        load_or_create_signing_key(path)
    assert str(path) in refused.value.message or str(path.parent) in refused.value.message
    return refused.value


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_first_use_makes_the_key_and_later_uses_load_it(path: Path) -> None:
    first = load_or_create_signing_key(path)
    assert load_or_create_signing_key(path).key_id == load_signing_key(path).key_id == first.key_id
    first.public_key.verify(first.sign(b"message"), b"message")


def test_only_the_owner_can_read_it_whatever_the_umask(path: Path) -> None:
    before = os.umask(0o777)
    try:
        path.parent.parent.mkdir(mode=0o700)
        path.parent.parent.chmod(0o700)
        path.parent.mkdir()
        path.parent.chmod(0o700)
        load_or_create_signing_key(path)
    finally:
        os.umask(before)
    assert mode(path) == 0o600


def test_the_folder_is_private_when_made(path: Path) -> None:
    before = os.umask(0o022)
    try:
        load_or_create_signing_key(path)
    finally:
        os.umask(before)
    assert mode(path.parent) == 0o700


def test_the_file_is_unencrypted_pkcs8_pem(path: Path) -> None:
    key = load_or_create_signing_key(path)
    private = load_pem_private_key(path.read_bytes(), None)
    assert isinstance(private, Ed25519PrivateKey)
    assert SigningKey(private).key_id == key.key_id
    assert path.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----\n")


def test_the_key_id_is_what_openssl_says(path: Path) -> None:
    key = load_or_create_signing_key(path)
    command = f"openssl pkey -in {path} -pubout -outform DER | sha256sum"
    try:
        said = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no openssl here")
    if len(said) < 64 or "openssl" in said:
        pytest.skip("no openssl here")
    assert said.split()[0] == key.key_id


def test_nothing_is_left_beside_the_key(path: Path) -> None:
    load_or_create_signing_key(path)
    assert [entry.name for entry in path.parent.iterdir()] == ["certificates.pem"]


def test_threads_that_race_for_the_first_use_all_get_one_key(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda _: load_or_create_signing_key(path).key_id, range(32)))
    assert len(ids) == 1


def test_a_process_that_loses_the_race_takes_the_winners_key(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    winner = SigningKey(Ed25519PrivateKey.generate())
    link = os.link

    def another_came_first(source: Path, target: Path) -> None:
        path.write_bytes(_pem(winner._private))
        path.chmod(0o600)
        link(source, target)

    monkeypatch.setattr(signing_key.os, "link", another_came_first)
    assert load_or_create_signing_key(path).key_id == winner.key_id
    assert [entry.name for entry in path.parent.iterdir()] == ["certificates.pem"]


@pytest.mark.parametrize("step", ["open", "fsync", "link"])
def test_a_failure_on_the_way_leaves_no_key_and_no_draft(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    original = getattr(os, step)

    def fails(*arguments: object, **options: object) -> object:
        if step == "open" and not int(arguments[1]) & os.O_CREAT:  # type: ignore[call-overload]
            return original(*arguments, **options)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(signing_key.os, step, fails)
    refused = refusal(path)
    assert refused.code == "KEY_FILE_UNAVAILABLE"
    assert refused.exit_code is ExitCode.UNAVAILABLE
    assert list(path.parent.iterdir()) == []


def _pem(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey, password: bytes | None = None) -> bytes:
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def place(path: Path, content: bytes, permissions: int = 0o600) -> None:
    path.parent.mkdir(parents=True, mode=0o700)
    path.write_bytes(content)
    path.chmod(permissions)


@pytest.mark.parametrize("permissions", [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o777])
def test_a_key_that_others_can_access_is_refused(path: Path, permissions: int) -> None:
    place(path, _pem(Ed25519PrivateKey.generate()), permissions)
    refused = refusal(path)
    assert refused.code == "KEY_FILE_UNSAFE"
    assert "chmod 600" in refused.hint
    assert mode(path) == permissions, "it is refused, not repaired"


@pytest.mark.parametrize("permissions", [0o720, 0o702, 0o777, 0o1777])
def test_a_folder_that_others_can_write_is_refused(path: Path, permissions: int) -> None:
    path.parent.mkdir(parents=True)
    path.parent.chmod(permissions)
    assert refusal(path).code == "KEY_FILE_UNSAFE"
    assert not path.exists()


def test_a_folder_of_another_user_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_or_create_signing_key(path)
    if os.geteuid() == 0:
        os.chown(path.parent, 4242, -1)
    else:
        monkeypatch.setattr(signing_key.os, "geteuid", lambda: 4242)
    refused = refusal(path)
    assert refused.code == "KEY_FILE_UNSAFE"
    assert "folder" in refused.message


def test_a_key_of_another_user_is_refused(path: Path) -> None:
    load_or_create_signing_key(path)
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(path, 4242, -1)
    refused = refusal(path)
    assert refused.code == "KEY_FILE_UNSAFE"
    assert "a signing key must belong to the user" in refused.message


@pytest.mark.parametrize("kind", ["symlink", "dangling symlink", "directory", "fifo"])
def test_what_is_not_a_regular_file_is_refused(path: Path, kind: str) -> None:
    path.parent.mkdir(parents=True, mode=0o700)
    elsewhere = path.parent / "elsewhere.pem"
    if kind == "symlink":
        load_or_create_signing_key(elsewhere)
        path.symlink_to(elsewhere)
    elif kind == "dangling symlink":
        path.symlink_to(elsewhere)
    elif kind == "directory":
        path.mkdir(mode=0o700)
    else:
        os.mkfifo(path, 0o600)
    refused = refusal(path)
    assert refused.code == "KEY_FILE_UNSAFE"
    assert "regular file" in refused.message
    assert elsewhere.exists() == (kind == "symlink")


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "not a private key"),
        (b"-----BEGIN PRIVATE KEY-----\nsecretsecret\n-----END PRIVATE KEY-----\n", "not a private key"),
        (_pem(Ed25519PrivateKey.generate())[:60], "not a private key"),
        (_pem(ec.generate_private_key(ec.SECP256R1())), "not an Ed25519 key"),
        (_pem(Ed25519PrivateKey.generate(), b"password"), "encrypted"),
        (b"A" * 5000, "bytes"),
    ],
    ids=["empty", "garbage", "cut off", "another algorithm", "encrypted", "too large"],
)
def test_a_file_that_is_no_ed25519_key_is_refused_and_kept(path: Path, content: bytes, rule: str) -> None:
    place(path, content)
    refused = refusal(path)
    assert refused.code == "KEY_FILE_INVALID"
    assert rule in refused.message
    assert "secret" not in str(refused)
    assert path.read_bytes() == content


def test_loading_makes_no_key(path: Path) -> None:
    path.parent.mkdir(parents=True, mode=0o700)
    with pytest.raises(KeyFileError, match="No such file"):
        load_signing_key(path)
    assert not path.exists()


def test_the_key_shows_itself_nowhere(path: Path) -> None:
    key = load_or_create_signing_key(path)
    secret = key._private.private_bytes_raw()
    for text in (repr(key), str(key), f"{key}", repr(vars(type(key)))):
        assert secret.hex() not in text
        assert repr(secret) not in text
    assert repr(key) == f"SigningKey({key.key_id})"
    with pytest.raises(TypeError, match="not serialised"):
        pickle.dumps(key)


def test_processes_that_race_for_the_first_use_all_get_one_key(path: Path) -> None:
    code = (
        "import sys, pathlib; from sigma_core.certificates.signing_key import load_or_create_signing_key as load;"
        "print(load(pathlib.Path(sys.argv[1])).key_id)"
    )
    racers = [
        subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    assert len({racer.communicate()[0] for racer in racers}) == 1
    assert all(racer.returncode == 0 for racer in racers)
