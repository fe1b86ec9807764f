"""What a request or message carries is run: followed from where it arrives to the shell or interpreter, and no further than it really goes."""

from __future__ import annotations

import pytest
from packages_of_ours import package_of, skill

from sigma_core.policy import load_policy
from sigma_core.sandbox.derive import derive_facts

RUN = {
    "a route's argument in a shell": ("a.py", '@router.post("/deep")\ndef deep(q: str):\n    return subprocess.run(q, shell=True)\n'),
    "a field of the request": ("a.py", "from flask import request\ndef status():\n    p = request.args.get('p')\n    return os.popen(p).read() if p else ''\n"),
    "a message to a bot": ("a.py", "async def on_message(message):\n    if message.content.startswith('!!'):\n        subprocess.getoutput(message.content[2:])\n"),
    "a field of a message in JSON": ("a.py", "def on_message(client, data, msg):\n    got = json.loads(msg.payload)\n    os.system(got['v'])\n"),
    "through an own function": ("a.py", "def run(c):\n    exec(c)\ndef view(request):\n    run(request.body.decode())\n"),
    "an Express route": ("a.js", "const { exec } = require('child_process');\napp.get('/x', (req, res) => exec(req.query.c, (e, o) => res.send(o)));\n"),
    "a handler that is a function of its own": ("a.js", "function render(req, res) { const { code } = req.body; new Function(code)(); }\n"),
    "a socket's task": ("a.js", "socket.on('task', (t) => { if (t.kind === 'sys') execSync(t.arg); });\n"),
    "a header in Go": ("a.go", 'func h(w http.ResponseWriter, r *http.Request) {\n\tq := r.Header.Get("X-Q")\n\tout, _ := exec.Command("sh", "-c", q).Output()\n}\n'),
    "a parameter in Ruby": ("a.rb", "get '/ping' do\n  `#{params[:t]}`\nend\n"),
    "a cookie in PHP": ("a.php", "<?php if (isset($_COOKIE['tz'])) { eval(base64_decode($_COOKIE['tz'])); }\n"),
}  # fmt: skip
NOT_RUN = {
    "a table of commands": ("a.py", "TABLE = {'up': ['uptime']}\ndef on_message(message):\n    subprocess.run(TABLE[message.content])\n"),
    "a command that a function makes": ("a.py", "def view(request):\n    subprocess.run(command_for(request.args))\n"),
    "a file that a program converts": ("a.py", '@app.post("/convert")\ndef convert(name: str):\n    subprocess.run(["pandoc", name])\n'),
    "a command line around it": ("a.py", '@app.post("/convert")\ndef convert(name: str):\n    subprocess.run(f"pandoc {shlex.quote(name)}", shell=True)\n'),
    "a search by a pattern": ("a.js", "app.get('/s', (req, res) => res.json(/^a/.exec(req.query.q)));\n"),
    "a table of functions": ("a.js", "app.post('/x', (req, res) => exec(COMMANDS[req.body.name]));\n"),
    "the arguments of a command line": ("a.py", "import sys, subprocess\nsubprocess.run(sys.argv[1], shell=True)\n"),
}  # fmt: skip


def _reported(path: str, text: str) -> bool:
    files = {"SKILL.md": skill("notes", "Keeps notes.", f"Run `{path}`."), path: text}
    return any(fact["ruleId"] == "SIGMA-CODE-002" for fact in derive_facts(package_of(files), load_policy()).facts)


@pytest.mark.parametrize(("path", "text"), RUN.values(), ids=RUN)
def test_what_others_send_reaches_a_shell_or_interpreter(path: str, text: str) -> None:
    assert _reported(path, text)


@pytest.mark.parametrize(("path", "text"), NOT_RUN.values(), ids=NOT_RUN)
def test_what_others_send_only_chooses_or_fills_in(path: str, text: str) -> None:
    assert not _reported(path, text)


def test_an_example_in_a_document_is_not_the_skills_doing() -> None:
    example = "Never do this:\n\n```python\ndef view(request):\n    exec(request.args['c'])\n```\n"
    files = {"SKILL.md": skill("review", "Reviews code.", example)}
    facts = derive_facts(package_of(files), load_policy()).facts
    assert not any(fact["ruleId"] == "SIGMA-CODE-002" and fact["context"] == "use" for fact in facts)


def test_a_background_document_on_safe_code_may_show_bad_code() -> None:
    bad = "# Pitfalls\n\n```python\ndef verify_otp(a, b):\n    if a != b:\n        log(a)\n    return True\n```\n"
    told = skill("review", "Reviews code.", "Read `references/pitfalls.md`.")
    for path, found in {"references/pitfalls.md": False, "add/login.md": True}.items():
        facts = derive_facts(package_of({"SKILL.md": told, path: bad}), load_policy()).facts
        assert any(fact["ruleId"] == "SIGMA-CODE-006" for fact in facts) is found
