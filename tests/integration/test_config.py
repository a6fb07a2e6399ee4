"""Settings through the real program: profiles, dumps, secrets, and what is refused."""

import os
import pathlib
import shutil
import tomllib

import pytest

from lab import WEB
from polling import poll

SECRET = "geheim-%40-42"


@pytest.fixture
def call(lab, sandbox, who):
    """Runs the program with exactly these words."""
    def run(*words, **how):
        return lab.run([sandbox.program()[0], *words], who, **how)
    return run


def write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


# --- a run's settings ---

def test_run_from_profiles(sandbox, call, folder):
    write(folder / "hosts", f"{WEB[4]} pinned.example")
    write(folder / "base" / "base.toml", 'hosts_file = "../hosts"', "mtu = 1300", "as_root = true",
          'command = ["sh", "-c", "echo never; exit 9"]')
    profile = write(folder / "child.toml", 'extends = "base/base.toml" # relative to this file',
                    "mtu = 1400", 'command = ["sh", "-c", """', "id -u",
                    "cat /sys/class/net/tap0/mtu; curl -sS http://pinned.example/hello ; exit 7",
                    '"""]')
    seen = call("--profile", profile)
    assert (seen.status, seen.out) == (7, "0\n1400\nhello from the internet\n"), seen
    seen = call("--no-as-root", "--mtu=1500", "--profile", profile, "--", "sh", "-c",
                "id -u; cat /sys/class/net/tap0/mtu")
    uid = {"root": 0, "user": 54321}[sandbox.who]
    assert (seen.status, seen.out) == (0, f"{uid}\n1500\n"), seen


def test_profile_by_name(lab, call, folder):
    ours = write(folder / "xdg/childflow/profiles/ours.toml", "mtu = 1400")
    lab.host.path("/etc/childflow/profiles").mkdir(parents=True)
    everyones = [lab.host.path(f"/etc/childflow/profiles/{name}.toml")
                 for name in ("everyones", "ours")]
    for path in everyones:
        write(path, "mtu = 1300")
    env = {"XDG_CONFIG_HOME": str(folder / "xdg")}
    try:
        show = ("--", "cat", "/sys/class/net/tap0/mtu")
        assert call("--profile", "ours", *show, env=env).out == "1400\n"
        assert call("--profile", "everyones", *show, env=env).out == "1300\n"
        assert call("--profile=ours", *show).out == "1300\n"
        listed = call("--list-profiles", env=env)
        assert (listed.status, listed.err) == (0, "")
        found = dict(line.split(maxsplit=1) for line in listed.out.splitlines())
        assert found["ours"] == str(ours)
        assert found["everyones"] == "/etc/childflow/profiles/everyones.toml"
        missing = call("--profile", "our", "--", "touch", "was-run", env=env)
        assert missing.status == 125 and "Did you mean ours?" in missing.err
    finally:
        shutil.rmtree(lab.host.path("/etc/childflow"))


@pytest.mark.parametrize("lines, named", [
    (["mtu = 1400", "offine = true"], "p.toml:2:1: unknown field `offine`"),
    (["offline = 'yes'"], "p.toml:1:1: offline must be true or false"),
    (["mtu = 1", "[table]"], "p.toml:1:1: mtu: '1' is not"),
    (["mtu = 1400", "[table]"], "p.toml:2:1:"),
    (["extends = 'p.toml'"], "inheritance cycle detected"),
    (["extends = 'no.toml'"], "settings/no.toml"),
    (["proxy_only = true"], "(proxy_only in "),
])
def test_profile_that_is_wrong(sandbox, call, folder, lines, named):
    profile = write(folder / "p.toml", *lines)
    seen = call("--profile", profile, "--", "touch", folder / "was-run")
    assert seen.status == 125 and named in seen.err and str(profile) in seen.err, seen
    assert not (folder / "was-run").exists()


# --- what is there and what is not ---

MISSING = [
    ["--doctor-format=json"], ["--root"], ["--root", "-i", "eth0"], ["--network-backend=rootful"],
]


def test_what_is_missing_is_refused(call, folder):
    for words in MISSING:
        seen = call(*words, "--", "touch", folder / "was-run")
        assert seen.status == 125, (words, seen)
        assert " is not available in this build" in seen.err, (words, seen)
        assert not (folder / "was-run").exists(), words


def test_defaults_ask_for_nothing(call, folder):
    # What a dump of today says must run today.
    profile = folder / "p.toml"
    profile.write_text(call("--dump-profile").out)
    seen = call("--profile", profile, "--no-offline", "--default-policy=allow", "--", "echo", "run")
    assert (seen.status, seen.out, seen.err) == (0, "run\n", "")


@pytest.mark.parametrize("words, status, named", [
    (["--dump-profile"], 0, ""),
    (["--dump-profile", "--bogus"], 2, "--bogus"),
    (["--bogus", "--dump-profile"], 2, "--bogus"),
    (["--bogus", "x", "--dump-profile"], 125, "--bogus"),
    (["--dump-profile", "--proxy-only"], 2, "--proxy-only requires --proxy"),
    (["--dump-profile", "--profile", "/no/such.toml"], 1, "/no/such.toml"),
    (["--profile", "/no/such.toml", "x"], 125, "/no/such.toml"),
    (["--doctor"], 1, "--doctor is not available"),
    (["--doctor", "--doctor-format=x"], 2, "--doctor-format"),
    (["--report", "f", "g"], 1, "open f: No such file"),
    (["--report", "f", "--", "touch", "was-run"], 2, "--report runs no command"),
    (["--report"], 2, "--report needs a value"),
    (["--diff", "a", "b"], 1, "open a: No such file"),
    (["--diff", "a"], 2, "two files"),
    (["--doctor", "touch", "was-run"], 2, "--doctor runs no command"),
    (["--origins", "touch", "was-run"], 125, "--dump-profile"),
    (["sh", "-c", "exit 3", "--doctor"], 3, ""),
])
def test_status(lab, call, who, words, status, named):
    seen = call(*words)
    assert seen.status == status and named in seen.err, seen
    assert bool(seen.err) == bool(named)
    assert not (lab.homes[who] / "was-run").exists()


@pytest.mark.parametrize("option", ["--dump-profile", "--list-profiles", "--help", "--version"])
def test_output_that_cant_be_written(lab, sandbox, who, folder, option):
    script = 'export XDG_CONFIG_HOME="$2"; exec "$1" "$3" >/dev/full'
    write(folder / "childflow/profiles/one.toml", "mtu = 1400")
    seen = lab.run(["sh", "-c", script, "sh", sandbox.program()[0], folder, option], who)
    assert seen.status == 1 and "No space left" in seen.err


# --- dumps ---

def test_dump_is_toml(call, folder):
    words = [
        "-c", "x.pcapng", "-C", "both", "--dns=2001:db8::1", "--hosts-file=/h", "-p",
        f"http://u:{SECRET}@[2001:db8::1]", "-p", "socks5h://b.example:9", "--proxy-insecure",
        "-p", "https://c.example", "--summary", "--flow-log=-", "--no-offline", "--block-private",
        "--default-policy=deny", "--allow-cidr", "10.1.2.3/8:80,8000-8080,[::1]:1",
        "--deny-domain=*.Bücher.example", "--proxy-only", "--drain-timeout=0.25", "--as-root", "-v",
    ]
    command = ["sh", "-c", "a ; b # c", 'quote " \\ \'\'\' """', "\n\t\x01\x7f\r", "ü€😀", ""]
    seen = call(*words, "--show-secrets", "--dump-profile", "--", *command, cwd=folder)
    assert (seen.status, seen.err) == (0, "")
    expected = {
        "capture": str(folder / "x.pcapng"), "capture_point": "both",
        "backend": "rootless-internal", "dns": "2001:db8::1", "hosts_file": "/h",
        "proxy": [f"http://u:{SECRET}@[2001:db8::1]:80", "socks5h://b.example:9",
                  "https://c.example:443"],
        "proxy_insecure": True, "summary": True, "summary_format": "text", "flow_log": "-",
        "block_private": True, "default_policy": "deny",
        "allow_cidrs": ["10.1.2.3/8:80,8000-8080", "[::1/128]:1"],
        "deny_domains": ["*.xn--bcher-kva.example"], "proxy_only": True, "drain_timeout": "0.250",
        "as_root": True, "log_level": "info", "command": command,
    }
    assert tomllib.loads(seen.out) == expected
    assert list(tomllib.loads(seen.out)) == list(expected)
    # We read it as what it was, also from elsewhere.
    profile = folder / "p.toml"
    profile.write_text(seen.out)
    again = call("--profile", profile, "--show-secrets", "--dump-profile")
    assert (again.status, again.out) == (0, seen.out)
    hidden = call("--profile", profile, "--dump-profile")
    assert SECRET not in hidden.out and "--show-secrets" in hidden.out
    assert set(tomllib.loads(hidden.out)) == set(expected)


def test_origins(call, folder):
    base = write(folder / "base.toml", "", "offline = true", "mtu = 1300")
    child = write(folder / "child.toml", 'extends = "base.toml"', "mtu = 1400")
    seen = call("--profile", child, "--dns=::1", "--dump-profile", "--origins", "-p", "http://u@a",
                "--", "x", env={"CHILDFLOW_PROXY_PASSWORD": SECRET})
    lines = seen.out.splitlines()
    assert (seen.status, seen.err) == (0, ""), seen
    for line in (f"offline = true # {base}:2", f"mtu = 1400 # {child}:2", 'dns = "::1" # --dns',
                 'default_policy = "allow" # default', 'command = ["x"] # command line'):
        assert line in lines
    assert SECRET not in seen.out
    tomllib.loads(seen.out)


# --- secrets ---

def environment(pid):
    """What others see of a process: arguments and environment."""
    folder = pathlib.Path(f"/proc/{pid}")
    return (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()


@pytest.mark.parametrize("words, env", [
    (["-U", "u", "-P", SECRET, "-p", "http://a"], {}),
    (["-U", "u", f"-P{SECRET}", "-p", "http://a"], {}),
    (["-U", "u", f"--proxy-password={SECRET}", "-p", "http://a"], {}),
    (["-p", f"http://u:{SECRET}@a"], {}),
    (["-U", "u", "-p", "http://a"], {"CHILDFLOW_PROXY_PASSWORD": SECRET}),
])
def test_password_is_wiped(lab, sandbox, who, folder, words, env):
    # A profile that is a pipe holds the program up until there is a writer.
    pipe = folder / "pipe.toml"
    os.mkfifo(pipe)
    process = lab.start([sandbox.program()[0], *words, "--profile", pipe, "--dump-profile",
                         "--show-secrets"], who, env=env)
    started = str(pipe).encode()
    poll(lambda: b"\0--show-secrets" in environment(process.pid)
         and not environment(process.pid).startswith((b"nsenter", b"setpriv"))
         and started in environment(process.pid)
         and SECRET.encode() not in environment(process.pid), "the end of the password")
    with open(pipe, "w") as out:
        out.write("mtu = 1400\n")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and SECRET in out, err


def test_command_does_not_inherit_the_password(sandbox):
    seen = sandbox("env", env={"CHILDFLOW_PROXY_PASSWORD": SECRET})
    assert seen.status == 0
    assert "CHILDFLOW_PROXY_PASSWORD" not in seen.out and SECRET not in seen.out


def test_errors_do_not_show_the_password(call):
    for url in (f"http://u:{SECRET}@a/path", f"u:{SECRET}@a:1", f"http://u:{SECRET}@:1"):
        seen = call("-p", url, "--", "true")
        assert seen.status == 125 and SECRET not in seen.err


def test_password_file(call, folder):
    words = ["-p", "http://a", "-U", "u", "--proxy-password-file"]
    seen = call(*words, folder / "no-such", "--", "true")
    assert seen.status == 125 and "--proxy-password-file: open " in seen.err
    empty = write(folder / "word")
    assert "is empty" in call(*words, empty, "--", "true").err
    # It is read for a run alone, and never printed.
    write(folder / "word", SECRET)
    dump = call(*words, folder / "word", "--show-secrets", "--dump-profile")
    assert tomllib.loads(dump.out)["proxy_password_file"] == str(folder / "word")
    assert SECRET not in dump.out
