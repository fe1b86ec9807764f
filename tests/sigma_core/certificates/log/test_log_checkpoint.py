"""Signed notes and checkpoints, to the letter of their specifications."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from sigma_core.certificates.log.checkpoint import Checkpoint
from sigma_core.certificates.log.note import MAX_SIGNATURES, NoteKey, open_note, sign_note
from sigma_core.certificates.log.refusals import NoteError
from sigma_core.certificates.signing_key import SigningKey

ORIGIN = "sigma.example/log"
KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(b"\x07" * 32))
OTHER = SigningKey(Ed25519PrivateKey.from_private_bytes(b"\x08" * 32))
LOG_KEY = NoteKey(ORIGIN, KEY.public_key)
CHECKPOINT = Checkpoint(ORIGIN, 20852163, bytes(range(32)))
NOTE = CHECKPOINT.sign(KEY)

# The example of Go's golang.org/x/mod/sumdb/note: a key and a note that were not made by this code.
NEUMANN = NoteKey.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
NEUMANN_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()


def refused(note: bytes, key: NoteKey = LOG_KEY) -> NoteError:
    with pytest.raises(NoteError) as error:
        Checkpoint.open(note, key)
    return error.value


def test_a_note_signed_by_another_implementation_opens() -> None:
    assert open_note(NEUMANN_NOTE, [NEUMANN]).endswith("what your problem is.\n")
    assert NEUMANN.encode() == "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


def test_a_checkpoint_is_origin_size_and_root_and_one_signature_line() -> None:
    lines = NOTE.decode().split("\n")
    assert lines[:4] == [ORIGIN, "20852163", b64encode(bytes(range(32))).decode(), ""]
    assert lines[4].startswith(f"— {ORIGIN} ")
    assert lines[5:] == [""]
    assert Checkpoint.open(NOTE, LOG_KEY) == CHECKPOINT


def test_a_verifier_key_survives_its_text_form() -> None:
    assert NoteKey.parse(LOG_KEY.encode()).encode() == LOG_KEY.encode()


@pytest.mark.parametrize(
    "text",
    ["", "name", "name+00000000+", "name+00000000+AAAA", LOG_KEY.encode()[:-4], "x" + LOG_KEY.encode(), "é+1+é"],
)
def test_what_is_no_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        NoteKey.parse(text)


def test_every_changed_byte_breaks_a_checkpoint() -> None:
    for position in range(len(NOTE)):
        tampered = bytearray(NOTE)
        tampered[position] ^= 1
        refused(bytes(tampered))


@given(st.integers(0, len(NOTE) - 1), st.integers(0, 255))
def test_any_byte_changed_to_any_other_breaks_a_checkpoint(position: int, value: int) -> None:
    tampered = bytearray(NOTE)
    tampered[position] = value
    if tampered != NOTE:
        refused(bytes(tampered))


def test_signatures_of_unknown_keys_are_ignored() -> None:
    """A witness may add its line."""
    witness = sign_note(CHECKPOINT.text, "witness.example/w1", OTHER).decode().splitlines()[-1] + "\n"
    assert Checkpoint.open(NOTE + witness.encode(), LOG_KEY) == CHECKPOINT
    head, tail = NOTE.decode().split("\n\n")
    assert Checkpoint.open(f"{head}\n\n{witness}{tail}".encode(), LOG_KEY) == CHECKPOINT


def test_a_note_that_only_others_signed_is_unsigned() -> None:
    note = sign_note(CHECKPOINT.text, "witness.example/w1", OTHER)
    assert refused(note).code == "NOTE_UNSIGNED"


def test_another_key_under_the_logs_name_is_another_key() -> None:
    assert refused(CHECKPOINT.sign(OTHER)).code == "NOTE_UNSIGNED"


def test_a_known_key_with_a_bad_signature_refuses_the_whole_note() -> None:
    forged = NOTE.replace(b"20852163", b"20852164")
    assert refused(forged).code == "NOTE_SIGNATURE_INVALID"


def test_a_checkpoint_of_another_log_is_refused_though_the_key_signed_it() -> None:
    note = sign_note(Checkpoint("other.example/log", 1, bytes(32)).text, ORIGIN, KEY)
    assert "not of" in refused(note).message


@pytest.mark.parametrize(
    "text",
    [
        "\n1\n" + "A" * 43 + "=\n",
        f"{ORIGIN}\n01\n{'A' * 43}=\n",
        f"{ORIGIN}\n-1\n{'A' * 43}=\n",
        f"{ORIGIN}\n١\n{'A' * 43}=\n",
        f"{ORIGIN}\n{'9' * 20}\n{'A' * 43}=\n",
        f"{ORIGIN}\n1\n{'A' * 43}\n",
        f"{ORIGIN}\n1\n{'A' * 42}B=\n",
        f"{ORIGIN}\n1\nAAAA\n",
        f"{ORIGIN}\n1\n{'A' * 43}=\nextension\n",
        f"{ORIGIN}\n1\n",
        f"{ORIGIN}\n",
    ],
)
def test_a_signed_text_that_is_no_checkpoint_of_ours_is_refused(text: str) -> None:
    assert refused(sign_note(text, ORIGIN, KEY)).code == "NOTE_MALFORMED"


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"\n\n",
        b"text\n",
        b"text\n\n",
        NOTE[:-1],
        NOTE.replace(b"\n\n", b"\n"),
        b"\xff" + NOTE,
        b"\x00" + NOTE,
        NOTE.replace(b"\n", b"\r\n"),
        NOTE + b"no signature line\n",
        NOTE + "— \n".encode(),
        NOTE + "— name\n".encode(),
        NOTE + "— name AAAA=\n".encode(),
        NOTE + "— name AAAA\n".encode(),
        NOTE + "— witness AAAAAAAA\n".encode() * MAX_SIGNATURES,
        NOTE + b"A" * 70_000,
        NOTE + f"— witness {b64encode(bytes(60_000)).decode()}\n".encode(),
    ],
)
def test_a_malformed_note_is_refused(note: bytes) -> None:
    assert refused(note).code == "NOTE_MALFORMED"


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\nb", "a\u2003b"])
def test_a_key_name_must_fit_a_signature_line(name: str) -> None:
    with pytest.raises(NoteError, match="key name"):
        NoteKey(name, KEY.public_key)


@pytest.mark.parametrize("text", ["", "no newline", "tab\t\n", "carriage\r\n"])
def test_a_text_that_a_note_cannot_hold_is_not_signed(text: str) -> None:
    with pytest.raises(NoteError):
        sign_note(text, ORIGIN, KEY)


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=60), st.integers(0, 2**62))
def test_any_text_that_is_signed_opens_again(line: str, number: int) -> None:
    text = f"{line}\n\n{number}\n"
    assert open_note(sign_note(text, ORIGIN, KEY), [LOG_KEY]) == text


def test_notes_show_no_secret() -> None:
    error: Any = refused(CHECKPOINT.sign(OTHER))
    assert KEY._private.private_bytes_raw().hex() not in f"{LOG_KEY!r} {error}"
