"""No secret leaves in a diff, whatever the syntax of the file that holds it; what is none stays readable.

Every secret here is made up. `S` stands for one that a person chose, which nothing but its surroundings gives away.
"""

import pytest

from drift_agent.drift.diff import unified
from drift_agent.image.redact import REDACTED, holds_key, redact_blocks, redact_line
from effort import LINEAR, growth

S = "Tr0ub4dor&3"
SEED = "JBSWY3DPEHPK3PXP"

ASSIGNED = [
    f"export DB_PASS='{S}'",
    f'export PASSWORD="one {S}" OTHER=1',
    f'Environment="DB_PASSWORD={S}" "FOO=bar"',
    f"Environment=APIKEY={S}",
    f"ENV MYSQL_ROOT_PASSWORD {S}",
    f"SetCredential=db.key:{S}",
    f"define('DB_PASSWORD', '{S}');",
    f"$config['db_passwd']['x'] = '{S}';",
    f"'password' => '{S}',",
    f'{{default_pass, <<"{S}">>}}',
    f'{{"name": "DB_PASSWORD", "value": "{S}"}}',
    f'<user name="bob" password="{S}" roles="x"/>',
    f'<add key="DbPassword" value="{S}"/>',
    f"wep_key0={S}",
    f"wep-key0={S}",
    f"wireless-key s:{S}",
    f"hmac_key: {S}",
    f"accountKey: {S}",
    f"storage_key={S}",
    f"session_cookie = {S}",
    f"ldap_default_authtok = {S}",
    f"rootpwmodpw {S}",
    f"masterauth {S}",
    f"totp_seed = {SEED}",
    "pin = 123456",
    f'"encrypt": "{S}"',
]

BELOW = [
    f"machine example.org\n  login bob\n  password\n  {S}",
    f"- name: DB_PASSWORD\n  value: {S}",
    f'  "name": "DB_PASSWORD",\n  "value": "{S}"',
    f"<password>\n  {S}\n</password>",
    f"<auth-user-pass>\nbob\n{S}\n</auth-user-pass>",
    f"<key>Password</key>\n<string>{S}</string>",
    f"name,password\n{S},x",
    f'variable "db_password" {{\n  default = "{S}"\n}}',
    f'password = """\nfirst\n{S}"""',
    f"password: | # of the database\n  {S}",
    f"password: &anchor |\n  {S}",
    f"password: !!binary |\n  {S}",
    f"other: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  {S}",
    f"passwords:\n- {S}\n- x",
    f"passwords:\n  - x\n  - {S}",
    f'password: "first\n{S}"',
    f"password: first\n  {S}",
    f"PASSWORD = (\n    '{S}'\n)",
    f"spring.datasource.password=\\\n{S}",
    f"PASSWORD=$(cat <<EOF\nfirst\n{S}\nEOF\n)",
    f"kind: Secret\nstringData:\n  url: x\n  conn: {S}",
    f"-----BEGIN OpenVPN Static key V1-----\n{S}\n-----END OpenVPN Static key V1-----",
    f"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n{S}\n---- END SSH2 ENCRYPTED PRIVATE KEY ----",
    f"  -----BEGIN EC PRIVATE KEY-----\r\n  {S}\r\n  -----END EC PRIVATE KEY-----\r",
    f"x: -----BEGIN EC PRIVATE KEY-----\\n{S}\\n-----END EC PRIVATE KEY-----\\n",
]

FORMS = [
    f"db.example.org:5432:app:bob:{S}",
    f"*:*:*:bob:{S}",
    f"[smtp.example.org]:587 bob:{S}",
    f"*.example.org:bob:{S}",
    f"bob * {S} *",
    f'bob : EAP "{S}"',
    f'createUser bob SHA "{S}" AES',
    f"com2sec local localhost {S}",
    f"user bob on >{S} ~* +@all",
    f"CREATE USER bob IDENTIFIED BY '{S}';",
    f"stats auth bob:{S}",
    f"curl -u bob:{S} https://example.org",
    f"curl --user bob:{S} https://example.org",
    f"0 1 * * * root mysqldump -uroot -p{S} x",
    f"ipmitool -U root -P {S}",
    f"kadmin -w {S}",
    f"ssh-keygen -N {S}",
    f"echo 'bob:{S}' | chpasswd",
    f"bob:{S}@tcp(127.0.0.1:3306)/db",
    f"jdbc:oracle:thin:bob/{S}@//db:1521/x",
    f"amqp://bob:ab/cd{S}@host/vhost",
    f"https://{S}{S}@git.example.org/x",
    f"https://account.example.org/c?sv=2020&sig={S}",
    f"https://hooks.slack.com/services/T00000000/B00000000/{S}",
    f"https://discord.com/api/webhooks/1234/{S}",
]

MARKED = [
    "bob:rl.3StKT.4T8M",
    "bob:_J9..rasmBYk8r9AiWNc:19000::",
    "bob:1000:AAD3B435B51404EEAAD3B435B51404EE:x",
    '{"auths":{"r.example":{"auth":"Ym9iOmh1bnRlcjI="}}}',
    "_auth=Ym9iOmh1bnRlcjI=",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "AIzaSyA-abcdefghijklmnopqrstuvwxyz_abc",
    "GOCSPX-abcdefghijklmnopqrstuvwxyz",
    "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz",
    "npm_abcdefghijklmnopqrstuvwxyzABCDEFGHIJ",
    "whsec_abcdefghijklmnopqrstuvwxyz",
    "SG.abcdefghijklmnopqrstuv.abcdefghijklmnopqrstuvwxyzABCDEFG",
    "sk-ant-api03-abcdefghijklmnop",
    "hf_abcdefghijklmnopqrstuvwxyzABCDEFGH",
    "hvs.CAESIabcdefghijklmnopqrstuvwxyz",
    "s.abcdefghijklmnopqrstuvwx",
    "123456789:AAabcdefghijklmnopqrstuvwxyzABCDEFG",
    "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=",
    "dGhpc2lzYXZlcnlzZWNyZXR2YWx1ZQ==",
    "36" * 40,
]


def redacted(text: str) -> str:
    return "\n".join(map(redact_line, redact_blocks(text.split("\n"))))


@pytest.mark.parametrize("text", [*ASSIGNED, *BELOW, *FORMS])
def test_a_secret_is_known_by_what_it_stands_in(text: str) -> None:
    found = redacted(text)
    assert S not in found
    assert SEED not in found
    assert "123456" not in found
    assert found.count("\n") == text.count("\n")
    assert S not in unified("/f", "", text)


@pytest.mark.parametrize("text", MARKED)
def test_a_secret_is_known_by_its_own_form(text: str) -> None:
    for line in (text, f"x {text}", f'"{text}"') if ":" not in text[:5] and "{" not in text else (text,):
        assert REDACTED in redacted(line)
        assert text[-12:] not in redacted(line)


@pytest.mark.parametrize(
    "line",
    [
        "PasswordAuthentication yes",
        "PermitEmptyPasswords no",
        "passwd:         files systemd",
        "PASS_MAX_DAYS\t99999",
        "password\t[success=1 default=ignore]\tpam_unix.so obscure yescrypt",
        "account [success=1 new_authtok_reqd=done default=ignore] pam_unix.so",
        "password include common-password",
        "eve ALL=(ALL) NOPASSWD: ALL",
        "%ops ALL=(ALL:ALL) SETENV: NOPASSWD: /usr/bin/systemctl restart web",
        "ssl_password_file /etc/nginx/passwords",
        "passive_ftp = on",
        "ExecStart=/usr/lib/x86_64-linux-gnu/libexec/tool --verbose",
        "#DefaultLimitNOFILE=1024:524288",
        "mozilla/Hellenic_Academic_and_Research_Institutions_RootCA_2015.crt",
        "30 3 * * 0 root test -e /run/systemd/system",
        "root:x:0:0:root:/root:/bin/bash",
        "server web1 10.0.0.1:8080 check",
        "proxy_pass http://backend:8080/x;",
        "psql -p 5432 -h db.example.org",
        "/usr/bin/passwd --status bob",
        "-----BEGIN CERTIFICATE-----",
    ],
)
def test_what_tells_of_an_attack_stays_readable(line: str) -> None:
    assert redacted(line) == line


def test_what_follows_a_switch_or_a_condition_is_no_part_of_it() -> None:
    text = 'PasswordAuthentication: no\n  Match: all\nif [ "$token" = "x" ]; then\n  run\nfi\npassword: it\'s\nplain'
    assert redacted(text).split("\n")[1:5] == ["  Match: all", 'if [ "$token" = [redacted]', "  run", "fi"]
    assert redacted(text).endswith("\nplain")


def test_a_secret_is_not_cut_in_two() -> None:
    """What is cut off is what gives it away: the rest of its URL, or of its length."""
    for secret in ("https://bob:hunter2hunter2@example.org", "0a1b2c3d4e5f60718293a4b5c6d7e8f9"):
        for before in range(470, 500):
            assert secret[:14] not in redact_line("x " * (before // 2) + secret)


@pytest.mark.parametrize("mark", [b"AGE-SECRET-KEY-1QQP", b"-----BEGIN OpenVPN Static key V1-----"])
def test_files_of_keys_are_never_kept(mark: bytes) -> None:
    assert holds_key(mark)


@pytest.mark.parametrize("part", ["password:\n", "a\n", " \n", "<password>\n", "token = '\n", "-----BEGIN X-----\n"])
def test_no_text_takes_long(part: str) -> None:
    def lines(count: int) -> list[str]:
        return (part * count).split("\n")

    assert growth(lines, redact_blocks, 2000) < LINEAR
