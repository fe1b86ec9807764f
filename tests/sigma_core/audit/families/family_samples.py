"""Small packages of our own, and facts by hand, for the tests of the audit families."""

from __future__ import annotations

from typing import Any

from sigma_core.audit.model import View
from sigma_core.sandbox.facts import FactsDocument
from sigma_core.submissions.package import Package, PackageFile, ProductType, sorted_files

HONEST_SKILL = """---
name: tide-table
description: Looks up tide tables for a harbour and explains them.
---

# Tide table

Ask for a harbour and a day. The skill reads the public table and answers with high and low water.

## Usage

```bash
python scripts/tides.py --harbour Dover --day 2026-05-01
```

The script needs no key. It caches a table for a day in the skill's own folder.
"""

HONEST_SCRIPT = """import argparse
import json
import pathlib

parser = argparse.ArgumentParser()
parser.add_argument("--harbour")
parser.add_argument("--day")
options = parser.parse_args()
table = json.loads(pathlib.Path("table.json").read_text())
print(table[options.harbour][options.day])
"""


def package(files: dict[str, str | bytes]) -> Package:
    """A skill with these members."""
    members = (PackageFile.of(path, text.encode() if isinstance(text, str) else text) for path, text in files.items())
    return Package(files=sorted_files(members), manifest={}, product_type=ProductType.SKILL, source_name="sample")


def honest_package() -> Package:
    """A small honest skill with a script."""
    return package({"SKILL.md": HONEST_SKILL, "scripts/tides.py": HONEST_SCRIPT})


def facts(*found: dict[str, Any], declared: dict[str, Any] | None = None) -> FactsDocument:
    """A facts document with these facts."""
    return FactsDocument(
        {
            "schema": "sigma-facts-v1",
            "declared": declared or {},
            "facts": list(found),
            "coverage": {"complete": True, "files": [], "incidents": []},
            "risk": {"blockingSignals": [], "sandboxRiskLevel": "LOW", "securityLevel": "CLEAR"},
        }
    )


FULL = View.FULL
NO_FACTS = facts()
