"""/etc as the command sees it, whatever the host's /etc/resolv.conf is."""

import re
import shutil

import pytest

from lab import DNS, USER_ID


def nameservers(text):
    return re.findall(r"(?m)^nameserver (.*)$", text)


def assert_works(sandbox, space=None):
    """The command sees our name servers, and names are answered."""
    how = {"space": space} if space else {}
    seen = sandbox("cat", "/etc/resolv.conf", **how)
    assert seen.status == 0, seen
    servers = nameservers(seen.out)
    assert len(servers) == 2 and servers[0].startswith("10.240.") and servers[1].startswith("fd42:")
    seen = sandbox("curl", "-sS", "http://www.example.net/hello", **how)
    assert (seen.status, seen.out) == (0, "hello from the internet\n"), seen


def test_resolv_conf(sandbox, resolv_conf):
    resolv_conf("# a comment", "search example.net example.org", f"nameserver {DNS[4]}",
                "options  ndots:2   timeout:3", "sortlist 10.0.0.0")
    text = sandbox("cat", "/etc/resolv.conf").out
    assert "search example.net example.org\n" in text
    assert re.search(r"(?m)^options\s+ndots:2\s+timeout:3$", text)
    assert DNS[4] not in text
    assert_works(sandbox)


def test_resolv_conf_with_dns_option(sandbox, resolv_conf):
    resolv_conf("search example.net", f"nameserver {DNS[4]}")
    text = sandbox("cat", "/etc/resolv.conf", options=["--dns", DNS[6]]).out
    assert "search" not in text and len(nameservers(text)) == 2


def test_nsswitch(sandbox):
    text = sandbox("cat", "/etc/nsswitch.conf").out
    assert re.search(r"(?m)^hosts:\s+files dns$", text)
    assert re.search(r"(?m)^passwd:", text)


def test_other_files_of_etc_are_the_hosts(sandbox, outside):
    for file in ("/etc/passwd", "/etc/hosts", "/etc/services"):
        assert sandbox("cat", file).out == outside("cat", file).out


def test_hosts_file_as_the_command_sees_it(lab, sandbox):
    file = lab.top / "run" / "hosts-seen"
    file.write_text("192.0.2.1 one.example.com\n")
    text = sandbox("cat", "/etc/hosts", options=["--hosts-file", file]).out
    assert re.search(r"(?m)^192\.0\.2\.1\s+one\.example\.com$", text)
    assert "localhost" in text


@pytest.fixture
def etc(lab):
    """The host's /etc, to be changed; resolv.conf is put back."""
    folder = lab.host.path("/etc")
    yield folder
    for name in ("resolv.conf", "resolv.conf.d"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).unlink(missing_ok=True)
    lab.reset_resolv_conf()


def test_resolv_conf_is_a_symlink(sandbox, etc):
    (etc / "resolv.conf.d").mkdir()
    (etc / "resolv.conf").rename(etc / "resolv.conf.d" / "real")
    (etc / "resolv.conf").symlink_to("resolv.conf.d/real")
    assert_works(sandbox)


def test_resolv_conf_is_a_symlink_out_of_etc(lab, sandbox, etc):
    target = lab.top / "run" / "resolv.conf"
    target.write_text(f"nameserver {DNS[4]}\n")
    (etc / "resolv.conf").unlink()
    (etc / "resolv.conf").symlink_to(target)
    assert_works(sandbox)
    assert target.read_text() == f"nameserver {DNS[4]}\n"


def assert_dns_option_works(sandbox):
    """Without name servers of the host: the command sees ours, --dns says whom to ask."""
    seen = sandbox("curl", "-sS", "http://www.example.net/hello", options=["--dns", DNS[4]])
    assert (seen.status, seen.out) == (0, "hello from the internet\n"), seen
    assert sandbox("true").status == 0


def test_resolv_conf_is_a_dangling_symlink(sandbox, etc):
    (etc / "resolv.conf").unlink()
    (etc / "resolv.conf").symlink_to("/run/no/such/stub-resolv.conf")
    assert_dns_option_works(sandbox)


def test_resolv_conf_is_absent(sandbox, etc):
    (etc / "resolv.conf").unlink()
    assert_dns_option_works(sandbox)
    assert not (etc / "resolv.conf").exists()


@pytest.mark.parametrize("change", ["rename", "unlink", "symlink"])
def test_resolv_conf_changes_during_the_run(sandbox, etc, change):
    script = "cat /etc/resolv.conf; echo ready; read line; cat /etc/resolv.conf; echo done"
    process = sandbox.start("sh", "-c", script, stdin=-1)
    before = "".join(iter(process.stdout.readline, "ready\n"))
    file = etc / "resolv.conf"
    if change == "rename":
        (etc / "resolv.conf.new").write_text("nameserver 192.0.2.66\n")
        (etc / "resolv.conf.new").rename(file)
    else:
        file.unlink()
    if change == "symlink":
        file.symlink_to("/proc/self/nowhere")
    after, errors = process.communicate("go\n", timeout=30)
    assert nameservers(before) and after == before + "done\n", (before, after, errors)


def test_etc_with_mounts_in_it(lab, sandbox):
    # As in a container, where resolv.conf, hosts and hostname are mounts of their own.
    mounts = f"""
        for file in resolv.conf hosts hostname; do
            cp /etc/$file {lab.top}/run/mounted-$file 2>/dev/null || : >{lab.top}/run/mounted-$file
            test -e /etc/$file || : >/etc/$file
            mount --bind {lab.top}/run/mounted-$file /etc/$file
        done
    """
    with lab.host_mounts(mounts) as space:
        assert_works(sandbox, space)


def test_nothing_is_left_in_tmp(lab, sandbox):
    before = sorted(p.name for p in lab.host.path("/tmp").iterdir())
    seen = sandbox("ls", "/tmp")
    assert seen.out.split() == before
    assert sorted(p.name for p in lab.host.path("/tmp").iterdir()) == before


@pytest.mark.parametrize("folder", [
    "/run/nscd", "/run/systemd/resolve", "/run/avahi-daemon", "/var/lib/sss/pipes",
])
def test_sockets_of_other_resolvers_are_hidden(lab, sandbox, folder):
    parent = "/run" if folder.startswith("/run") else "/var/lib"
    mounts = f"mount -t tmpfs -o mode=755 lab {parent}; mkdir -p {folder}; : >{folder}/socket"
    with lab.host_mounts(mounts) as space:
        assert sandbox("ls", folder, space=space).out == ""
        assert_works(sandbox, space)


def test_etc_cant_be_written(sandbox):
    uid = sandbox("id", "-u").out.strip()
    assert uid in ("0", str(USER_ID))
    seen = sandbox("sh", "-c", ": >>/etc/resolv.conf && echo written")
    assert seen.out == ""
