"""Known names from owners that nobody knows block; keepers, commits, explained forks and owners that the documents name do not."""

from __future__ import annotations

import json

import pytest
from packages_of_ours import package_of
from strangers_of_ours import blocking_files

from sigma_core.policy import load_policy
from sigma_core.sandbox.derive import derive_facts

FORK, ACTION, RUN_AT_INSTALL, UNNAMED = (
    "SIGMA-SUPPLY-051",
    "SIGMA-SUPPLY-052",
    "SIGMA-SUPPLY-053",
    "SIGMA-MIS-019",
)
MANIFESTS = {
    "package.json": '{{"dependencies": {{"axios": "github:{owner}/axios#fast"}}}}\n',
    "pyproject.toml": '[tool.uv.sources]\npandas = {{ git = "https://github.com/{owner}/pandas", branch = "x" }}\n',
    "requirements.txt": "pandas @ git+https://github.com/{owner}/pandas@main\n",
    "go.mod": "module example.com/a\n\nreplace github.com/gin-gonic/gin => github.com/{owner}/gin v1.10.9\n",
    "Cargo.toml": '[patch.crates-io]\nserde = {{ git = "https://github.com/{owner}/serde" }}\n',
    "Gemfile": 'gem "nokogiri", git: "https://github.com/{owner}/nokogiri"\n',
}
KEEPERS = {"package.json": "axios", "go.mod": "gin-gonic", "Cargo.toml": "serde-rs", "Gemfile": "sparklemotion"}


def skill_with(path: str, text: str, skill: str = "Notes.\n") -> dict[str, str | bytes]:
    return {"SKILL.md": skill, f"templates/{path}": text}


@pytest.mark.parametrize("name", MANIFESTS)
def test_fork_of_a_known_package_blocks_and_its_keeper_does_not(name: str) -> None:
    assert FORK in blocking_files(skill_with(name, MANIFESTS[name].format(owner="quill-labs")))
    assert FORK not in blocking_files(skill_with(name, MANIFESTS[name].format(owner=KEEPERS.get(name, "pandas-dev"))))
    assert FORK not in blocking_files(skill_with(name, MANIFESTS[name].format(owner="your-org")))


def test_fork_that_is_fixed_explained_or_named_does_not_block() -> None:
    line = "pandas @ git+https://github.com/quill-labs/pandas@{}\n"
    assert FORK in blocking_files(skill_with("requirements.txt", line.format("main")))
    assert FORK not in blocking_files(skill_with("requirements.txt", line.format("0123456789abcdef" * 2 + "01234567")))
    assert FORK not in blocking_files(
        skill_with("requirements.txt", "# fork until 5121 is merged\n" + line.format("main"))
    )
    spoken = "Pandas is the fork of quill-labs, with faster joins.\n"
    assert FORK not in blocking_files(skill_with("requirements.txt", line.format("main"), spoken))


def test_alias_to_a_package_that_nobody_knows_blocks() -> None:
    text = '{{"overrides": {{"debug": "npm:{}@4.4.9"}}}}\n'
    assert FORK in blocking_files(skill_with("package.json", text.format("@quilltrace/tracer")))
    assert FORK not in blocking_files(skill_with("package.json", text.format("ms")))


@pytest.mark.parametrize(
    ("uses", "blocks"),
    [
        ("quill-labs/cache-deps@master", True),
        ("quill-labs/cache-deps@v3", False),
        ("bridgecrewio/checkov-action@master", False),
        ("your-org/deploy@main", False),
        ("./.github/actions/deploy", False),
    ],
)
def test_branch_of_a_strangers_action_beside_versions_blocks(uses: str, blocks: bool) -> None:
    text = f"jobs:\n  a:\n    steps:\n      - uses: actions/checkout@v4\n      - uses: {uses}\n"
    assert (ACTION in blocking_files({"SKILL.md": "Notes.\n", "assets/lint.yml": text})) is blocks


def test_step_that_a_document_shows_blocks_only_where_it_is_given_a_secret() -> None:
    text = "```yaml\n- uses: actions/checkout@v4\n- uses: quill-labs/publish@main\n  with:\n    token: ${{{{ secrets.{} }}}}\n```\n"
    assert ACTION in blocking_files({"SKILL.md": text.format("NPM_TOKEN")})
    assert ACTION not in blocking_files({"SKILL.md": text.format("GITHUB_TOKEN")})


def test_strangers_workflow_that_inherits_secrets_and_strangers_hook_block() -> None:
    workflow = "jobs:\n  a:\n    uses: {}/pipelines/.github/workflows/node.yml@main\n    secrets: inherit\n"
    assert ACTION in blocking_files({"SKILL.md": "Notes.\n", "assets/call.yml": workflow.format("quill-labs")})
    assert ACTION not in blocking_files({"SKILL.md": "Notes.\n", "assets/call.yml": workflow.format("your-org")})
    hooks = "repos:\n  - repo: https://github.com/astral-sh/ruff-pre-commit\n    rev: v0.6.9\n  - repo: https://github.com/{}/black\n    rev: main\n"
    assert ACTION in blocking_files(skill_with(".pre-commit-config.yaml", hooks.format("quill-labs")))
    assert ACTION not in blocking_files(skill_with(".pre-commit-config.yaml", hooks.format("psf")))


def test_installation_that_runs_a_package_which_nobody_knows_blocks() -> None:
    def manifest(command: str) -> str:
        return json.dumps({"name": "a", "scripts": {"postinstall": command}})

    assert RUN_AT_INSTALL in blocking_files(skill_with("package.json", manifest("npx -y quill-warmup@latest")))
    assert RUN_AT_INSTALL not in blocking_files(skill_with("package.json", manifest("npx -y husky@9")))
    spoken = "After installation `quill-warmup` fills the cache.\n"
    assert RUN_AT_INSTALL not in blocking_files(skill_with("package.json", manifest("npx -y quill-warmup@1"), spoken))


def test_dependency_that_nothing_names_is_a_fact_beside_known_ones() -> None:
    def reported(names: str, skill: str = "Notes.\n", **more: str) -> bool:
        files: dict[str, str | bytes] = {"SKILL.md": skill, "requirements.txt": names, **more}
        return any(fact["ruleId"] == UNNAMED for fact in derive_facts(package_of(files), load_policy()).facts)

    names = "pandas==2.2.3\nmatplotlib==3.9.2\nquillspeedups==0.3.1\n"
    assert reported(names)
    assert not reported("quillspeedups==0.3.1\n")
    assert not reported(names, "Joins are faster with quillspeedups.\n")
    assert not reported(names, run="import quillspeedups\n")
