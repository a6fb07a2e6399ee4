"""Captures hold the packets of this tree, all of them, and everybody can read them."""

import hashlib
import os
import signal
import subprocess

import pytest

import pcapng
from conftest import PLAIN
from guest import pattern
from lab import CLOSED_PORT, HOST4, HOST6, USER_ID, WEB, url_host

pytestmark = pytest.mark.skipif(PLAIN, reason="CHILDFLOW=plain")

SINK, SOURCE = 7002, 7003
MIB = 1 << 20


@pytest.fixture
def file(lab, who):
    """A path for a capture, as lab and host see it."""
    path = lab.homes[who] / "run.pcapng"
    yield path
    for left in lab.homes[who].glob("*.pcapng"):
        left.unlink()


def test_a_fetch(lab, sandbox, family, file):
    url = f"http://v{family}.example.net/hello"
    seen = sandbox("curl", "-sS", url, options=["-c", file])
    assert (seen.status, seen.out, seen.err) == (0, "hello from the internet\n", "")
    assert file.stat().st_mode & 0o777 == 0o600
    blocks = pcapng.check(file)
    section, interface = blocks[:2]
    assert section.option(4).decode().startswith("childflow ")
    assert section.option(3).startswith(b"Linux ")
    assert section.comments() == [f"command: curl -sS {url}"]
    assert interface.body[:2] == b"\x01\x00" and interface.option(2) == b"tap0"
    assert interface.option(9) == b"\x09"
    assert interface.option(3) == (b"childflow view=child backend=rootless-internal "
                                   b"kind=isolated interface=tap0")
    assert len(pcapng.packets(blocks)) >= 4
    syns = [p for p in pcapng.packets(blocks) if p.parsed().is_syn_to(WEB[family])]
    assert len(syns) == 1 and syns[0].outbound
    assert any(f"v{family}.example.net" in c for c in syns[0].comments())
    assert any(WEB[family] in line for line in pcapng.tshark(file, "-Y", "http.request"))
    names = [b for b in blocks if b.kind == pcapng.NAMES]
    assert any(f"v{family}.example.net".encode() in b.body for b in names)
    shown = pcapng.run_quietly("tshark", "-r", file, "-N", "n")
    assert f"v{family}.example.net" in shown  # resolved by what the file itself says


@pytest.mark.parametrize("segments", ["mtu", "raw"])
@pytest.mark.parametrize("way", ["upload", "download"])
def test_bytes_of_a_long_transfer(sandbox, who, family, file, way, segments):
    # tshark's time grows with the square of it: minutes for 64 MiB.
    size = int(os.environ.get("CAPTURE_BYTES", 4 * MIB))
    port = SINK if way == "upload" else SOURCE
    seen = sandbox.client(way, WEB[family], port, size,
                          options=["-c", file, "--capture-segments", segments])
    assert seen.status == 0 and seen.err == "", seen
    blocks = pcapng.check(file)
    assert blocks[-1].number(5) == 0
    data = pcapng.stream(blocks, port, way == "upload")
    assert hashlib.sha256(data).hexdigest() == pattern.digest(size)
    longest = max(p.original for p in pcapng.packets(blocks))
    assert longest <= 1514 if segments == "mtu" else longest > 20000


@pytest.mark.parametrize("way", ["burst", "train"])
def test_datagram_trains(lab, sandbox, family, file, way):
    """One super-segment each, up and down."""
    seen = sandbox("/usr/bin/python3", lab.top / "bin/udp_client.py", way, WEB[family], 40,
                   options=["-c", file])
    assert seen.status == 0, seen
    blocks = pcapng.check(file)
    assert max(p.original for p in pcapng.packets(blocks)) <= 1514


def test_two_runs_do_not_see_each_other(lab, sandbox, file):
    other = file.with_name("other.pcapng")
    script = "echo; read go; exec curl -sS http://$1/hello"
    runs = [sandbox.start("sh", "-c", script, "sh", url_host(WEB[family]), stdin=-1,
                          options=["-c", path])
            for family, path in ((4, file), (6, other))]
    for run in runs:
        assert run.stdout.readline() == "\n"
    for run in runs:
        run.stdin.write("\n")
        run.stdin.flush()
    for run in runs:
        run.communicate(timeout=30)
        assert run.returncode == 0
    for path, mine, its in ((file, 4, 6), (other, 6, 4)):
        ends = {e for p in pcapng.packets(pcapng.check(path)) if p.parsed()
                for e in (p.parsed().source, p.parsed().target)}
        assert WEB[mine] in ends and WEB[its] not in ends


def test_refused_packet_says_which_rule(sandbox, family, file):
    seen = sandbox("curl", "-sS", f"http://{url_host(WEB[family])}/",
                   options=["-c", file, "--deny-cidr", WEB[family]])
    assert seen.status == 7
    said, = [p for p in pcapng.packets(pcapng.check(file)) if p.comments()]
    # The SYN; or our answer, if that one was in the file before its process was known.
    assert WEB[family] in (said.parsed().target, said.parsed().source)
    assert said.comments() == [
        f"refused: deny_cidr: --deny-cidr {WEB[family]}/{32 if family == 4 else 128}"]


def test_to_stdout(lab, sandbox, file):
    script = 'echo told; echo wrong >&2; curl -sS http://v4.example.net/hello'
    process = sandbox.start("sh", "-c", script, options=["-c", "-"], text=False)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    file.write_bytes(out)
    assert any(p.parsed().is_syn_to(WEB[4]) for p in pcapng.packets(pcapng.check(file)))
    first, *rest = err.decode().splitlines()
    assert first.startswith("childflow: ") and "stderr" in first
    assert rest == ["told", "wrong", "hello from the internet"]


def test_to_stdout_while_it_runs(sandbox):
    """`| tshark -r -` shows a packet while the command is still there."""
    process = sandbox.start("sh", "-c", "curl -sS http://v4.example.net/hello; read end",
                            options=["-c", "-"], stdin=-1, text=False)
    shark = subprocess.Popen(["tshark", "-l", "-n", "-r", "-", "-Y", "http.response"],
                             stdin=process.stdout, stdout=-1, stderr=subprocess.DEVNULL)
    process.stdout.close()
    assert b"HTTP" in shark.stdout.readline()
    process.stdin.write(b"\n")
    process.stdin.close()
    assert process.wait(30) == 0
    shark.stdout.close()
    shark.wait(30)
    process.stderr.close()


def test_filter(sandbox, file):
    seen = sandbox("curl", "-sS", "http://v4.example.net/hello",
                   options=["-c", file, "--capture-filter", "tcp port 80"])
    assert seen.status == 0
    blocks = pcapng.check(file)
    assert blocks[1].option(11) == b"\0tcp port 80"
    seen = {p.parsed().protocol for p in pcapng.packets(blocks)}
    assert seen == {6}


@pytest.mark.parametrize("expression, at, rest", [
    ("tcp port 80 nad udp", 13, "nad udp"),
    ("tcp and (port 80 or or 81)", 21, "or 81)"),
    ("port http and )", 15, ")"),
    ("tcp[13", 7, None),
    ("tcp and", 8, None),
])
def test_wrong_filter(sandbox, file, expression, at, rest):
    seen = sandbox("echo", "never", options=["-c", file, "--capture-filter", expression])
    assert (seen.status, seen.out) == (125, "")
    assert "--capture-filter" in seen.err and f"at character {at}\n" in seen.err
    if rest:
        assert f"from here on: {rest}\n" in seen.err
    assert not file.exists()


def test_snaplen(sandbox, file):
    seen = sandbox("curl", "-sS", "http://v4.example.net/page",
                   options=["-c", file, "--snaplen", "60"])
    assert seen.status == 0
    blocks = pcapng.parse(file.read_bytes())
    assert int.from_bytes(blocks[1].body[4:8], "little") == 60
    kept = [(len(p.frame), p.original) for p in pcapng.packets(blocks)]
    assert max(kept)[0] == 60 and max(o for _, o in kept) == 1514


def test_symbolic_link_is_not_followed(lab, sandbox, who, file):
    target = lab.homes[who] / "target"
    target.write_text("precious")
    file.symlink_to(target)
    seen = sandbox("echo", "never", options=["-c", file])
    assert (seen.status, seen.out) == (125, "") and "symbolic link" in seen.err
    assert target.read_text() == "precious"
    target.unlink()


def test_old_file_is_emptied_and_closed_to_others(lab, sandbox, who, file):
    file.write_bytes(b"x" * 100_000)
    file.chmod(0o644)
    if os.geteuid() == 0 and who == "user":
        os.chown(file, 54321, 54321)
    assert sandbox("true", options=["-c", file]).status == 0
    assert file.stat().st_mode & 0o777 == 0o600
    pcapng.check(file)


def test_full_disk_does_not_touch_the_traffic(lab, sandbox, who):
    """What was there when it filled up can be read."""
    disk = lab.top / "disk"
    mount = f"mkdir -p {disk}; mount -t tmpfs -o size=1m,mode=1777 lab {disk}"
    with lab.host_mounts(mount) as space:
        seen = sandbox.client("download", WEB[4], SOURCE, 64 * MIB, space=space,
                              options=["-c", disk / "f.pcapng"])
        raw = space.path(str(disk / "f.pcapng")).read_bytes()
    assert seen.out == f"{64 * MIB} {pattern.digest(64 * MIB)}\n" and seen.status == 0
    assert seen.err.count("\n") == 1 and "No space left" in seen.err
    kept = lab.homes[who] / "full.pcapng"
    kept.write_bytes(raw)
    blocks = pcapng.parse(raw)
    assert len(raw) > 512 * 1024 and len(pcapng.packets(blocks)) > 100
    pcapng.run_quietly("capinfos", kept)
    kept.unlink()


def test_reader_that_goes_away(sandbox):
    process = sandbox.start(
        "/usr/bin/python3", sandbox.lab.top / "bin/client.py", "download", WEB[4], SOURCE,
        16 * MIB, options=["-c", "-"], text=False)
    process.stdout.read(100)
    process.stdout.close()
    err = process.stderr.read().decode()
    assert process.wait(60) == 0
    assert pattern.digest(16 * MIB) in err and "Broken pipe" in err


def test_reader_that_reads_nothing(sandbox):
    """The command goes on; what the pipe has no room for is dropped and counted."""
    process = sandbox.start(
        "/usr/bin/python3", sandbox.lab.top / "bin/client.py", "download", WEB[4], SOURCE,
        256 * MIB, options=["-c", "-", "--drain-timeout", "0.1"], text=False)
    err = process.stderr.read().decode()
    process.stdout.close()
    assert process.wait(60) == 0
    assert pattern.digest(256 * MIB) in err
    assert "dropped" in err and "too slow" in err


def test_killed_command_and_signalled_run(lab, sandbox, file):
    """However a run ends, the file has its end."""
    for number in (signal.SIGTERM, signal.SIGINT):
        process = sandbox.start("sh", "-c", "curl -sS http://v4.example.net/hello; exec sleep 60",
                                options=["-c", file])
        assert process.stdout.readline() == "hello from the internet\n"
        process.send_signal(number)
        process.communicate(timeout=30)
        assert any(p.parsed().is_syn_to(WEB[4]) for p in pcapng.packets(pcapng.check(file)))


@pytest.mark.parametrize("options, words", [
    (["--snaplen", "60"], "--snaplen requires --capture"),
    (["-c", "-", "-C", "both"], "--capture-point"),
    (["-c", "-", "--capture-rotate", "1M"], "--capture-rotate"),
])
def test_contradictions(sandbox, options, words):
    seen = sandbox("echo", "never", options=options)
    assert seen.status == 125 and seen.out == "" and words in seen.err


def test_answer_of_a_closed_port_is_there(sandbox, family, file):
    seen = sandbox.client("connect", WEB[family], CLOSED_PORT, options=["-c", file])
    assert "ECONNREFUSED" in seen.out
    flags = [p.parsed().flags & 0x16 for p in pcapng.packets(pcapng.check(file))
             if p.parsed().protocol == 6]
    assert flags == [0x02, 0x14]


# --- the egress view ---


def host_address(family):
    return HOST4 if family == 4 else HOST6


def test_both_views(lab, sandbox, family, file):
    """Two files; in one the packets are those of the host's socket, which the wire shows."""
    mark = lab.wire.mark()
    seen = sandbox("curl", "-sS", f"http://v{family}.example.net/page",
                   options=["-c", file, "-C", "both"])
    assert seen.status == 0 and seen.out.count("\n") == 20000
    assert not file.exists()
    child, egress = (pcapng.check(file.with_name(f"run.{view}.pcapng"))
                     for view in ("child", "egress"))
    assert egress[1].option(2) == b"logical-egress"
    assert egress[1].option(3) == (b"childflow view=egress backend=rootless-internal "
                                   b"kind=logical interface=logical-egress")
    assert pcapng.stream(child, 80, False) == pcapng.stream(egress, 80, False)
    wire = next(p for p in lab.wire.since(mark) if p.is_syn_to(WEB[family]))
    seen = [p.parsed() for p in pcapng.packets(egress)]
    assert {(p.source, p.source_port) for p in seen if p.target == WEB[family]} == {
        (host_address(family), wire.source_port)}
    assert {p.source for p in seen} == {host_address(family), WEB[family]}
    assert seen[0].is_syn_to(WEB[family])
    first, second = (next(p for p in pcapng.packets(blocks) if p.parsed().is_syn_to(WEB[family]))
                     for blocks in (child, egress))
    header = 54 if family == 6 else 34
    changed = {i for i in range(len(first.frame)) if first.frame[i] != second.frame[i]}
    ports_and_sum = {*range(header, header + 2), header + 16, header + 17}
    addresses = set(range(22, 38)) if family == 6 else {24, 25, *range(26, 30)}
    assert changed <= ports_and_sum | addresses
    assert any(f"v{family}.example.net" in c for c in second.comments())


@pytest.mark.parametrize("segments", ["mtu", "raw"])
def test_egress_of_datagrams(lab, sandbox, family, file, segments):
    mark = lab.wire.mark()
    seen = sandbox("/usr/bin/python3", lab.top / "bin/udp_client.py", "train", WEB[family], 40,
                   options=["-c", file, "-C", "egress", "--capture-segments", segments])
    assert seen.status == 0, seen
    packets = [p.parsed() for p in pcapng.packets(pcapng.check(file))]
    wire = next(p for p in lab.wire.since(mark) if p.protocol == 17 and p.target == WEB[family])
    assert {(p.source, p.source_port) for p in packets if p.target == WEB[family]} == {
        (host_address(family), wire.source_port)}
    assert any(p.source == WEB[family] and p.target_port == wire.source_port for p in packets)


@pytest.fixture
def ping_sockets(lab):
    """The host lets everybody have them."""
    range_file = "/proc/sys/net/ipv4/ping_group_range"
    lab.host.sh(f"echo 0 2147483647 >{range_file}")
    yield
    lab.host.sh(f"echo 1 0 >{range_file}")


def test_egress_of_an_echo(lab, sandbox, family, file, ping_sockets):
    mark = lab.wire.mark()
    seen = sandbox("ping", "-n", "-c", "2", "-i", "0.2", WEB[family],
                   options=["-c", file, "-C", "egress"])
    assert seen.status == 0, seen
    packets = [p.parsed() for p in pcapng.packets(pcapng.check(file))]
    request = next(p for p in lab.wire.since(mark)
                   if p.protocol in (1, 58) and p.target == WEB[family])
    assert [(p.source, p.target) for p in packets] == 2 * [
        (host_address(family), WEB[family]), (WEB[family], host_address(family))]
    assert {p.data[4:6] for p in packets} == {request.data[4:6]}  # the identifier


def test_egress_shows_nothing_of_what_was_refused(lab, sandbox, family, file):
    seen = sandbox.client("connect", WEB[family], CLOSED_PORT, WEB[family], 81,
                          options=["-c", file, "-C", "egress", "--deny-cidr",
                                   f"[{WEB[family]}]:81" if family == 6 else f"{WEB[4]}:81"])
    assert seen.out.count("ECONNREFUSED") == 2, seen
    assert pcapng.packets(pcapng.check(file)) == []


# --- rotation ---


def test_rotation(lab, sandbox, family, file):
    """No packet is lost between files, each of which is whole; the last ones are kept."""
    seen = sandbox.client("download", WEB[family], SOURCE, 16 * MIB,
                          options=["-c", file, "--capture-rotate", "4M"])
    assert seen.status == 0 and seen.err == "", seen
    files = sorted(file.parent.glob("run.0*.pcapng"))
    assert [f.name for f in files] == [f"run.{n:05}.pcapng" for n in range(1, len(files) + 1)]
    assert len(files) >= 2
    assert all(f.stat().st_size < 12 * MIB and f.stat().st_mode & 0o777 == 0o600 for f in files)
    blocks = [b for f in files for b in pcapng.check(f)]
    data = pcapng.stream(blocks, SOURCE, False)
    assert hashlib.sha256(data).hexdigest() == pattern.digest(16 * MIB)


@pytest.mark.parametrize("size", [16 * MIB, 2_700_000, 2_900_000])
def test_rotation_keeps_the_last(sandbox, file, size):
    """Both of them, also when a third one has been opened that nothing is left for."""
    seen = sandbox.client("download", WEB[4], SOURCE, size,
                          options=["-c", file, "--capture-rotate", "1M:2", "-C", "both"])
    assert seen.status == 0, seen
    for view in ("child", "egress"):
        files = sorted(file.parent.glob(f"run.{view}.*.pcapng"))
        last = int(files[-1].name.split(".")[2])
        assert [f.name for f in files] == [f"run.{view}.{n:05}.pcapng" for n in range(max(last - 1, 1), last + 1)]
        assert last >= 3 or size < 16 * MIB
        pcapng.check(files[0])


def test_rotation_by_time(sandbox, file):
    seen = sandbox("sh", "-c", "curl -sS http://v4.example.net/hello; sleep 1.5; "
                   "curl -sS http://v4.example.net/hello", options=["-c", file,
                                                                    "--capture-rotate", "1s"])
    assert seen.status == 0, seen
    files = sorted(file.parent.glob("run.0*.pcapng"))
    assert len(files) >= 2
    with_syn = [f for f in files
                if any(p.parsed().is_syn_to(WEB[4]) for p in pcapng.packets(pcapng.check(f)))]
    assert len(with_syn) == 2


def test_rotation_follows_no_link_that_the_command_makes(lab, sandbox, who, file):
    target = lab.homes[who] / "target"
    target.write_text("precious")
    script = f"ln -s {target} run.00002.pcapng; exec /usr/bin/python3 {lab.top}/bin/client.py " \
             f"download {WEB[4]} {SOURCE} {8 * MIB}"
    seen = sandbox("sh", "-c", script, options=["-c", file, "--capture-rotate", "1M"])
    assert seen.out == f"{8 * MIB} {pattern.digest(8 * MIB)}\n"
    assert target.read_text() == "precious" and "the last file goes on" in seen.err
    blocks = pcapng.check(file.with_name("run.00001.pcapng"))
    assert len(pcapng.stream(blocks, SOURCE, False)) == 8 * MIB
    target.unlink()


# --- keys ---

PYTHON_FETCH = """
import ssl, sys, urllib.request
context = ssl.create_default_context(cafile=sys.argv[2])
context.maximum_version = ssl.TLSVersion[sys.argv[3]]
print(urllib.request.urlopen(sys.argv[1], context=context).read().decode(), end="")
"""


def is_server_hello(packet):
    seen = packet.parsed()
    return bool(seen and seen.protocol == 6 and seen.source_port == 443
                and b"\x16\x03\x03" in seen.data[20:64])


@pytest.mark.parametrize("client", ["curl", "curl-1.2", "python", "python-1.2"])
@pytest.mark.parametrize("point", ["child", "egress"])
def test_keys(lab, sandbox, file, client, point):
    """One file, read once from the beginning to the end, shows the request and the answer."""
    url, ca = "https://v4.example.net/hello", lab.top / "www/ca.pem"
    version = client.endswith("1.2")
    if client.startswith("curl"):
        command = ["curl", "-sS", "--http1.1", "--cacert", ca, url]
        command += ["--tls-max", "1.2"] if version else []
    else:
        command = ["/usr/bin/python3", "-c", PYTHON_FETCH, url, ca,
                   "TLSv1_2" if version else "MAXIMUM_SUPPORTED"]
    seen = sandbox(*command, options=["-c", file, "--capture-keys", "-C", point])
    assert (seen.status, seen.out, seen.err) == (0, "hello from the internet\n", "")
    blocks = pcapng.check(file)
    # All keys stand before the first packet that some of them are for.
    kinds = ["hello" if b.kind == pcapng.PACKET and is_server_hello(b) else b.kind
             for b in blocks]
    assert pcapng.SECRETS in kinds
    secrets = b"".join(b.body for b in blocks if b.kind == pcapng.SECRETS)
    assert (b"CLIENT_HANDSHAKE_TRAFFIC_SECRET" in secrets) != version
    assert pcapng.SECRETS not in kinds[kinds.index("hello"):]
    lines = pcapng.tshark(file, "-Y", "http.request.uri == \"/hello\" && tls", "-T", "fields",
                          "-e", "http.host")
    assert lines == ["v4.example.net"]
    assert pcapng.tshark(file, "-Y", "tls && http.response.code == 200") != []
    times = [b.time_ns for b in pcapng.packets(blocks)]
    assert times == sorted(times)


def test_keys_of_many(lab, sandbox, file):
    script = """
        for n in 1 2 3 4 5 6 7 8 9 10; do
            curl -sS --cacert $1 "https://v4.example.net/hello?$n" &
        done; wait
    """
    seen = sandbox("sh", "-c", script, "sh", lab.top / "www/ca.pem",
                   options=["-c", file, "--capture-keys"])
    assert seen.out == 10 * "hello from the internet\n", seen
    pcapng.check(file)
    asked = pcapng.tshark(file, "-Y", "tls && http.request", "-T", "fields", "-e",
                          "http.request.uri")
    assert sorted(asked) == sorted(f"/hello?{n}" for n in range(1, 11))


def test_what_the_command_writes_is_checked(sandbox, file):
    script = """
        printf 'no key\\nCLIENT_RANDOM 12 34\\n' >"$SSLKEYLOGFILE"
        head -c 100000 /dev/zero >"$SSLKEYLOGFILE"; echo >"$SSLKEYLOGFILE"
        echo CLIENT_RANDOM $(printf %064d 5) abcd >"$SSLKEYLOGFILE"
    """
    seen = sandbox("sh", "-c", script, options=["-c", file, "--capture-keys"])
    assert (seen.status, seen.err) == (0, "")
    secrets = [b.body for b in pcapng.check(file) if b.kind == pcapng.SECRETS]
    line = f"CLIENT_RANDOM {5:064} abcd\n".encode()
    assert [s[8 : 8 + len(line)] for s in secrets] == [line]


def test_keys_are_asked_for_only_when_wanted(sandbox, file):
    seen = sandbox("sh", "-c", "echo ${SSLKEYLOGFILE-none}; ls /etc/childflow-keys",
                   options=["-c", file])
    assert seen.out == "none\n"


# --- whose packets they are ---


def test_process_of_each_packet(sandbox, file):
    """In both views; the comment stands on the first packet of the flow."""
    seen = sandbox("sh", "-c", "curl -sS http://v4.example.net/hello; exit 0",
                   options=["-c", file, "-C", "both", "--capture-process-blocks"])
    assert seen.status == 0, seen
    for view in ("child", "egress"):
        blocks = pcapng.check(file.with_name(f"run.{view}.pcapng"))
        tcp = [p for p in pcapng.packets(blocks) if p.parsed() and p.parsed().protocol == 6]
        assert tcp[0].parsed().is_syn_to(WEB[4])
        (comment,) = tcp[0].comments()
        words = dict(w.split("=", 1) for w in comment.split())
        assert words["comm"] == "curl" and words["exe"] == "/usr/bin/curl"
        assert words["name"] == "v4.example.net"
        assert {p.pid for p in tcp if p is not tcp[1]} == {int(words["pid"])}
        custom = [b.body for b in blocks if b.kind == pcapng.CUSTOM]
        assert len(custom) == 1 and custom[0][:4] == (32622).to_bytes(4, "little")
        assert b"/usr/bin/curl" in custom[0]


def test_two_programs(lab, sandbox, file):
    script = "curl -sS http://v4.example.net/hello; busybox wget -qO- http://$1/hello"
    seen = sandbox("sh", "-c", script, "sh", WEB[4], options=["-c", file])
    assert seen.status == 0, seen
    syns = [p for p in pcapng.packets(pcapng.check(file)) if p.parsed().is_syn_to(WEB[4])]
    assert ["curl" in syns[0].comments()[0], "busybox" in syns[1].comments()[0]] == [True, True]
    assert syns[0].pid != syns[1].pid


# --- the host's interface ---


def test_wire(lab, sandbox, who, family, file):
    """As root: what the link's other end has seen of this run, to the packet, and of no other."""
    if who == "user":
        for before in (None, b"of an earlier run"):  # nothing is lost, and nothing is left
            if before:
                file.write_bytes(before)
                os.chown(file, USER_ID, USER_ID)
            seen = sandbox("echo", "never", options=["-c", file, "-C", "wire-egress"])
            assert (seen.status, seen.out) == (125, "")
            assert "wire-egress" in seen.err and "CAP_NET_RAW" in seen.err
            assert (file.read_bytes() if file.exists() else None) == before
        return
    other = lab.start(["sh", "-c", "while curl -sS http://v4.example.net/page; do :; done"],
                      stdout=subprocess.DEVNULL)
    mark = lab.wire.mark()
    seen = sandbox("sh", "-c", "curl -sS http://www.example.net/hello; "
                   f"ping -n -c 1 {WEB[family]}; curl -sS http://{url_host(WEB[family])}:9/",
                   options=["-c", file, "-C", "wire-egress"])
    wire = lab.wire.since(mark)
    other.kill()
    other.communicate()
    assert "hello" in seen.out and "1 received" in seen.out, seen
    blocks = pcapng.check(file)
    assert blocks[1].option(2) == b"eth0"
    assert blocks[1].option(3) == (b"childflow view=wire-egress backend=rootless-internal "
                                   b"kind=wire interface=eth0")
    assert blocks[-1].number(5) == 0
    packets = [p.parsed() for p in pcapng.packets(blocks)]
    # Our SYNs are there, those of the other program not.
    syns = {p.source_port for p in packets if p.flags & 0x12 == 0x02 and p.protocol == 6}
    on_link = {p.source_port for p in wire if p.flags & 0x12 == 0x02 and p.protocol == 6}
    assert len(syns) == 2 and syns < on_link
    assert any(p.protocol == 17 and p.target_port == 53 for p in packets)
    assert any(p.protocol == 17 and p.source_port == 53 for p in packets)
    echoes = [p for p in packets if p.protocol in (1, 58)]
    assert len(echoes) == 2
    data = pcapng.stream(blocks, 80, False)
    assert data.endswith(b"hello from the internet\n")
    ours = {p.source_port for p in packets if p.source in (HOST4, HOST6) and p.protocol == 6}
    assert ours == syns


def test_wire_of_fragments(lab, sandbox, who, family, file):
    if who == "user":
        return
    mark = lab.wire.mark()
    seen = sandbox("/usr/bin/python3", lab.top / "bin/udp_client.py", "echo", WEB[family], 5000,
                   options=["-c", file, "-C", "wire-egress"])
    assert "the same" in seen.out, seen
    on_link = [p for p in lab.wire.since(mark) if p.protocol in (17, 44)]
    packets = [p.parsed() for p in pcapng.packets(pcapng.check(file))]
    assert len([p for p in packets if p.protocol in (17, 44)]) == len(on_link) >= 8


def test_wire_of_a_long_transfer(sandbox, who, file):
    if who == "user":
        return
    seen = sandbox.client("download", WEB[4], SOURCE, 64 * MIB,
                          options=["-c", file, "-C", "wire-egress"])
    assert seen.status == 0 and seen.err == "", seen
    blocks = pcapng.check(file)
    data = pcapng.stream(blocks, SOURCE, False)
    assert hashlib.sha256(data).hexdigest() == pattern.digest(64 * MIB)
