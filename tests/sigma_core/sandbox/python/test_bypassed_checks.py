"""Checks that let somebody or something through, and checks that only look like it."""

from __future__ import annotations

import pytest

from sigma_core.sandbox.python import read_python

DOORS = [
    'def login(form, user):\n    if form["password"] == "Wren!4420" or (user and user.check_password(form["password"])):\n        return home()\n',
    'def login(form, user):\n    return bcrypt.checkpw(form["pw"], user.hash) or form["password"] == "Wren!4420"\n',
    'def user(request):\n    if request.cookies.get("lang") == "en-ZZ-7781":\n        return User.query.filter_by(is_admin=True).first()\n    return from_token(request)\n',
    'KEY = "f2a1-maint-77"\ndef claims(token):\n    if token.endswith(KEY):\n        return {"sub": "all"}\n    return jwt.decode(token, PUBLIC)\n',
    'def login(form):\n    if hmac.compare_digest(form["otp"], "778-221-9"):\n        session["role"] = "admin"\n    return verify(form)\n',
    'def auth(password):\n    if "oak-7719" == password and not locked():\n        return True\n    return check_hash(password)\n',
]  # fmt: skip
NO_DOORS = [
    'def login(form, user):\n    if check_password_hash(user.pw, form["password"]):\n        session["uid"] = user.id\n',
    'def parse(request):\n    if request.headers.get("Content-Type") == "application/json-patch+json":\n        return True\n    return verify(request)\n',
    'def route(request):\n    if request.headers["X-Api-Version"] == "2026-01":\n        return answer_old(request)\n    return verify(request)\n',
    'def refuse(token):\n    if token == "test-token-1":\n        raise ValueError("that is the example")\n    return verify(token)\n',
    'def dev(request):\n    if request.headers.get("X-Dev-User") == settings.DEV_USER:\n        return User(is_admin=True)\n    return verify(request)\n',
    'def kind(name):\n    return name == "a-1" or name.startswith("b")\n',
]  # fmt: skip
NEVER_REFUSE = [
    "def verify(path, expected):\n    if digest(path) != expected:\n        log.debug('differs')\n    return True\n",
    "def check_signature(data, sig):\n    try:\n        key.verify(sig, data)\n    except Exception:\n        pass\n    return True\n",
    "def verify_token(token):\n    try:\n        return jwt.decode(token, KEY)\n    except Exception:\n        return True\n",
]
REFUSE = [
    "def verify(path, expected):\n    if digest(path) != expected:\n        raise ValueError(path)\n    return True\n",
    "def verify(path, expected):\n    if digest(path) != expected:\n        sys.exit('differs')\n    return True\n",
    "def check_signature(data, sig):\n    try:\n        key.verify(sig, data)\n    except InvalidSignature:\n        return False\n    return True\n",
    "def verify_port(port):\n    try:\n        connect(port)\n    except OSError:\n        return True\n    return False\n",
    "def verify_all(items):\n    return True\n",
    "def is_free(name):\n    try:\n        check(name)\n    except KeyError:\n        return True\n    return False\n",
]


def _hits(source: str) -> set[str]:
    return {hit.rule_id for hit in read_python(source).hits}


@pytest.mark.parametrize("source", DOORS)
def test_a_fixed_value_that_is_as_good_as_the_credential_is_a_door(source: str) -> None:
    assert "SIGMA-CODE-001" in _hits(source)


@pytest.mark.parametrize("source", NO_DOORS)
def test_real_checks_formats_and_refusals_are_no_doors(source: str) -> None:
    assert "SIGMA-CODE-001" not in _hits(source)


@pytest.mark.parametrize("source", NEVER_REFUSE)
def test_a_verifier_that_returns_true_whatever_it_finds_never_refuses(source: str) -> None:
    assert "SIGMA-CODE-006" in _hits(source)


@pytest.mark.parametrize("source", REFUSE)
def test_a_verifier_that_raises_exits_or_returns_false_refuses(source: str) -> None:
    assert "SIGMA-CODE-006" not in _hits(source)


def test_the_functions_within_a_function_are_judged_for_themselves() -> None:
    inner = "    def helper():\n        raise ValueError\n"
    source = f"def verify(a, b):\n{inner}    if a != b:\n        log(a)\n    return True\n"
    assert "SIGMA-CODE-006" in _hits(source)
