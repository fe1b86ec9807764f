"""Settings that take a protection off block where the package promises it, where the file is for production, or where nothing honest needs it; those that are scoped or explained do not."""

from __future__ import annotations

import pytest
from packages_of_ours import Files, package_of
from strangers_of_ours import blocking, blocking_files, fence

from sigma_core.policy import load_policy
from sigma_core.sandbox.derive import derive_facts

RULE = "SIGMA-MIS-017"
SUSPICIOUS = "SIGMA-MIS-018"
NEVER = {
    "config/branch.json": ('{"required_approving_review_count": 0}', '{"required_approving_review_count": 1}'),
    "config/agent.yaml": ("ask_before_write: false", "ask_before_write: true"),
    "config/repository.yaml": ("secret_scanning: disabled", "secret_scanning: enabled"),
    "config/backup.yaml": ("include:\n  - ~/notes\n  - ~/.aws/credentials", "exclude:\n  - ~/notes\n  - ~/.aws/credentials"),
    "config/updates.toml": ("verify_signatures = false", "verify_signatures = true"),
    "modules/db.tf": ("deletion_protection = false", "deletion_protection = true"),
    "config/trace.json": ('{"includePrompts": true}', '{"includePrompts": false}'),
    "templates/jwt.json": ('{"algorithms": ["RS256", "none"]}', '{"algorithms": ["RS256"]}'),
    "templates/settings.py": ('J = {"verify_signature": False}', 'J = {"verify_signature": True}'),
    "templates/client.py": ("c = Client(verify=False)", "c = Client(verify=True)"),
    "templates/db.ts": ("ssl: { rejectUnauthorized: false },", "ssl: { rejectUnauthorized: true },"),
    "templates/.npmrc": ("strict-ssl=false", "strict-ssl=true"),
    "templates/tls.conf": ("ssl_protocols SSLv3 TLSv1 TLSv1.2;", "ssl_protocols TLSv1.2 TLSv1.3;"),
    "templates/pg_hba.conf": ("host all all 0.0.0.0/0 trust", "host all all 10.0.0.0/8 scram-sha-256"),
    "assets/role.yaml": ('resources: ["*"]\nverbs: ["*"]', 'resources: ["pods"]\nverbs: ["get"]'),
    "assets/build.yml": ("permissions: write-all", "permissions: read-all"),
    "modules/bucket.tf": ("block_public_acls = false", "block_public_acls = true"),
    "modules/sg.tf": (
        'from_port = 22\nto_port = 22\ncidr_blocks = ["0.0.0.0/0"]',
        'from_port = 443\nto_port = 443\ncidr_blocks = ["0.0.0.0/0"]',
    ),
    "templates/policy.yaml": ("mfa:\n  required: false", "mfa:\n  required: true"),
    "config/logging.json": ('{"logAuthorizationHeader": true}', '{"logAuthorizationHeader": false}'),
    "hooks/gitleaks.toml": ("paths = ['''.*''']", "paths = ['''tests/.*''']"),
    "config/.claude/settings.json": ('{"permissions": {"allow": ["Bash(*)"]}}', '{"permissions": {"allow": ["Bash(ls)"]}}'),
}  # fmt: skip


@pytest.mark.parametrize("path", NEVER)
def test_setting_that_nothing_honest_needs_blocks(path: str) -> None:
    loose, strict = NEVER[path]
    assert RULE in blocking_files({"SKILL.md": "Notes.\n", path: loose + "\n"})
    assert RULE not in blocking_files({"SKILL.md": "Notes.\n", path: strict + "\n"})


@pytest.mark.parametrize(
    "text",
    [
        "# the server of the demo has a self-signed certificate\nverify_ssl = false\n",
        "# verify_ssl = false\n",
        "# never in production\nverify_ssl = false\n",
        "host = 127.0.0.1\nverify_ssl = false\n",
    ],
)
def test_setting_that_its_file_scopes_does_not_block(text: str) -> None:
    assert RULE not in blocking_files({"SKILL.md": "Notes.\n", "templates/client.ini": text})


def test_setting_that_a_document_explains_or_a_file_for_development_does_not_block() -> None:
    loose = "services:\n  web:\n    privileged: true\n"
    assert RULE in blocking_files({"SKILL.md": "Containers run unprivileged.\n", "templates/web.yaml": loose})
    assert RULE not in blocking_files({"SKILL.md": "Containers run unprivileged.\n", "templates/web.dev.yaml": loose})
    explained = (
        "Containers run unprivileged.\n\n`web.yaml` is privileged because it builds images on your own machine.\n"
    )
    assert RULE not in blocking_files({"SKILL.md": explained, "templates/web.yaml": loose})


def test_what_some_systems_need_blocks_only_against_a_promise_or_for_production() -> None:
    loose = "cors:\n  origin: '*'\n  credentials: true\n"
    assert not blocking_files({"SKILL.md": "Notes.\n", "templates/api.yaml": loose})
    assert _reported({"SKILL.md": "Notes.\n", "templates/api.yaml": loose}, SUSPICIOUS)
    assert RULE in blocking_files({"SKILL.md": "Every route needs a signed-in user.\n", "templates/api.yaml": loose})
    assert RULE in blocking_files({"SKILL.md": "Notes.\n", "templates/production.yaml": loose})


def test_listing_blocks_only_where_the_title_promises_the_protection() -> None:
    listing = fence("yaml", "verify_ssl: false")
    assert RULE in blocking(listing, description="Clients with verified TLS.")
    assert RULE not in blocking(listing, description="Keeps notes.")
    assert RULE not in blocking(listing, description="Reviews insecure TLS settings and detects them.")
    assert RULE not in blocking(f"## Bad examples\n\n{listing}", description="Clients with verified TLS.")


def test_code_that_a_document_shows_is_suspicious_at_most() -> None:
    files: Files = {"SKILL.md": fence("python", 'jwt.decode(t, K, options={"verify_signature": False})') + "\n"}
    assert RULE not in blocking_files(files)
    assert _reported(files, SUSPICIOUS)


def _reported(files: Files, rule: str) -> bool:
    return any(fact["ruleId"] == rule for fact in derive_facts(package_of(files), load_policy()).facts)
