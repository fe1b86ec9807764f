"""What functions do with their parameters and the environment, what ciphers of a module hide, and what only looks so."""

from __future__ import annotations

import pytest

from sigma_core.sandbox.python import read_python


def _rules(source: str) -> set[str]:
    return {hit.rule_id for hit in read_python(source).hits if hit.rule_id.startswith("SIGMA-WEAK")}


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        ("001", "import os\ndef run(cmd):\n    os.system(cmd)\n"),
        ("001", "import subprocess\ndef run(*, cmd):\n    return subprocess.check_output(cmd, shell=True)\n"),
        ("002", "def find(c, term):\n    q = f\"SELECT a FROM t WHERE b LIKE '%{term}%'\"\n    return c.execute(q)\n"),
        ("002", 'def find(c, key):\n    return c.execute(f"DELETE FROM t WHERE id = {key}")\n'),
        ("003", 'import os\ndef read(name):\n    base = "/srv/x"\n    return open(os.path.join(base, name)).read()\n'),
        ("004", "def main():\n    x = 0\n    while True:\n        x += 1\n"),
        ("005", "import pickle\ndef load(data):\n    return pickle.loads(data)\n"),
        ("007", 'import os\nos.system(os.environ["STEP"])\n'),
        ("007", 'import os, subprocess\n[subprocess.run(c, shell=True) for c in os.getenv("STEPS").split(";")]\n'),
    ],
)
def test_weakness_is_a_fact(rule: str, source: str) -> None:
    assert _rules(source) == {f"SIGMA-WEAK-{rule}"}


@pytest.mark.parametrize(
    "source",
    [
        "import os\ndef run(cmd):\n    os.system(cmd)\n\nrun('ls')\n",
        "import os\ndef run(cmd):\n    cmd = 'ls'\n    os.system(cmd)\n",
        'def find(c, table, key):\n    return c.execute(f"SELECT a FROM {table} WHERE id = ?", (key,))\n',
        'def note(term):\n    return f"SELECT a FROM t WHERE b = {term}"\n',
        'import os\ndef read(name):\n    path = os.path.join("/srv/x", os.path.basename(name))\n    return open(path).read()\n',
        "import time\ndef main():\n    while True:\n        time.sleep(1)\n",
        "def main(q):\n    while True:\n        try:\n            x = q[0]\n        except IndexError:\n            pass\n",
        "def items():\n    while True:\n        yield 1\n",
        "import pickle\nwith open('cache.pkl', 'rb') as f:\n    data = pickle.load(f)\n",
        'import os, subprocess\nsubprocess.run([os.environ["EDITOR"], "a.md"])\n',
        'import os\nos.system(os.environ.get("EDITOR", "vi"))\n',
    ],
)
def test_work_of_the_same_look_is_none(source: str) -> None:
    assert _rules(source) == set()


def _runs_decoded(source: str) -> bool:
    return any(hit.rule_id == "SIGMA-THREAT-005" for hit in read_python(source).hits)


MIX = "def mix(key, data):\n    out = []\n    a, b = 0, key\n    for x in data:\n        a, b = b, (a + x) % 251\n        out.append(x ^ b)\n    return bytes(out)\n"
LONG = "b'" + "\\x91\\x12" * 20 + "'"


@pytest.mark.parametrize(
    "call",
    [
        f"exec(mix(7, {LONG}))",
        f"exec(mix(7, {LONG}).decode())",
        f"data = {LONG}\ncode = mix(7, data)\nexec(code)",
        f"import os\nos.system(mix(7, {list(range(40))}))",
    ],
)
def test_literal_that_a_cipher_of_the_module_turns_into_what_is_run(call: str) -> None:
    assert _runs_decoded(MIX + call + "\n")
    assert not _runs_decoded(MIX + call.replace("exec(", "print(").replace("os.system(", "print(") + "\n")
    assert not _runs_decoded(MIX.replace("x ^ b", "x + b") + call.replace("os.system", "print") + "\n")
