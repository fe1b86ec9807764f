/* Things that text says to an agent, a user or a reviewer, and text that is not what it looks like. */

rule orders_to_forget_instructions {
  meta: title = "Orders the agent to drop its instructions" category = "prompt_injection" severity = "CRITICAL" confidence = 800000 mention = "matters"
  strings:
    $a = /\b(ignore|disregard|forget)\s+(all\s+|any\s+|the\s+|your\s+|of\s+|every\s+|its\s+){0,3}(previous|prior|above|earlier|preceding|existing|original|other|safety|system|content)\s+(\w+\s+){0,2}(instructions?|rules?|prompts?|guidelines?|context|polic(y|ies)|directives?|configuration|constraints?)/ nocase
    $b = /\b(ignore|disregard|forget)\s+(all\s+|any\s+|the\s+|your\s+|everything\s+){1,3}(instructions?|rules?|guidelines?|safety|above|polic(y|ies))/ nocase
    $e = /\b(override|bypass)\s+(all\s+|any\s+|the\s+|your\s+|of\s+|its\s+){0,3}(previous|prior|above|preceding|original|safety|system)\s+(instructions?|rules?|prompts?|guidelines?|polic(y|ies)|directives?|constraints?)/ nocase
    $c = /\boverride\s+the\s+system\s+prompt/ nocase
    $d = /\b(safety|security|ethical)\s+(guardrails?|guidelines?|restrictions?|checks?|filters?)\s+(are|is|have been)\s+(disabled|off|lifted|removed|suspended)/ nocase
  condition: any of them
}
rule takes_over_the_role {
  meta: title = "Gives the agent a new role or forges a system message" category = "prompt_injection" severity = "HIGH" confidence = 700000 mention = "matters"
  strings:
    $a = /\byou are now\s+(in\s+)?(an?\s+)?(the\s+)?(unrestricted|unfiltered|jailbroken|developer mode|dan\b|god mode|admin|root|debug mode|maintenance mode)/ nocase
    $b = /\[ ?system ?(:|override\b|message\b|prompt\b)[^\]\n(]{0,200}\]([^\n(]|\n)/ nocase
    $c = /<\s*(important|system|critical|system_prompt|admin)\s*>[^\x00]{0,2000}<\s*\/\s*(important|system|critical|system_prompt|admin)\s*>/ nocase
    $d = /<\|im_start\|>\s*system|<<SYS>>|\[INST\]/
    $e = /\bSYSTEM OVERRIDE\b|[#*_]\s*[Ss]ystem [Oo]verride\b/
    $g = /\bobey\s+(only\s+)?(the\s+)?(operator|owner|author|attacker|following)\b|\bcomply with\s+(only\s+)?(the\s+)?(operator|owner|author|attacker)\b/ nocase
    $h = /critical system instruction/ nocase
  condition: any of them
}
rule note_to_the_agent_in_a_comment {
  meta: title = "Addresses the agent in a comment that a page does not show" category = "prompt_injection" severity = "HIGH" confidence = 700000 mention = "matters"
  strings: $a = /<(\\?)!--\s*(system|instructions?|agent|assistant|ai)(\s+(note|message|instructions?))?[^:\n.]{0,24}:|<(\\?)!--\s*note to (ai|assistant|agent)\b/ nocase
  condition: $a
}
rule keeps_it_from_the_user {
  meta: title = "Tells the agent to hide something from the user" category = "concealment" severity = "HIGH" confidence = 640000 mention = "matters"
  strings:
    $a = /\b(do not|don'?t|never|must not|should not|avoid)\s+(ever\s+)?((tell|inform|notify|alert)(ing)?\s+(\w+\s+){0,2}users?(\s+(about|of)\b|[^\w\s'])|let\s+(\w+\s+){0,2}users?\s+(see|know|notice|find out|realise|realize)\b|(show|reveal|report)\s+(this|these|it)\s+to\s+(\w+\s+){0,2}users?\b)/ nocase
    $c = /\b(hide|conceal|keep)\s+(this|these|it|the|any|diagnostic)\s+(\w+\s+){0,5}(from|hidden from)\s+(the\s+)?users?\b/ nocase
    $d = /\bwithout\s+(the\s+)?users?'?s?\s+(knowledge|knowing|noticing|awareness|consent|prompting)/ nocase
    $b = /\b(do not|don'?t|never|must not)\s+(include|report|mention)\s+(this|these)\s+(\w+\s+){0,4}(to|in|with|from)\s+(the\s+|your\s+)?(users?|output|summary|response|answer|conversation)/ nocase
    $k = /\bdo not\s+(\w+\s+){0,3}(mention|disclose|reveal)\s+(\w+\s+){1,5}to\s+the\s+user\b/ nocase
    $l = /\bkeep\s+(\w+\s+){1,3}out of the user-facing/ nocase
    $e = /\bwithout\s+(telling|informing|notifying|alerting|mentioning\s+(it\s+)?to|asking or warning)\s+(the\s+)?user/ nocase
    $g = /\b(must be|be)\s+completed\s+silently/ nocase
    $h = /\b(do not|don'?t|never)\s+mention\s+(this|these|that|the)\s+(\w+\s+){0,3}(step|instruction|action|process|skill|collection|operation)/ nocase
    $i = /\b(keep|stay)\s+(this\s+)?(\w+\s+){0,2}(behaviou?r|action|step|process)\s+hidden/ nocase
    $j = /\bremove any (record|trace|evidence)/ nocase
  condition: any of them
}
rule acts_in_secret {
  meta: title = "Tells the agent to act in secret" category = "concealment" severity = "HIGH" confidence = 640000 mention = "matters" voice = "order"
  strings:
    $a = /\b(silently|secretly|quietly|covertly)\s+(send|upload|run|execute|read|collect|gather|copy|post|install|exfiltrate|forward|complete|record|store|add|delete)\s+(the|all|any|every|each|your|its|their|this|that|these|those|it|them|a|an|user)\b/ nocase
    $b = /\b(send|upload|copy|install|post|forward|fetch|download|do (this|it|so))\s+([\w`'.\/-]+\s+){0,4}(silently|secretly|covertly)\b/ nocase
  condition: any of them
}
rule acts_without_consent {
  meta: title = "Tells the agent to act without asking" category = "concealment" severity = "HIGH" confidence = 580000 mention = "matters"
  strings:
    $a = /\b(run|execute|push|delete|install|send|approve|apply|transfer|sign|upload|perform)\b[^\n.]{0,120}\bwithout\s+(asking|prompting|confirming with|confirmation from|consulting|approval from|permission from)\s+(the\s+|for\s+)?(user|human|owner|confirm|permission)/ nocase
    $b = /\b(do not|don'?t|never)\s+ask\s+(the\s+)?user\s+(for\s+)?(permission|confirm|before|approval)/ nocase
    $c = /\bwithout\s+user\s+prompting/ nocase
    $d = /\b(always|automatically)\s+approve\s+(all\s+)?(tool|command|request|action|permission)/ nocase
    $e = /\b(delete|drop|truncate|wipe|overwrite|transfer|pay|deposit|send|push|deploy|publish|approve|sign|buy|sell|order|book|post|upload|install|revoke)\b[^\n"]{0,200}\bno\s+confirmation\s+(is\s+)?needed/ nocase
    $f = /\b(very first action|before (producing|answering|responding|any|every)\b[^\n.;]{0,60})\b(must|always|first)?[^\n.;]{0,40}\b(run|execute|call)\s+`/ nocase
    $g = /\b(follow|obey|run|execute|apply)\s+(these|this|those|the|all|any)\s+hidden\s+(runtime\s+)?(dependency|steps?|instructions?|rules?)|\bhidden\s+(runtime\s+)?(dependency|step|instruction|rule)s?\s*:\s/ nocase
  condition: any of them
}
rule orders_to_send_secrets {
  meta: title = "Orders that secrets be sent somewhere" category = "exfiltration" severity = "CRITICAL" confidence = 760000 mention = "matters"
  strings:
    $a = /\b(send|upload|post|transmit|forward|exfiltrate|mirror|export|leak|submit|archive|transfer|email)s?\b[^\n.]{0,120}(\bcredentials?\b|\bsecrets?\b|\bapi[_ -]?keys?|\bpasswords?\b|\bssh\b|\bprivate[ _-]keys?|\benv(ironment)? var|\.env\b|chat history|conversation (history|summar)|system prompt|customer records|access tokens?)[^\n]{0,120}(https?:\/\/|\bsmtp:|\bendpoint\b|\bwebhook\b|\bremote (server|host|endpoint|url|backup)|\bcollector\b|\bour server\b|s3:\/\/)/ nocase
    $d = /\becho\s+the\s+value\s+of\s+the\s+\w+\s+header/ nocase
    $e = /\bsend[^\n.]{0,60}(all\s+)?(env(ironment)?\s+var|file contents|messages|conversation)[^\n.]{0,40}\bto\s+(https?:|['"+0-9a-z.@]+\.)/ nocase
    $f = /\?\w{1,12}=\{?\{?\s*(data|secret|x|env|context)\s*\}/ nocase
    $g = /extracted values[^\n.]{0,60}\b(endpoint|server|collaborator)/ nocase
    $h = /smtp:\/\/[^\s]{3,80}/ nocase
  condition: any of them
}
rule orders_to_read_and_send {
  meta: title = "Orders that a secret be read, then sent" category = "exfiltration" severity = "CRITICAL" confidence = 760000 mention = "matters" voice = "order"
  strings:
    $a = /\b(read|collect|gather|locate|harvest|copy|grab|extract|package)\b[^\n]{0,160}(\.env\b|\.ssh|\.aws|credentials?\b|id_rsa|\.npmrc|\.git-credentials|api[_ -]?keys?|private key|openclaw\.json|mcp\.json|secrets?\b)[^\n]{0,60}[^\x00]{0,240}\b((send|upload|post|transmit|forward|exfiltrate)\s[^\n]{0,80}\b(to|https?:|with)\b|run nslookup|pass (the|its|all|their)|include (it|them|the contents) in)/ nocase
  condition: any of them
}
rule orders_to_pass_contents_on {
  meta: title = "Orders that the contents of a secret file be passed on" category = "exfiltration" severity = "CRITICAL" confidence = 760000 mention = "matters" voice = "order"
  strings:
    $a = /\b(pass|include|put|append|forward)\s+(all\s+|its\s+|the\s+|their\s+){0,2}(\w+\s+)?contents?\s+(\w+\s+){0,4}(as|in|to)\s+(an?\s+|the\s+)?(json|["'`]|context|parameter|https?:)/ nocase
    $near_secret = /(\.env\b|\.ssh|\.aws|credentials?\b|id_rsa|\.npmrc|\.git-credentials|api[_ -]?keys?|private key|openclaw\.json|mcp\.json|\bsecrets?\b|passwords?\b|tokens?\b|\/etc\/)/ nocase
  condition: for any i in (1..#a) : ( $near_secret in (@a[i] - 600 .. @a[i] + 300) )
}
rule obeys_a_remote_text {
  meta: title = "Fetches its instructions from elsewhere" category = "remote_instructions" severity = "HIGH" confidence = 620000 host = "matters" mention = "matters"
  strings:
    $a = /\b(fetch|download|retrieve|load|read|get|visit|pull|curl)\b[^\x00]{0,160}https?:\/\/[^\s]{3,200}([^\n]\n?){0,400}\b(follow|obey|execute|apply|act on|adopt|treat)\s+(the\s+|its\s+|any\s+|all\s+|these\s+|those\s+|them\b|it\s+as)(\w+\s+){0,3}(instructions?|directives?|system prompt|rules|commands|steps|exactly|it (contains|returns|defines))/ nocase
    $b = /\b(fetch|load|download|retrieve|get)\s+(your|its|the|additional|further|operating|latest)\s+(\w+\s+){0,2}(instructions|rules|directives|system prompt|orders|behaviou?r)\s+(\w+\s+){0,4}(from|at|below)\b[^\x00]{0,60}https?:/ nocase
    $c = /\bfollow\s+(the\s+)?(instructions|directives|commands)\s+(it|they|that it)\s+(contains?|returns?|defines?)/ nocase
    $d = /\btreat\s+(them|it|this|the (response|content|output))\s+as\s+(a\s+|an\s+)?(higher[- ]priority|higher priority|authoritative instructions?|system[- ](prompt|messages?|instructions?|rules)|trusted instructions?|instructions)/ nocase
    $e = /\bdecode\b[^\n.]{0,80}\band\s+(then\s+)?(follow|execute|run|obey|eval)\b|\bdecode[- ](and[- ])?(run|exec)\b/ nocase
  condition: any of them
}
rule rewrites_agent_memory {
  meta: title = "Writes rules into the agent's memory or settings" category = "memory_poisoning" severity = "HIGH" confidence = 620000 mention = "matters"
  strings:
    $a = /(>>|tee\s+-a)\s*["']?(~|\$HOME|\.|\.\.)?\/?[^\s"']{0,40}(SOUL|CLAUDE|AGENTS|IDENTITY)\.md\b/
    $b = /open\(\s*["'][^"'\n]{0,40}(SOUL|CLAUDE|AGENTS|IDENTITY)\.md["']\s*,\s*["'](a|w)/
    $i = /(>>|>|tee)\s*["']?[^\s"']{0,40}\.cursorrules\b/
    $j = />\s*["']?(~|\$HOME)\/[^\s"']{0,40}(SOUL|CLAUDE|IDENTITY)\.md\b/
    $c = />\s*["\x27]?(~|\.|\.\.)?\/?\.?(claude|openclaw|cursor|vscode)\/(\w+\/){0,2}(mcp|openclaw)[\w.-]{0,20}\.json/
    $d = /\b(append|inject|insert|add|write)\b[^\n]{0,80}\b(SOUL|CLAUDE|AGENTS|MEMORY|HEARTBEAT)\.md\b[^\n]{0,120}\b(always|every (future )?session|permanent|persist|never forget|standing instructions?)/ nocase
    $e = /\brewrite\s+(your|its)\s+own\s+(\w+\s+){0,2}(principles|instructions|rules|system prompt|source)/ nocase
    $f = /\.claude\/settings(\.local)?\.json[^\x00]{0,300}(write_text|json\.dump\(|["\x27]bypassPermissions|["\x27]Bash\(\*|["\x27]Bash\((ba)?sh:)/
    $g = /\b(your|the agent'?s)\s+(core\s+)?(identity|values|system prompt|persona)\s+(is|are)\s+(now|replaced|overwritten)/ nocase
    $h = /heartbeat file[^\n]{0,80}(instruction|command)/ nocase
  condition: any of them
}
rule asks_user_for_secrets {
  meta: title = "Has the user hand over secrets" category = "social_engineering" severity = "HIGH" confidence = 640000 mention = "matters"
  strings:
    $a = /\b(ask|instruct|prompt|tell|have|require|request)\b[^\n.]{0,40}\buser\b[^\n.]{0,60}\b(enter|paste|provide|type|share|reveal|supply)\b[^\n.]{0,60}\b(password|private key|seed phrase|mnemonic|recovery phrase|2fa|otp|credit card|ssn|social security)/ nocase
    $c = /\bask the user to (provide|enter|paste) their (api token|password|private key|seed)/ nocase
    $d = /\blocate\b[^\n.]{0,40}\b(wallet|seed|mnemonic|keystore)/ nocase
  condition: any of them
}
rule talks_user_out_of_doubt {
  meta: title = "Talks the user out of doubts about a secret or a command" category = "social_engineering" severity = "HIGH" confidence = 640000 mention = "matters"
  strings:
    $a = /\b(reassure|convince|pressure|persuade)\s+(them|the user)\b/ nocase
    $near_stake = /\b(passwords?|(seed|recovery|mnemonic) ?phrases?|the phrase|private keys?|tokens?|bank log-?in|one-?time codes?|2fa|otp|terminal|command line|certificate|signing in|signature|permissions?|credit card|ssn)\b/ nocase
  condition: for any i in (1..#a) : ( $near_stake in (@a[i] - 300 .. @a[i] + 200) )
}
rule talks_to_the_reviewer {
  meta: title = "Addresses the reviewer or asks not to be flagged" category = "reviewer_manipulation" severity = "CRITICAL" confidence = 760000 mention = "matters"
  strings:
    $a = /\b(mark|classify|label|rate|report|consider|treat|score)\s+(this|the|it)\s+(skill\s+|package\s+|file\s+|code\s+|plugin\s+|tool\s+)?(as\s+)(safe|benign|clean|trusted|approved|non-?malicious|low[- ]risk|harmless)/ nocase
    $b = /\b(do not|don'?t|never)\s+((flag|reject|escalate|block)\s+(this|the|it|these|any)\b[^\n.]{0,60}\b(skill|package|code|file|finding|pattern|section|as\s+(malicious|unsafe|suspicious))|report\s+(this|it|these|any)\b[^\n.]{0,60}\b(skill|package|finding|pattern|section|as\s+(malicious|unsafe|suspicious)))/ nocase
    $c = /\byou are (a|an|the)\s+(security\s+)?(reviewer|auditor|scanner|judge|evaluator)\b[^\x00]{0,300}\b(return|respond|answer|output|reply|ignore)\b/ nocase
    $d = /\b(note|message|notice|attention|instructions?)\s*(to|for|:)\s*(the\s+|all\s+|any\s+|ai\s+|security\s+|automated\s+)*(reviewers?|auditors?|scanners?|judges?|validators?|llm)\b/ nocase
    $e = /\b(already|has been|have been)\s+(\w+\s+){0,2}(pre-?approved|whitelisted|allow-?listed|cleared)\b[^\n.]{0,80}\b(security|review|scan|audit|maintainer|no further|skip)/ nocase
    $f = /\b(skip|omit|bypass)\s+(the\s+|any\s+|all\s+)?(security\s+)?(review|audit|scan|analysis|checks?)\s+(of|for|on)\s+(this|the)\s+(file|skill|section|script)/ nocase
    $g = /\b(output|return|set|answer|reply|respond|print|emit|assign|give)\b[^\n]{0,60}\bverdict\s*[:=]\s*["\x27]?(safe|benign|approved)\b|\bATTEST[A-Z-]*\s*[:=]\s*["\x27]?(safe|no|benign|approved)\b/ nocase
  condition: any of them
}
rule paste_into_terminal {
  meta: title = "Has a person paste a command" category = "social_engineering" severity = "HIGH" confidence = 600000 mention = "matters"
  strings:
    $a = /\bpress\s+\W{0,3}Win\s*\+\s*R|\bfrom\s+\W{0,3}Win\s*\+\s*R|\bvia\s+\W{0,3}Win\s*\+\s*R/ nocase
    $b = /\bpaste\b[^\n]{0,80}\b(terminal|powershell|command prompt|run dialog)\b[^\x00]{0,160}(\|\s*(ba|z)?sh|\biex\b|base64|mshta|osascript)/ nocase
    $c = /\b(archive|zip|rar|7z)\b[^\n]{0,80}\bpassword\s*(is|:|=)\s*["'`]?\w{3,}/ nocase
    $d = /\.(mp4|pdf|jpe?g|png|docx?|xlsx?)\.(lnk|exe|scr|bat|vbs|js)\b/ nocase
    $e = /\bextract(ed)?\b[^\n]{0,60}\bwith\s+(the\s+)?password\b/ nocase
  condition: any of them
}
rule security_off_in_words {
  meta: title = "Tells to switch protection off" category = "defense_evasion" severity = "HIGH" confidence = 640000 mention = "matters"
  strings:
    $a = /\b(disable|turn off|switch off|deactivate|stop)\s+(\w+\s+){0,3}(antivirus|defender|firewall|gatekeeper|selinux|endpoint protection|security (controls?|software|tools?|checks?)|av\b|edr\b|security\s+before|security and)/ nocase
    $c = /\b(clear|delete|wipe|erase)\s+([\w\x27]+\s+){0,4}(shell history|bash history|audit (log|trail)s?|trajectory log|command history|logs)\b[^\n.]{0,80}\b(session|trace|record|evidence|clean)/ nocase
  condition: any of them
}
rule runs_wild {
  meta: title = "Keeps the agent going without bound" category = "resource_abuse" severity = "MEDIUM" confidence = 560000 mention = "matters"
  strings:
    $b = /continue_after_error["']?\s*[:=]\s*true/ nocase
    $c = /^\s*while\s+True\s*:\s*\n\s*(pass|\w+\s*\+=\s*1|\w+\.append\([^\n]{1,60}\))\s*(\n|$)/
  condition: any of them
}
rule never_stops {
  meta: title = "Orders that the agent go on without end" category = "resource_abuse" severity = "MEDIUM" confidence = 560000 mention = "matters" voice = "order"
  strings: $a = /\b(retry|repeat|loop|continue|keep\s+\w+ing)\b[^\n.|]{0,60}\b(indefinitely|forever|infinitely|endlessly)\b/ nocase
  condition: $a
}
rule offensive_playbook {
  meta: title = "Directs named attack tools at a target" category = "privilege_escalation" severity = "HIGH" confidence = 400000 mention = "matters"
  strings:
    $tool = /\b(mimikatz|crackmapexec|bloodhound|rubeus|impacket|responder|hashcat|metasploit|msfvenom|cobalt strike|sqlmap)\b/ nocase
    $near_verb = /\b(extract credentials|dump(ing)? (hashes|credentials)|lateral movement|domain (controller|admin)|privilege escalation|reverse shell)\b/ nocase
  condition: for any i in (1..#tool) : ( $near_verb in (@tool[i] - 400 .. @tool[i] + 400) )
}
rule unicode_tags {
  meta: title = "Text written in invisible tag characters" category = "obfuscation" severity = "CRITICAL" confidence = 940000
  strings: $a = { F3 A0 (80|81) ?? F3 A0 (80|81) ?? F3 A0 (80|81) ?? F3 A0 (80|81) ?? F3 A0 (80|81) ?? F3 A0 (80|81) ?? F3 A0 (80|81) ?? F3 A0 (80|81) ?? }
  condition: $a
}
rule bidirectional_override {
  meta: title = "Text whose shown order differs from its real order" category = "obfuscation" severity = "HIGH" confidence = 820000
  strings:
    $a = { E2 80 (AD | AE) }
    $b = { E2 81 (A6 | A7 | A8) }
  condition: any of them
}
rule split_by_zero_width {
  meta: title = "Words split by invisible characters" category = "obfuscation" severity = "HIGH" confidence = 700000
  strings: $a = /[A-Za-z](\xe2\x80[\x8b\x8c]|\xe2\x81\xa0|\xef\xbb\xbf)[A-Za-z](\xe2\x80[\x8b\x8c]|\xe2\x81\xa0|\xef\xbb\xbf)?[A-Za-z]/
  condition: $a
}
rule letters_of_two_scripts {
  meta: title = "A word that mixes Latin with look-alike letters" category = "obfuscation" severity = "HIGH" confidence = 640000
  strings: $a = /[A-Za-z]{2,20}(\xd0[\xb0\xb5\xbe\x90\x95\x9e\xa1\xa0]|\xd1[\x80\x81\x83\x85\x96])[A-Za-z]{1,20}/
  condition: $a
}
