"""No archive, however it was made, costs more than 2 CPU seconds and 100 MB; nothing is written.

Run in a child process under kernel limits, so that a failure is a kill and not a slow test.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHILD = """
import resource, sys, time
sys.path[:0] = sys.argv[1:]
from costly_archives import COSTLY
from hostile_archives import HOSTILE
from sigma_core.policy import load_policy
from sigma_core.submissions.intake import read_archive_bytes
from sigma_core.submissions.refusal import Refusal

policy = load_policy()
archives = {**{name: data for name, (data, _, _) in HOSTILE.items()}, **{name: make() for name, make in COSTLY.items()}}
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
_, hard = resource.getrlimit(resource.RLIMIT_CPU)
for name, data in archives.items():
    # The kernel counts whole seconds of the process: what is used up, rounded up, and two more.
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 3, hard))
    print(name, flush=True)
    try:
        read_archive_bytes(data, "upload", policy)
    except Refusal:
        continue
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
print("grown", grown)
sys.exit(0 if grown < 100_000_000 else 1)
"""


def test_every_hostile_archive_stays_within_two_cpu_seconds_and_100_mb(tmp_path: Path) -> None:
    here = Path(__file__).parent
    command = [sys.executable, "-B", "-c", CHILD, str(here), str(here.parents[2])]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-400:]}{done.stderr[-2000:]}"
    assert list(tmp_path.iterdir()) == []
