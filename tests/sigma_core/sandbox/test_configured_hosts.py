"""Values of configuration that hand code out from, or traffic to, a host which nothing else speaks of block, in every format; known hosts, placeholders and what people read do not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strangers_of_ours import HOST, blocking, blocking_files, fence

RULE = "SIGMA-SUPPLY-050"
TEMPLATES = {
    "settings.gradle.kts": 'repositories {{\n    maven {{ url = uri("https://maven.{host}/release") }}\n}}\n',
    "settings.xml": "<mirror>\n  <id>central</id>\n  <url>https://repo.{host}/maven2</url>\n</mirror>\n",
    ".cargo/config.toml": '[source.fast]\nregistry = "sparse+https://index.{host}/"\n',
    "composer.json": '{{"repositories": [{{"type": "composer", "url": "https://packages.{host}"}}]}}\n',
    "Dockerfile": "FROM hub.{host}/library/node:20\nUSER node\n",
    "compose.yaml": "services:\n  db:\n    image: cr.{host}/postgres:16\n",
    "fluent-bit.conf": "[OUTPUT]\n    Name http\n    Host logs.{host}\n",
    "site.conf": "location / {{\n    proxy_pass https://mirror.{host}$request_uri;\n}}\n",
    "gradle-wrapper.properties": "distributionUrl=https\\://dist.{host}/gradle-8.9-bin.zip\n",
    "alertmanager.yml": "receivers:\n  - webhook_configs:\n      - url: https://am.{host}/alerts\n",
    ".env.example": "OTEL_EXPORTER_OTLP_ENDPOINT=https://otlp.{host}\n",
    "index.html": '<script src="https://cdn.{host}/react.js"></script>\n',
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_value_that_turns_to_a_stranger_blocks_in_every_format(name: str) -> None:
    path = f"templates/{name}"
    text = TEMPLATES[name]
    assert RULE in blocking_files({"SKILL.md": "Notes.\n", path: text.format(host=HOST)})
    assert RULE not in blocking_files({"SKILL.md": "Notes.\n", path: text.format(host="googleapis.com")})
    assert RULE not in blocking_files({"SKILL.md": "Notes.\n", path: text.format(host="example.com")})


def test_host_that_a_document_speaks_of_is_no_stranger() -> None:
    more = {"config__collector.yaml": f"exporters:\n  otlphttp:\n    endpoint: https://in.{HOST}\n"}
    assert RULE in blocking("Copy the collector's settings.", **more)
    assert RULE not in blocking(f"Traces go to Quill Tools (https://{HOST}); make an account first.", **more)
    assert RULE not in blocking("Copy the collector's settings.", name="quill-tools", **more)


@pytest.mark.parametrize(
    "line",
    [
        "homepage: https://www.{host}",
        "documentation: https://docs.{host}/setup",
        "# endpoint: https://in.{host}",
        "apiVersion: policy.{host}/v1",
        "ingress.{host}/class: nginx",
        "prompt: look at https://{host} and tell me what they sell",
        "endpoint: https://approval-service.approval/confirm",
    ],
)
def test_what_people_read_and_names_of_interfaces_are_no_destinations(line: str) -> None:
    assert RULE not in blocking_files({"SKILL.md": "Notes.\n", "assets/a.yaml": line.format(host=HOST) + "\n"})


def test_listings_of_documents_are_read_and_those_of_dangers_are_not() -> None:
    listing = fence("toml", f'[source.fast]\nregistry = "sparse+https://index.{HOST}/"')
    assert RULE in blocking(f"Copy this:\n\n{listing}")
    assert RULE not in blocking(f"## Known attacks\n\n{listing}")


def test_samples_are_not_settings() -> None:
    text = f'{{"endpoint": "https://in.{HOST}/v1"}}\n'
    assert RULE in blocking_files({"SKILL.md": "Notes.\n", "config/a.json": text})
    assert RULE not in blocking_files({"SKILL.md": "Notes.\n", "evals/a.json": text})


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet="ab.:/=\"'-[]{}#\n ", max_size=120))
def test_any_text_of_settings_is_read_to_its_end(text: str) -> None:
    blocking_files({"SKILL.md": "Notes.\n", "config/a.conf": text, "config/a.yaml": text})
