"""What secrets look like in text files: names that they stand behind, and shapes of their own. Pure.

Every pattern is tried on a line of at most `redact.MAX_LINE_CHARACTERS`.
"""

import re
from typing import Final

_WORD: Final = r"[\w.\-]"
_KEYS: Final = (
    "access|account|admin|aes|api|app|auth|backup|bot|cipher|client|consumer|cookie|crypt|crypto|data|deploy|encrypt|"
    "encryption|hmac|integration|license|licence|master|private|recovery|root|secret|server|service|session|shared|sign|"
    "signing|ssh|ssl|storage|subscription|tls|user|webhook|wep|wireless|wpa"
)
_NAME: Final = rf"""(?<!{_WORD}) {_WORD}* (?:
    (?: pass(?!ive|ed\b|es\b|ing\b) | pwd | secret | token | credential | (?<![a-z])psk | wpa_?psk | community
      | kennwort | authtok | masterauth | setcookie | totp | (?:{_KEYS}) [_\-.]? key | session[_\-.]?cookie ) {_WORD}*
    | (?: root | bind | user | admin | store | mod | [_\-.] ) pw (?!{_WORD})
    ) ["']?"""

HINT: Final = re.compile(r"(?i)pass|pwd|secret|token|credential|psk|community|kennwort|auth|cookie|totp|key|pw|vault")
"""What every line has that names a secret: most have none, and are done with."""

NAMED: Final = re.compile(
    rf"(?ix) (?P<name> {_NAME} ) (?P<separator> \s* (?: [:=]+ >? | > | , | \]+ | \s ) \s* ) (?! \s ) (?P<value> .+)"
)
"""A name that sounds like a secret, and all that stands behind it."""

ASSIGNED: Final = re.compile(rf"(?ix) {_NAME} \s* [:=]+ >? \s* (?P<value> .*)")
"""The same where the value may be missing, or go on in the lines below."""

ENDS_WITH_NAME: Final = re.compile(
    rf"""(?ix) ^ (?! \s* (?: \#|//|;) ) .*? (?<!/) {_NAME} [\s,>\])}}({{]* (?: </(?:key|name|string)> )? $"""
)
"""A line whose last word is such a name: what it names stands in the next one (`- name: DB_PASSWORD`)."""

ELEMENT: Final = re.compile(rf"(?ix) ^ \s* < {_NAME} [^<>]* > (?P<value> [^<]*) $")
"""An element whose content goes on below."""

KUBERNETES_SECRET: Final = re.compile(r"""(?i)["']?\bkind["']?\s*:\s*["']?Secret\b""")
KUBERNETES_DATA: Final = re.compile(r"""\s*["']?(?:stringData|data)["']?\s*:""")
KUBERNETES_ONE_LINE: Final = re.compile(r"""(["']?\b(?:stringData|data)["']?\s*:\s*)\S.*""")

HARMLESS_VALUE: Final = re.compile(
    r"""(?ix) ["']? (?: yes | no | true | false | on | off | none | null | nil | enabled | disabled | required
    | optional | prohibit-password | without-password | \d | [{\[(]
    | /(?:etc|usr|var|run|opt|srv|lib|bin|sbin|proc|sys|dev|tmp|boot|mnt)/ [\w./@%-]* | \{\{ [\s\w.]+ \}\}
    ) ["']? [\s,;)\]}]* """
)
"""What is no secret, whatever it is called: a switch, a file, a variable, the beginning of a block."""

HARMLESS_BEGINNING: Final = re.compile(
    r"""(?x) \s* (?:
      -?(?:account|auth|password|session)\s+(?:\[[^\]]*\]|\w+)\s+(?:[\w./$-]*/)?pam_\w+\.so\b  # PAM
    | (?:-?(?:account|auth|password|session)\s+(?:include|substack)|@include)\s+[\w.-]+$
    | \#?\s*PASS_(?:MAX|MIN|WARN)_(?:DAYS|AGE|LEN)\s+-?\d+$               # login.defs
    | (?:passwd|shadow|gshadow)(?:_compat)?:(?:\s+(?:\[[^\]]*\]|files|systemd|compat|db|dns|ldap|nis|nisplus|sss
      |winbind|altfiles|extrausers|cache))+\s*$                                     # nsswitch.conf
    | (?:proxy|fastcgi|uwsgi|scgi|grpc|memcached)_pass\s+(?=\w+://|unix:|[\w.-]+(?::\d+)?;)  # nginx
    | [^\#"'=]+=\s*(?:\([^)]*\)\s*)?(?:[A-Z_]+:\s*)*?(?:NO)?PASSWD:\s*(?=ALL\b|/|!)  # sudoers
    )"""
)
"""How lines begin that name passwords and hold none."""

_PROGRAMS: Final = "mysql|mariadb|mongo|ipmitool|ldap|kadmin|ssh-keygen|redis-cli"
_TOKENS: Final = (
    r"(?:AKIA|ASIA)[A-Z0-9]{12,}",  # AWS
    r"gh[opsur]_\w{8,}", r"github_pat_\w{8,}", r"glpat-[\w-]{8,}",  # GitHub, GitLab
    r"xox[abeprs]-[\w-]{8,}", r"xapp-[\w-]{8,}", r"\d{8,10}:AA[\w-]{30,}",  # Slack, Telegram
    r"[rs]k_(?:live|test)_\w+", r"whsec_\w{8,}", r"shp(?:at|ss|ca|pa)_\w{16,}",  # Stripe, Shopify
    r"eyJ[\w.-]{12,}",  # JSON Web Tokens
    r"AIza[\w-]{20,}", r"GOCSPX-[\w-]{8,}",  # Google
    r"npm_\w{20,}", r"pypi-[\w-]{16,}", r"SG\.[\w-]{16,}\.[\w-]{16,}",  # npm, PyPI, SendGrid
    r"sk-[\w-]{16,}", r"hf_\w{20,}",  # OpenAI, Anthropic, Hugging Face
    r"hv[sbr]\.[\w-]{16,}", r"s\.[A-Za-z0-9]{24}\b", r"do[opr]_v1_\w{16,}",  # Vault, DigitalOcean
    r"AGE-SECRET-KEY-\w+",
)  # fmt: skip
_NOT_BLANK: Final = r"[^\s\"']+"

SHAPES: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        # Keys on one line, newlines escaped.
        (r"(?i)(-{4,5} ?BEGIN [\w ]+ ?-{4,5}(?!-))(?:(?!-{4,5} ?END).)+", r"\1{}"),
        # Credentials in URLs, what only who knows the URL may call, and what stands for a password in a query.
        (r"((?<![^\s:=\"'(<\[+])//[^\s/:@]*:)(?!\d{1,5}/)[^\s\"'<>]+(@)", r"\1{}\2"),
        (r"(//)[^\s/:@]{16,}(@)", r"\1{}\2"),
        (r"(hooks\.slack\.com/\w+/|/api/webhooks/\d+/)" + _NOT_BLANK, r"\1{}"),
        (r"(?i)([?&;](?:sig|signature|code|key|x-amz-(?:signature|credential))=)[^\s&\"']+", r"\1{}"),
        (r"(?i)(jdbc:oracle:\w+:[^/\s]+/)[^@\s]+(@)", r"\1{}\2"),
        (r"([\w.-]+:)[^\s:@/]+(@(?:tcp|unix)\()", r"\1{}\2"),
        (r"(?i)\b((?:bearer|basic|digest|token)\s+)[\w.~+/=-]{6,}", r"\1{}"),
        (r"(?i)((?:^|[\s{,\"'])_?auth[\"']?\s*[:=]\s*[\"']?)[A-Za-z0-9+/]{8,}={0,2}(?=[\"']|\s|$)", r"\1{}"),
        (r"(?i)([\"']encrypt[\"']\s*:\s*)[\"'].*", r"\1{}"),
        (r"(?i)(\bpin\s*[:=]\s*)\d{4,}", r"\1{}"),
        # Arguments of programs.
        (r"((?:\s-u|\s-U|--user|--proxy-user|\bauth)[\s=]+[\"']?[\w.@+-]+:)" + _NOT_BLANK, r"\1{}"),
        (rf"(\b(?:{_PROGRAMS})[\w-]*\s(?:.*?\s)??-[paPwN]\s*)(?!\d+\b)[^\s-]\S*", r"\1{{}}"),
        (r"([\w.-]+:)[^\s\"']+(?=[\"']?\s*\|\s*(?:sudo\s+)?chpasswd)", r"\1{}"),
        # Files of credentials: pgpass, Postfix, Exim, PPP, IPsec, SNMP, Redis, SQL.
        (r"^([^:\s]+:(?:\d+|\*):[^:\s]+:[^:\s]+:)\S.*$", r"\1{}"),
        (r"^(\s*(?:\[[\w.-]+\]|[\w-]+(?:\.[\w-]+)+)(?::\w+)?\s+[\w.+@-]+:)(?!\d+$)\S+$", r"\1{}"),
        (r"^([\w*-]*(?:\.[\w*-]+)+:[\w.+@-]+:)[^\s:/]+$", r"\1{}"),
        (r"^(\S+\s+\*\s+)(?!\d+\s|\*)\S+((?:\s+\S+)?)$", r"\1{}\2"),
        (r"(:\s*(?:EAP|XAUTH|NTLM|PSK|PIN)\s+)\S.*", r"\1{}"),
        (r"(?i)(\bcreateUser\s+(?:-e\s+\S+\s+)?\S+\s+)\S.*", r"\1{}"),
        (r"(?i)^(\s*com2sec6?\s+.*\s)\S+\s*$", r"\1{}"),
        (r"^(\s*user\s+\S+\s+(?:.*?\s)??[><#!])\S+", r"\1{}"),
        (r"(?i)(\bidentified\s+(?:by|with\s+\S+\s+(?:by|as))\s+)\S.*", r"\1{}"),
        # Hashes of passwords.
        (r"\{(?:S?SHA\d*|S?MD5|CRYPT|PBKDF2[\w-]*|ARGON2)\}\S+", "{}"),
        (r"\$(?:1|2[abxy]?|5|6|7|y|gy|argon2\w*|scrypt|apr1)\$[^\s:]+", "{}"),
        (r"^([\w.@+-]+:)(?=[^:]*[a-z])(?=[^:]*[A-Z])(?:[./0-9A-Za-z]{13}|_[./0-9A-Za-z]{19})(?=:|$)", r"\1{}"),
        (r"(?<![\w])[0-9A-Fa-f]{32,}(?![\w])", "{}"),
        # What issuers mark as theirs.
        (rf"\b(?:{'|'.join(_TOKENS)})", "{}"),
    )
)  # fmt: skip
"""Patterns, and what stays of them; `{}` is where the secret was."""
