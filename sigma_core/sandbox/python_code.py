"""Python by its syntax tree: what a module can do, and where its values flow.

One abstract value per expression: a constant where it can be folded, the labels of where it came from, and the dotted name it stands for. Statements are walked in order,
three times, so that what a function returns or an attribute keeps reaches its users; each expression is read once per walk, so the cost is linear.
"""

from __future__ import annotations

import ast
import base64
import binascii
import codecs
import warnings
from dataclasses import dataclass, replace

from sigma_core.sandbox import vocabulary
from sigma_core.sandbox.encodings import bounded_decompress
from sigma_core.sandbox.observations import NO_LABELS, SENDABLE, Ability, Labels, Observations, Sink, Source, join, only
from sigma_core.sandbox.vocabulary import name_set

WALKS = 3
MAX_DEPTH = 80
MAX_CONSTANT = 65_536
MAX_REPAIRS = 6


@dataclass(frozen=True, slots=True)
class Value:
    """``constant`` is the text (bytes as latin-1) where known; ``name`` the dotted name of a module, function or type it stands for; ``folded`` whether the constant was put together."""

    constant: str | None = None
    labels: Labels = NO_LABELS
    name: str = ""
    folded: bool = False
    parts: tuple[str, ...] = ()


UNKNOWN = Value()

_SHELL_CALLS = name_set(
    "os.system os.popen subprocess.getoutput subprocess.getstatusoutput commands.getoutput asyncio.create_subprocess_shell pty.spawn"
)
_PROCESS_CALLS = name_set(
    "subprocess.run subprocess.call subprocess.Popen subprocess.check_output subprocess.check_call os.execv os.execve os.execvp os.execl os.execlp os.spawnl os.spawnv os.spawnlp os.posix_spawn os.startfile "
    "asyncio.create_subprocess_exec runpy.run_path"
)
_EVAL_CALLS = name_set(
    "exec eval compile builtins.exec builtins.eval builtins.compile runpy.run_module code.InteractiveInterpreter.runsource types.FunctionType types.CodeType"
)
_SEND_CALLS = frozenset(
    [f"{module}.{verb}" for module in ("requests", "httpx", "requests.Session", "requests.session", "httpx.Client", "httpx.AsyncClient", "aiohttp.ClientSession", "urllib3.PoolManager", "curl_cffi.requests", "cloudscraper.create_scraper") for verb in ("get", "post", "put", "patch", "delete", "head", "request", "urlopen", "stream", "options")]
    + "urllib.request.urlopen urllib.request.Request urllib.request.urlretrieve urllib2.urlopen urllib.urlopen http.client.HTTPSConnection.request http.client.HTTPConnection.request socket.socket.send socket.socket.sendall socket.socket.sendto "
    "socket.create_connection socket.create_connection.sendall socket.create_connection.send socket.socket.connect ssl.wrap_socket.send smtplib.SMTP.sendmail smtplib.SMTP.send_message smtplib.SMTP_SSL.sendmail smtplib.SMTP_SSL.send_message ftplib.FTP.storbinary websocket.create_connection.send websockets.connect "
    "paramiko.SSHClient.connect telnetlib.Telnet boto3.client.put_object boto3.client.upload_file wget.download".split()
)  # fmt: skip
_LOADERS = name_set(
    "pickle.loads pickle.load dill.loads dill.load cloudpickle.loads joblib.load yaml.unsafe_load jsonpickle.decode shelve.open"
)
_READ_RESPONSES = name_set("text content json read decode readlines strip raw body data")
_HOST_CALLS = name_set(
    "socket.gethostname platform.node platform.uname os.uname getpass.getuser os.getlogin uuid.getnode psutil.net_if_addrs"
)
_PERSONAL_CALLS = name_set("pyperclip.paste ImageGrab.grab PIL.ImageGrab.grab pyautogui.screenshot mss.mss.grab pynput.keyboard.Listener keyboard.on_press keyboard.hook tkinter.Tk.clipboard_get win32clipboard.GetClipboardData browser_cookie3.load browser_cookie3.chrome cv2.VideoCapture sounddevice.rec keyring.get_password")  # fmt: skip
_DECODERS = name_set("base64.b64decode base64.urlsafe_b64decode base64.standard_b64decode base64.b32decode base64.b85decode base64.a85decode base64.b16decode base64.decodebytes binascii.unhexlify binascii.a2b_base64 bytes.fromhex bytearray.fromhex codecs.decode zlib.decompress gzip.decompress bz2.decompress lzma.decompress marshal.loads")  # fmt: skip
_FILE_METHODS = name_set("read read_text read_bytes readlines readline")
_PASSING = name_set("str bytes repr json.dumps json.loads list dict tuple set sorted dict.items join format encode decode strip split replace lower upper base64.b64encode base64.urlsafe_b64encode urllib.parse.quote urllib.parse.urlencode zlib.compress gzip.compress os.path.expanduser os.path.join os.path.abspath pathlib.Path Path io.BytesIO io.StringIO hex bytearray")  # fmt: skip
_WALLET_MODULES = ("web3", "eth_account", "solana", "solders", "bitcoinlib", "bip_utils", "mnemonic", "ccxt")


def _fold_decoder(name: str, text: str, encoding: str) -> str | None:
    """The constant result of a decoder on a constant."""
    data = text.encode("latin-1", "ignore")
    try:
        if name.endswith(("b64decode", "decodebytes", "a2b_base64")):
            return base64.b64decode(data.translate(bytes.maketrans(b"-_", b"+/")) + b"=" * (-len(data) % 4)).decode(
                "latin-1"
            )
        if name.endswith("b32decode"):
            return base64.b32decode(data).decode("latin-1")
        if name.endswith("b85decode"):
            return base64.b85decode(data).decode("latin-1")
        if name.endswith("a85decode"):
            return base64.a85decode(data).decode("latin-1")
        if name.endswith(("unhexlify", "fromhex", "b16decode")):
            return bytes.fromhex(text).decode("latin-1")
        if name == "codecs.decode":
            if encoding in {"rot13", "rot_13"}:
                return codecs.decode(text, "rot13")
            if encoding in {"hex", "hex_codec"}:
                return bytes.fromhex(text).decode("latin-1")
            if encoding in {"base64", "base64_codec"}:
                return base64.b64decode(data).decode("latin-1")
            return None
        if name.endswith("decompress"):
            unpacked = bounded_decompress(data)
            return unpacked[1].decode("latin-1") if unpacked else None
    except (ValueError, binascii.Error):
        return None
    return None


def _utf8(text: str) -> str:
    """A latin-1 carried byte string as the text it most likely is."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return text


class _Reader:
    """Reads one module. ``names`` maps ``scope:name`` to what the name holds."""

    def __init__(self, source: str, observations: Observations) -> None:
        self.out = observations
        self.names: dict[str, Value] = {}
        self.returns: dict[str, Value] = {}
        self.parameters: dict[str, list[str]] = {}
        self.written: dict[str, Labels] = {}
        self.scope = ""
        self.in_class = False
        self.emitting = False
        self.depth = 0
        self.lines = [0]
        for line in source.split("\n"):
            self.lines.append(self.lines[-1] + len(line) + 1)
        self.source_lines = source.split("\n")

    # -- places -------------------------------------------------------------------------------------------------------

    def _offset(self, line: int, column: int) -> int:
        if not 1 <= line <= len(self.source_lines):
            return self.lines[-1] - 1
        text = self.source_lines[line - 1]
        if not text.isascii():
            column = len(text.encode("utf-8", "surrogatepass")[:column].decode("utf-8", "ignore"))
        return self.lines[line - 1] + min(column, len(text))

    def span(self, node: ast.AST) -> tuple[int, int]:
        line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        end_line, end_column = (
            getattr(node, "end_lineno", line) or line,
            getattr(node, "end_col_offset", column) or column,
        )
        return self._offset(line, column), self._offset(end_line, end_column)

    def can(self, ability: Ability, subject: str, node: ast.AST) -> None:
        if self.emitting:
            self.out.can(ability, subject, *self.span(node))

    def flow(self, labels: Labels, sink: Sink, target: str, node: ast.AST) -> None:
        if self.emitting and labels:
            self.out.flow(labels, sink, target, *self.span(node))

    def hit(self, rule_id: str, subject: str, node: ast.AST) -> None:
        if self.emitting:
            self.out.hit(rule_id, subject, *self.span(node))

    def embed(self, step: str, language: str, text: str, node: ast.AST) -> None:
        if self.emitting and len(text) >= 4:
            self.out.embed(step, language, text, *self.span(node))

    # -- names --------------------------------------------------------------------------------------------------------

    def look(self, name: str) -> Value:
        scope = self.scope
        while True:
            value = self.names.get(f"{scope}:{name}")
            if value is not None:
                return value
            if not scope:
                return (
                    Value(name=name)
                    if name in self.returns or name in _BUILTINS or name in _ASSUMED_MODULES
                    else UNKNOWN
                )
            scope = scope.rpartition("/")[0]

    def bind(self, target: ast.expr, value: Value, *, augment: bool = False) -> None:
        if isinstance(target, ast.Name):
            key = f"{self.scope}:{target.id}"
        elif isinstance(target, ast.Attribute):
            key = f":.{target.attr}"
        elif isinstance(target, ast.Subscript):
            # Never read here: what a target holds was read where it was bound, and reading twice doubles with every level.
            if isinstance(target.value, ast.Name):
                holder = self.look(target.value.id)
                if holder.name != "os.environ":
                    self.bind(
                        target.value,
                        Value(labels=join(holder.labels, value.labels), name=holder.name, parts=holder.parts),
                    )
            return
        elif isinstance(target, ast.Starred):
            self.bind(target.value, value)
            return
        elif isinstance(target, ast.Tuple | ast.List):
            for element in target.elts:
                self.bind(element, Value(labels=value.labels))
            return
        else:
            return
        if isinstance(target, ast.Name) and self.in_class:
            self.names[f":.{target.id}"] = value
        before = self.names.get(key)
        if augment and before is not None:
            constant = (
                before.constant + value.constant
                if before.constant is not None and value.constant is not None and len(before.constant) < MAX_CONSTANT
                else None
            )
            value = Value(
                constant=constant,
                labels=join(before.labels, value.labels),
                name=before.name,
                folded=constant is not None,
            )
            if self.emitting and constant is not None and len(constant) < 4_096:
                self._folded(value, target)
        self.names[key] = value

    def _folded(self, value: Value, node: ast.AST) -> None:
        if value.folded and value.constant is not None and len(value.constant) >= 8:
            self.embed("concatenation", "text", _utf8(value.constant), node)

    # -- statements ---------------------------------------------------------------------------------------------------

    def block(self, body: list[ast.stmt]) -> None:
        for statement in body:
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        self.depth += 1
        try:
            if self.depth <= MAX_DEPTH:
                self._statement(node)
        finally:
            self.depth -= 1

    def _statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                self._imported(alias.name, node)
                self.names[f"{self.scope}:{alias.asname or alias.name.split('.')[0]}"] = Value(
                    name=alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            self._imported(module, node)
            for alias in node.names:
                self.names[f"{self.scope}:{alias.asname or alias.name}"] = Value(
                    name=f"{module}.{alias.name}" if module else alias.name
                )
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self._function(node)
        elif isinstance(node, ast.ClassDef):
            for base in [*node.bases, *(keyword.value for keyword in node.keywords)]:
                base_value = self.read(base)
                if base_value.name.startswith(("setuptools.command", "distutils.command")):
                    self.hit("SIGMA-SUPPLY-004", base_value.name, node)
                    self.can(Ability.INSTALL_HOOK, base_value.name, node)
            for decorator in node.decorator_list:
                self.read(decorator)
            outer, self.in_class = self.in_class, True
            self.block(node.body)
            self.in_class = outer
        elif isinstance(node, ast.Assign):
            value = self.read(node.value)
            for target in node.targets:
                self.bind(target, value)
        elif isinstance(node, ast.AnnAssign):
            if node.value is not None:
                self.bind(node.target, self.read(node.value))
        elif isinstance(node, ast.AugAssign):
            self.bind(node.target, self.read(node.value), augment=True)
        elif isinstance(node, ast.Return):
            if node.value is not None:
                value = self.read(node.value)
                function = self.scope.rpartition("/")[2]
                before = self.returns.get(function, UNKNOWN)
                self.returns[function] = replace(value, labels=join(before.labels, value.labels))
        elif isinstance(node, ast.Expr):
            self.read(node.value)
        elif isinstance(node, ast.For | ast.AsyncFor):
            iterated = self.read(node.iter)
            self.bind(
                node.target, Value(labels=iterated.labels, constant=iterated.parts[0] if iterated.parts else None)
            )
            self.block(node.body)
            self.block(node.orelse)
        elif isinstance(node, ast.While | ast.If):
            self.read(node.test)
            self.block(node.body)
            self.block(node.orelse)
        elif isinstance(node, ast.With | ast.AsyncWith):
            for item in node.items:
                value = self.read(item.context_expr)
                if item.optional_vars is not None:
                    self.bind(item.optional_vars, value)
            self.block(node.body)
        elif isinstance(node, ast.Try | ast.TryStar):
            self.block(node.body)
            for handler in node.handlers:
                self.block(handler.body)
            self.block(node.orelse)
            self.block(node.finalbody)
        elif isinstance(node, ast.Match):
            self.read(node.subject)
            for case in node.cases:
                self.block(case.body)
        elif isinstance(node, ast.Raise | ast.Assert | ast.Delete):
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    self.read(child)

    def _imported(self, module: str, node: ast.AST) -> None:
        if module.split(".", maxsplit=1)[0] in _WALLET_MODULES:
            self.can(Ability.WALLET, module, node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self.read(decorator)
        outer = self.scope
        names = [argument.arg for argument in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]]
        self.parameters[node.name] = names
        self.returns.setdefault(node.name, UNKNOWN)
        self.scope = f"{outer}/{node.name}"
        outer_class, self.in_class = self.in_class, False
        defaults = node.args.defaults
        for argument, default in zip(names[len(names) - len(defaults) :], defaults, strict=False):
            key = f"{self.scope}:{argument}"
            default_value = self.read(default)
            if key not in self.names:
                self.names[key] = default_value
        self.block(node.body)
        self.scope, self.in_class = outer, outer_class

    # -- expressions --------------------------------------------------------------------------------------------------

    def read(self, node: ast.expr) -> Value:
        self.depth += 1
        try:
            return self._read(node) if self.depth <= MAX_DEPTH else UNKNOWN
        finally:
            self.depth -= 1

    def _read(self, node: ast.expr) -> Value:
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str):
                return Value(constant=node.value[:MAX_CONSTANT])
            if isinstance(node.value, bytes):
                return Value(constant=node.value[:MAX_CONSTANT].decode("latin-1"))
            return (
                Value(constant=str(node.value))
                if isinstance(node.value, int) and not isinstance(node.value, bool) and abs(node.value) < 2**63
                else UNKNOWN
            )
        if isinstance(node, ast.Name):
            return self.look(node.id)
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.BinOp):
            return self._operation(node)
        if isinstance(node, ast.JoinedStr):
            return self._formatted(node)
        if isinstance(node, ast.Subscript):
            return self._subscript(node)
        if isinstance(node, ast.Await | ast.Starred | ast.UnaryOp):
            return self.read(node.value if not isinstance(node, ast.UnaryOp) else node.operand)
        if isinstance(node, ast.NamedExpr):
            value = self.read(node.value)
            self.bind(node.target, value)
            return value
        if isinstance(node, ast.Lambda):
            return self.read(node.body)
        if isinstance(node, ast.IfExp):
            self.read(node.test)
            one, other = self.read(node.body), self.read(node.orelse)
            return Value(constant=one.constant, labels=join(one.labels, other.labels), name=one.name or other.name)
        if isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
            return self._comprehension(node)
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            values = [self.read(element) for element in node.elts]
            return Value(
                labels=join(*(value.labels for value in values)),
                parts=tuple(value.constant or "" for value in values[:512]),
                name="list",
            )
        if isinstance(node, ast.Dict):
            keys = [self.read(key) for key in node.keys if key is not None]
            values = [self.read(value) for value in node.values]
            return Value(
                labels=join(*(value.labels for value in [*keys, *values])),
                parts=tuple(value.constant for value in values[:64] if value.constant),
            )
        labels = [self.read(child).labels for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
        return Value(labels=join(*labels))

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Value:
        numbers: tuple[str, ...] = ()
        for generator in node.generators:
            iterated = self.read(generator.iter)
            numbers = iterated.parts
            self.bind(generator.target, Value(labels=iterated.labels))
            for test in generator.ifs:
                self.read(test)
        element = node.value if isinstance(node, ast.DictComp) else node.elt
        value = self.read(element)
        if (
            isinstance(element, ast.Call)
            and isinstance(element.func, ast.Name)
            and element.func.id == "chr"
            and numbers
            and len(element.args) == 1
        ):
            characters = self._characters(element.args[0], numbers)
            if characters is not None:
                return Value(
                    constant=characters,
                    parts=tuple(characters),
                    folded=True,
                    labels=frozenset({(Source.DECODED, "chr")}),
                )
        return Value(labels=value.labels)

    @staticmethod
    def _characters(argument: ast.expr, numbers: tuple[str, ...]) -> str | None:
        shift, xor = 0, 0
        if (
            isinstance(argument, ast.BinOp)
            and isinstance(argument.right, ast.Constant)
            and isinstance(argument.right.value, int)
        ):
            if isinstance(argument.op, ast.BitXor):
                xor = argument.right.value
            elif isinstance(argument.op, ast.Add | ast.Sub):
                shift = argument.right.value if isinstance(argument.op, ast.Add) else -argument.right.value
        elif not isinstance(argument, ast.Name):
            return None
        try:
            values = [(int(number) ^ xor) + shift for number in numbers]
        except ValueError:
            return None
        return "".join(map(chr, values)) if all(9 <= value < 0x250 for value in values) else None

    def _attribute(self, node: ast.Attribute) -> Value:
        holder = self.read(node.value)
        if (isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}) or not holder.name:
            kept = self.names.get(f":.{node.attr}")
            if kept is not None:
                return Value(kept.constant, join(kept.labels, holder.labels), kept.name, kept.folded, kept.parts)
        name = f"{holder.name}.{node.attr}" if holder.name else ""
        if name == "os.environ":
            self.can(Ability.ENVIRONMENT, "*", node)
            return Value(name=name, labels=frozenset({(Source.ENVIRONMENT, "os.environ")}))
        return Value(labels=holder.labels, name=name)

    def _subscript(self, node: ast.Subscript) -> Value:
        holder = self.read(node.value)
        index = self.read(node.slice) if not isinstance(node.slice, ast.Slice) else UNKNOWN
        if holder.name == "os.environ":
            return self._variable(index.constant or "?", node)
        if (
            isinstance(node.slice, ast.Slice)
            and holder.constant is not None
            and isinstance(node.slice.step, ast.UnaryOp)
            and node.slice.lower is None
        ):
            return Value(constant=holder.constant[::-1], labels=holder.labels, folded=True)
        if (
            holder.name in {"globals", "locals", "vars", "builtins.__dict__", "__builtins__", "__builtins__.__dict__"}
            and index.constant
        ):
            return Value(name=index.constant, labels=holder.labels)
        if holder.name == "sys.modules" and index.constant:
            return Value(name=index.constant)
        if (
            index.constant
            and index.constant.isdigit()
            and int(index.constant) < len(holder.parts)
            and holder.parts[int(index.constant)]
        ):
            return Value(constant=holder.parts[int(index.constant)], labels=holder.labels)
        return Value(labels=join(holder.labels, index.labels), name=holder.name if holder.name == "sys.argv" else "")

    def _operation(self, node: ast.BinOp) -> Value:
        left, right = self.read(node.left), self.read(node.right)
        labels = join(left.labels, right.labels)
        constant = None
        if left.constant is not None and right.constant is not None:
            if isinstance(node.op, ast.Add) and len(left.constant) + len(right.constant) <= MAX_CONSTANT:
                constant = left.constant + right.constant
            elif isinstance(node.op, ast.Mod):
                constant = left.constant.replace("%s", right.constant, 1)
            elif isinstance(node.op, ast.Div):
                constant = f"{left.constant}/{right.constant}"
        elif isinstance(node.op, ast.Add) and (left.constant or right.constant):
            # A known part of a text still says which host or file it is about.
            constant = (
                f"{left.constant or ''}{right.constant or ''}" if not (left.constant and right.constant) else None
            )
            return Value(constant=constant, labels=labels)
        elif isinstance(node.op, ast.Div) and right.constant:
            constant = f"{left.constant or '~'}/{right.constant}"
        elif isinstance(node.op, ast.Mod) and left.constant:
            constant = left.constant
        value = Value(
            constant=constant,
            labels=labels,
            folded=constant is not None and isinstance(node.op, ast.Add),
            name="pathlib.Path" if isinstance(node.op, ast.Div) else "",
            parts=(),
        )
        if isinstance(node.op, ast.Add):
            self._folded(value, node)
        return value

    def _formatted(self, node: ast.JoinedStr) -> Value:
        pieces, labels, all_known = [], [], True
        for part in node.values:
            if isinstance(part, ast.Constant):
                pieces.append(str(part.value))
                continue
            value = self.read(part.value) if isinstance(part, ast.FormattedValue) else self.read(part)
            labels.append(value.labels)
            all_known &= value.constant is not None
            pieces.append(value.constant if value.constant is not None else "{}")
        joined = Value(
            constant="".join(pieces)[:MAX_CONSTANT], labels=join(*labels), folded=all_known and len(pieces) > 1
        )
        self._folded(joined, node)
        return joined

    def _variable(self, name: str, node: ast.AST) -> Value:
        self.can(Ability.ENVIRONMENT, name, node)
        if name == "?":
            return UNKNOWN
        if vocabulary.secret_variable(name):
            return Value(labels=frozenset({(Source.SECRET_VARIABLE, name)}))
        return Value()

    # -- calls --------------------------------------------------------------------------------------------------------

    def _callee(self, node: ast.expr) -> tuple[str, Value]:
        """The dotted name that a call reaches, and the value of the object it is a method of."""
        if isinstance(node, ast.Attribute):
            holder = self.read(node.value)
            kept = self.names.get(f":.{node.attr}")
            if kept is not None and kept.name and not holder.name:
                return kept.name, holder
            return (f"{holder.name}.{node.attr}" if holder.name else f".{node.attr}"), holder
        value = self.read(node)
        return value.name or (node.id if isinstance(node, ast.Name) else ""), value

    def _call(self, node: ast.Call) -> Value:
        name, holder = self._callee(node.func)
        arguments = [self.read(argument) for argument in node.args]
        keywords = {keyword.arg or "**": self.read(keyword.value) for keyword in node.keywords}
        labels = join(*(value.labels for value in arguments), *(value.labels for value in keywords.values()))
        method = name.rpartition(".")[2]
        name = name.removeprefix("builtins.").removeprefix("__builtins__.")

        reached = self._reflection(name, arguments, node)
        if reached is not None:
            return reached
        if name in self.parameters:
            self._enter(name, arguments, keywords)
            result = self.returns.get(name, UNKNOWN)
            return replace(result, labels=join(result.labels, labels if not result.labels else NO_LABELS))
        if method in self.parameters and (name.startswith(".") or "." not in name or holder.name in {"", "self"}):
            self._enter(
                method, [UNKNOWN, *arguments] if self.parameters[method][:1] == ["self"] else arguments, keywords
            )
            return self.returns.get(method, UNKNOWN)
        first = (
            arguments[0]
            if arguments
            else keywords.get("url") or keywords.get("path") or keywords.get("file") or UNKNOWN
        )
        if name in _EVAL_CALLS:
            return self._evaluate(name, first, node)
        if name in _LOADERS:
            self.flow(only(labels, Source.REMOTE), Sink.EXECUTE, name, node)
            return Value(labels=labels)
        if name in _SHELL_CALLS or name in _PROCESS_CALLS:
            return self._process(name, first, arguments, keywords, labels, node)
        if name in _DECODERS:
            return self._decode(name, arguments, keywords, node)
        if name in _SEND_CALLS or (method in {"post", "put", "patch"} and _looks_like_url(first.constant)):
            return self._send(name, first, arguments, keywords, holder, node)
        if name in {"open", "io.open", "codecs.open", "os.open", "pathlib.Path.open"} or method in {
            "read_text",
            "read_bytes",
            "write_text",
            "write_bytes",
        }:
            return self._file(name, method, holder, first, arguments, keywords, node)
        if name in {"os.getenv", "os.environ.get", "os.environ.pop", "os.environ.setdefault"}:
            return self._variable(first.constant or "?", node)
        if name.startswith("os.environ."):
            return Value(labels=frozenset({(Source.ENVIRONMENT, "os.environ")}))
        if name == "dict" and arguments and arguments[0].name == "os.environ":
            return Value(labels=arguments[0].labels)
        if name in _HOST_CALLS:
            return Value(labels=frozenset({(Source.HOST_DATA, name)}))
        if name in _PERSONAL_CALLS:
            self.can(Ability.CLIPBOARD if "lip" in name or "paste" in name else Ability.SECRET_READ, name, node)
            return Value(labels=frozenset({(Source.PERSONAL, name)}))
        if name in {"glob.glob", "os.walk", "os.listdir", "glob.iglob", "os.scandir"} or method in {
            "rglob",
            "glob",
            "iterdir",
        }:
            return self._listing(first, holder, node)
        if name in {"input", "sys.stdin.read", "sys.stdin.readline"}:
            return UNKNOWN
        if method in {
            "write",
            "writelines",
            "dump",
            "copy",
            "copyfile",
            "copy2",
            "move",
            "copytree",
            "symlink",
        } or name in {"os.rename", "os.replace", "os.link"}:
            return self._write(name, method, holder, arguments, node)
        if name in {"os.chmod", "os.remove", "os.unlink", "shutil.rmtree", "os.rmdir"}:
            self.can(Ability.FILE_WRITE, first.constant or "?", node)
            if (
                name == "shutil.rmtree"
                and first.constant
                and first.constant.rstrip("/") in {"", "~", "/home", "/Users", "/etc", "/usr", "/var", "C:"}
            ):
                self.hit("SIGMA-THREAT-010", first.constant, node)
            return UNKNOWN
        if name in {"os.dup2"}:
            self.names[":.dup2"] = Value(name="dup2")
            if (
                any(
                    source is Source.REMOTE or "socket" in origin
                    for value in arguments
                    for source, origin in value.labels
                )
                or self._has_socket()
            ):
                self.hit("SIGMA-THREAT-004", "os.dup2 of a socket", node)
            return UNKNOWN
        if name in {"logging.info", "logging.error", "logging.warning", "logging.debug", "print"} and any(
            source is Source.SECRET_FILE for source, _ in labels
        ):
            self.flow(frozenset(label for label in labels if label[0] is Source.SECRET_FILE), Sink.LOG, name, node)
            return UNKNOWN
        if name in {"sys.path.insert", "sys.path.append"}:
            return UNKNOWN
        if name.startswith("winreg.Set") or name in {"winreg.SetValueEx"}:
            self.can(Ability.PERSISTENCE, name, node)
            self.hit("SIGMA-THREAT-006", "registry value", node)
            return UNKNOWN
        if name in {"setuptools.setup", "distutils.core.setup"} and "cmdclass" in keywords:
            self.can(Ability.INSTALL_HOOK, "cmdclass", node)
            self.hit("SIGMA-SUPPLY-004", "cmdclass", node)
        return self._pass(name, method, holder, arguments, labels, node)

    def _has_socket(self) -> bool:
        return any(
            value.name.startswith(("socket.socket", "socket.create_connection")) for value in self.names.values()
        )

    def _enter(self, function: str, arguments: list[Value], keywords: dict[str, Value]) -> None:
        names = self.parameters[function]
        bound = dict(zip(names, arguments, strict=False)) | {
            key: value for key, value in keywords.items() if key in names
        }
        for parameter, value in bound.items():
            for key in [f"/{function}:{parameter}", f"{self.scope}/{function}:{parameter}"]:
                before = self.names.get(key)
                if before is None:
                    self.names[key] = value
                else:
                    self.names[key] = Value(
                        before.constant if before.constant is not None else value.constant,
                        join(before.labels, value.labels),
                        before.name or value.name,
                    )

    def _reflection(self, name: str, arguments: list[Value], node: ast.Call) -> Value | None:
        if name == "getattr" and len(arguments) >= 2:
            attribute = arguments[1].constant
            if attribute and arguments[0].name:
                reached = f"{arguments[0].name}.{attribute}"
                if arguments[1].folded and (
                    reached in _SHELL_CALLS
                    or reached in _PROCESS_CALLS
                    or reached in _EVAL_CALLS
                    or attribute in {"exec", "eval", "system", "popen"}
                ):
                    self.hit("SIGMA-OBF-009", reached, node)
                return Value(name=reached)
            return Value(labels=arguments[0].labels)
        if name in {"__import__", "importlib.import_module"} and arguments:
            if arguments[0].constant:
                if arguments[0].folded and arguments[0].constant.split(".")[0] in _POWERFUL_MODULES:
                    self.hit("SIGMA-OBF-009", f"import {arguments[0].constant}", node)
                return Value(name=arguments[0].constant)
            self.can(Ability.DYNAMIC_CODE, name, node)
            return UNKNOWN
        return None

    def _evaluate(self, name: str, code: Value, node: ast.Call) -> Value:
        self.can(Ability.DYNAMIC_CODE, name, node)
        if code.constant is not None and not code.constant.isdigit():
            step = "decoded" if any(source is Source.DECODED for source, _ in code.labels) else "evaluated"
            self.embed(step, "python", _utf8(code.constant), node)
        self.flow(
            only(code.labels, Source.REMOTE, Source.DECODED, Source.FILE, Source.ENVIRONMENT),
            Sink.EXECUTE,
            name,
            node,
        )
        return Value(labels=code.labels, name="code")

    def _process(
        self,
        name: str,
        first: Value,
        arguments: list[Value],
        keywords: dict[str, Value],
        labels: Labels,
        node: ast.Call,
    ) -> Value:
        command = keywords.get("args", first)
        words = command.parts
        text = command.constant if command.constant is not None else " ".join(_quote(word) for word in words)
        in_shell = (
            name in _SHELL_CALLS
            or "shell" in keywords
            or (len(words) >= 3 and words[1] in {"-c", "-lc", "/c", "-Command"})
        )
        self.can(
            Ability.SHELL if in_shell else Ability.PROCESS,
            (words[0] if words else text or "?").split("\n")[0][:80],
            node,
        )
        if len(words) >= 3 and words[1] in {"-c", "-lc", "/c", "-Command", "-e"} and words[2]:
            language = "python" if "python" in words[0] else "javascript" if "node" in words[0] else "shell"
            self.embed("command", language, words[2], node)
        elif text:
            self.embed("command", "shell", _utf8(text), node)
        # In an argument list only the program itself is run; what follows it is data, but for an interpreter's script.
        listed = bool(words) and not in_shell
        if not listed or not words[0]:
            self.flow(only(command.labels, Source.REMOTE, Source.DECODED), Sink.EXECUTE, name, node)
        if any(word in {"curl", "wget", "nc", "ncat", "scp", "rsync"} for word in words[:1]):
            self.flow(
                only(
                    labels,
                    Source.SECRET_FILE,
                    Source.SECRET_VARIABLE,
                    Source.ENVIRONMENT,
                    Source.FILE,
                    Source.FILES,
                    Source.HOST_DATA,
                    Source.PERSONAL,
                ),
                Sink.SEND,
                _url_of(" ".join(words)),
                node,
            )
        for key in sorted(_programs(text or "", words) & self.written.keys()):
            self.flow(only(self.written[key], Source.REMOTE, Source.DECODED), Sink.EXECUTE, f"{name} {key}", node)
        return Value(labels=join(only(labels, Source.SECRET_FILE), _command_labels(text or "")))

    def _decode(self, name: str, arguments: list[Value], keywords: dict[str, Value], node: ast.Call) -> Value:
        first = arguments[0] if arguments else UNKNOWN
        encoding = (
            arguments[1].constant if len(arguments) > 1 else (keywords.get("encoding") or UNKNOWN).constant
        ) or ""
        labels = join(first.labels, frozenset({(Source.DECODED, name)}))
        if first.constant is None:
            return Value(labels=labels)
        constant = _fold_decoder(name, first.constant, encoding)
        if constant is not None:
            self.embed(name.rpartition(".")[2], "text", _utf8(constant), node)
        return Value(constant=constant, labels=labels, folded=constant is not None)

    def _send(
        self, name: str, first: Value, arguments: list[Value], keywords: dict[str, Value], holder: Value, node: ast.Call
    ) -> Value:
        method = name.rpartition(".")[2]
        url = first
        if method in {"request", "stream"} and len(arguments) > 1:
            url = arguments[1]
        if "url" in keywords:
            url = keywords["url"]
        target = url.constant or next((origin for source, origin in sorted(url.labels) if source is Source.REMOTE), "")
        if name.startswith(
            ("socket.", "smtplib.", "ssl.", "http.client", "ftplib", "paramiko", "websocket")
        ) and not _looks_like_url(target):
            target = next((origin for source, origin in sorted(holder.labels) if source is Source.REMOTE), target)
            if name.endswith("connect") or name in {"socket.create_connection"}:
                target = next((part for part in first.parts if part), target)
                if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
                    self.bind(
                        node.func.value,
                        Value(
                            name=holder.name,
                            labels=join(holder.labels, frozenset({(Source.REMOTE, target or "socket")})),
                        ),
                    )
        self.can(Ability.NETWORK, target or "?", node)
        self.flow(only(url.labels, Source.DECODED), Sink.SEND, target, node)
        headers = keywords.get("headers", UNKNOWN).labels | keywords.get("auth", UNKNOWN).labels
        body = join(
            *(
                value.labels
                for key, value in keywords.items()
                if key not in {"headers", "auth", "timeout", "cert", "verify", "cookies", "proxies"}
            ),
            *(value.labels for value in arguments),
        )
        wanted = SENDABLE
        self.flow(only(body, *wanted), Sink.SEND, target, node)
        self.flow(only(headers, *wanted) - only(body, *wanted), Sink.SEND_HEADER, target, node)
        if method in {"post", "put", "patch", "send", "sendall", "sendto", "sendmail", "send_message"} or any(
            key in keywords for key in ("data", "json", "files")
        ):
            self.flow(frozenset({(Source.INPUT, method)}), Sink.SEND, target, node)
        if name.endswith("urlretrieve") and len(arguments) > 1:
            self._remember(arguments[1], node.args[1], frozenset({(Source.REMOTE, target)}))
        if name == "urllib.request.Request":
            return Value(constant=target, labels=join(body, headers))
        kind = name if name in {"socket.create_connection", "websocket.create_connection"} else "response"
        return Value(labels=frozenset({(Source.REMOTE, target or "?")}), name=kind)

    def _remember(self, path: Value, node: ast.expr, labels: Labels) -> None:
        """Keep what was written where, so that running that file later is seen."""
        for key in (path.constant, f"name:{node.id}" if isinstance(node, ast.Name) else None):
            if key:
                self.written[key] = join(self.written.get(key, NO_LABELS), labels)

    def _path_text(self, holder: Value, first: Value, method: str) -> str:
        value = (
            holder
            if method in {"read_text", "read_bytes", "write_text", "write_bytes"}
            or (holder.name == "pathlib.Path" and method == "open")
            else first
        )
        return value.constant or next(
            (origin for source, origin in sorted(value.labels) if source in {Source.FILE, Source.SECRET_FILE}), ""
        )

    def _file(
        self,
        name: str,
        method: str,
        holder: Value,
        first: Value,
        arguments: list[Value],
        keywords: dict[str, Value],
        node: ast.Call,
    ) -> Value:
        path = self._path_text(holder, first, method)
        mode = keywords.get("mode", arguments[1] if len(arguments) > 1 else UNKNOWN).constant or ""
        writing = method.startswith("write") or any(letter in mode for letter in "wax+")
        path_labels = holder.labels if method.startswith(("read_", "write_")) else first.labels
        if writing:
            self._written_to(path, node)
            content = first.labels if method.startswith("write_") else NO_LABELS
            if path:
                self._remember(Value(constant=path), node, content)
            if method.startswith("write_"):
                self._steering(path, first, node)
            return Value(name="file:write", constant=path or None, labels=NO_LABELS)
        secret = vocabulary.secret_file(path)
        if secret:
            self.can(Ability.SECRET_READ, secret, node)
            source = Source.FILE if secret.startswith(".env") else Source.SECRET_FILE
            return Value(labels=join(path_labels, frozenset({(source, secret)})), name="file:read")
        self.can(Ability.FILE_READ, path or "?", node)
        kept = self.written.get(path, NO_LABELS)
        many = only(path_labels, Source.FILES, Source.SECRET_FILE)
        return Value(labels=join(many, kept, frozenset({(Source.FILE, path or "?")})), name="file:read")

    def _written_to(self, path: str, node: ast.AST) -> None:
        self.can(Ability.FILE_WRITE, path or "?", node)
        agent = vocabulary.agent_file(path)
        if agent:
            self.can(Ability.AGENT_CONFIG, agent, node)
            self.hit("SIGMA-THREAT-007" if _outside_package(path) else "SIGMA-THREAT-017", agent, node)
        place = vocabulary.autostart_place(path)
        if place:
            self.can(Ability.PERSISTENCE, place, node)
            self.hit("SIGMA-THREAT-044" if vocabulary.acts_unasked(place) else "SIGMA-THREAT-006", place, node)
        if path.endswith("__file__"):
            self.hit("SIGMA-THREAT-012", "__file__", node)

    def _steering(self, path: str, content: Value, node: ast.AST) -> None:
        if content.constant and vocabulary.agent_file(path):
            self.embed("agent-file", "markdown", _utf8(content.constant), node)

    def _write(self, name: str, method: str, holder: Value, arguments: list[Value], node: ast.Call) -> Value:
        content = arguments[0] if arguments else UNKNOWN
        if holder.name == "file:write":
            if holder.constant:
                self._remember(holder, node, content.labels)
                self._steering(holder.constant, content, node)
                if vocabulary.autostart_place(holder.constant):
                    self.flow(
                        only(content.labels, Source.REMOTE, Source.DECODED), Sink.AUTOSTART, holder.constant, node
                    )
                if vocabulary.agent_file(holder.constant):
                    self.flow(
                        only(content.labels, Source.REMOTE, Source.DECODED), Sink.AGENT_FILE, holder.constant, node
                    )
            return UNKNOWN
        if method == "dump" and len(arguments) > 1 and arguments[1].name == "file:write" and arguments[1].constant:
            self._remember(arguments[1], node, content.labels)
            return UNKNOWN
        if len(arguments) > 1 and name.startswith(("shutil.", "os.")):
            source, target = arguments[0], arguments[1]
            secret = vocabulary.secret_file(source.constant or "")
            if secret:
                self.can(Ability.SECRET_READ, secret, node)
                self._remember(target, node.args[1], frozenset({(Source.SECRET_FILE, secret)}))
            self._written_to(target.constant or "", node)
        return Value(labels=join(holder.labels, *(argument.labels for argument in arguments)))

    def _listing(self, first: Value, holder: Value, node: ast.Call) -> Value:
        path = first.constant or holder.constant or ""
        secret = vocabulary.secret_file(path)
        if secret:
            return Value(labels=frozenset({(Source.SECRET_FILE, secret)}))
        broad = path.startswith(("~", "/home", "/Users", "/")) or "expanduser" in path or "Path.home" in holder.name
        return Value(
            labels=join(
                first.labels,
                holder.labels,
                frozenset({(Source.FILES, path or "?")} if broad else {(Source.FILE, path or "?")}),
            )
        )

    def _pass(
        self, name: str, method: str, holder: Value, arguments: list[Value], labels: Labels, node: ast.Call
    ) -> Value:
        first = arguments[0] if arguments else UNKNOWN
        if method in {"append", "extend", "update", "add", "insert", "setdefault"} and isinstance(
            node.func, ast.Attribute
        ):
            if labels:
                self.bind(
                    node.func.value, Value(labels=join(holder.labels, labels), name=holder.name, parts=holder.parts)
                )
            return UNKNOWN
        if method == "join" and holder.constant is not None and first.parts:
            value = Value(constant=holder.constant.join(first.parts), labels=labels, folded=len(first.parts) > 1)
            self._folded(value, node)
            return value
        if name == "os.path.join" and arguments:
            return Value(constant="/".join(value.constant or "?" for value in arguments), labels=labels)
        if name in {"pathlib.Path", "Path"} or method in {"joinpath", "with_suffix"}:
            pieces = [
                value.constant for value in ([holder] if method == "joinpath" else []) + arguments if value.constant
            ]
            return Value(
                constant="/".join(pieces)
                or (
                    "__file__"
                    if node.args and isinstance(node.args[0], ast.Name) and node.args[0].id == "__file__"
                    else None
                ),
                labels=labels,
                name="pathlib.Path",
            )
        if name.endswith(("Path.home", "path.expanduser")) or method in {"expanduser", "resolve", "absolute"}:
            base = (
                holder.constant
                if method in {"expanduser", "resolve", "absolute"} and holder.constant
                else first.constant
            )
            return Value(
                constant=base or "~", labels=labels, name="pathlib.Path" if "Path" in (holder.name or name) else ""
            )
        if name in {"bytes", "bytearray"} and first.parts and all(part.isdigit() for part in first.parts):
            text = "".join(chr(int(part) & 0xFF) for part in first.parts)
            value = Value(constant=text, labels=frozenset({(Source.DECODED, "bytes")}), folded=True)
            self._folded(value, node)
            return value
        if name == "map" and len(arguments) == 2 and arguments[0].name == "chr" and arguments[1].parts:
            try:
                text = "".join(chr(int(part)) for part in arguments[1].parts)
            except (ValueError, OverflowError):
                return UNKNOWN
            return Value(constant=text, parts=tuple(text), folded=True, labels=frozenset({(Source.DECODED, "chr")}))
        if name == "chr" and first.constant and first.constant.isdigit() and int(first.constant) < 0x110000:
            return Value(constant=chr(int(first.constant)), folded=True)
        if name == "reversed" and first.constant is not None:
            return Value(constant=first.constant[::-1], parts=tuple(first.constant[::-1]), folded=True)
        if (
            method == "replace"
            and holder.constant is not None
            and len(arguments) >= 2
            and arguments[0].constant is not None
            and arguments[1].constant is not None
        ):
            value = Value(
                constant=holder.constant.replace(arguments[0].constant, arguments[1].constant)[:MAX_CONSTANT],
                labels=holder.labels,
                folded=True,
            )
            self._folded(value, node)
            return value
        if method in {"decode", "encode", "strip", "lower", "rstrip", "lstrip", "format"}:
            if method == "decode" and first.constant in {"rot13", "rot_13", "hex", "base64"} and holder.constant:
                return Value(
                    constant=_fold_decoder("codecs.decode", holder.constant, first.constant),
                    labels=holder.labels,
                    folded=True,
                )
            return Value(
                constant=holder.constant,
                labels=join(holder.labels, labels),
                name=holder.name if holder.name != "file:write" else "",
                folded=holder.folded,
            )
        if (
            name
            in {"str", "repr", "os.fspath", "os.path.abspath", "os.path.realpath", "urllib.parse.quote", "shlex.quote"}
            and arguments
        ):
            return Value(constant=first.constant, labels=first.labels, folded=first.folded)
        if holder.name in {"response", "file:read"} or method in _READ_RESPONSES:
            return Value(labels=join(holder.labels, labels), name=holder.name)
        constructed = name if name.split(".", maxsplit=1)[0] in _TYPED_MODULES else ""
        return Value(
            labels=join(holder.labels if not holder.name.startswith(tuple(_TYPED_MODULES)) else NO_LABELS, labels),
            name=constructed,
        )


_TYPED_MODULES = (
    "requests",
    "httpx",
    "aiohttp",
    "urllib3",
    "socket",
    "smtplib",
    "ftplib",
    "http",
    "paramiko",
    "websocket",
    "boto3",
    "subprocess",
    "os",
    "cloudscraper",
    "ssl",
)
_ASSUMED_MODULES = name_set(
    "os requests subprocess base64 socket urllib sys platform shutil json httpx glob pathlib Path zlib codecs binascii marshal"
)
"""Names that a snippet without its imports means as these modules."""
_POWERFUL_MODULES = name_set(
    "os subprocess socket ctypes pty marshal base64 builtins importlib codecs zlib shutil requests urllib"
)
_BUILTINS = name_set(
    "exec eval compile open getattr __import__ globals locals vars print input str bytes bytearray dict list chr map reversed __builtins__ repr sorted type"
)


def _looks_like_url(text: str | None) -> bool:
    return bool(text) and "://" in (text or "")


def _url_of(text: str) -> str:
    urls = vocabulary.urls_in(text)
    return urls[0][2] if urls else ""


def _programs(text: str, words: tuple[str, ...]) -> set[str]:
    """The files that a command runs: the program, and the script of an interpreter."""
    words = words or tuple(text.split())
    runs = set(words[:1])
    if words and words[0].rpartition("/")[2].rstrip("0123456789.") in {
        "python",
        "bash",
        "sh",
        "zsh",
        "node",
        "perl",
        "ruby",
        "php",
        "sudo",
        "nohup",
        "chmod",
    }:
        runs |= {word for word in words[1:] if not word.startswith("-")}
    return runs


def _quote(word: str) -> str:
    return (
        word
        if word and not any(character in word for character in " \t\n'\"$&|;<>()")
        else "'" + word.replace("'", "") + "'"
    )


def _outside_package(path: str) -> bool:
    return path.startswith(("~", "/", "$HOME")) or "/." in path or path.startswith(".")


def _command_labels(text: str) -> Labels:
    """What the output of a command carries."""
    secret = vocabulary.secret_file(text)
    if secret and not secret.startswith(".env"):
        return frozenset({(Source.SECRET_FILE, secret)})
    words = text.split()
    if words[:1] in (["env"], ["printenv"], ["set"]) and len(words) == 1:
        return frozenset({(Source.ENVIRONMENT, "env")})
    if words[:1] in (["hostname"], ["whoami"], ["uname"], ["id"], ["ifconfig"]):
        return frozenset({(Source.HOST_DATA, words[0])})
    if words[:1] in (["security"], ["pbpaste"], ["osascript"]):
        return frozenset({(Source.PERSONAL, words[0])})
    return NO_LABELS


def _parse(source: str) -> tuple[ast.Module, str]:
    """The tree of ``source``, with at most `MAX_REPAIRS` lines that do not parse replaced by ``pass``; a broken line must not hide the rest."""
    lines = source.split("\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(MAX_REPAIRS):
            try:
                return ast.parse("\n".join(lines)), "\n".join(lines)
            except SyntaxError as error:
                at = (error.lineno or 0) - 1
                if not 0 <= at < len(lines) or lines[at].strip() == "pass":
                    raise
                indent = len(lines[at]) - len(lines[at].lstrip())
                lines[at] = lines[at][:indent] + "pass"
        return ast.parse("\n".join(lines)), "\n".join(lines)


def read_python(source: str) -> Observations:
    """Observations of Python ``source``.

    Raises SyntaxError, ValueError, RecursionError or MemoryError where `ast.parse` does; the caller decides what that means.
    """
    tree, source = _parse(source)
    observations = Observations()
    reader = _Reader(source, observations)
    for walk in range(WALKS):
        reader.emitting = walk == WALKS - 1
        reader.scope = ""
        reader.block(tree.body)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
                and len(first.value.value) > 20
            ):
                observations.embed("docstring", "prose", first.value.value, *reader.span(first))
    return observations
