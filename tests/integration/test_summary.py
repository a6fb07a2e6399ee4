"""--summary: what a run was, on stderr, after it."""

import json
import re

import pytest

import pcapng
from lab import CLOSED_PORT, WEB
from schemas import hold

SOURCE = 7003  # guest/server.py

LOG_LINES = ["events", "dns names", "dns policy rows", "top dns policy correlation", "top target",
             "policy violations", "policy controls", "policy matched domains", "connect errors",
             "runtime failures", "runtime failure phases"]
LABELS = ["backend", "command", "sandbox controls", "capture", "flow-log",
          *(f"flow-log {line}" for line in LOG_LINES), "exit"]


def told(seen):
    """The summary as label and value."""
    warnings, summary = seen.err.split("childflow summary\n")
    assert all(line.startswith("childflow: warning: ") for line in warnings.splitlines()), seen
    return [line.split(": ", 1) for line in summary.splitlines()]


@pytest.fixture
def log(lab, who):
    path = lab.homes[who] / "summary.jsonl"
    yield path
    path.unlink(missing_ok=True)


def test_without_a_log(sandbox):
    seen = sandbox("curl", "-sS", "http://www.example.net/hello", options=["--summary"])
    assert (seen.status, seen.out) == (0, "hello from the internet\n")
    lines = told(seen)
    assert [label for label, _ in lines] == LABELS
    facts = dict(lines)
    assert facts == {**{f"flow-log {line}": "disabled" for line in LOG_LINES}, "flow-log": "disabled",
                     "backend": "rootless-internal", "sandbox controls": "none", "capture": "disabled",
                     "command": "curl -sS http://www.example.net/hello", "exit": "0"}


def test_of_a_fetch(sandbox, log):
    seen = sandbox("curl", "-4sS", "http://www.example.net/hello", options=["--summary", "--flow-log", log])
    lines = told(seen)
    assert [label for label, _ in lines] == LABELS
    facts = dict(lines)
    target = f"{WEB[4]}:80"
    counted = "attempts=1, ok=1, error=0, flow_end=1"
    assert facts["flow-log"] == str(log)
    assert re.match(r"total=\d+, dns_query=\d+, dns_answer=\d+, connect_attempt=1, connect_result=1, "
                    r"policy_violation=0, flow_end=1, runtime_failure=0, unknown_event=0", facts["flow-log events"])
    total, *each = [int(n) for n in re.findall(r"=(\d+)", facts["flow-log events"])]
    assert total == sum(each) == len(log.read_text().splitlines())
    asked = int(re.search(r"dns_query=(\d+)", facts["flow-log events"])[1])
    assert facts["flow-log dns names"] == (
        f"www.example.net (queries={asked}, answers={asked}, answer_ips={WEB[4]}, "
        f"targets={target} ({counted}, matched_domains=none))")
    assert facts["flow-log dns policy rows"] == (
        f"www.example.net -> {target} (answer_ips={WEB[4]}, matched_domains=none, {counted})")
    assert facts["flow-log top dns policy correlation"] == (
        f"www.example.net (answer_ips={WEB[4]}, matched_domains=none, targets={target} "
        f"({counted}, matched_domains=none))")
    assert facts["flow-log top target"] == (
        f"{target} ({counted}, dns_names=www.example.net, matched_domains=none)")
    for line in LOG_LINES[5:]:
        assert facts[f"flow-log {line}"] == "none", line


def test_of_failures(sandbox, log):
    script = f"for i in 1 2; do curl -s http://{WEB[4]}:{CLOSED_PORT}/; done; exit 5"
    seen = sandbox("sh", "-c", script, options=["--summary", "--flow-log", log])
    facts = dict(told(seen))
    assert seen.status == 5 and facts["exit"] == "5"
    assert facts["command"] == f'sh -c "{script}"'
    assert facts["flow-log connect errors"] == "Connection refused=2"
    assert facts["flow-log top target"] == (
        f"{WEB[4]}:{CLOSED_PORT} (attempts=2, ok=0, error=2, flow_end=0, dns_names=none, matched_domains=none)")


def test_json(sandbox, log):
    seen = sandbox("curl", "-4sS", "http://www.example.net/hello",
                   options=["--summary", "--summary-format", "json", "--flow-log", log])
    facts = hold("summary", seen.err)
    assert seen.err == json.dumps(facts, indent=2) + "\n"
    assert list(facts) == ["backend", "command", "exit_code", "sandbox_controls", "capture", "flow_log"]
    assert facts["capture"] == {"status": "disabled", "requested": None, "effective": None, "output": None,
                                "child_output": None, "egress_output": None}
    flow_log = facts["flow_log"]
    assert list(flow_log) == [
        "status", "path", "event_counts", "top_dns_name", "dns_policy_rows", "top_dns_policy_correlation",
        "top_target", "policy_violations", "policy_controls", "policy_matched_domains", "connect_errors",
        "runtime_failures", "runtime_failure_phases"]
    counted = {"connect_attempts": 1, "connect_ok": 1, "connect_error": 0, "flow_end": 1}
    target = {"target": f"{WEB[4]}:80", **counted, "matched_domains": []}
    name = {"qname": "www.example.net", "queries": flow_log["event_counts"]["dns_query"],
            "answers": flow_log["event_counts"]["dns_answer"], "answer_ips": [WEB[4]]}
    assert (flow_log["status"], flow_log["path"]) == ("available", str(log))
    assert flow_log["top_dns_name"] == {**name, "targets": [target]}
    assert flow_log["dns_policy_rows"] == [{**name, **target, "target_ip": WEB[4]}]
    assert flow_log["top_dns_policy_correlation"] == {**name, "matched_domains": [], "targets": [target]}
    assert flow_log["top_target"] == {**target, "dns_names": ["www.example.net"]}


def test_json_without_a_log(sandbox):
    seen = sandbox("true", options=["--summary", "--summary-format=json"])
    flow_log = hold("summary", seen.err)["flow_log"]
    assert flow_log.pop("status") == "disabled"
    lists = ["dns_policy_rows", "policy_violations", "policy_controls", "policy_matched_domains",
             "connect_errors", "runtime_failures", "runtime_failure_phases"]
    assert all(flow_log.pop(key) == [] for key in lists)
    assert all(value is None for value in flow_log.values()) and len(flow_log) == 5


def test_of_a_capture(sandbox, lab, who):
    file = lab.homes[who] / "summary.pcapng"
    seen = sandbox("true", options=["--summary", "-c", file])
    assert dict(told(seen))["capture"] == f"requested=child, effective=child, output={file}"
    seen = sandbox("true", options=["--summary", "-c", file, "-C", "both"])
    stem = str(file).removesuffix(".pcapng")
    both = [f"{stem}.child.pcapng", f"{stem}.egress.pcapng"]
    assert dict(told(seen))["capture"] == (
        f"requested=both, effective=child+egress, child={both[0]}, egress={both[1]}")
    seen = sandbox("true", options=["--summary", "--summary-format=json", "-c", file, "-C", "both"])
    capture = hold("summary", seen.err)["capture"]
    assert capture.pop("packets") >= 0 and capture.pop("dropped_packets") == 0
    assert capture == {
        "status": "enabled", "requested": "both", "effective": "child+egress", "output": None,
        "child_output": both[0], "egress_output": both[1]}
    for path in [str(file), *both]:
        (lab.homes[who] / path).unlink()


def test_packets_of_a_capture(sandbox, lab, who):
    """As many as are in the file."""
    file = lab.homes[who] / "summary.pcapng"
    seen = sandbox("curl", "-4sS", "http://www.example.net/hello", options=["--summary", "-c", file])
    assert [label for label, _ in told(seen)] == [*LABELS[:4], "capture packets", *LABELS[4:]]
    count = len(pcapng.packets(pcapng.check(file)))
    assert count > 5 and dict(told(seen))["capture packets"] == f"total={count}, dropped=0"
    file.unlink()


def test_packets_that_a_capture_had_to_drop(sandbox):
    """Nobody reads it: what the pipe had room for is in it, all others are counted."""
    process = sandbox.start(
        "/usr/bin/python3", sandbox.lab.top / "bin/client.py", "download", WEB[4], SOURCE, 64 << 20,
        options=["-c", "-", "--drain-timeout", "0.1", "--summary", "--summary-format=json"], text=False)
    err = process.stderr.read().decode()
    raw = process.stdout.read()
    assert process.wait(60) == 0
    capture = hold("summary", err[err.index("{\n"):])["capture"]
    kept = len(pcapng.packets(pcapng.parse(pcapng.whole(raw))))
    assert kept > 0 and capture["dropped_packets"] > 0
    assert capture["packets"] - capture["dropped_packets"] == kept


def test_controls_stand_in_one_order(sandbox):
    seen = sandbox("true", options=[
        "--fail-on-leak", "--deny-domain=b.test", "--deny-cidr=10.0.0.0/8", "--allow-domain-exact=a.test",
        "--allow-cidr=192.0.2.1", "--allow-cidr=192.0.2.2:443", "--default-policy=deny", "--block-metadata",
        "--block-private", "--summary"])
    assert dict(told(seen))["sandbox controls"] == (
        "block-private, block-metadata, default-policy=deny, allow-cidr=192.0.2.1/32, "
        "allow-cidr=192.0.2.2/32:443, deny-cidr=10.0.0.0/8, allow-domain-exact=a.test, deny-domain=b.test, "
        "fail-on-leak")


def test_of_refusals(sandbox, log):
    seen = sandbox("curl", "-s", "http://www.example.net/hello",
                   options=["--summary", "--deny-domain", "example.net", "--flow-log", log])
    facts = dict(told(seen))
    n = int(re.search(r"policy_violation=(\d+)", facts["flow-log events"])[1])
    assert seen.status == 6 and n > 0
    assert facts["flow-log policy violations"] == f"deny_domain={n}"
    assert facts["flow-log policy controls"] == f"--deny-domain={n}"
    assert facts["flow-log policy matched domains"] == f"example.net={n}"


def test_words_of_a_command(sandbox):
    words = ["", "a b", 'c"d', "e\\f", "g\nh", "i'j", "k\x1b[2J", "plain"]
    seen = sandbox("true", *words, options=["--summary"])
    assert dict(told(seen))["command"] == (
        r'true "" "a b" "c\"d" "e\\f" "g\nh" "i' + "'" + r'j" k\x1b[2J plain')


def test_a_log_that_cannot_be_read_back(sandbox, log):
    """A pipe is another's to read."""
    seen = sandbox.lab.run(
        ["sh", "-c", f'exec 3>&2; {{ "$@" 2>&3; }} | cat >{log}', "sh", *sandbox.program(
            "--summary", "--flow-log", "fd:1"), "true"], sandbox.who)
    facts = dict(told(seen))
    assert facts["flow-log"] == "fd:1"
    assert all(facts[f"flow-log {line}"] == "unavailable" for line in LOG_LINES)
    assert '"event":"run_end"' in log.read_text()


def test_a_log_with_lines_of_before(sandbox, log):
    """What stood in the file before the run isn't the run's."""
    inside = ["sh", "-c", f'echo no JSON >{log}; exec 3>>{log}; "$@" && "$@"', "sh",
              *sandbox.program("--summary", "--flow-log", "fd:3"), "true"]
    seen = sandbox.lab.run(inside, sandbox.who)
    assert seen.err.count("flow-log events: total=2, ") == 2, seen


def test_a_log_with_lines_of_others(sandbox, log):
    """The command writes there, too: lines as of another run."""
    other = '{"event":"dns_query","qname":"other.test","run_id":"other"}'
    seen = sandbox("sh", "-c", f"echo '{other}' >>{log}", options=["--summary", "--flow-log", log])
    facts = dict(told(seen))
    assert facts["flow-log events"].startswith("total=2, ")
    assert facts["flow-log dns names"] == "none"


def test_spoilt_logs_are_unavailable(sandbox, log):
    """The command itself has written to it."""
    seen = sandbox("sh", "-c", f"echo garbage >>{log}; exit 3", options=["--summary", "--flow-log", log])
    assert seen.status == 3
    assert dict(told(seen))["flow-log events"] == "unavailable"


def test_no_summary_of_a_run_that_failed(sandbox):
    seen = sandbox("true", options=["--summary", "--hosts-file", "/nonexistent"])
    assert seen.status == 125 and "childflow summary" not in seen.err


def test_the_commands_own_words_look_like_options(sandbox):
    seen = sandbox("echo", "--summary")
    assert (seen.out, seen.err) == ("--summary\n", "")
