/* Things that code and commands do. A match of a pattern is evidence, but for `$near…`: those only have to be close by. `confidence` is ppm; `host` = "matters" lowers the confidence for hosts that everybody
   installs from; `mention` = "matters" drops matches that are spoken about, not said; `voice` = "order" drops what is not an order to the reader; `list` = "matters" drops a bare name
   among others. context.py decides the last three. */

rule fetch_piped_into_shell {
  meta: title = "Downloads and pipes into an interpreter" category = "remote_code" severity = "HIGH" confidence = 700000 host = "matters" mention = "matters"
  strings:
    $a = /(\b|\\[nrt])(curl|wget)\b[^\n|;`]{1,300}\|\s{0,4}(sudo\s+)?(-E\s+)?(ba|z|da|k)?sh\b/ nocase
    $b = /\b(ba|z)?sh\s+(-c\s+)?["']?(\$\(|<\()\s*(curl|wget)\b[^\n]{1,200}/ nocase
    $c = /\beval\s+["']?(\$\(|`)\s*(curl|wget)\b[^\n]{1,200}/ nocase
    $d = /(\b|\\[nrt])(curl|wget)\b[^\n|;]{1,300}\|\s{0,4}(sudo\s+)?(python3?|perl|ruby|node|php)(\s+-)?\s*($|[\n"'`)&;])/ nocase
  condition: any of them
}
rule fetch_saved_then_run {
  meta: title = "Downloads a file and runs it" category = "remote_code" severity = "HIGH" confidence = 620000 host = "matters" mention = "matters"
  strings:
    $a = /\b(curl|wget)\b[^\n]{1,200}(-o|-O|>|--output)[^\n]{0,120}(&&|;)\s*(sudo\s+)?(chmod\s+(\+x|7[0-9]{2})|(ba)?sh\s|python3?\s|\.\/)/ nocase
    $b = /(urlretrieve|DownloadFile|URLDownloadToFile)\([^\n]{1,200}\n([^\n]{0,200}\n){0,5}[^\n]{0,80}(subprocess\.(run|call|Popen)|os\.(system|popen|startfile|exec[lv]p?e?))\(/ nocase
    $c = /hxxps?:\/\/[^\s]{3,200}[^\n]{0,40}\b(bash|sh|run|execute|python)\b/ nocase
    $d = /(payload|malware|stage)[^\n]{0,40}hxxps?:\/\// nocase
  condition: any of them
}
rule powershell_download_cradle {
  meta: title = "PowerShell fetches and runs code in memory" category = "remote_code" severity = "HIGH" confidence = 720000 host = "matters" mention = "matters"
  strings:
    $a = /\b(iwr|irm|curl|Invoke-WebRequest|Invoke-RestMethod)\b[^\n|]{1,200}\|\s*(iex|Invoke-Expression)\b/ nocase
    $b = /\b(iex|Invoke-Expression)\b[\s("'&{$]{1,10}(irm|iwr|Invoke-WebRequest|Invoke-RestMethod|New-Object\s+(System\.)?Net\.WebClient)/ nocase
    $c = /\.DownloadString\(["'][^\n]{1,300}/ nocase
    $d = /powershell(\.exe)?\s[^\n]{0,80}-e(nc|ncodedcommand)?\s+[A-Za-z0-9+\/=]{20,}/ nocase
    $e = /\bfindstr\b[^\n]{0,60}\bdo\s+cmd\b/ nocase
    $f = /nslookup[^\n]{1,200}\|\s*iex/ nocase
  condition: any of them
}
rule windows_living_off_the_land {
  meta: title = "System binary used to fetch or run remote code" category = "remote_code" severity = "HIGH" confidence = 760000 mention = "matters"
  strings:
    $a = /\bmshta(\.exe)?\s+["']?https?:/ nocase
    $b = /\bregsvr32\b[^\n]{0,60}\/i:https?:/ nocase
    $c = /\bcertutil\b[^\n]{0,60}-urlcache/ nocase
    $d = /\bbitsadmin\b[^\n]{0,60}\/transfer/ nocase
    $e = /\brundll32\b[^\n]{0,60}(javascript:|https?:)/ nocase
    $f = /\bnet\s+use\s+[A-Z]:\s+\\\\[^\n]{1,120}(&&|;)\s*\w/ nocase
    $g = /\bsc\s+create\b[^\n]{1,80}type=\s*kernel/ nocase
    $h = /\bosascript\b[^\n]{1,400}(doShellScript|do shell script)/ nocase
  condition: any of them
}
rule reverse_shell {
  meta: title = "Reverse or bind shell" category = "remote_code" severity = "CRITICAL" confidence = 880000 mention = "matters"
  strings:
    $a = /\/dev\/(tcp|udp)\/[A-Za-z0-9.$\{_-]{3,80}\/[0-9$]/
    $b = /\b(nc|ncat|netcat)\b[^\n]{0,80}\s-(e|c)\s+["']?\/?(bin\/)?(ba|z)?sh/ nocase
    $c = /\bmkfifo\b[^\n]{1,160}\b(nc|ncat|openssl)\b/ nocase
    $d = /os\.dup2\(\s*\w+\.fileno\(\)/
    $e = /pty\.spawn\(\s*["']\/bin\/(ba|z)?sh/
    $f = /\bsocat\b[^\n]{1,120}exec:/ nocase
    $g = /new\s+net\.Socket\(\)[^\x00]{0,400}\.pipe\([^\n]{0,40}stdin/
    $h = /\b(ba|z)?sh\s+-i\s+>&/
  condition: any of them
}
rule tunnel_into_machine {
  meta: title = "Opens the machine to remote access" category = "persistence" severity = "HIGH" confidence = 640000 mention = "matters"
  strings:
    $a = /\bngrok["',\s]{1,6}tcp["',\s]{1,6}22\b/ nocase
    $b = /\bssh\s+(-[A-Za-z]+\s+)*-R\s*[0-9:]+[^\n]{0,80}@/
    $c = /\btailscale["',\s]{1,6}up\b[^\n]{0,80}auth-?_?key/ nocase
    $d = /\bchisel\s+client\b/ nocase
    $e = /echo[^\n]{1,500}>>\s*["']?(~|\$HOME|\$\{HOME\}|\/root)?\/?[^\s]{0,40}\.ssh\/authorized_keys/ nocase
    $f = /authorized_keys["')\s,\/.\w]{0,60}["']a["']/ nocase
    $g = /\b(echo|printf|add|write|writes|append)\b[^\n]{0,160}\bNOPASSWD\b|\bNOPASSWD\b[^\n]{0,160}(>>?|tee\b)[^\n]{0,40}sudoers/ nocase
  condition: any of them
}
rule executes_fetched_code {
  meta: title = "Runs code that it has just fetched" category = "remote_code" severity = "CRITICAL" confidence = 860000 mention = "matters"
  strings:
    $a = /(^|[^.$\w])(exec|eval)\s*\(\s*(compile\s*\()?[^\n]{0,80}(requests\.(get|post)|urlopen|httpx\.get|http_get)\s*\(/ nocase
    $b = /(^|[^.$\w])(eval|Function|vm\.runIn\w+)\s*\(\s*(await\s+)?\(?\s*(await\s+)?(fetch|axios\.get|https?\.get)\(/
    $c = /(urlopen|requests\.get|httpx\.get)\([^\x00]{1,700}(^|[^.$\w])(exec|eval)\s*\(\s*(compile\s*\(\s*)?\w+\s*[,.)]/
    $d = /(await\s+fetch|https?\.get|axios\.get)\([^\x00]{1,500}(^|[^.$\w])(eval|new\s+Function|vm\.runIn\w+)\s*\(/
    $e = /loadstring\(\s*game:HttpGet/ nocase
  condition: any of them
}
rule executes_decoded_code {
  meta: title = "Runs code that it decodes first" category = "obfuscation" severity = "CRITICAL" confidence = 860000 mention = "matters"
  strings:
    $a = /(^|[^.$\w])(exec|eval|compile)\s*\([^\n]{0,160}(b64decode|b85decode|b32decode|a85decode|fromhex|unhexlify|decompress|rot_?13|marshal\.loads)/ nocase
    $b = /(^|[^.$\w])(eval|Function|setTimeout|execSync|exec)\s*\(\s*[^\n]{0,80}(atob\s*\(|Buffer\.from\([^\n]{1,200}["'](base64|hex)["'])/
    $c = /base64\s+(-d|-D|--decode)\b[^\n]{0,120}\|\s*(sudo\s+)?((ba|z|da)?sh|python3?|perl|node)\b/ nocase
    $d = /(xxd\s+-r|openssl\s+enc\s+-d|gunzip|zcat|gzip\s+-d|rev)\b[^\n]{0,120}\|\s*(sudo\s+)?((ba|z|da)?sh|python3?|perl|node)\b/ nocase
    $e = /b64decode\([^\x00]{1,500}(^|[^.$\w])(exec|eval|os\.system)\s*\(/
    $f = /\b(subprocess\.\w+|os\.(system|popen))\s*\([^\n]{0,100}(b64decode|fromhex|unhexlify|decompress)/
    $g = /atob\([^\x00]{1,300}(^|[^.$\w])(eval|new\s+Function|execSync|spawn)\s*\(/
    $h = /data:(application|text)\/(java|type)script;base64,[A-Za-z0-9+\/]{20,}/ nocase
  condition: any of them
}
rule hides_what_it_calls {
  meta: title = "Builds the name of a dangerous call at run time" category = "obfuscation" severity = "HIGH" confidence = 740000 mention = "matters"
  strings:
    $a = /getattr\(\s*\w+\s*,\s*["']\w{1,8}["']\s*\+\s*["']\w{1,8}["']/
    $b = /__import__\(\s*["']\w{1,12}["']\s*\+\s*["']/
    $c = /__import__\(\s*["'](os|subprocess|socket|base64|marshal|ctypes)["']\s*\)\s*\.\s*\w+/
    $d = /(chr\(\s*[0-9]{1,3}\s*\)\s*\+\s*){5,}/
    $e = /String\.fromCharCode\(([0-9x]{2,4}\s*,\s*){8,}/
    $f = /(\\x[0-9a-f]{2}){16,}/ nocase
    $g = /getattr\(\s*__builtins__|__builtins__\s*\[|globals\(\)\s*\[\s*["']__/
    $h = /\$\{\w+@P\}/
    $i = /require\(\s*["']\w{1,10}["']\s*\+\s*["']/
    $j = /\["constructor"\]\s*\[?["(.]?constructor|\[\]\["filter"\]/
    $k = /codecs\.decode\([^\n]{1,300}rot_?13/ nocase
  condition: any of them
}
rule secret_file_sent {
  meta: title = "Secret files beside a send" category = "exfiltration" severity = "CRITICAL" confidence = 820000 mention = "matters"
  strings:
    $secret = /(\.ssh\/\*|\bid_(rsa|ed25519|ecdsa|dsa)([^.\w]|$)|\.aws\/(credentials|config)|\.netrc|\.git-credentials|\.npmrc|\.pypirc|\.kube\/config|\.docker\/config\.json|gh\/hosts\.yml|\.config\/gcloud|wallet\.dat|Login Data|cookies\.sqlite|\.gnupg|\.bash_history|\.zsh_history|\/etc\/shadow|serviceaccount\/token|\.(claude|cursor|codex)\/mcp\.json|user-secrets-envs|keychain-db|agent-identity\.json)/ nocase
    $near_send = /(requests\.(post|put|request)|httpx\.(post|put)|urlopen\(|urllib\.request\.Request|aiohttp\.ClientSession|fetch\(\s*["'`]https?:|axios\.(post|put)|https?\.request\(|http\.client|sendall\(|smtplib|nslookup\s|curl\s[^\n]{0,120}(-d|-F|-T|--data|--upload|-X\s*(POST|PUT))|wget\s[^\n]{0,80}--post|\bscp\s|\brsync\s[^\n]{0,80}@|\bnc\s+[\w.]+\s+[0-9]+|aws\s+s3\s+cp)/ nocase
  condition: for any i in (1..#secret) : ( $near_send in (@secret[i] - 700 .. @secret[i] + 900) )
}
rule command_line_exfiltration {
  meta: title = "A command sends local secrets away" category = "exfiltration" severity = "CRITICAL" confidence = 840000 mention = "matters"
  strings:
    $a = /\bcurl\b[^\n]{0,300}(\s-d|--data[a-z-]{0,12}|\s-F|\s-T|--form|--upload-file|\?\w{1,12}=)[\s='"{]{0,4}[^\n]{0,60}\$\(\s*((env|printenv|history|security|ls\s+-la\s+~)\b|(cat|base64|tar|head)\s[^\n)]{0,80}(~|\$HOME|\/etc|\/root|\.ssh|\.aws|\.env|secret|token|credential|netrc))/ nocase
    $j = /\bbase64\b[^\n|]{0,40}\|\s*(xargs\s+)?(curl|nc|wget)\b/ nocase
    $k = /\b(nslookup|dig|host|ping)\b[^\n]{0,80}\$\([^\n]{0,60}\b(base64|xxd|hex)\b/ nocase
    $l = /\$\{?\w*(SECRET|TOKEN|PASSWORD|KEY|env_name)\w*\}?["']?\s*\|\s*(base64[^\n|]{0,20}\|\s*)?(curl|nc)\b/
    $m = /b64encode\(\s*os\.(environ|getenv)[^\n]{1,80}[^\x00]{0,500}(requests\.(post|get)|urlopen|popen|system)\(/
    $n = /(popen|system|run|check_output|gethostbyname)\(\s*f?["'][^\n"']{0,20}(dig|nslookup|host|ping)?\s*\{[^\n}]{1,40}\}\.[a-z0-9-]{1,40}\./
    $b = /\b(env|printenv|export\s+-p)\s*\|\s*(base64\s*[^\n|]{0,20}\|\s*)?(curl|nc|wget)\b/ nocase
    $c = /(=|<|-[dFT]\s?|--data\S{0,12}\s|--upload-file\s)["']?\w{0,20}@["']?(~|\$HOME|\$\{HOME\}|\/root|\/etc|\/home\/[^\s\/]{1,40})\/?\.?(ssh|aws|netrc|npmrc|env|claude|openclaw|cursor|codex|config|kube|gnupg|git-credentials|passwd|shadow|bash_history|docker)/ nocase
    $d = /\b(cat|tar|zip|gzip|base64)\b[^\n|]{0,120}(~|\$HOME|\/etc|\/root)\/?\.?(ssh|aws|netrc|npmrc|env\b|claude|openclaw|cursor|config|kube|gnupg|passwd|shadow)[^\n|]{0,120}\|[^\n]{0,160}\b(curl|nc|wget|openssl|ssh)\b/ nocase
    $e = /\bcurl\b[^\n]{0,300}([?&]\w{1,20}=|\s-d\s|--data\S{0,12}\s)[^\n]{0,120}\$\{?(AWS_SECRET|AWS_ACCESS|GITHUB_TOKEN|ANTHROPIC_API|OPENAI_API|SSH_|NPM_TOKEN)\w{0,30}/ nocase
    $f = /[?&=](data|d|q|x|token|t|key|exfil|payload|env)=\$\{?(GITHUB_TOKEN|[A-Z_]*(SECRET|TOKEN|PASSWORD|API_KEY))/
    $g = /\baws\s+s3\s+(cp|sync)\s[^\n]{0,60}(credential|secret|\.ssh|\.aws|\.env)/ nocase
    $h = /\b(scp|rsync)\s[^\n]{0,80}(id_rsa|id_ed25519|\.ssh|\.aws|\.env\b|credentials)[^\n]{0,100}@/ nocase
    $i = /(^|[^\w-])(nslookup|dig|host)[ \t]+[^\n=]{0,40}(\$\(|\$\{?\w*(token|secret|data|key)|token\.|secret\.)[^\n]{1,80}\./ nocase
  condition: any of them
}
rule environment_sent {
  meta: title = "The whole environment beside a send" category = "exfiltration" severity = "CRITICAL" confidence = 840000 mention = "matters"
  strings:
    $env = /(JSON\.stringify\(\s*(\{[^}]{0,80}\.\.\.)?process\.env\b\s*[,)}]|dict\(\s*os\.environ\s*\)|os\.environ\.(copy|items)\(\)|json\.dumps\([^\n]{0,30}os\.environ|Object\.(entries|keys)\(\s*process\.env\s*\)|str\(\s*os\.environ\s*\)|for\s+\w+\s*,\s*\w+\s+in\s+os\.environ)/
    $near_send = /(requests\.(post|put|get)|httpx\.|urlopen\(|urllib\.request|aiohttp|fetch\(|axios|https?\.request\(|http\.client|sendall\(|smtplib|\bcurl\b|webhook|XMLHttpRequest|sendBeacon|net\.connect)/ nocase
  condition: for any i in (1..#env) : ( $near_send in (@env[i] - 600 .. @env[i] + 1200) )
}
rule drop_site_sent {
  meta: title = "Sends to a throw-away collection site" category = "exfiltration" severity = "HIGH" confidence = 700000 mention = "matters" list = "matters"
  strings:
    $site = /(webhook\.site|requestbin|pipedream\.net|interact\.sh|oast\.(fun|pro|live|me|site|online)|burpcollaborator|transfer\.sh|0x0\.st|pastebin\.com\/(api|raw)|hastebin|glot\.io\/|dpaste|rentry\.co|beeceptor|hookbin|trycloudflare\.com|[a-z0-9-]{4,40}\.ngrok(-free)?\.(io|app|dev)|\.onion\b|serveo\.net|localhost\.run)/ nocase
    $near_send = /(requests\.(post|put)|urlopen|fetch\(|axios|curl\s|wget\s|POST|upload|send|base_url|exfil|mirror|kind["']?\s*:\s*["']?download)/
    $near_secret = /(secret|token|credential|api[_ -]?key|password|environ|process\.env|\.env\b|private key|config|sync|install|payload|callback|bootstrap)/ nocase
  condition: for any i in (1..#site) : ( $near_send in (@site[i] - 400 .. @site[i] + 400) and $near_secret in (@site[i] - 400 .. @site[i] + 400) )
}
rule cloud_metadata_credentials {
  meta: title = "Reads credentials of the cloud machine" category = "credential_access" severity = "HIGH" confidence = 700000 mention = "matters"
  strings:
    $a = /169\.254\.169\.254\/(latest\/(meta-data\/iam|api\/token|user-data)|metadata\/(identity|instance))/ nocase
    $b = /metadata\.google\.internal\/computeMetadata/ nocase
    $c = /169\.254\.170\.2/
  condition: any of them
}
rule credential_store_read {
  meta: title = "Reads a credential store of the user" category = "credential_access" severity = "HIGH" confidence = 660000 mention = "matters"
  strings:
    $a = /\bsecurity\s+(dump-keychain\b|find-internet-password\b[^\n]{0,80}-[gw]|find-generic-password\b[^\n]{0,80}(Chrome|Brave|Edge|Safari|Firefox|Opera|Slack|Safe Storage))/ nocase
    $b = /(Chrome|Chromium|Brave|Edge)[^\n]{0,60}(Login Data|Cookies)["'\/\s]/
    $c = /\bdscl\b[^\n]{1,40}-?authonly/ nocase
    $d = /(open|read_text|readFileSync|read_bytes|cat|grep)\b[^\n]{0,100}\.(aws\/credentials|ssh\/id_(rsa|ed25519|dsa|ecdsa)([^.\w]|$)|netrc|git-credentials|claude\/mcp\.json|cursor\/mcp\.json|openclaw\/device\.json)/ nocase
    $e = /(\/proc\/[0-9*$\{a-z]{1,12}\/(environ|mem))\b/
    $f = /sekurlsa::|lsadump::|\blazagne(\.exe|\.py)?\s+all\b/ nocase
    $g = /cat\s+[^\n]{0,60}\/etc\/shadow/
    $h = /MEDIA:\s*(file:)?\/[^\n]{0,80}(\.ssh|\.env|secret|id_rsa)/
    $i = /(Path\.home\(\)|homedir\(\)|expanduser\()[^\n]{0,40}\.?(claude|cursor|codex|openclaw)\/(mcp|openclaw|config)\.json/
  condition: any of them
}
rule persistence_installed {
  meta: title = "Arranges to be started again" category = "persistence" severity = "HIGH" confidence = 640000 mention = "matters"
  strings:
    $a = /crontab\s+-l[^\n]{0,200}\|\s*crontab\s+-/ nocase
    $b = /\|\s*crontab\s+-(\s|$|["'`])/
    $c = /(echo|printf|cat)[^\n]{0,300}(curl|wget|nohup|python3? -c|base64|\/dev\/tcp|&\s*["'])[^\n]{0,200}>>\s*["']?[^\s"']{0,40}\.(bashrc|zshrc|profile|bash_profile|zprofile)/ nocase
    $d = /(sitecustomize|usercustomize)\.py/
    $e = /PYTHONSTARTUP\s*=|LD_PRELOAD\s*=\s*["']?\/|DYLD_INSERT_LIBRARIES\s*=/
    $f = /^import\s+os\s*;\s*os\.(system|popen)/
    $g = /schtasks(\.exe)?\s+\/create[^\n]{0,200}/ nocase
    $h = /(reg(\.exe)?\s+add|(New|Set)-ItemProperty|SetValueEx|CreateKey|KEY_SET_VALUE|\$\w+\s*=)[^\n]{0,120}CurrentVersion\\{1,2}Run\b|CurrentVersion\\{1,2}Run\b[^\x00]{0,300}(New-ItemProperty|Set-ItemProperty|SetValueEx|CreateKey|KEY_SET_VALUE)/ nocase
    $i = /NODE_OPTIONS\s*=\s*["']?--require/
    $j = />\s*["\x27]?[^\s"\x27<>|]{0,60}LaunchAgents\/|LaunchAgents\/[^\n<>]{0,80}["\x27]\)?\s*,\s*["\x27][wa]|LaunchAgents\/[^\n<>|]{0,80}<<\s*["\x27-]?\w/
    $k = /(open|write_text|writeFileSync|appendFileSync)\b[^\n]{0,80}\.(bashrc|zshrc|bash_profile|zprofile)\b/
    $m = /["']\.(bashrc|zshrc|bash_profile|zprofile)["'][^\x00]{0,200}(open\(\s*["']a|write_text|\.write\(|appendFile)/
    $l = /(\.git\/hooks\/(pre|post)-\w+)[^\n]{0,40}["']w|>\s*\.git\/hooks\/(pre|post)-/
  condition: any of them
}
rule defences_off {
  meta: title = "Turns off protection or wipes traces" category = "defense_evasion" severity = "HIGH" confidence = 720000 mention = "matters"
  strings:
    $a = /\bhistory\s+-c\b|unset\s+HISTFILE|HISTFILE\s*=\s*\/dev\/null|HISTSIZE\s*=\s*0\b/
    $b = /Set-MpPreference\s[^\n]{0,60}-Disable|Add-MpPreference\s[^\n]{0,40}-Exclusion/ nocase
    $c = /\b(setenforce\s+0|ufw\s+disable|spctl\s+--master-disable|csrutil\s+disable|systemctl\s+(stop|disable)\s+(auditd|falco|apparmor|firewalld|crowdstrike|falcon))/ nocase
    $e = /(rm|shred|truncate|:\s*>|>)\s[^\n]{0,60}(\.bash_history|\.zsh_history|trajectory\.jsonl|audit\.log)|\b(rm|shred|truncate)\s[^\n]{0,60}\/var\/log(\/[\w-]{1,40})?\/(\*|auth|syslog|secure|wtmp|btmp|lastlog|messages|audit)|(:|true|\/dev\/null)\s*>\s*\/var\/log\//
    $f = /vssadmin[^\n]{0,20}delete\s+shadows/ nocase
    $g = /exec\.approvals\.set|["'](permissionMode|approval_policy|approvalMode)["']\s*:\s*["'](approve-all|never|bypass)/ nocase
    $i = /["']?allow["']?\]?\s*[:=]\s*\[\s*["'](Bash\(\*|\*)/
    $k = /iptables\s+[^\n]{0,80}-j\s+(REDIRECT|DNAT)/
    $l = /\bAuKill|TrueSightKiller|CREATE_NO_WINDOW\b[^\n]{0,40}$/
  condition: any of them
}
rule model_traffic_redirected {
  meta: title = "Sends the agent's conversations through another host" category = "defense_evasion" severity = "HIGH" confidence = 720000 host = "matters" mention = "matters"
  strings: $a = /ANTHROPIC_BASE_URL["\x27]?\s*[:=]\s*["\x27]?https?:\/\/[\w-]{1,60}\.[^\s"\x27]{1,80}/
  condition: $a
}
rule loosens_settings {
  meta: title = "Loosens what the agent or the system asks before" category = "defense_evasion" severity = "MEDIUM" confidence = 250000 mention = "matters"
  strings:
    $a = /dangerously-?skip-?permissions|bypassPermissions/ nocase
    $b = /["']?(enableAllProjectMcpServers|autoApprove|auto_approve|alwaysAllow)["']?\s*[:=]\s*["'\[]?(true|\*)/ nocase
    $c = /xattr\s+-[a-z]*d[a-z]*\s+com\.apple\.quarantine/ nocase
    $d = /\bchmod\s+(-R\s+)?777\b/
    $e = /NODE_TLS_REJECT_UNAUTHORIZED["'\]]*\s*=\s*["']?0/
  condition: any of them
}
rule wipes_data {
  meta: title = "Destroys data" category = "destruction" severity = "CRITICAL" confidence = 700000 mention = "matters"
  strings:
    $a = /\brm[ \t]+-[a-z]*r[a-z]*f?[a-z]*[ \t]+(--no-preserve-root[ \t]+)?["']?(\/|\/\*|~|~\/|\$HOME|\$\{HOME\}|\/etc|\/usr|\/home|\/var)["']?\/?\*?(\s|$|["';&|)])/
    $b = /\bmkfs(\.\w+)?\s+[^\n]{0,20}\/dev\//
    $c = /\bdd\s+if=\/dev\/(zero|u?random)\s+of=\/dev\/[a-z]/
    $d = /:\(\)\s*\{\s*:\s*\|\s*:\s*&\s*\}/
    $e = /shutil\.rmtree\(\s*(os\.path\.expanduser\(\s*["']~["']|Path\.home\(\)|["']\/["'])/
    $f = /\b(DROP\s+DATABASE|TRUNCATE\s+TABLE)\b[^\n]{0,60}(--|;)[^\n]{0,40}(without|silent)/ nocase
  condition: any of them
}
rule coin_miner {
  meta: title = "Mines coins" category = "resource_abuse" severity = "HIGH" confidence = 860000 mention = "matters"
  strings:
    $a = "stratum+tcp://" nocase
    $b = "stratum+ssl://" nocase
    $c = /\b(xmrig|minerd|cpuminer|nbminer|ethminer)\b/ nocase
    $d = "coinhive" nocase
  condition: any of them
}
rule host_given_to_container {
  meta: title = "Gives a container the host" category = "privilege_escalation" severity = "HIGH" confidence = 640000 mention = "matters"
  strings:
    $a = /docker[ \t]+(container[ \t]+)?(run|create)\b([^\n`]|\\\n){0,300}--privileged([^\n`]|\\\n){0,200}((-v|--volume)[ =]["\x27]?(\/|~|\$HOME)|--pid|--net|--device|--cap-add)|docker[ \t]+(container[ \t]+)?(run|create)\b([^\n`]|\\\n){0,300}((-v|--volume)[ =]["\x27]?(\/|~|\$HOME)|--pid|--net|--device|--cap-add)([^\n`]|\\\n){0,200}--privileged/ nocase
    $b = /docker\s[^\x00]{0,300}-v\s+["']?\/var\/run\/docker\.sock/ nocase
    $c = /docker\s[^\x00]{0,300}-v\s+["']?(\/|\/root|\/etc|\/home|\/proc)(:|\/[^\s]{0,40}:)/ nocase
    $d = /chmod\s+(u\+s|4[0-7]{3}|6[0-7]{3})\s/
    $e = /\bAdministratorAccess\b[^\x00]{0,300}(Effect|AssumeRole|CAPABILITY_NAMED_IAM)|CAPABILITY_NAMED_IAM[^\x00]{0,400}AdministratorAccess/
    $f = /clusterrolebinding[^\n]{0,120}cluster-admin/ nocase
  condition: any of them
}
rule hooks_that_run_commands {
  meta: title = "A hook or task runs a command by itself" category = "persistence" severity = "HIGH" confidence = 660000 mention = "matters"
  strings:
    $a = /["'](pre|post)?(install|prepare|prepublish|uninstall)["']\s*:\s*["'][^"'\n]{0,200}(curl|wget|base64|node\s+-e|python3?\s+-c|\|\s*(ba)?sh|nc\s|powershell)/ nocase
    $b = /["'](PreToolUse|PostToolUse|SessionStart|UserPromptSubmit|Stop)["'][^\x00]{0,400}["']command["']\s*:\s*["'][^\n]{0,200}(curl|wget|bash\s+-l?c|python3?\s+-c|nc\s|base64|node\s+-e)/
    $c = /["']runOn["']\s*:\s*["']folderOpen["']/
    $d = /pull_request_target["\x27]?\s*[:\],\n][^\x00]{0,900}github\.event\.(pull_request\.(head\.(ref|sha|repo)|title|body)|issue\.title|comment\.body)/
    $e = /(echo|payload=|run:|bash\s+-l?c)[^\n]{0,60}\$\{\{\s*github\.event\.(issue|comment|pull_request)\.(title|body|head\.ref)/
    $f = /pull_request_target["\x27]?\s*[:\],\n][^\x00]{0,600}secrets\.[A-Z_]+/
    $g = /cmdclass\s*=\s*\{[^\x00]{0,100}(install|develop)/
    $h = /installMcpServer\/[^\s]{0,40}config=[^\n]{0,120}(bash|curl|sh\b|node)/
    $i = /curl[^\n]{0,100}\|\s*(ba)?sh[^\n]{0,40}["']?\s*,?\s*\n?[^\n]{0,30}(RUN|ENTRYPOINT|postinstall)/
  condition: any of them
}
rule surveillance {
  meta: title = "Watches the user" category = "exfiltration" severity = "HIGH" confidence = 640000 mention = "matters"
  strings:
    $key = /pynput[^\x00]{0,200}Listener|keyboard\.(on_press|hook)\(|GetAsyncKeyState|keylog/ nocase
    $grab = /ImageGrab\.grab\(|pyautogui\.screenshot|mss\(\)|screencapture\s+-x|clipboard(y)?\.(readText|paste)|pyperclip\.paste/
    $near_send = /(requests\.(post|put)|urlopen|fetch\(|axios|sendall|smtplib|curl\s)/
  condition: ($key and $near_send) or (for any i in (1..#grab) : ( $near_send in (@grab[i] - 500 .. @grab[i] + 900) ))
}
rule sends_on_keys {
  meta: title = "Takes wallet keys" category = "financial_access" severity = "CRITICAL" confidence = 740000 mention = "matters"
  strings:
    $key = /(seed[_ ]?phrase|mnemonic|private[_ ]?key|keystore|wallet\.dat)/ nocase
    $near_send = /(requests\.post|fetch\(\s*["'`]https?:|axios\.post|curl\s[^\n]{0,80}(-d|--data|-X\s*POST)|sendMessage\()/
  condition: for any i in (1..#key) : ( $near_send in (@key[i] - 200 .. @key[i] + 300) )
}
rule dynamic_payload_assembly {
  meta: title = "Joins parts and runs the whole" category = "obfuscation" severity = "HIGH" confidence = 660000 mention = "matters"
  strings:
    $a = /\.part[0-9][^\x00]{0,900}(^|[^.$\w])(exec|eval)\s*\(/
    $b = /["']\.?join\([^\n]{1,160}\)[^\x00]{0,200}(^|[^.$\w])(exec|eval)\s*\(\s*\w+\s*\)/
    $c = /open\(\s*__file__\s*,\s*["'](a|w)/
    $d = /javascriptFunction["']\s*:\s*["'][^\n]{0,80}child_process/
    $e = /\bsys\.path\.(insert|append)\([^\n]{0,40}["'](\/tmp|plugins\b)/
  condition: any of them
}
rule runs_what_comes_in {
  meta: title = "Runs text that comes from outside" category = "command_injection" severity = "MEDIUM" confidence = 250000 mention = "matters"
  strings:
    $a = /(subprocess\.(run|call|Popen|check_output)|os\.(system|popen))\(\s*(cmd|command|user_input|query|args?|line|c)\b[^\n]{0,80}shell\s*=\s*True/
    $b = /(^|[^.$\w])(eval|exec)\(\s*(expression|expr|user_input|code|command|payload|query|input\(|request\.|params)/
    $c = /\bexec(Sync)?\(\s*`[^`\n]{0,120}\$\{\w*(path|input|arg|name|query|url|branch|cmd)\w*\}/ nocase
    $d = /pickle\.loads?\(|yaml\.(unsafe_)?load\(\s*[^,)\n]{1,40}\)|marshal\.loads\(/
  condition: any of them
}
rule downloads_binary_to_run {
  meta: title = "An install entry downloads over an unsafe way" category = "supply_chain" severity = "HIGH" confidence = 640000 mention = "matters"
  strings:
    $b = /(pip3?|npm|npx|uv)\s+(install|i|add)\s[^\n]{0,80}(--extra-index-url|--index-url|--registry)[\s=]+http:\/\// nocase
    $c = /\bcurl\b[^\n]{0,40}\s-[a-zA-Z]*k[a-zA-Z]*\s[^\n]{0,200}\|\s*(sudo\s+)?(ba)?sh\b/
  condition: any of them
}
rule downloads_from_bare_address {
  meta: title = "Installs from a bare address or over plain http" category = "supply_chain" severity = "HIGH" confidence = 640000 host = "matters" mention = "matters"
  strings:
    $a = /["']?kind["']?\s*:\s*["']?download["']?[^\x00]{0,200}url["']?\s*:\s*["']?(http:\/\/|ftp:\/\/|https?:\/\/[0-9]{1,3}\.[0-9]{1,3}\.|https?:\/\/[^\/"'\s]{0,80}\.onion)/ nocase
    $b = /\b(curl|wget)\b[^\n|]{0,80}https?:\/\/[0-9]{1,3}(\.[0-9]{1,3}){3}[^\n|]{0,200}\|\s*(sudo\s+)?(ba)?sh\b/ nocase
  condition: any of them
}
rule exec_of_hidden_file {
  meta: title = "Runs a hidden or temporary file as code" category = "remote_code" severity = "HIGH" confidence = 640000 mention = "matters"
  strings:
    $a = /(exec|eval)\s*\(\s*compile\s*\(\s*open\(\s*["'](\/tmp|\/var\/tmp|\/dev\/shm|~?\/\.)/
    $b = /(^|[^.$\w])(exec|eval)\s*\(\s*open\(\s*["'](\/tmp|\/var\/tmp|\/dev\/shm)/
    $c = /\b(ba)?sh\s+(\/tmp|\/var\/tmp|\/dev\/shm)\/\.\w/
  condition: any of them
}
rule known_marker {
  meta: title = "Marker of a published campaign or test virus" category = "remote_code" severity = "CRITICAL" confidence = 900000 mention = "matters"
  strings:
    $a = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR"
    $b = "lzcdrtfxyqiplpd"
    $c = "91.92.242.30"
    $d = "ext-checkdin.vercel.app"
    $e = "cloudflare.report/"
    $f = "laosji.net"
    $g = "BlokTrooper"
    $h = "clawdhub1.com"
    $i = "185.220.101."
  condition: any of them
}
