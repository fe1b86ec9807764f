"""What the tests of strangers' sources share: one SKILL.md, and the rules that block it."""

from __future__ import annotations

from packages_of_ours import Files, package_of, skill

from sigma_core.policy import load_policy
from sigma_core.sandbox.derive import derive_facts

HOST = "quill-tools.dev"
"""Nobody known owns it, and the skill is not named after it."""


def blocking(body: str, name: str = "notes", description: str = "Keeps notes.", **more: str | bytes) -> set[str]:
    """The rules that block a skill of this text and ``more`` files."""
    files: Files = {
        "SKILL.md": skill(name, description, body),
        **{path.replace("__", "/"): text for path, text in more.items()},
    }
    return blocking_files(files)


def blocking_files(files: Files) -> set[str]:
    """The rules that block a package of ``files``."""
    return {signal["ruleId"] for signal in derive_facts(package_of(files), load_policy()).blocking_signals}


def fence(language: str, text: str) -> str:
    """A code fence."""
    return f"```{language}\n{text}\n```"
