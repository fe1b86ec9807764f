"""``sigma scan-installed``: every skill that agents on this machine have installed, and what is known of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from cli.certificates import bundles_at_hand, local_status_lists, trusted_keys
from cli.output import printable, stdout
from sigma_core.certificates.installed import (
    Installed,
    InstalledState,
    agent_folders,
    installed_state,
    skill_folders,
)
from sigma_core.config import Settings
from sigma_core.errors import SigmaError
from sigma_core.policy import load_policy
from sigma_core.submissions.intake import read_package
from sigma_core.submissions.package import Package

MAX_SKILLS = 5_000
STYLE = {
    InstalledState.CERTIFIED: "bold green",
    InstalledState.UNCERTIFIED: "yellow",
    InstalledState.UNREADABLE: "yellow",
}


def scan_installed(
    settings: Settings, folder: Path | None, *, keys: Path | None, bundles: Sequence[Path], at: datetime
) -> list[Installed]:
    """Every skill under ``folder``, or in the agent folders of this user and of the current project. Raises SigmaError."""
    if folder is not None and not folder.is_dir():
        raise SigmaError(f"{folder}: not a folder", code="USAGE")
    roots = agent_folders(Path.home(), Path.cwd()) if folder is None else [folder]
    trusted = trusted_keys(settings, keys)
    policy = load_policy(settings.policy_file)
    kept = bundles_at_hand(settings, bundles, trusted)
    lists = {} if keys is not None else local_status_lists(settings, trusted, at)
    found: dict[Path, Installed] = {}
    for path in (skill for root in roots for skill in skill_folders(root)):
        if len(found) == MAX_SKILLS:
            raise SigmaError(f"more than {MAX_SKILLS} skills; name a folder with fewer", code="USAGE")
        package: Package | SigmaError
        try:
            package = read_package(path, policy)
        except SigmaError as error:
            package = error
        found[path] = installed_state(str(path), package, kept, trusted, at=at, status_lists=lists)
    return list(found.values())


def report(found: Sequence[Installed]) -> dict[str, Any]:
    """``{skills[], counts{state: number}}``."""
    counts = Counter(skill.state.value for skill in found)
    return {"skills": [skill.as_json() for skill in found], "counts": dict(sorted(counts.items()))}


def print_installed(found: Sequence[Installed]) -> None:
    """A line for each skill, with its drift file by file."""
    for skill in found:
        style = STYLE.get(skill.state, "bold red")
        certificate = f"  [dim]{skill.certificate_id}[/]" if skill.certificate_id else ""
        stdout.print(f"[{style}]{skill.state.value:<12}[/] {printable(skill.path)}{certificate}")
        for kind, paths in (("changed", skill.changed), ("added", skill.added), ("removed", skill.removed)):
            for path in paths:
                stdout.print(f"    {kind:<8} {printable(path)}")
        if skill.detail and skill.state is not InstalledState.DRIFTED:
            stdout.print(f"    [dim]{printable(skill.detail)}[/]")
    if not found:
        stdout.print("no installed skill found")
