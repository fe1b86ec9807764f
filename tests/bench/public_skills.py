"""Fetches published skills for measuring false alarms and for training the text model.

    python -m tests.bench.public_skills FOLDER

``public-skills.tsv`` names each skill by repository, commit and path; here are only names, the texts stay with their authors. They land as
``FOLDER/owner+repository/skill/…``. Links are left out, nothing is run, and git is told to use no hooks, filters or submodules.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import polars as pl

SOURCES = Path(__file__).with_name("public-skills.tsv")


def fetch(folder: Path) -> int:
    """Fetch what ``folder`` lacks; how many skills came. A repository that is gone is named and left out."""
    fetched = 0
    for (repository, commit), rows in pl.read_csv(SOURCES, separator="\t").group_by(
        ["repository", "commit"], maintain_order=True
    ):
        into = folder / str(repository).replace("/", "+")
        missing = [
            (skill, path)
            for skill, path in zip(rows["folder"], rows["path"], strict=True)
            if not (into / skill).exists()
        ]
        if not missing:
            continue
        with tempfile.TemporaryDirectory() as clone:
            try:
                _git(clone, "init", "--quiet", "--bare")
                _git(clone, "fetch", "--quiet", "--depth", "1", f"https://github.com/{repository}.git", str(commit))
                for skill, path in missing:
                    _extract(_git(clone, "archive", f"{commit}:{path}" if path != "." else str(commit)), into / skill)
                    fetched += 1
            except subprocess.CalledProcessError as error:
                sys.stderr.write(f"{repository} at {commit}: {error.stderr.decode(errors='replace').strip()}\n")
    return fetched


def _git(clone: str, *arguments: str) -> bytes:
    command = ["git", "-c", "core.hooksPath=/dev/null", "-C", clone, *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


def _extract(archive: bytes, into: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(into, members=[member for member in tar if member.isfile()], filter="data")


if __name__ == "__main__":
    sys.stdout.write(f"{fetch(Path(sys.argv[1]))} skills fetched\n")
