"""The command runs as it would without childflow: status, environment, files, terminal."""

import os
import pty
import signal
import subprocess

import pytest

from polling import poll


def first_line(text):
    return text.split("\n", 1)[0]


@pytest.mark.parametrize("script, status", [
    ("exit 0", 0), ("exit 42", 42), ("exit 255", 255), ("kill -KILL $$", 137),
    ("kill -TERM $$", 143), ("ulimit -c 0; kill -SEGV $$", 139),
])
def test_status_of_the_command(inside, script, status):
    seen = inside("sh", "-c", script)
    assert (seen.status, seen.out, seen.err) == (status, "", "")


def test_command_that_is_not_there(sandbox):
    for name in ("no-such-command", "/no/such/command"):
        seen = sandbox(name)
        assert seen.status == 127
        assert seen.err.startswith("childflow: ") and name in seen.err


def test_command_that_is_no_program(sandbox, lab):
    file = lab.homes[sandbox.who] / "no-program"
    file.write_text("text\n")
    for name in (file, lab.homes[sandbox.who]):
        seen = sandbox(name)
        assert seen.status == 126
        assert seen.err.startswith("childflow: ") and str(name) in seen.err


def test_script_without_interpreter_line(sandbox, lab):
    file = lab.homes[sandbox.who] / "script"
    file.write_text("echo script $1\n")
    file.chmod(0o755)
    seen = sandbox(file, "one")
    assert (seen.status, seen.out) == (0, "script one\n"), seen


def test_path_search_passes_what_it_cant_run(sandbox, lab):
    first, second = (lab.homes[sandbox.who] / name for name in ("first", "second"))
    for folder, mode in ((first, 0o644), (second, 0o755)):
        folder.mkdir(exist_ok=True)
        (folder / "tool").write_text("#!/bin/sh\necho found\n")
        (folder / "tool").chmod(mode)

    def search(path):
        return lab.run(["env", f"PATH={path}", *sandbox.program(), "tool"], sandbox.who)

    found = search(f"/no/such:{first}:{second}:/usr/bin:/bin")
    assert (found.status, found.out) == (0, "found\n"), found
    assert search(first).status == 126
    assert search(f"/no/such:{first}").status == 126
    assert search("/no/such").status == 127


@pytest.mark.parametrize("options, named", [
    (["--no-such-option"], "--no-such-option"),
    (["--dsn", "1.1.1.1"], "--dns"),
    (["--dns"], "--dns"),
    (["--dns", "not-an-address"], "not-an-address"),
    (["--dns", "1.1.1.1", "--dns", "1.1.1.1"], "--dns"),
    (["--drain-timeout", "soon"], "soon"),
])
def test_command_line_that_cant_be_understood(sandbox, options, named):
    seen = sandbox("touch", "was-run", options=options)
    assert seen.status == 125
    assert first_line(seen.err).startswith("childflow: ") and named in seen.err
    assert not (sandbox.lab.homes[sandbox.who] / "was-run").exists()


def test_no_command(lab, sandbox):
    program = sandbox.program()[0]
    for argv in ([program], [program, "--"]):
        seen = lab.run(argv, sandbox.who)
        assert seen.status == 125
        assert first_line(seen.err).startswith("childflow: ")


def test_first_word_ends_the_options(lab, sandbox):
    program = sandbox.program()[0]
    seen = lab.run([program, "echo", "--version", "--", "-d"], sandbox.who)
    assert (seen.status, seen.out) == (0, "--version -- -d\n")


def test_help_and_version(lab, sandbox):
    program = sandbox.program()[0]
    for option in ("--help", "-h"):
        seen = lab.run([program, option], sandbox.who)
        assert (seen.status, seen.err) == (0, "")
        for word in ("--dns", "--hosts-file", "--drain-timeout", "--version"):
            assert word in seen.out
        assert max(map(len, seen.out.splitlines())) <= 100
    for option in ("--version", "-V"):
        seen = lab.run([program, option], sandbox.who)
        assert seen.status == 0 and seen.out.startswith("childflow ")


def test_environment_is_kept(inside, outside):
    extra = {"A_WORD": "a b\nc", "http_proxy": "http://nowhere:1/"}
    show = ("env", "-u", "_")
    assert sorted(inside(*show, env=extra).out) == sorted(outside(*show, env=extra).out)


def test_resolver_environment_is_not_passed_on(sandbox):
    names = ("LOCALDOMAIN", "RES_OPTIONS", "HOSTALIASES")
    seen = sandbox("env", env={name: "attempts:1" for name in names})
    assert not any(f"{name}=" in seen.out for name in names)


def test_directory_and_umask_are_kept(inside):
    assert inside("pwd", cwd="/usr/share").out == "/usr/share\n"
    with_umask = ["sh", "-c", 'umask 0; exec "$@"', "sh"]
    seen = inside.lab.run([*with_umask, *inside.program(), "sh", "-c", "umask"], inside.who)
    assert seen.out == "0000\n"


def test_etc_as_directory(inside):
    # The command stands in the /etc that it sees, not in the host's below it.
    seen = inside("sh", "-c", "pwd; cat resolv.conf; echo --; cat /etc/resolv.conf", cwd="/etc")
    first, second = seen.out.split("--\n")
    assert first == "/etc\n" + second


def test_stdin_stdout_and_stderr(inside):
    seen = inside("sh", "-c", "cat; echo to-stderr >&2", input="from stdin\n")
    assert (seen.status, seen.out, seen.err) == (0, "from stdin\n", "to-stderr\n")


def test_no_other_descriptor_is_passed_on(sandbox):
    with open("/dev/null") as one, open("/dev/null") as two:
        seen = sandbox.client("descriptors", pass_fds=(one.fileno(), two.fileno()))
    assert seen.out == "0 1 2\n"


def test_closed_stdin_stays_harmless(sandbox):
    # A descriptor of ours must not become the command's stdin.
    seen = sandbox.lab.run(["sh", "-c", 'exec "$@" <&-', "sh", *sandbox.program(), "cat"],
                           sandbox.who)
    assert seen.out == ""


def signal_bits(status, field):
    line = next(line for line in status.splitlines() if line.startswith(field))
    bits = int(line.split()[1], 16)
    return {n for n in range(1, 32) if bits >> (n - 1) & 1}


def test_sigpipe_is_not_ignored(sandbox):
    # restore_signals=False: the caller itself ignores SIGPIPE, as Python programs do.
    seen = sandbox("cat", "/proc/self/status", restore_signals=False)
    assert signal.SIGPIPE not in signal_bits(seen.out, "SigIgn")
    assert signal_bits(seen.out, "SigBlk") == set()


def test_other_ignored_signals_stay_ignored(inside):
    ignore = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"]
    argv = [*ignore, *inside.program(), "cat", "/proc/self/status"]
    seen = inside.lab.run(argv, inside.who)
    assert signal_bits(seen.out, "SigIgn") & {signal.SIGHUP, signal.SIGTERM} == {signal.SIGHUP}


def test_terminal_is_kept(inside):
    ours, theirs = pty.openpty()
    name = os.ttyname(theirs)
    script = "test -t 0 && test -t 1 && test -t 2 && tty && ps -o tpgid= -p $$ && echo $$"
    process = inside.start("sh", "-c", script, stdin=theirs, stdout=theirs, stderr=theirs)
    assert process.wait(30) == 0
    os.close(theirs)
    assert name in os.read(ours, 1000).decode()
    os.close(ours)


def running(inside, script):
    """Starts a shell script that says "ready" in a process group of its own."""
    process = inside.start("sh", "-c", script, start_new_session=True)
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_signal_reaches_the_command(sandbox, number):
    trap = f"trap 'echo caught; exit 7' {number.name[3:]}"
    script = f"{trap}; echo ready; while :; do sleep 0.1; done"
    for _ in range(10):  # "ready" may come before the supervisor knows that the command runs
        process = running(sandbox, script)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out, err) == (7, "caught\n", "")


def test_signal_that_ends_the_command(sandbox):
    process = running(sandbox, "echo ready; exec sleep 1000")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode in (143, -signal.SIGTERM)


def test_second_sigterm_is_not_ignored(sandbox):
    process = running(sandbox, "trap '' TERM; echo ready; while :; do sleep 0.1; done")

    def again():
        process.send_signal(signal.SIGTERM)
        return process.poll() is not None

    poll(again, "the end after several SIGTERM")
    process.communicate()
    assert process.returncode == 137


def test_thirty_runs_in_a_row_and_at_once(sandbox):
    for _ in range(3):
        processes = [sandbox.start("true") for _ in range(10)]
        results = [(p.communicate(timeout=60), p.returncode) for p in processes]
        assert results == [(("", ""), 0)] * 10


def test_stdin_at_its_end_is_no_terminal(inside):
    seen = inside("sh", "-c", "read line; echo $?", stdin=subprocess.DEVNULL)
    assert seen.out == "1\n"
