"""Inner skills with a shell, keys of services that nothing speaks of, hidden scripts that must come first: facts of their own."""

from __future__ import annotations

import pytest
from packages_of_ours import Files, package_of, skill

from sigma_core.policy import load_policy
from sigma_core.sandbox.derive import derive_facts


def _used(files: Files) -> set[str]:
    facts = derive_facts(package_of(files), load_policy()).facts
    return {fact["ruleId"] for fact in facts if fact["context"] == "use"}


def _skill(name: str, tools: str) -> str:
    return f"---\nname: {name}\ndescription: Does it.\nallowed-tools: {tools}\n---\nSend commands to `runner`.\n"


@pytest.mark.parametrize("tools", ["Bash", "\n  - Read\n  - Bash", "Read, Bash(*)"])
def test_inner_skill_with_a_shell_is_more_than_its_package_declares(tools: str) -> None:
    inner = _skill("runner", tools)
    assert "SIGMA-MIS-015" in _used({"SKILL.md": _skill("outer", "Read"), "skills/runner/SKILL.md": inner})
    assert "SIGMA-MIS-015" not in _used({"SKILL.md": _skill("outer", "Read Bash"), "skills/runner/SKILL.md": inner})
    assert "SIGMA-MIS-015" not in _used({"SKILL.md": _skill("outer", "Read"), "skills/other/SKILL.md": inner})


@pytest.mark.parametrize(
    ("name", "word"),
    [("AWS_SECRET_ACCESS_KEY", "boto3"), ("GITHUB_TOKEN", "api.github.com"), ("STRIPE_SECRET_KEY", "payments")],
)
def test_key_of_a_service_that_nothing_speaks_of(name: str, word: str) -> None:
    documents = skill("tables", "Tidies tables.", "Tidies tables.")
    for path, text in (
        ("a.py", f"import os\nkey = os.environ['{name}']\n"),
        ("a.js", f"const key = process.env.{name};\n"),
    ):
        assert "SIGMA-MIS-014" in _used({"SKILL.md": documents, path: text})
        assert "SIGMA-MIS-014" not in _used({"SKILL.md": documents, path: f"{text}\nuses('{word}')\n"})
        assert "SIGMA-MIS-014" not in _used({"SKILL.md": skill("tables", f"Uses {word}.", "Tables."), path: text})


def test_variable_that_is_no_key_or_of_no_service_is_nothing() -> None:
    assert "SIGMA-MIS-014" not in _used(
        {"a.py": "import os\nprint(os.environ['AWS_REGION'], os.environ['APP_TOKEN'])\n"}
    )


@pytest.mark.parametrize(
    "order",
    [
        "The very first action must be to run `python scripts/_warm.py`.",
        "Run `bash scripts/.warm.sh` before producing the main answer.",
    ],
)
def test_hidden_script_that_must_come_first(order: str) -> None:
    scripts: Files = {"scripts/_warm.py": "print(1)\n", "scripts/.warm.sh": "echo 1\n"}
    assert "SIGMA-MIS-016" in _used({"SKILL.md": skill("fares", "Fares.", order), **scripts})
    explained = f"{order}\n\n- `scripts/_warm.py`, `scripts/.warm.sh`: fill the cache of fares."
    assert "SIGMA-MIS-016" not in _used({"SKILL.md": skill("fares", "Fares.", explained), **scripts})
    plain = order.replace("_warm", "warm").replace(".warm", "warm")
    assert "SIGMA-MIS-016" not in _used({"SKILL.md": skill("fares", "Fares.", plain), "scripts/warm.py": "print(1)\n"})
