"""What --flow-log tells of a run: each kind of event, in its order, and whatever becomes of
the file, the traffic goes on."""

import json
import os
import re
import signal
import subprocess

import pytest

import flowlog
from conftest import PLAIN
from lab import CLOSED_PORT, DNS, HOLE, HOST_UNREACHABLE, NOBODY, PYTHON, WEB, url_host
from polling import poll

pytestmark = pytest.mark.skipif(PLAIN, reason="CHILDFLOW=plain")

SINK, RESET, FIN_FIRST, STALL, UDP_TWICE = 7002, 7004, 7005, 7006, 7020
FLOW = ["connect_attempt", "connect_result", "flow_end"]


@pytest.fixture
def logged(sandbox, flow_log):
    """Runs a command with a flow log and returns what became of it."""

    def run(*argv, options=(), **how):
        return sandbox(*argv, options=[*flow_log.options, *options], **how)

    return run


@pytest.fixture
def client(logged, lab):
    return lambda *words, **how: logged(PYTHON, lab.top / "bin/client.py", *words, **how)


# --- the sequence of each kind of run ---------------------------------------------------------


def test_fetch(logged, flow_log, family):
    seen = logged("curl", f"-sS{family}", "http://www.example.net/hello")
    assert (seen.status, seen.out, seen.err) == (0, "hello from the internet\n", "")
    kinds = flow_log.kinds()
    queries = kinds.count("dns_query")
    assert queries in (1, 2) and sorted(kinds[: 2 * queries]) == (
        ["dns_answer"] * queries + ["dns_query"] * queries)
    assert kinds[2 * queries :] == FLOW
    attempt, result, end = flow_log.of(*FLOW)
    assert attempt["remote_addr"] == f"{url_host(WEB[family])}:80"
    assert (attempt["remote_ip"], attempt["remote_port"]) == (WEB[family], 80)
    assert (attempt["names"], attempt["via_proxy"]) == (["www.example.net"], False)
    assert (result["status"], result["error"]) == ("ok", None)
    assert {e["flow_id"] for e in (attempt, result, end)} == {1}
    assert (end["close_reason"], end["protocol"]) == ("eof", "tcp")
    assert end["bytes_up"] > 50 and end["bytes_down"] > len(seen.out)
    assert end["duration_ms"] >= 0


def test_dns(logged, flow_log):
    assert logged("dig", "+short", "www.example.net", "AAAA").status == 0
    assert flow_log.kinds() == ["dns_query", "dns_answer"]
    query, answer = flow_log.of("dns_query", "dns_answer")
    assert (query["protocol"], query["qname"], query["qtype"]) == ("udp", "www.example.net", "AAAA")
    assert query["server"] == f"{DNS[4]}:53"
    assert (answer["mode"], answer["answer_ips"], answer["rcode"]) == ("relayed", [WEB[6]], 0)
    assert answer["bytes"] > 40


def test_dns_over_tcp(logged, flow_log):
    assert logged("dig", "+tcp", "+short", "WWW.example.net.").status == 0
    assert flow_log.kinds() == ["dns_query", "dns_answer"]
    assert [e["protocol"] for e in flow_log.of("dns_query", "dns_answer")] == ["tcp", "tcp"]
    assert flow_log.of("dns_query")[0]["qname"] == "www.example.net"


def test_name_denied(logged, flow_log):
    seen = logged("curl", "-sS4", "http://api.blocked.test/", options=["--deny-domain=blocked.test"])
    assert seen.status == 6
    kinds = flow_log.kinds()
    assert kinds[:3] == ["dns_query", "policy_violation", "dns_answer"]
    query, violation, answer = flow_log.events()[1:4]
    assert (violation["protocol"], violation["remote"]) == ("dns", "api.blocked.test")
    assert (violation["remote_ip"], violation["remote_port"]) == (None, None)
    assert (violation["reason_code"], violation["control"]) == ("deny_domain", "--deny-domain")
    assert violation["matched_domain"] == "blocked.test"
    assert violation["reason"] == "blocked by `--deny-domain blocked.test`"
    assert (answer["mode"], answer["answer_ips"]) == ("synthetic_empty", [])
    assert answer["server"] == query["child_addr"].rsplit(".", 1)[0] + "." + answer[
        "server_ip"].rsplit(".", 1)[1] + ":53"


def test_default_deny(logged, flow_log):
    options = ["--default-policy=deny", "--allow-domain-exact=other.test"]
    assert logged("curl", "-sS4", "http://www.other.test/", options=options).status == 6
    violation = flow_log.of("policy_violation")[0]
    assert (violation["protocol"], violation["remote"]) == ("dns", "www.other.test")
    assert (violation["reason_code"], violation["control"]) == ("default_deny", "--default-policy")
    assert "--default-policy deny" in violation["reason"]


def test_address_denied(logged, flow_log, family):
    network = {4: "93.184.216.0/24", 6: "2606:4700:10::/48"}[family]
    seen = logged("curl", "-sS", f"http://{url_host(WEB[family])}/hello",
                  options=[f"--deny-cidr={network}"])
    assert seen.status == 7
    assert flow_log.kinds() == ["policy_violation"]
    (violation,) = flow_log.of("policy_violation")
    assert (violation["action"], violation["reason_code"]) == ("deny", "deny_cidr")
    assert (violation["control"], violation["matched_cidr"]) == ("--deny-cidr", network)
    assert violation["remote"] == f"{url_host(WEB[family])}:80"
    assert (violation["comm"], violation["exe"]) == ("curl", os.path.realpath("/usr/bin/curl"))


def test_audit(logged, flow_log):
    seen = logged("curl", "-sS", f"http://{WEB[4]}/hello",
                  options=["--deny-cidr=93.184.216.0/24", "--audit"])
    assert seen.status == 0
    assert flow_log.kinds() == ["policy_violation", *FLOW]
    assert flow_log.of("policy_violation")[0]["action"] == "audit"


def test_refused(client, flow_log, family):
    assert client("connect", NOBODY[family], CLOSED_PORT).out.endswith(" ECONNREFUSED\n")
    assert flow_log.kinds() == ["connect_attempt", "connect_result"]
    result = flow_log.of("connect_result")[0]
    assert (result["status"], result["error"]) == ("error", "Connection refused")
    assert result["errno"] == 111


def test_unreachable(client, flow_log):
    assert client("connect", HOST_UNREACHABLE[4], 80).out.endswith(" EHOSTUNREACH\n")
    assert flow_log.kinds() == ["connect_attempt", "connect_result"]
    assert flow_log.of("connect_result")[0]["error"] == "No route to host"


def test_black_hole(logged, flow_log):
    """The command gives up first, and the attempt with it."""
    seen = logged("curl", "-sS", "--connect-timeout", "0.3", f"http://{HOLE[4]}/")
    assert seen.status == 28
    assert flow_log.kinds() == ["connect_attempt", "connect_result"]
    assert flow_log.of("connect_result")[0]["status"] == "error"


def test_reset_by_the_remote(client, flow_log):
    assert client("provoke_reset", WEB[4], RESET).out == "ECONNRESET\n"
    assert flow_log.kinds() == FLOW
    end = flow_log.of("flow_end")[0]
    assert (end["close_reason"], end["error"]) == ("remote_reset", "Connection reset by peer")


def test_reset_by_the_command(client, flow_log):
    assert client("send_reset", WEB[4], SINK).status == 0
    assert flow_log.kinds() == FLOW
    assert flow_log.of("flow_end")[0]["close_reason"] == "child_reset"


def test_udp(client, flow_log, family):
    assert client("datagrams", WEB[family], UDP_TWICE).status == 0
    assert flow_log.kinds() == ["flow_start", "flow_end"]
    start, end = flow_log.of("flow_start", "flow_end")
    assert start["flow_id"] == end["flow_id"] and start["protocol"] == "udp"
    assert end["remote_addr"] == f"{url_host(WEB[family])}:{UDP_TWICE}"
    assert (end["packets_up"], end["packets_down"]) == (3, 6)
    assert (end["bytes_up"] > 0, end["close_reason"]) == (True, "run_end")


@pytest.mark.parametrize("who", ["root"])  # the lab's host grants others no ping sockets
def test_ping(logged, flow_log, family):
    seen = logged("ping", "-n", "-c2", "-i0.2", "-s16", WEB[family])
    assert seen.status == 0, seen
    assert flow_log.kinds() == ["flow_start", "flow_end"]
    end = flow_log.of("flow_end")[0]
    assert end["protocol"] == {4: "icmpv4", 6: "icmpv6"}[family]
    assert (end["remote_addr"], end["remote_port"]) == (WEB[family], None)
    assert (end["packets_up"], end["packets_down"], end["bytes_up"]) == (2, 2, 32)


def test_killed_command(logged, flow_log):
    seen = logged("sh", "-c", "kill -9 $$")
    assert seen.status == 137
    assert flow_log.kinds() == []
    assert flow_log.of("run_end")[0]["exit_code"] == 137


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_killed_run(lab, sandbox, flow_log, number):
    """The flow that was open has its end, and the run its own."""
    mark = lab.event_mark()
    process = sandbox.start("curl", "-sN", "telnet://%s:%s" % (WEB[4], STALL),
                            options=flow_log.options, stdin=subprocess.PIPE)
    process.stdin.write("x")
    process.stdin.flush()
    poll(lambda: lab.events_since("stall_begin", mark), "the connection")
    process.send_signal(number)
    process.communicate(timeout=30)
    lab.end_stalled(mark)
    assert process.returncode == 128 + number
    assert flow_log.kinds() == FLOW
    assert flow_log.of("run_end")[0]["exit_code"] == 128 + number
    assert flow_log.of("flow_end")[0]["close_reason"] in ("child_reset", "eof", "run_end")


def test_killed_engine(lab, sandbox, flow_log):
    """What was told before stays; the failure has a phase and a code."""
    from test_faults import Family

    process = sandbox.start("sh", "-c", "echo ready; exec sleep 1000", options=flow_log.options)
    assert process.stdout.readline() == "ready\n"
    os.kill(Family(process).engine, signal.SIGKILL)
    process.communicate(timeout=30)
    assert flow_log.kinds() == ["runtime_failure"]
    failure, end = flow_log.events()[1:]
    assert failure["reason_code"] in ("runtime_shutdown_failed", "rootless_bootstrap_sync_failed")
    assert (failure["phase"], end["exit_code"]) == ("run", 125)


# --- the run itself ---------------------------------------------------------------------------


def test_start_and_end(logged, flow_log):
    options = ["--deny-domain=b.test", "--deny-domain=a.test", "--block-metadata"]
    assert logged("sh", "-c", "exit 7", options=options).status == 7
    start, end = flow_log.events()
    assert start["command"] == ["sh", "-c", "exit 7"]
    assert "deny-domain=b.test\ndeny-domain=a.test\n" in start["policy"]
    assert "block-metadata=true\n" in start["policy"]
    digest = subprocess.run(["sha256sum"], input=start["policy"], text=True, capture_output=True)
    assert start["policy_sha256"] == digest.stdout.split()[0]
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{16}", start["run_id"])
    assert (end["exit_code"], end["lost_records"]) == (7, 0)
    assert end["events"]["run_start"] == end["events"]["run_end"] == 1


def test_policy_digest(sandbox, flow_log):
    digests = []
    for options in ([], [], ["--offline"]):
        sandbox("true", options=[*flow_log.options, *options])
        digests.append(flow_log.events()[0]["policy_sha256"])
    assert digests[0] == digests[1] != digests[2]


def test_command_that_is_no_text(lab, sandbox, flow_log):
    script = r"""exec "$@" sh -c : "$(printf 'a\377b')" """
    argv = ["sh", "-c", script, "sh", *sandbox.program(*flow_log.options)]
    assert lab.run(argv, sandbox.who).status == 0
    start = flow_log.events()[0]
    assert start["command"] == ["sh", "-c", ":", "a\ufffdb"]
    assert start["command_words"][3] == {"word": "a\ufffdb", "word_b64": "Yf9i"}


def test_counts_are_those_of_the_lines(logged, flow_log):
    logged("sh", "-c", f"curl -sS http://www.example.net/hello; curl -sS http://{NOBODY[4]}:9/")
    told = flow_log.of("run_end")[0]["events"]
    kinds = [event["event"] for event in flow_log.events()]
    assert told == {kind: kinds.count(kind) for kind in told}


def test_not_found(logged, flow_log):
    assert logged("no-such-program").status == 127
    (failure,) = flow_log.of("runtime_failure")
    assert (failure["phase"], failure["reason_code"]) == (
        "child_bootstrap", "unknown_runtime_failure")
    assert "no-such-program" in failure["detail"]
    assert flow_log.of("run_end")[0]["exit_code"] == 127


def test_no_tun(lab, sandbox, flow_log):
    with lab.host_mounts("mount -t tmpfs -o mode=755 lab /dev/net") as space:
        assert sandbox("true", options=flow_log.options, space=space).status == 125
    (failure,) = flow_log.of("runtime_failure")
    assert (failure["phase"], failure["reason_code"]) == ("child_bootstrap", "tap_create_blocked")


def test_no_namespaces(lab, sandbox, flow_log):
    script = 'echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"'
    argv = ["unshare", "-Ur", "sh", "-c", script, "sh", *sandbox.program(*flow_log.options), "true"]
    assert lab.run(argv, sandbox.who).status == 125
    (failure,) = flow_log.of("runtime_failure")
    assert (failure["phase"], failure["reason_code"]) == ("preflight", "namespace_unshare_failed")


def test_refused_settings(logged, flow_log):
    assert logged("true", options=["--proxy-only"]).status == 125
    (failure,) = flow_log.events()
    assert (failure["event"], failure["phase"]) == ("runtime_failure", "cli_validate")
    assert "--proxy-only" in failure["detail"]


# --- the file ---------------------------------------------------------------------------------


def test_file_is_private_and_begins_empty(logged, flow_log):
    for _ in range(2):
        assert logged("true").status == 0
        assert len(flow_log.events()) == 2
    assert flow_log.path.stat().st_mode & 0o777 == 0o600


def test_symlink_is_refused(logged, flow_log):
    target = flow_log.path.with_name("target")
    target.unlink(missing_ok=True)
    flow_log.path.symlink_to(target)
    seen = logged("echo", "ran")
    assert (seen.status, seen.out) == (125, "")
    assert "symbolic link" in seen.err and not target.exists()
    flow_log.path.unlink()


def test_the_command_has_no_hold_on_it(logged, flow_log):
    seen = logged("ls", "-l", "/proc/self/fd")
    assert "flow.log" not in seen.out
    assert len([line for line in seen.out.splitlines() if "->" in line]) == 4


def test_two_runs_never_mix(lab, sandbox, flow_log):
    """Into one descriptor: each line is whole."""
    script = f"for n in 1 2 3 4 5; do curl -s http://{NOBODY[4]}:9/; done; :"
    program = " ".join(map(str, sandbox.program("--flow-log", "fd:7")))
    both = f"""({program} sh -c '{script}' & {program} sh -c '{script}'; wait) 7>>"$0" """
    assert lab.run(["sh", "-c", both, flow_log.path], sandbox.who).status == 0
    events = [json.loads(line) for line in flow_log.path.read_text().splitlines()]
    runs = {}
    for event in events:
        flowlog.check(event)
        runs.setdefault(event["run_id"], []).append(event["event"])
    assert len(runs) == 2
    for kinds in runs.values():
        assert kinds == ["run_start", *["connect_attempt", "connect_result"] * 5, "run_end"]
    flow_log.path.unlink()


def test_given_descriptor(lab, sandbox, flow_log):
    """A pipe; what is behind the log is the caller's."""
    program = " ".join(map(str, sandbox.program("--flow-log", "fd:3")))
    script = f"""{program} curl -s http://{NOBODY[4]}:9/ 3>&1 >/dev/null | cat >"$0" """
    assert lab.run(["sh", "-c", script, flow_log.path], sandbox.who).status == 0
    assert flow_log.kinds() == ["connect_attempt", "connect_result"]


def test_descriptor_that_is_none(sandbox):
    seen = sandbox("echo", "ran", options=["--flow-log=fd:9"])
    assert (seen.status, seen.out) == (125, "")
    assert "descriptor 9 is not open" in seen.err


# --- when it can't be written -----------------------------------------------------------------

FETCH = ["curl", "-sS", f"http://{WEB[4]}/page"]


def assert_goes_on(seen, lab, warnings=2):
    """The traffic is unharmed; one warning at once, and the count at the end."""
    assert (seen.status, seen.out) == (0, (lab.top / "www/page").read_text())
    lines = seen.err.splitlines()
    assert len(lines) == warnings, seen.err
    assert lines[0].startswith("childflow: warning: the flow log can't be written: ")
    assert re.fullmatch(r"childflow: warning: \d+ events are missing in the flow log", lines[-1])


def test_full_device(lab, sandbox):
    seen = sandbox(*FETCH, options=["--flow-log=/dev/full"])
    assert_goes_on(seen, lab)
    assert "No space left on device" in seen.err and "5 events are missing" in seen.err


def test_full_device_is_a_leak(lab, sandbox):
    seen = sandbox("true", options=["--flow-log=/dev/full", "--fail-on-leak"])
    assert seen.status == 120
    assert "--fail-on-leak: events are missing in the flow log" in seen.err


def test_full_device_is_no_excuse_for_a_failure(sandbox):
    options = ["--flow-log=/dev/full", "--fail-on-leak"]
    assert sandbox("sh", "-c", "exit 3", options=options).status == 3


def test_closed_pipe(lab, sandbox):
    program = " ".join(map(str, sandbox.program("--flow-log", "fd:3")))
    script = f"exec 3>&1 >&4; {program} {' '.join(FETCH)}"
    argv = ["sh", "-c", f"{{ ({script}) | true; }} 4>&1"]
    seen = lab.run(argv, sandbox.who)
    # The reader may have been there for the first line.
    if seen.err:
        assert_goes_on(seen, lab)
        assert "Broken pipe" in seen.err


def test_reader_that_does_not_read(lab, sandbox):
    """A pipe of 64 KiB or 1 MiB is full some time; nobody waits for it."""
    read_end, write_end = os.pipe()
    client = [PYTHON, lab.top / "bin/client.py", "short_answers", WEB[4], FIN_FIRST, 1500]
    argv = [*sandbox.program("--flow-log", f"fd:{write_end}"), *client]
    try:
        seen = lab.run(argv, sandbox.who, pass_fds=[write_end])
    finally:
        os.close(read_end)
        os.close(write_end)
    assert seen.status == 0, seen
    assert re.search(r"\d+ events are missing in the flow log", seen.err)


@pytest.mark.parametrize("who", ["root"])  # who may mount
def test_full_disk(lab, sandbox):
    """A tmpfs of 64 KiB: what fits is there, line by line, and then the run goes on."""
    mounts = "mkdir /tmp/small; mount -t tmpfs -o size=64k lab /tmp/small"
    with lab.host_mounts(mounts) as space:
        script = f"for n in $(seq 300); do curl -s http://{NOBODY[4]}:9/; done; {' '.join(FETCH)}"
        seen = sandbox("sh", "-c", script, options=["--flow-log=/tmp/small/log"], space=space)
        lines = space.path("/tmp/small/log").read_text().split("\n")
    assert_goes_on(seen, lab)
    assert_all_but_one_are_whole(lines)


def assert_all_but_one_are_whole(lines):
    events = []
    for line in filter(None, lines):
        try:
            events.append(json.loads(line))
        except ValueError:
            pass
    assert len(list(filter(None, lines))) - len(events) <= 1
    assert len(events) > 20
    for event in events:
        flowlog.check(event)


def test_file_size_limit(lab, sandbox, flow_log):
    """RLIMIT_FSIZE: SIGXFSZ kills neither us nor the command's own use of the limit."""
    program = " ".join(map(str, sandbox.program(*flow_log.options)))
    inner = f"for n in $(seq 60); do curl -s http://{NOBODY[4]}:9/; done; {' '.join(FETCH)}"
    script = f"ulimit -f 40; {program} sh -c '{inner}'"
    seen = lab.run(["sh", "-c", script], sandbox.who)
    assert_goes_on(seen, lab)
    assert_all_but_one_are_whole(flow_log.path.read_text().split("\n"))
    flow_log.path.unlink()


def test_file_size_signal_is_the_command_s(lab, sandbox, flow_log):
    program = " ".join(map(str, sandbox.program(*flow_log.options)))
    inner = "head -c 1000000 /dev/zero >big; echo $?"
    script = f"ulimit -f 40; {program} sh -c '{inner}'"
    seen = lab.run(["sh", "-c", script], sandbox.who)
    assert seen.out == f"{128 + signal.SIGXFSZ}\n", seen
