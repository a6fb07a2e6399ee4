"""--learn: what a run reached becomes a profile that allows just that."""

import os
import pathlib
import re
import tomllib

import pytest

from lab import CLOSED_PORT, HOST4, NOBODY, WEB, url_host
from polling import poll


HELLO = "hello from the internet\n"


@pytest.fixture
def profile(lab, who):
    """A place in a directory of the caller's, which is to hold nothing else in the end."""
    folder = lab.homes[who] / "learn"
    assert not folder.exists()
    lab.run(["mkdir", folder], who)
    yield folder / "learned.toml"
    assert [p.name for p in folder.iterdir()] in ([], ["learned.toml"])
    lab.run(["rm", "-r", folder], who)


# Addresses first, while no name is known for them: so it doesn't matter whether it is known who
# has gone there.
SCRIPT = """
    curl -sS {v6}/hello
    curl -s http://{web}:{closed}/ || echo refused
    python3 -c 'import socket
s = socket.socket(2, 2); s.sendto(b"x", ("{web}", 9999)); s.close()'
    curl -4sS http://v4.example.net/hello
    curl -sS --cacert {top}/www/ca.pem https://www.example.net/hello
    getent ahostsv4 v4.example.net >/dev/null
"""


def script_of(lab):
    return SCRIPT.format(top=lab.top, v6=f"http://{url_host(WEB[6])}", web=WEB[4], closed=CLOSED_PORT)


def test_a_run_that_was_learned_can_be_run_again(lab, sandbox, profile):
    script = script_of(lab)
    first = sandbox("sh", "-ec", script, options=["--learn", profile])
    assert first.status == 0 and first.out == HELLO + "refused\n" + HELLO * 2, first
    learned = tomllib.loads(profile.read_text())
    assert set(learned) == {"default_policy", "allow_domains_exact", "allow_cidrs"}
    assert learned["default_policy"] == "deny"
    # Both names were known for the address that the second went to; it has shown which was meant.
    assert learned["allow_domains_exact"] == ["v4.example.net:80", "www.example.net:443"]
    assert learned["allow_cidrs"] == [f"tcp://{WEB[4]}:{CLOSED_PORT}", f"tcp://[{WEB[6]}]:80",
                                      f"udp://{WEB[4]}:9999"]
    assert re.search(r'"www.example.net:443", # (curl: )?1 flow, [\d.]+ k?B received, \d+ B sent\n',
                     profile.read_text())
    again = sandbox("sh", "-ec", script, options=["--profile", profile, "--fail-on-leak"])
    assert (again.status, again.out) == (0, first.out), again


# Ways to reach what has a name, of which the second run checks more than the address. A flow that
# only a name allows must show that name where servers know it, so the first run must have seen
# what each flow shows. $PY does what a program does that has resolved the name itself.
WAYS = {
    "one program, by name and by number":
        "curl -4sS http://v4.example.net/hello http://{web}/hello",
    "two programs, by name and by number":
        "curl -4sS http://v4.example.net/hello; curl -sS http://{web}/hello",
    "resolved elsewhere":
        "getent ahostsv4 www.example.net >/dev/null;"
        "curl -sS --resolve www.example.net:443:{web} --cacert {top}/www/ca.pem https://www.example.net/hello",
    "another name at the address":
        "getent ahostsv4 www.example.net >/dev/null;"
        "curl -sS --resolve v4.example.net:80:{web} http://v4.example.net/hello",
    "TLS without a server name":
        "getent ahostsv4 www.example.net >/dev/null; echo |"
        "openssl s_client -noservername -connect www.example.net:443 >/dev/null 2>&1",
    "no byte at all":
        "python3 -c 'import socket; socket.create_connection((\"v4.example.net\", 80)).close()'",
    "a Host that is an address":
        "curl -4sS -H Host:{web} http://v4.example.net/hello",
    "a Host of another server, at another port":
        "curl -4sS -H Host:other.example.net http://v4.example.net:8080/hello",
    "a refused port": "curl -4s http://v4.example.net:{closed}/ || true",
    "datagrams":
        "python3 -c 'import socket; s = socket.socket(2, 2); "
        "a = socket.gethostbyname(\"v4.example.net\"); s.sendto(b\"x\", (a, 9999)); s.sendto(b\"x\", (a, 443))'",
    "a name that is none": "getent ahostsv4 none.example.net || true",
    "by number, then by name":
        "curl -sS http://{web}/hello; curl -4sS http://v4.example.net/hello",
}


@pytest.mark.parametrize("way", WAYS)
def test_running_again_passes(lab, sandbox, profile, way):
    script = WAYS[way].format(top=lab.top, web=WEB[4], closed=CLOSED_PORT)
    first = sandbox("sh", "-ec", script, options=["--learn", profile])
    assert first.status == 0, first
    again = sandbox("sh", "-ec", script, options=["--profile", profile, "--fail-on-leak"])
    assert (again.status, again.out, again.err) == (0, first.out, first.err), profile.read_text()


@pytest.mark.parametrize("target, other", [
    ("http://www.example.net/hello", "http://www.example.net:8080/hello"),
    ("http://www.example.net/hello", "https://www.example.net/hello"),
    (f"http://{WEB[4]}/hello", "http://www.example.net/hello"),
    (f"http://{WEB[4]}/hello", f"http://{NOBODY[4]}/hello"),
    (f"http://{WEB[4]}/hello", f"http://{WEB[4]}:81/hello"),
])
def test_nothing_else_is_allowed(sandbox, profile, target, other):
    seen = sandbox("curl", "-4sS", target, options=["--learn", profile])
    assert seen.status == 0, seen
    again = sandbox("curl", "-4sS", other, options=["--profile", profile, "--fail-on-leak"])
    assert again.status != 0 and "childflow: warning: blocked" in again.err, again
    again = sandbox("curl", "-4sS", target, options=["--profile", profile, "--fail-on-leak"])
    assert again.status == 0, again


def test_a_command_that_needs_nothing(sandbox, profile):
    assert sandbox("true", options=["--learn", profile]).status == 0
    assert tomllib.loads(profile.read_text()) == {"default_policy": "deny"}
    assert "a run of: true\n# It ended with exit status 0.\n" in profile.read_text()


def test_the_commands_status_stays(sandbox, profile):
    assert sandbox("sh", "-c", "exit 5", options=["--learn", profile]).status == 5
    assert "exit status 5" in profile.read_text()


def test_an_older_profile_is_replaced_by_a_whole_one(sandbox, profile, lab, who):
    lab.run(["sh", "-c", f"echo old >{profile}"], who)
    seen = sandbox("true", options=["--learn", profile, "--hosts-file", "/nonexistent"])
    assert seen.status == 125 and profile.read_text() == "old\n"
    seen = sandbox("sh", "-c", f"cat {profile}", options=["--learn", profile])
    assert seen.out == "old\n" and "default_policy" in profile.read_text()
    assert profile.stat().st_mode & 0o777 == 0o644


def test_no_place_for_it_is_known_before_the_run(sandbox):
    seen = sandbox("echo", "ran", options=["--learn", "/nonexistent/learned.toml"])
    assert (seen.status, seen.out) == (125, "")
    assert "childflow: --learn: make /nonexistent/learned.toml" in seen.err
    assert seen.err.endswith(": No such file or directory\n")


def test_beside_a_flow_log(lab, sandbox, profile, who):
    log = lab.homes[who] / "learn.jsonl"
    seen = sandbox("curl", "-sS", "http://v4.example.net/hello",
                   options=["--learn", profile, "--flow-log", log, "--summary"])
    assert '"event":"flow_end"' in log.read_text() and "flow-log events: total=" in seen.err
    assert "v4.example.net:80" in tomllib.loads(profile.read_text())["allow_domains_exact"]
    log.unlink()
    seen = sandbox("echo", "ran", options=["--learn", profile, "--flow-log", "/dev/null"])
    assert (seen.status, seen.out) == (125, "")
    assert "--learn: the flow log can't be read back" in seen.err


def test_without_a_log_the_summary_has_none(sandbox, profile):
    seen = sandbox("true", options=["--learn", profile, "--summary", "--summary-format=json"])
    assert '"status": "disabled"' in seen.err and '"event_counts": null' in seen.err


def test_what_is_refused_is_not_learned(sandbox, profile):
    seen = sandbox("sh", "-c", f"curl -sS http://v4.example.net/hello; curl -s http://{HOST4}:{CLOSED_PORT}/ || true",
                   options=["--learn", profile, "--block-private"])
    assert seen.out == "hello from the internet\n"
    learned = tomllib.loads(profile.read_text())
    assert not any(HOST4 in rule for rule in learned.get("allow_cidrs", []))


def log_in_memory(pid):
    """The recorded events of the childflow that has this pid."""
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        if "memfd:flow log" in os.readlink(fd):
            return fd.stat()
    raise AssertionError("no flow log in memory")


def test_what_is_recorded_does_not_pile_up(sandbox, profile):
    """However long it runs: it is read and freed meanwhile, and nothing of it is missing."""
    script = f"""
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for port in range(2001, 4001):
    s.sendto(b"x", ("{WEB[4]}", port))
print("ready", flush=True)
sys.stdin.read()
"""
    process = sandbox.start("python3", "-c", script, options=["--learn", profile], stdin=-1)
    assert process.stdout.readline() == "ready\n", process.communicate()
    poll(lambda: log_in_memory(process.pid).st_size > 500_000, "its events are recorded")
    poll(lambda: log_in_memory(process.pid).st_blocks * 512 < 100_000, "they are freed")
    assert process.communicate("", timeout=30)[1] == "" and process.returncode == 0
    assert f'"udp://{WEB[4]}:2001-4000",' in profile.read_text()
