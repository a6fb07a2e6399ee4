"""--report: logs written by hand, and every word of what is told about them."""

import json
import os
import pty
import re
import resource
import select
import subprocess

import pytest

from conftest import PLAIN
from flowlogs import (Run, attempt, dns_answer, dns_query, failure, fetch, lines, record, result,
                      violation, write)
from schemas import hold, validator

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>`|\u202e\x1b[2J\x00--&amp;"


@pytest.fixture
def report(tmp_path):
    """Reports logs; a log is a list of records, or text."""
    if PLAIN:
        pytest.skip("CHILDFLOW=plain")

    def run(*logs, form=None, status=0, cwd=tmp_path):
        words = ["--report-format", form] if form else []
        for i, log in enumerate(logs):
            name = f"{chr(ord('a') + i)}.jsonl"
            (tmp_path / name).write_text(log if isinstance(log, str) else lines(log))
            words += ["--report", name] if not i else [name]
        seen = subprocess.run([os.environ["CHILDFLOW"], *words], cwd=cwd, capture_output=True,
                              timeout=60)
        assert seen.returncode == status, seen
        if form == "json" and not status:
            hold("report", seen.stdout)
        return seen.stdout.decode() if not status else seen.stderr.decode()
    return run


def everything():
    """A bit of each event, so that no section is empty."""
    return [
        *fetch("one.test", "192.0.2.1"),
        *fetch("one.test", "192.0.2.2", 443, via_proxy=True),
        dns_query("two.test"), dns_answer("two.test", ["2001:db8::1", "192.0.2.1"]),
        dns_query(None), dns_answer(None),
        attempt("2001:db8::1", 80), result("2001:db8::1", 80, "Connection refused"),
        violation("192.0.2.2:443", "deny_domain", "--deny-domain", "192.0.2.2", 443,
                  matched_domain="one.test"),
        violation("api.two.test", "deny_domain", "--deny-domain", protocol="dns",
                  matched_domain="two.test"),
        violation("10.0.0.1:22", "deny_cidr", "--deny-cidr", "10.0.0.1", 22,
                  matched_cidr="10.0.0.0/8"),
        failure("run", "runtime_shutdown_failed"),
        record("of_tomorrow", protocol="tcp"),
    ]


TEXT = """\
childflow report
flow-log: a.jsonl
schema-version: 1
events:
  total: 21
  dns_query: 4
  dns_answer: 4
  connect_attempt: 3
  connect_result: 3
  policy_violation: 3
  flow_end: 2
  runtime_failure: 1
  unknown_event: 1
protocols:
  tcp: 11
  udp: 8
  dns: 1
top-dns-names:
  one.test: queries=2, answers=2, answer_ips=192.0.2.1, 192.0.2.2
  two.test: queries=1, answers=1, answer_ips=192.0.2.1, 2001:db8::1
dns-target-correlations:
  one.test: queries=2, answers=2, answer_ips=192.0.2.1, 192.0.2.2, \
targets=192.0.2.1:80 (attempts=1, ok=1, error=0, flow_end=1, matched_domains=none), \
192.0.2.2:443 (attempts=1, ok=1, error=0, flow_end=1, matched_domains=one.test=1)
  two.test: queries=1, answers=1, answer_ips=192.0.2.1, 2001:db8::1, \
targets=[2001:db8::1]:80 (attempts=1, ok=0, error=1, flow_end=0, matched_domains=none), \
192.0.2.1:80 (attempts=1, ok=1, error=0, flow_end=1, matched_domains=none)
dns-policy-correlations:
  one.test: queries=2, answers=2, answer_ips=192.0.2.1, 192.0.2.2, matched_domains=one.test=1, \
targets=192.0.2.1:80 (attempts=1, ok=1, error=0, flow_end=1, matched_domains=none), \
192.0.2.2:443 (attempts=1, ok=1, error=0, flow_end=1, matched_domains=one.test=1)
  two.test: queries=1, answers=1, answer_ips=192.0.2.1, 2001:db8::1, matched_domains=none, \
targets=[2001:db8::1]:80 (attempts=1, ok=0, error=1, flow_end=0, matched_domains=none), \
192.0.2.1:80 (attempts=1, ok=1, error=0, flow_end=1, matched_domains=none)
proxy-usage:
  proxied_connect_attempts: 1
  direct_connect_attempts: 2
policy-violations:
  deny_domain: 2
  deny_cidr: 1
policy-controls:
  --deny-domain: 2
  --deny-cidr: 1
policy-matched-domains:
  one.test: 1
  two.test: 1
connect-errors:
  Connection refused: 1
runtime-failures:
  runtime_shutdown_failed: 1
runtime-failure-phases:
  run: 1
top-connection-targets:
  [2001:db8::1]:80: attempts=1, ok=0, error=1, flow_end=0, dns_names=two.test, matched_domains=none
  192.0.2.1:80: attempts=1, ok=1, error=0, flow_end=1, dns_names=one.test, two.test, matched_domains=none
  192.0.2.2:443: attempts=1, ok=1, error=0, flow_end=1, dns_names=one.test, matched_domains=one.test=1
"""


def test_text(report):
    assert report(everything()) == TEXT
    assert report(everything(), form="text") == TEXT


def test_text_of_nothing(report):
    assert json.loads(report([], form="json"))["schema_versions"] == []
    text = report([])
    head, sections = text.split("protocols:\n")
    assert head == ("childflow report\nflow-log: a.jsonl\nschema-version: unknown\nevents:\n  total: 0\n"
                    "  dns_query: 0\n  dns_answer: 0\n  connect_attempt: 0\n  connect_result: 0\n"
                    "  policy_violation: 0\n  flow_end: 0\n  runtime_failure: 0\n  unknown_event: 0\n")
    titles = """top-dns-names dns-target-correlations dns-policy-correlations proxy-usage policy-violations
        policy-controls policy-matched-domains connect-errors runtime-failures runtime-failure-phases
        top-connection-targets""".split()
    usage = "  proxied_connect_attempts: 0\n  direct_connect_attempts: 0\n"
    assert sections == "  <none>\n" + "".join(
        title + ":\n" + (usage if title == "proxy-usage" else "  <none>\n") for title in titles)


def sorted_everywhere(value):
    if isinstance(value, dict):
        assert list(value) == sorted(value), list(value)
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            sorted_everywhere(item)


def test_json(report):
    text = report(everything(), form="json")
    assert not text.endswith("\n")
    told = json.loads(text)
    assert text == json.dumps(told, indent=2, ensure_ascii=False)
    sorted_everywhere(told)
    one = {"answer_ips": ["192.0.2.1", "192.0.2.2"], "answers": 2, "qname": "one.test", "queries": 2}
    two = {"answer_ips": ["192.0.2.1", "2001:db8::1"], "answers": 1, "qname": "two.test", "queries": 1}
    rule = [{"count": 1, "key": "one.test"}]

    def target(addr, ok, error, end, matched=(), **names):
        return {"connect_attempts": 1, "connect_error": error, "connect_ok": ok, "flow_end": end,
                "matched_domains": list(matched), "target": addr, **names}
    v4, v6 = target("192.0.2.1:80", 1, 0, 1), target("[2001:db8::1]:80", 0, 1, 0)
    tls = target("192.0.2.2:443", 1, 0, 1, rule)
    assert told["top_dns_names"] == [one, two]
    assert told["dns_target_correlations"] == [{**one, "targets": [v4, tls]}, {**two, "targets": [v6, v4]}]
    assert told["dns_policy_correlations"] == [
        {**one, "targets": [v4, tls], "matched_domains": rule},
        {**two, "targets": [v6, v4], "matched_domains": []}]
    assert told["dns_policy_rows"] == [
        {**two, **v6, "target_ip": "2001:db8::1"}, {**one, **v4, "target_ip": "192.0.2.1"},
        {**one, **tls, "target_ip": "192.0.2.2"}, {**two, **v4, "target_ip": "192.0.2.1"}]
    assert told["top_connection_targets"] == [
        {**v6, "dns_names": ["two.test"]}, {**v4, "dns_names": ["one.test", "two.test"]},
        {**tls, "dns_names": ["one.test"]}]
    assert told["event_counts"] == {
        "total": 21, "dns_query": 4, "dns_answer": 4, "connect_attempt": 3, "connect_result": 3,
        "policy_violation": 3, "flow_end": 2, "runtime_failure": 1, "unknown_event": 1}
    assert told["proxy_usage"] == {"proxied_connect_attempts": 1, "direct_connect_attempts": 2}
    assert told["policy_violations"] == {"deny_cidr": 1, "deny_domain": 2}
    assert told["sorted_policy_violations"] == [{"count": 2, "key": "deny_domain"},
                                                {"count": 1, "key": "deny_cidr"}]
    assert told["schema_versions"] == [1] and told["flow_log"] == "a.jsonl"
    maps = """connect_errors policy_controls policy_matched_domains policy_violations protocols
        runtime_failure_phases runtime_failures""".split()
    for name in maps:
        assert {row["key"]: row["count"] for row in told[f"sorted_{name}"]} == told[name], name
    assert len(told) == 2 * len(maps) + 9


@pytest.mark.parametrize("spoil", [
    lambda told: told.pop("protocols"), lambda told: told.update(more=1),
    lambda told: told["event_counts"].update(total="1"), lambda told: told["top_dns_names"][0].pop("qname"),
    lambda told: told["dns_policy_rows"][0]["matched_domains"].append({"key": "a"}),
])
def test_the_schema_would_tell(report, spoil):
    told = json.loads(report(everything(), form="json"))
    assert validator("report").is_valid(told)
    spoil(told)
    assert not validator("report").is_valid(told)


def test_names_without_a_target(report):
    told = json.loads(report([
        *(dns_query("quiet.test"),) * 3, dns_query("denied.test"), dns_answer("denied.test", ["192.0.2.9"]),
        violation("192.0.2.9:80", "deny_domain", "--deny-domain", "192.0.2.9", 80,
                  matched_domain="denied.test")], form="json"))
    assert [n["targets"] for n in told["dns_target_correlations"]] == [[], []]
    assert [n["qname"] for n in told["dns_policy_correlations"]] == ["denied.test"]
    (row,) = told["dns_policy_rows"]
    assert (row["target"], row["target_ip"], row["connect_attempts"]) == (None, None, 0)
    assert row["matched_domains"] == [{"count": 1, "key": "denied.test"}]


def test_limits_and_ranks(report):
    log = []
    for i in range(12):
        log += [dns_query(f"n{i:02}.test")] * (i // 2 + 1) + [dns_answer(f"n{i:02}.test", [f"192.0.2.{i}"])]
        for port in range(1, 6):
            log += [attempt(f"192.0.2.{i}", port)] * port
    told = json.loads(report(log, form="json"))
    assert [n["qname"] for n in told["top_dns_names"]] == [
        f"n{i:02}.test" for i in (10, 11, 8, 9, 6, 7, 4, 5, 2, 3)]
    assert [t["target"] for t in told["dns_target_correlations"][0]["targets"]] == [
        "192.0.2.10:5", "192.0.2.10:4", "192.0.2.10:3"]
    assert [t["target"] for t in told["top_connection_targets"]] == sorted(
        f"192.0.2.{i}:5" for i in range(12))[:10]
    assert len(told["dns_policy_rows"]) == 30


def test_several_logs_are_one_report(report):
    """Counts add up, but a name of one run owns no target of another."""
    first = [dns_query("one.test"), dns_answer("one.test", ["192.0.2.1"])]
    second = [attempt("192.0.2.1", 80), result("192.0.2.1", 80)]
    told = json.loads(report(first, second, form="json"))
    assert told["flow_log"] == "a.jsonl, b.jsonl" and told["flow_logs"] == ["a.jsonl", "b.jsonl"]
    assert told["event_counts"]["total"] == 4
    assert told["dns_target_correlations"][0]["targets"] == []
    assert "flow-log: a.jsonl, b.jsonl\n" in report(first, second)
    same = [[{**r, "run_id": "r"} for r in log] for log in (first, second)]
    told = json.loads(report(*same, form="json"))
    assert [t["target"] for t in told["dns_target_correlations"][0]["targets"]] == ["192.0.2.1:80"]


def test_records_that_came_later_have_counters_of_their_own(report):
    run = Run()
    run.talk("192.0.2.1", 53, protocol="udp")
    text = report(run.end().records)
    assert "  total: 4\n" in text
    assert "  unknown_event: 0\n  run_start: 1\n  flow_start: 1\n  run_end: 1\nprotocols:\n" in text


MARKDOWN_SECTIONS = """Highlights, Event counts, DNS overview, Policy overview, Runtime overview, Protocols,
    Top DNS names, DNS target correlations, DNS policy correlations, Proxy usage, Policy violations,
    Policy controls, Policy matched domains, Connect errors, Runtime failures, Runtime failure phases,
    Top connection targets"""


def test_markdown(report):
    text = report(everything(), form="markdown")
    assert text.startswith("# childflow report\n\n- flow-log: `a.jsonl`\n- schema-version: `1`\n\n## Highlights\n")
    titles = [title.strip() for title in MARKDOWN_SECTIONS.split(",")]
    assert re.findall(r"^## (.*)$", text, re.M) == titles
    for line in ("- proxy usage: proxied 1, direct 2", "- top connection target: `[2001:db8::1]:80` (1)",
                 "- top DNS name: `one.test` (2)", "- most common policy violation: `deny_domain` (2)",
                 "- most common matched domain: `one.test` (1)", "| `deny_domain` | 2 |",
                 "| Event | Count |\n| --- | ---: |\n| `total` | 21 |",
                 "- violations: `deny_domain` (2), `deny_cidr` (1)"):
        assert line + "\n" in text
    empty = report([], form="markdown")
    assert empty.count("\n_none_\n") == 12 and "- top DNS name: none\n" in empty
    for table in re.findall(r"(?:^\|.*\n)+", text, re.M):
        assert len({line.count("|") for line in table.splitlines()}) == 1, table


def columns(line):
    """How GitHub's Markdown cuts a row: at pipes that no backslash stands before."""
    return len(re.findall(r"(?<!\\)\|", line))


def hostile_log():
    run = Run()
    who = {"pid": 3, "comm": HOSTILE, "exe": "/" + HOSTILE}
    run.ask(HOSTILE, ["192.0.2.1", HOSTILE], who)
    run.talk("192.0.2.1", 80, who, [HOSTILE], error=HOSTILE)
    run.add(violation(HOSTILE, HOSTILE, HOSTILE, "192.0.2.1", 80, protocol=HOSTILE, matched_domain=HOSTILE),
            {**failure(HOSTILE, HOSTILE), "event": "runtime_failure"}, record(HOSTILE))
    return run.records


def test_hostile_names_in_text(report):
    for form in ("text", "markdown"):
        text = report(hostile_log(), form=form)
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
        assert r"\x1b[2J\x00" in text and r"\u202e" in text
    for table in re.findall(r"(?:^\|.*\n)+", text, re.M):
        assert len({columns(line) for line in table.splitlines()}) == 1, table
    assert not re.search(r"(?<!`)`[^`\n]*<script>[^`\n]*`[^`]", text), "a fence is longer than what it holds"
    told = json.loads(report(hostile_log(), form="json"))
    assert told["top_dns_names"][0]["qname"] == HOSTILE


@pytest.mark.parametrize("log, why", [
    (lines([dns_query("a")]) + "\n", "a.jsonl:2: the line is blank"),
    (lines([dns_query("a")]) + "nonsense\n", "a.jsonl:2: not a JSON object: "),
    (lines([dns_query("a")]) + '{"event":"dns_query"', "a.jsonl:2: not a JSON object: the object has no end"),
    ('{"ts_ms":1}\n', 'a.jsonl:1: no "event" in it'),
    ("[1]\n", "a.jsonl:1: not a JSON object: not an object"),
])
def test_faults_have_a_place(report, log, why):
    said = report(log, status=1)
    assert said.startswith(f"childflow: {why}") and said.count("\n") == 1, said


def test_a_log_that_is_not_there(report, tmp_path):
    seen = subprocess.run([os.environ["CHILDFLOW"], "--report", tmp_path / "none"], capture_output=True)
    assert (seen.returncode, seen.stdout) == (1, b"")
    assert seen.stderr.decode() == f"childflow: open {tmp_path}/none: No such file or directory\n"


def test_a_command_beside_a_report_is_refused(report, tmp_path):
    write(tmp_path / "log", everything())
    seen = subprocess.run([os.environ["CHILDFLOW"], "--report", tmp_path / "log", "--", "true"],
                          capture_output=True, text=True)
    assert (seen.returncode, seen.stdout) == (2, "")
    assert "--report runs no command" in seen.stderr


def test_full_tables_are_told(report):
    """More distinct names than a table holds: in every form the rest is said to be there."""
    extra = 7
    log = "".join(f'{{"event":"dns_query","qname":"n{i}.test","protocol":"p{i}"}}\n'
                  for i in range(100000 + extra))
    text = report(log)
    assert "left-out: (a table was full; these count as \"other\")\n" \
        f"  protocols: {extra}\n  dns_names: {extra}\n" in text
    assert f"  other: {extra}\n" in text
    told = json.loads(report(log, form="json"))
    assert told["left_out"] == {"protocols": extra, "dns_names": extra}
    assert told["protocols"]["other"] == extra and len(told["protocols"]) == 100001
    assert f"- left out of the full table `dns_names`, and counted as `other`: {extra}\n" in report(
        log, form="markdown")
    page = report(log, form="html")
    assert f'"left_out":{{"protocols":{extra},"dns_names":{extra}}}' in page
    assert len(page) < 2_000_000


def test_memory_has_a_bound(report, tmp_path):
    """400,000 records of as many names, read in less memory than the file is long."""
    with open(tmp_path / "log", "w") as out:
        for i in range(400000):
            out.write(f'{{"event":"dns_query","qname":"{i:0200}.test"}}\n')
    size = os.path.getsize(tmp_path / "log")
    limit = size * 2 // 3

    def bound():
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    seen = subprocess.run([os.environ["CHILDFLOW"], "--report", tmp_path / "log"], capture_output=True,
                          text=True, preexec_fn=None if b"__asan_init" in open(os.environ["CHILDFLOW"], "rb").read() else bound)
    assert seen.returncode == 0, seen.stderr
    assert "  dns_query: 400000\n" in seen.stdout


def test_progress_on_a_terminal(report, tmp_path):
    """A log that takes long (here: a pipe that is open long) is told of on stderr, then erased."""
    os.mkfifo(tmp_path / "pipe")
    above, below = pty.openpty()
    with subprocess.Popen([os.environ["CHILDFLOW"], "--report", tmp_path / "pipe"], stderr=below,
                          stdout=subprocess.PIPE) as reading:
        os.close(below)
        line = lines([dns_query("a.test")])
        with open(tmp_path / "pipe", "w") as pipe:
            said = b""
            while b" MB" not in said:
                pipe.write(line)
                pipe.flush()
                if select.select([above], [], [], 0.05)[0]:
                    said += os.read(above, 1000)
        assert b"  total: " in reading.stdout.read()
        try:
            while more := os.read(above, 1000):
                said += more
        except OSError:  # the terminal's other end is closed
            pass
        os.close(above)
    assert reading.returncode == 0
    assert re.fullmatch(rb"(\r\x1b\[Kchildflow: pipe: \d+ MB)+\r\x1b\[K", said), said


def test_nothing_but_the_report_without_a_terminal(report, tmp_path):
    write(tmp_path / "log", everything())
    seen = subprocess.run([os.environ["CHILDFLOW"], "--report", tmp_path / "log"], capture_output=True)
    assert seen.stderr == b""


def test_stdout_that_is_full(report, tmp_path):
    write(tmp_path / "log", everything())
    with open("/dev/full", "w") as full:
        seen = subprocess.run([os.environ["CHILDFLOW"], "--report", tmp_path / "log"], stdout=full,
                              stderr=subprocess.PIPE, text=True)
    assert (seen.returncode, seen.stderr) == (1, "childflow: write to stdout: No space left on device\n")
