"""The page of --report-format html, in a browser that nobody sees."""

import html.parser
import http.server
import json
import os
import re
import shutil
import subprocess
import threading

import pytest

from conftest import PLAIN
from flowlogs import Run, fetch, process, violation, write

HOSTILE = ("</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
           "<!--\u202e\x1b&lt;b&gt;")
CURL, NPM = process(10, "curl"), process(20, "npm", "/usr/bin/node")


class Dom(html.parser.HTMLParser):
    """What stands where: the rows of each section's table, and all tags there are."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.title, self.sections = [], "", {}
        self.section, self.row, self.open = None, None, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        if tag in ("meta", "input", "br", "img", "link"):
            return
        self.open.append(tag)
        if tag == "section":
            self.section = self.sections.setdefault(attrs["id"], {"rows": [], "text": "", "sort": {}})
        elif tag == "tr":
            self.row = []
        elif tag == "td":
            self.row.append("")
        elif tag == "th":
            self.section["sort"][len(self.section["sort"])] = attrs.get("aria-sort")

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass
        if tag == "tr" and self.row:
            self.section["rows"].append(self.row)
        if tag == "section":
            self.section = None

    def handle_data(self, data):
        if self.open and self.open[-1] == "title" and "svg" not in self.open:
            self.title += data
        if self.section:
            self.section["text"] += data
        if "td" in self.open:
            self.row[-1] += data

    def column(self, section, k):
        return [row[k] for row in self.sections[section]["rows"]]


@pytest.fixture(scope="session")
def chromium():
    if PLAIN:
        pytest.skip("CHILDFLOW=plain")
    program = shutil.which("chromium")
    if not program:
        pytest.skip("no chromium (Debian: chromium)")
    return program


@pytest.fixture
def page(tmp_path, chromium):
    """The page of some records. script: run in it as its own; extra: markup put into it."""
    def make(records, script="", extra=""):
        write(tmp_path / "log.jsonl", records)
        text = subprocess.run([os.environ["CHILDFLOW"], "--report-format=html", "--report", "log.jsonl"],
                              cwd=tmp_path, check=True, capture_output=True, timeout=60).stdout.decode()
        (nonce,) = set(re.findall(r'<script nonce="([0-9a-f]{32})">', text))
        script = f'<script nonce="{nonce}">{script}</script>' if script else ""
        (tmp_path / "page.html").write_text(text.replace("</body>", f"{extra}{script}</body>"))
        seen = subprocess.run(
            [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
             f"--user-data-dir={tmp_path}/profile", "--virtual-time-budget=5000", "--dump-dom",
             f"file://{tmp_path}/page.html"], capture_output=True, timeout=120)
        assert seen.returncode == 0, seen
        return Dom(seen.stdout.decode())
    return make


def some_run():
    run = Run()
    run.ask("one.test", ["192.0.2.1"], CURL)
    run.ask("two.test", ["192.0.2.2", "192.0.2.3"], NPM)
    run.talk("192.0.2.1", 80, CURL, ["one.test"], up=100, down=9000, ms=50)
    run.talk("192.0.2.2", 443, NPM, ["two.test"], up=2_000_000, down=10_000_000, ms=700)
    run.talk("192.0.2.2", 443, NPM, ["two.test"], up=20, down=30)
    run.talk("192.0.2.9", 9, CURL, error="Connection refused")
    run.talk("192.0.2.53", 123, NPM, protocol="udp", up=48, down=48)
    run.add(violation("10.0.0.1:22", "deny_cidr", "--deny-cidr", "10.0.0.1", 22, matched_cidr="10.0.0.0/8", **NPM),
            violation("bad.test", "deny_domain", "--deny-domain", protocol="dns", matched_domain="bad.test"))
    run.add(violation("bad.test", "deny_domain", "--deny-domain", protocol="dns", matched_domain="bad.test"))
    return run.end().records


def test_tables_are_filled(page):
    dom = page(some_run())
    assert list(dom.sections) == ["activity", "map", "timeline", "refusals", "connections", "names", "processes",
                                  "errors", "runs", "events"]
    assert dom.column("refusals", 1) == ["bad.test", "10.0.0.1:22"]
    assert dom.column("refusals", 4) == ["bad.test", "10.0.0.0/8"] and dom.column("refusals", 6) == ["2", "1"]
    assert [row[:9] for row in dom.sections["connections"]["rows"][:2]] == [
        ["npm", "two.test", "192.0.2.2:443", "tcp", "2", "", "10.0 MB", "2.0 MB", "712 ms"],
        ["curl", "one.test", "192.0.2.1:80", "tcp", "1", "", "9.0 kB", "100 B", "51 ms"]]
    assert ["curl", "", "192.0.2.9:9", "tcp", "1", "1"] in [row[:6] for row in dom.sections["connections"]["rows"]]
    assert dom.sections["names"]["rows"] == [["one.test", "1", "1", "192.0.2.1"],
                                             ["two.test", "1", "1", "192.0.2.2, 192.0.2.3"]]
    assert [row[:4] for row in dom.sections["processes"]["rows"]] == [
        ["npm", "/usr/bin/node", "20", "3"], ["curl", "/usr/bin/curl", "10", "2"]]
    assert dom.sections["errors"]["rows"] == [["Connection refused", "1"]]
    ((run_id, command, _, _, status, _),) = dom.sections["runs"]["rows"]
    assert (run_id, command, status) == ("0000abcd-000000000000beef", "true", "0")
    assert ["dns_query", "2"] in dom.sections["events"]["rows"]
    lanes = [tag for tag, attrs in dom.tags if attrs.get("class") == "lane"]
    assert len(lanes) == 5
    bars = [attrs["class"] for tag, attrs in dom.tags if attrs.get("class", "").startswith("bar ")]
    assert bars.count("bar failed") == 1 and bars.count("bar ok") == 4
    assert "two.test" in dom.sections["map"]["text"] and "10.0.0.1:22" in dom.sections["map"]["text"]
    assert dom.sections["connections"]["sort"][6] == "descending"


def test_nothing_is_recorded(page):
    dom = page([])
    assert dom.sections["connections"]["rows"] == [] and "none" in dom.sections["refusals"]["text"]


def test_logs_of_the_first_version_have_a_page(page):
    """Without ids, names and processes: what there is."""
    dom = page([*fetch("one.test", "192.0.2.1"), *fetch("one.test", "192.0.2.1")])
    assert [row[:5] for row in dom.sections["connections"]["rows"]] == [["", "", "192.0.2.1:80", "tcp", "2"]]


CLICK = """for (const [section, label, times] of %s) {
    const th = [...document.querySelectorAll(`#${section} th button`)].find((b) => b.textContent === label);
    for (let i = 0; i < times; i++)
        th.click();
}"""


def test_tables_are_sorted_by_a_click(page):
    dom = page(some_run(), CLICK % json.dumps([["connections", "Process", 1], ["names", "Name", 2],
                                               ["refusals", "Times", 1], ["processes", "Sent", 1]]))
    processes = dom.column("connections", 0)
    assert processes == sorted(processes) and len(set(processes)) == 2
    assert dom.sections["connections"]["sort"][0] == "ascending"
    assert dom.sections["connections"]["sort"][6] == "none"
    assert dom.column("names", 0) == ["two.test", "one.test"]
    assert dom.column("refusals", 6) == ["1", "2"]
    assert dom.column("processes", 5) == ["2.0 MB", "100 B"]  # by the number, not by its text
    again = page(some_run(), CLICK % json.dumps([["processes", "Sent", 2]]))
    assert again.column("processes", 5) == ["100 B", "2.0 MB"]


def test_search_goes_through_everything(page):
    dom = page(some_run(), """const box = document.getElementById("search");
        box.value = "NPM two.test"; box.dispatchEvent(new Event("input"));""")
    assert dom.column("connections", 2) == ["192.0.2.2:443"]
    assert dom.column("names", 0) == [] and dom.column("refusals", 0) == []
    assert sum(attrs.get("class") == "lane" for tag, attrs in dom.tags) == 2
    assert "one.test" not in dom.sections["map"]["text"]


def test_long_tables_come_in_pieces(page):
    run = Run()
    for i in range(150):
        run.ask(f"n{i:03}.test", ["192.0.2.1"])
    assert len(page(run.records).sections["names"]["rows"]) == 100
    dom = page(run.records, "document.querySelector('#names .more').click()")
    assert len(dom.sections["names"]["rows"]) == 150


def test_what_is_left_out_is_said(page):
    """Of more flows than the timeline has room for, those that moved most are there."""
    run = Run()
    for i in range(1600):
        run.talk("192.0.2.1", 1 + i, up=i)
    for i in range(1200):
        run.ask(f"n{i}.test", [])
    dom = page(run.records)
    assert "100 more are not in this page" in dom.sections["timeline"]["text"]
    assert "200 more names are not in this page" in dom.sections["names"]["text"]


def hostile_run():
    run = Run(HOSTILE)
    who = {"pid": 1, "comm": HOSTILE, "exe": "/" + HOSTILE}
    run.ask(HOSTILE, [HOSTILE], who)
    run.talk("192.0.2.1", 80, who, [HOSTILE], up=5, down=5, error=HOSTILE)
    run.add(violation(HOSTILE, HOSTILE, HOSTILE, protocol=HOSTILE, matched_domain=HOSTILE, **who))
    run.add({"schema_version": 1, "event": "runtime_failure", "reason_code": HOSTILE, "phase": HOSTILE})
    return run.records


def test_hostile_names_are_text(page):
    dom, plain = page(hostile_run()), page(some_run())
    assert dom.title == "childflow report"

    def kinds(some):
        return {tag for tag, _ in some.tags} - {"p", "rect", "path"}
    assert kinds(dom) <= kinds(plain)
    assert [tag for tag, _ in dom.tags].count("script") == 2
    shown = HOSTILE.replace("\u202e", "\\u202e").replace("\x1b", "\\u001b")
    assert dom.column("names", 0) == [shown]
    assert dom.column("refusals", 4) == [shown]
    assert dom.sections["errors"]["rows"][0][0] == shown


def test_nothing_runs_and_nothing_is_fetched(page):
    """Should markup get into the page all the same, it does nothing."""
    asked = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass
    with http.server.HTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        extra = (f"<script>document.title = 'ran'</script><script src={url}/script></script>"
                 f"<img src={url}/img onerror=\"document.title = 'ran'\"><link rel=stylesheet href={url}/css>"
                 f"<iframe src={url}/frame></iframe><body onload=\"document.title = 'ran'\">")
        dom = page(some_run(), f"fetch('{url}/fetch').catch(() => 0); new Image().src = '{url}/image'", extra)
        server.shutdown()
    assert dom.title == "childflow report"
    assert asked == []


def test_the_page_names_no_other_place(page, tmp_path):
    page(some_run())
    text = (tmp_path / "page.html").read_text()
    places = set(re.findall(r"(?:https?:)?//[\w.]+", text)) - {"http://www.w3.org"}
    assert places == set()
    assert "http://www.w3.org/2000/svg" in text and text.count("http://www.w3.org") == 1
