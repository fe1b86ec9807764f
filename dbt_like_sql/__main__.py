"""``python -m dbt_like_sql``: print the page that docs/models.md holds."""

from __future__ import annotations

import sys
from pathlib import Path

from dbt_like_sql.loader import Project
from dbt_like_sql.page import models_page

if __name__ == "__main__":
    sys.stdout.write(models_page(Project.load(Path(__file__).parent)))
