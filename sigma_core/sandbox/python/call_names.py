"""What the names of Python's libraries mean: which calls run, send, decode, read or give away what."""

from __future__ import annotations

from sigma_core.sandbox.vocabulary import name_set

SHELL_CALLS = name_set(
    "os.system os.popen os.popen2 os.popen3 subprocess.getoutput subprocess.getstatusoutput commands.getoutput commands.getstatusoutput asyncio.create_subprocess_shell "
    "asyncio.subprocess.create_subprocess_shell anyio.run_process trio.run_process pexpect.run pexpect.spawn pexpect.runu plumbum.local invoke.run fabric.api.local sh.bash"
)
PROCESS_CALLS = name_set(
    "subprocess.run subprocess.call subprocess.Popen subprocess.check_output subprocess.check_call os.execv os.execve os.execvp os.execvpe os.execl os.execle os.execlp os.execlpe "
    "os.spawnl os.spawnle os.spawnlp os.spawnlpe os.spawnv os.spawnve os.spawnvp os.spawnvpe os.posix_spawn os.posix_spawnp os.startfile asyncio.create_subprocess_exec "
    "asyncio.subprocess.create_subprocess_exec runpy.run_path pty.spawn multiprocessing.popen_fork.Popen psutil.Popen ptyprocess.PtyProcess.spawn"
)
EVAL_CALLS = name_set(
    "exec eval compile builtins.exec builtins.eval builtins.compile runpy.run_module code.InteractiveInterpreter.runsource code.InteractiveInterpreter.runcode code.InteractiveConsole.push "
    "types.FunctionType types.CodeType types.LambdaType execfile timeit.timeit cProfile.run pdb.run pdb.runeval pandas.eval"
)
RUNNABLE = SHELL_CALLS | PROCESS_CALLS | EVAL_CALLS
"""Calls that run what they are given."""
LOADERS = name_set(
    "pickle.loads pickle.load pickle.Unpickler _pickle.loads cPickle.loads dill.loads dill.load cloudpickle.loads cloudpickle.load joblib.load yaml.unsafe_load yaml.full_load jsonpickle.decode shelve.open "
    "torch.load numpy.load pandas.read_pickle ctypes.CDLL ctypes.cdll.LoadLibrary ctypes.WinDLL ctypes.windll.LoadLibrary importlib.machinery.SourceFileLoader importlib.util.spec_from_file_location imp.load_source imp.load_dynamic "
    "zipimport.zipimporter"
)
"""Calls that run what they are given, though their names speak of loading."""
NATIVE_CODE = name_set(
    "ctypes.memmove ctypes.windll.kernel32.RtlMoveMemory ctypes.windll.kernel32.WriteProcessMemory ctypes.windll.kernel32.VirtualAlloc ctypes.windll.kernel32.CreateThread ctypes.CFUNCTYPE "
    "mmap.mmap.write"
)

_CLIENTS = (
    "requests", "httpx", "requests.Session", "requests.session", "requests.sessions.Session", "httpx.Client", "httpx.AsyncClient", "aiohttp.ClientSession", "aiohttp", "urllib3.PoolManager", "urllib3",
    "urllib3.HTTPSConnectionPool", "curl_cffi.requests", "cloudscraper.create_scraper", "niquests", "treq", "grequests", "httplib2.Http", "requests_html.HTMLSession", "pip._vendor.requests", "botocore.vendored.requests",
    "requests.api", "tls_client.Session", "mechanize.Browser", "primp.Client", "asks",
)  # fmt: skip
_VERBS = (
    "get", "post", "put", "patch", "delete", "head", "request", "urlopen", "stream", "options", "ws_connect", "open",
)  # fmt: skip
SEND_CALLS = frozenset(f"{client}.{verb}" for client in _CLIENTS for verb in _VERBS) | name_set(
    "urllib.request.urlopen urllib.request.Request urllib.request.urlretrieve urllib2.urlopen urllib2.Request urllib.urlopen urllib.urlretrieve six.moves.urllib.request.urlopen urllib.request.build_opener.open urllib.request.OpenerDirector.open "
    "http.client.HTTPSConnection.request http.client.HTTPConnection.request httplib.HTTPSConnection.request httplib.HTTPConnection.request http.client.HTTPSConnection.send "
    "socket.socket.send socket.socket.sendall socket.socket.sendto socket.socket.sendfile socket.socket.connect socket.socket.connect_ex socket.create_connection "
    "ssl.wrap_socket.send ssl.wrap_socket.sendall ssl.SSLContext.wrap_socket.sendall asyncio.open_connection "
    "smtplib.SMTP.sendmail smtplib.SMTP.send_message smtplib.SMTP_SSL.sendmail smtplib.SMTP_SSL.send_message aiosmtplib.send yagmail.SMTP.send "
    "ftplib.FTP.storbinary ftplib.FTP.storlines ftplib.FTP_TLS.storbinary ftplib.FTP_TLS.storlines "
    "websocket.create_connection websocket.create_connection.send websocket.WebSocket.connect websocket.WebSocket.send websocket.WebSocketApp websocket.WebSocketApp.send websockets.connect websockets.connect.send websockets.sync.client.connect websockets.sync.client.connect.send "
    "paramiko.SSHClient.connect paramiko.Transport paramiko.SSHClient.exec_command paramiko.SFTPClient.put paramiko.SFTPClient.putfo paramiko.SSHClient.open_sftp.put paramiko.SFTPClient.from_transport.put scp.SCPClient.put socket.writer.write socket.writer.writelines ssl.create_default_context.wrap_socket.send ssl.create_default_context.wrap_socket.sendall ssl.create_default_context.wrap_socket.connect http.client.HTTPSConnection.endheaders http.client.HTTPSConnection.putheader telnetlib.Telnet telnetlib.Telnet.write wget.download "
    "pycurl.Curl.perform pycurl.Curl.setopt socketio.Client.connect socketio.Client.emit paho.mqtt.client.Client.connect paho.mqtt.client.Client.publish paho.mqtt.publish.single xmlrpc.client.ServerProxy "
    "boto3.client.put_object boto3.client.upload_file boto3.client.upload_fileobj boto3.resource.Object.put boto3.resource.Bucket.put_object boto3.resource.Bucket.upload_file boto3.session.Session.client.put_object boto3.Session.client.put_object boto3.Session.client.upload_file "
    "telegram.Bot.send_message telegram.Bot.send_document telegram.Bot.sendMessage telegram.Bot.sendDocument telegram.Bot.send_photo telebot.TeleBot.send_message telebot.TeleBot.send_document telebot.TeleBot.send_photo "
    "discord.Webhook.from_url.send discord.SyncWebhook.from_url.send discord_webhook.DiscordWebhook discord_webhook.DiscordWebhook.execute discord_webhook.DiscordWebhook.add_file dhooks.Webhook.send dhooks.Webhook "
    "slack_sdk.WebClient.chat_postMessage slack_sdk.WebClient.files_upload slack_sdk.WebClient.files_upload_v2 slack_sdk.webhook.WebhookClient.send slack.WebClient.chat_postMessage "
    "dropbox.Dropbox.files_upload git.Repo.remote.push"
)
SENDS_FILE = name_set(
    "paramiko.SFTPClient.put paramiko.SSHClient.open_sftp.put paramiko.SFTPClient.from_transport.put boto3.client.upload_file boto3.resource.Bucket.upload_file boto3.Session.client.upload_file boto3.session.Session.client.upload_file scp.SCPClient.put"
)
"""Calls that send the file whose path they are given first."""
CONNECTIONS = frozenset(_CLIENTS) | name_set(
    "http.client.HTTPSConnection http.client.HTTPConnection httplib.HTTPSConnection httplib.HTTPConnection socket.socket smtplib.SMTP smtplib.SMTP_SSL yagmail.SMTP ftplib.FTP ftplib.FTP_TLS "
    "websocket.WebSocket paramiko.SSHClient telegram.Bot telebot.TeleBot discord.Webhook.from_url discord.SyncWebhook.from_url slack_sdk.WebClient slack_sdk.webhook.WebhookClient slack.WebClient "
    "boto3.client boto3.resource boto3.session.Session.client boto3.Session.client pycurl.Curl socketio.Client paho.mqtt.client.Client dropbox.Dropbox ssl.wrap_socket urllib.request.build_opener ssl.SSLContext.wrap_socket ssl.create_default_context.wrap_socket"
)
"""Types whose first argument, where there is one, is the address that their methods then talk to."""
SERVICE_ADDRESSES = {
    "telegram": "https://api.telegram.org/bot",
    "telebot": "https://api.telegram.org/bot",
    "slack_sdk": "https://slack.com/api",
    "slack": "https://slack.com/api",
    "boto3": "https://s3.amazonaws.com",
    "dropbox": "https://content.dropboxapi.com",
}
"""Where the clients of a service send to when no address is given."""
CARRYING_VERBS = name_set(
    "post put patch send sendall sendto sendmail send_message storbinary storlines publish emit put_object upload_file upload_fileobj files_upload chat_postMessage"
)
NAME_LOOKUPS = name_set(
    "socket.gethostbyname socket.gethostbyname_ex socket.getaddrinfo dns.resolver.resolve dns.resolver.query dns.resolver.Resolver.resolve dns.resolver.Resolver.query aiodns.DNSResolver.query dns.message.make_query dnslib.DNSRecord.question"
)
BROWSER_CALLS = name_set("webbrowser.open webbrowser.open_new webbrowser.open_new_tab webbrowser.get.open")
RECEIVING = name_set("recv recvfrom recv_into read_until recv_bytes getresponse makefile receive receive_str")

HOST_CALLS = name_set(
    "socket.gethostname socket.getfqdn platform.node platform.uname os.uname getpass.getuser os.getlogin uuid.getnode psutil.net_if_addrs psutil.process_iter psutil.users sys.gettrace ctypes.windll.kernel32.IsDebuggerPresent ctypes.windll.kernel32.CheckRemoteDebuggerPresent netifaces.ifaddresses"
)
PERSONAL_CALLS = name_set(
    "pyperclip.paste pyperclip.waitForPaste clipboard.paste pandas.read_clipboard ImageGrab.grab PIL.ImageGrab.grab PIL.ImageGrab.grabclipboard pyautogui.screenshot pyscreenshot.grab mss.mss.grab mss.mss.shot mss.mss.save "
    "tkinter.Tk.clipboard_get win32clipboard.GetClipboardData browser_cookie3.load browser_cookie3.chrome browser_cookie3.firefox browser_cookie3.edge browser_cookie3.brave browserhistory.get_browserhistory cv2.VideoCapture sounddevice.rec "
    "pyaudio.PyAudio.open keyring.get_password keyring.get_credential win32crypt.CryptUnprotectData secretstorage.get_default_collection pynput.keyboard.Events keyboard.record keyboard.read_event keyboard.read_key"
)
KEY_LISTENERS = name_set(
    "pynput.keyboard.Listener pynput.mouse.Listener keyboard.on_press keyboard.on_release keyboard.hook keyboard.Listener"
)
"""Calls that hand what a person types to a function that they are given."""
DECODERS = name_set(
    "base64.b64decode base64.urlsafe_b64decode base64.standard_b64decode base64.b32decode base64.b85decode base64.a85decode base64.b16decode base64.decodebytes base64.decodestring binascii.unhexlify binascii.a2b_hex "
    "binascii.a2b_base64 bytes.fromhex bytearray.fromhex codecs.decode codecs.getdecoder zlib.decompress gzip.decompress bz2.decompress lzma.decompress marshal.loads brotli.decompress zlib.decompressobj.decompress "
    "cryptography.fernet.Fernet.decrypt Crypto.Cipher.AES.new.decrypt Cryptodome.Cipher.AES.new.decrypt"
)
WALLET_MODULES = name_set("web3 eth_account solana solders bitcoinlib bip_utils mnemonic ccxt")
LOG_CALLS = name_set(
    "logging.info logging.error logging.warning logging.debug logging.critical logging.getLogger.info logging.getLogger.error logging.getLogger.warning logging.getLogger.debug loguru.logger.info print"
)
ASSUMED_MODULES = name_set(
    "os requests subprocess base64 socket urllib sys platform shutil json httpx glob pathlib Path zlib codecs binascii marshal pickle ctypes importlib"
)
"""Names that a snippet without its imports means as these modules."""
POWERFUL_MODULES = name_set(
    "os subprocess socket ctypes pty marshal base64 builtins importlib codecs zlib shutil requests urllib pickle posix nt"
)
BUILTINS = name_set(
    "exec eval compile open getattr setattr __import__ globals locals vars print input str bytes bytearray dict list tuple set chr ord int map filter zip enumerate reversed __builtins__ repr sorted type len range hex iter next sum min max property staticmethod classmethod super object any all"
)
CANONICAL = {
    "posix": "os",
    "nt": "os",
    "cPickle": "pickle",
    "Path": "pathlib.Path",
    "pathlib.PosixPath": "pathlib.Path",
    "pathlib.PurePath": "pathlib.Path",
    "anyio.Path": "pathlib.Path",
    "urllib2": "urllib.request",
    "aiofiles.open": "open",
    "io.open": "open",
    "codecs.open": "open",
}
"""Other names of the same thing."""
KNOWN_NAMES = (
    SHELL_CALLS | PROCESS_CALLS | EVAL_CALLS | LOADERS | SEND_CALLS | CONNECTIONS | NAME_LOOKUPS | HOST_CALLS
    | PERSONAL_CALLS | KEY_LISTENERS | DECODERS | name_set("os.environ os.getenv os.path os.walk os.listdir pathlib.Path shutil.copy shutil.rmtree glob.glob subprocess.PIPE crontab.CronTab pyperclip.copy")
)  # fmt: skip
"""Names that ``from module import *`` is taken to bring in."""
