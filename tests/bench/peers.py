"""SIGMA beside two light public scanners, on the labelled packages beside this repository, in one run.

    python -m tests.bench.peers [--part tune|check|held] [--sample N] [CORPUS ...]

Each scanner runs as people run it on a package of theirs: a process of its own for each package, on a folder, offline, without a language model. So all pay for their start, which is also
measured alone. Each package is scanned twice, to see whether the two reports are the same bytes. Nothing in a package is run; the scanners only get its folder, which is
called ``skill`` whatever the sample's name says.

The peers are installed from the package index, once, into environments of their own in the user's cache folder. Where that fails they are left out.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import venv
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tests.bench.labelled import CORPORA, NAMES, PARTS, p95, print_rates, read_corpus

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sigma-bench-peers"
SAMPLE = 60
LIMIT_SECONDS = 60
INSTALL_SECONDS = 300
STARTS = 5
FOLDER = ".claude/skills/skill"
"""Where a package lies under the folder of its sample: skillfortify finds skills only where agents would."""

PLAIN_SKILL = (
    b"---\nname: plain\ndescription: Says how to greet.\nversion: 1.0.0\n---\n\n# Plain\n\nSay good morning.\n"
)
"""The package on which starts are measured: hardly anything to scan."""


@dataclass(frozen=True)
class Scanner:
    """How one scanner is run on a folder, and what of its answer counts as its own decision to block.

    ``blocks`` takes exit code and report and gives None for no decision: a refusal, an error, incomplete coverage.
    ``sees`` is the folder that the command gets, under that of the sample.
    """

    name: str
    version: str
    licence: str
    decision: str
    command: Callable[[Path], list[str]]
    blocks: Callable[[int, bytes], bool | None]
    sees: str = FOLDER


@dataclass(frozen=True)
class Scan:
    """One process of a scanner. CPU seconds and peak memory in MB are of the process and those that it waited for."""

    blocks: bool | None
    cpu_seconds: float
    megabytes: float
    report_sha256: str


@dataclass(frozen=True)
class Package:
    """A sample that was written to ``folder``."""

    folder: Path
    name: str
    label: str
    category: str


def sigma() -> Scanner:
    """SIGMA as it stands in this work tree, by its own command."""

    def blocks(code: int, report: bytes) -> bool | None:
        try:
            return {"block": True, "warn": False, "allow": False}.get(json.loads(report)["decision"])
        except (ValueError, KeyError):
            return None

    return Scanner(
        "SIGMA",
        "this work tree",
        "Apache-2.0",
        "decision `block` of `sigma validate --limits open --json`; a package that intake refuses has none",
        lambda folder: [sys.executable, "-m", "cli", "validate", str(folder), "--limits", "open", "--json"],
        blocks,
    )


def skill_auditor() -> Scanner:
    """Exit codes as its documentation gives them: 0 passed, 1 below critical, 2 a critical finding, 3 error or incomplete coverage."""
    name, version = "skill-auditor", "0.9.0"
    program = program_of(name, version)
    return Scanner(
        name,
        version,
        "MIT",
        "exit code 2, DO NOT INSTALL, at its default --fail-on critical; 3 is an error or incomplete coverage, so no decision",
        lambda folder: [str(program), "scan", str(folder), "--format", "json", "--semantic", "off", "--no-cache"],
        lambda code, _: {0: False, 1: False, 2: True}.get(code),
    )


def skillfortify() -> Scanner:
    """Exit codes as its documentation gives them: 0 passed, 1 findings, 2 no skill found or unreadable."""
    name, version = "skillfortify", "0.6.0"
    program = program_of(name, version)
    return Scanner(
        name,
        version,
        "Elastic-2.0",
        "exit code 1 at --severity-threshold medium, where its authors publish their figures; 2 is no skill found, so no decision",
        lambda folder: [str(program), "scan", str(folder), "--format", "json", "--severity-threshold", "medium"],
        lambda code, _: {0: False, 1: True}.get(code),
        sees=".",
    )


PEERS = (skill_auditor, skillfortify)


class NotInstalledError(Exception):
    """A peer that cannot be had here; the text says why."""


def program_of(name: str, version: str) -> Path:
    """The peer's program, installed at this version if it is not yet. Wheels only: nothing is built. Raises NotInstalledError."""
    home = CACHE / f"{name}-{version}"
    program, done = home / "bin" / name, home / "installed"
    if done.is_file() and program.is_file():
        return program
    try:
        venv.create(home, with_pip=True, clear=True)
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run(
            [*pip, "--only-binary=:all:", "--retries=1", "--timeout=15", f"{name}=={version}"],
            capture_output=True,
            text=True,
            check=True,
            timeout=INSTALL_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        last = ((error.stderr or "").strip().splitlines() or ["no word why"])[-1]
        raise NotInstalledError(f"{name} {version} could not be installed (is there a network?): {last}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalledError(f"{name} {version} could not be installed: {error}") from None
    done.touch()
    return program


def scan(scanner: Scanner, folder: Path, home: Path) -> Scan:
    """Run ``scanner`` on the package in ``folder``, at most `LIMIT_SECONDS`; its home is ``home`` and its proxies lead nowhere."""
    environment = {
        "PATH": os.defpath,
        "HOME": str(home),
        "TMPDIR": str(home),
        "SIGMA_HOME": str(home / "sigma"),
        "PYTHONPATH": str(ROOT) if scanner.name == "SIGMA" else "",
        "LANG": "C.UTF-8",
        **dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9"),
    }
    target = folder / scanner.sees
    with tempfile.TemporaryFile(dir=home) as report:
        process = subprocess.Popen(
            scanner.command(target),
            cwd=home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=report,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        timer = threading.Timer(LIMIT_SECONDS, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        # wait4 tells what this one process took; getrusage would give the sum of all and the largest of all.
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        report.seek(0)
        content = report.read()
    return Scan(
        scanner.blocks(process.returncode, content),
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / 1024,
        hashlib.sha256(content).hexdigest(),
    )


def unpack(corpus: str, part: str | None, at_most: int, folder: Path) -> list[Package]:
    """Write samples of a corpus under ``folder``, a numbered folder each. Raises ValueError as `write` does."""
    packages = []
    for number, sample in enumerate(read_corpus(corpus, part, at_most)):
        package = folder / f"{number:04}"
        write(package / FOLDER, sample.files)
        packages.append(Package(package, sample.name, sample.label, sample.category))
    return packages


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a package's files, none executable. Raises ValueError for a path that would leave ``folder``."""
    for path, content in files.items():
        relative = PurePosixPath(path)
        if relative.is_absolute() or ".." in relative.parts:
            raise ValueError(f"a sample's path leaves its package: {path!r}")
        file = folder / relative
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def compare(scanners: list[Scanner], packages: list[Package], home: Path) -> dict[str, list[tuple[Scan, Scan]]]:
    """Both scans of each package by each scanner, by scanner. Scanners take turns, so that a busy moment hits all."""
    scans: dict[str, list[tuple[Scan, Scan]]] = defaultdict(list)
    for package in packages:
        for scanner in scanners:
            scans[scanner.name].append((scan(scanner, package.folder, home), scan(scanner, package.folder, home)))
    return scans


def print_comparison(
    packages: list[Package], scans: dict[str, list[tuple[Scan, Scan]]], start: dict[str, float]
) -> None:
    """The figures of one corpus."""
    print_rates(
        [
            (package.label, package.category, {name: bool(scans[name][index][0].blocks) for name in scans})
            for index, package in enumerate(packages)
        ]
    )
    for name, pairs in scans.items():
        undecided = Counter(
            package.label for package, (first, _) in zip(packages, pairs, strict=True) if first.blocks is None
        )
        seconds = [first.cpu_seconds for first, _ in pairs]
        net = [max(0.0, second - start[name]) for second in seconds]
        same = sum(first.report_sha256 == second.report_sha256 for first, second in pairs)
        print(
            f"  {name:14} CPU s a skill: mean {sum(seconds) / len(seconds):.3f}, p95 {p95(seconds):.3f}; "
            f"without the start: mean {sum(net) / len(net):.3f}, p95 {p95(net):.3f}; "
            f"peak {max(first.megabytes for first, _ in pairs):.0f} MB; same bytes twice {same}/{len(pairs)}; "
            f"no decision {dict(undecided) if undecided else 0}"
        )


def installed() -> list[Scanner]:
    """SIGMA and the peers that can be had here; says which cannot."""
    scanners = [sigma()]
    for peer in PEERS:
        try:
            scanners.append(peer())
        except NotInstalledError as error:
            print(f"skipped: {error}")
    return scanners


def main(arguments: list[str] | None = None) -> int:
    """Run the comparison; exit code 0, also where the corpora or the peers are absent."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.peers", description=__doc__.partition("\n")[0])
    parser.add_argument("--part", choices=PARTS)
    parser.add_argument("--sample", type=int, default=SAMPLE, metavar="N", help=f"of each corpus (default: {SAMPLE})")
    parser.add_argument("corpora", nargs="*", metavar="CORPUS", help=", ".join(NAMES))
    options = parser.parse_args(arguments or [])
    if unknown := set(options.corpora) - set(NAMES):
        parser.error(f"no such corpus: {', '.join(sorted(unknown))}")
    if not CORPORA.is_dir():
        print("skipped: there are no labelled packages beside this repository")
        return 0
    with tempfile.TemporaryDirectory(prefix="sigma-peers-") as temporary:
        folder = Path(temporary)
        home = folder / "home"
        home.mkdir()
        write(folder / "plain" / FOLDER, {"SKILL.md": PLAIN_SKILL})
        scanners = installed()
        start = {}
        for scanner in scanners:
            starts = [scan(scanner, folder / "plain", home) for _ in range(STARTS)]
            # The first start of all fills caches of the file system and of compiled Python.
            start[scanner.name] = sorted(run.cpu_seconds for run in starts[1:])[(STARTS - 1) // 2]
            print(f"{scanner.name} {scanner.version} ({scanner.licence}); blocks: {scanner.decision}")
            print(f"  start alone {start[scanner.name]:.3f} CPU s, {starts[-1].megabytes:.0f} MB")
        for corpus in options.corpora or NAMES:
            # Read elsewhere: a process is charged the memory of the one that starts it, so this one stays small.
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as reader:
                packages = reader.submit(unpack, corpus, options.part, options.sample, folder / corpus).result()
            part = f" ({options.part})" if options.part else ""
            print(f"\n== {corpus}{part}: {len(packages)} packages", flush=True)
            print_comparison(packages, compare(scanners, packages, home), start)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
