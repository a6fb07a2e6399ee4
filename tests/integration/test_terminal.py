"""Job control in a real terminal: the kernel sends the signals, an interactive bash the prompts."""

import contextlib
import fcntl
import os
import pathlib
import pty
import random
import re
import select
import signal
import struct
import termios
import time

import pytest

from conftest import PLAIN
from guest import pattern
from lab import PYTHON, WEB
from polling import DEADLINE, poll
from test_faults import Family

SOURCE = 7003
CTRL_C, CTRL_Z, CTRL_BACKSLASH = "\x03", "\x1a", "\x1c"
PROMPT, INNER_PROMPT = "outer> ", "inner> "
SHELL = ["bash", "--norc", "--noprofile", "--noediting", "-i"]


class Terminal:
    """A pseudo terminal and the session whose leader runs in it."""

    def __init__(self, lab, who, argv, **env):
        self.screen = ""
        self.read_to = 0
        self.ours, theirs = pty.openpty()
        self.name = os.ttyname(theirs)
        self.leader = lab.start(
            argv, who, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={"TERM": "dumb", "HISTFILE": "", **env},
        )
        os.close(theirs)

    def type(self, text):
        os.write(self.ours, text.encode())

    def expect(self, regex):
        """Waits until that has appeared behind what was last waited for; returns the match."""
        deadline = time.monotonic() + DEADLINE
        while not (found := re.compile(regex).search(self.screen, self.read_to)):
            left = max(deadline - time.monotonic(), 0)
            assert select.select([self.ours], [], [], left)[0], f"{regex!r} not in {self.tail()!r}"
            try:
                self.screen += os.read(self.ours, 65536).decode(errors="replace")
            except OSError:
                raise AssertionError(f"{regex!r} not before the end: {self.tail()!r}") from None
        self.read_to = found.end()
        return found

    def tail(self):
        return self.screen[self.read_to :]

    def run(self, line, prompt=PROMPT):
        """Types a line to a shell and returns what is shown before the next prompt."""
        self.type(line + "\n")
        self.expect(re.escape(line) + r"\r\n")
        begin = self.read_to
        end = self.expect(f"(?<![^\n]){prompt}").start()
        return self.screen[begin:end]

    def status(self, prompt=PROMPT):
        return int(self.run("echo $?", prompt))

    def foreground(self):
        return struct.unpack("i", fcntl.ioctl(self.ours, termios.TIOCGPGRP, b"\0\0\0\0"))[0]

    def settings(self):
        return termios.tcgetattr(self.ours)

    def resize(self, rows, columns):
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def hang_up(self):
        if self.ours >= 0:
            os.close(self.ours)
        self.ours = -1

    def close(self):
        self.hang_up()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.leader.pid, signal.SIGKILL)
        self.leader.wait()


@pytest.fixture
def terminal(lab, who):
    opened = []

    def open_terminal(argv, **env):
        opened.append(Terminal(lab, who, argv, **env))
        return opened[-1]

    yield open_terminal
    for one in opened:
        one.close()


@pytest.fixture
def shell(terminal, inside):
    """An interactive bash with job control; $cf runs a command inside."""
    # Plain, "env" stands for childflow.
    prefix = " ".join(map(str, inside.program())) or "env"
    bash = terminal(SHELL, PS1=PROMPT, cf=prefix, PS2="")
    bash.expect(PROMPT)
    return bash


def state(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def program(pid):
    return os.readlink(f"/proc/{pid}/exe")


def children(pid):
    return list(map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def assert_prompt_works(bash):
    """The shell has its terminal back, with the settings it is used to."""
    assert bash.foreground() == bash.leader.pid
    assert bash.run("echo on${x}ward") == "onward\r\n"
    assert bash.run("jobs") == ""


# --- keys ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("key, number", [(CTRL_C, signal.SIGINT), (CTRL_BACKSLASH, signal.SIGQUIT)])
def test_key_ends_the_command(shell, key, number):
    shell.run("ulimit -c 0")
    shell.type("$cf sh -c 'echo up; exec sleep 1000'\n")
    shell.expect(r"\nup\r\n")
    shell.type(key)
    shell.expect(PROMPT)
    assert shell.status() == 128 + number
    assert_prompt_works(shell)


@pytest.mark.parametrize("key, name", [(CTRL_C, "INT"), (CTRL_BACKSLASH, "QUIT")])
def test_command_that_traps_a_key_decides_itself(shell, key, name):
    script = f"n=0; trap 'n=$((n+1)); echo got $n' {name}; trap 'exit $n' TERM; echo up; " \
             "while :; do sleep 0.05; done"
    line = f'$cf sh -c "{script}"\n'.replace("$n", r"\$n").replace("$((", r"\$((")
    for _ in range(5):  # "up" may come before the supervisor knows that the command runs
        shell.type(line)
        shell.expect(r"\nup\r\n")
        for count in (1, 2, 3):
            shell.type(key)
            shell.expect(f"got {count}\r\n")
        os.kill(children(shell.leader.pid)[0], signal.SIGTERM)
        shell.expect(PROMPT)
        assert shell.status() == 3  # what the terminal sends we don't send again
    assert_prompt_works(shell)


def test_key_in_the_middle_of_the_start(shell):
    moments = random.Random(4)
    for _ in range(20):
        shell.type("$cf sleep 1000\n")
        # Before that it would be bash's own, or its child's, which lets it go.
        poll(lambda: program(shell.foreground()) != program(shell.leader.pid), "the job in front")
        time.sleep(moments.uniform(0, 0.02))
        shell.type(CTRL_C)
        shell.expect(PROMPT)
        assert shell.status() == 130
    assert_prompt_works(shell)


def test_size_of_the_window(shell):
    shell.resize(24, 80)
    shell.type("$cf sh -c 'trap \"stty size\" WINCH; echo up; while :; do sleep 0.05; done'\n")
    shell.expect(r"\nup\r\n")
    for rows, columns in ((33, 101), (25, 80)):
        shell.resize(rows, columns)
        shell.expect(f"{rows} {columns}\r\n")
    shell.type(CTRL_C)
    shell.expect(PROMPT)


# --- stop and go --------------------------------------------------------------------------------


def test_stopped_and_continued(lab, shell, family):
    """A download lives through Ctrl-Z and fg, and nothing of it is lost."""
    count = 300_000_000
    client = f"{PYTHON} {lab.top}/bin/client.py download {WEB[family]} {SOURCE} {count}"
    mark = lab.received()
    shell.type(f"$cf {client}\n")
    for megabytes in (1, 20, 40):
        poll(lambda: lab.received() - mark > megabytes << 20, "the transfer")
        shell.type(CTRL_Z)
        shell.expect("Stopped.*\r\n" + PROMPT)
        supervisor, = children(shell.leader.pid)
        assert state(supervisor) == "T"
        assert "Stopped" in shell.run("jobs")
        shell.type("fg\n")
        shell.expect("client.py.*\r\n")
    shell.expect(f"{count} {pattern.digest(count)}\r\n{PROMPT}")
    assert shell.status() == 0
    assert_prompt_works(shell)


def test_background(shell):
    shell.type("$cf sh -c 'echo up; read line; echo got $line'\n")
    shell.expect(r"\nup\r\n")
    shell.type(CTRL_Z)
    shell.expect("Stopped.*\r\n" + PROMPT)
    supervisor, = children(shell.leader.pid)
    shell.run("bg")
    # In the background it may not read the terminal: the kernel stops it, and we stop, too.
    poll(lambda: "Stopped" in shell.run("jobs"), "the stop of the reader")
    assert state(supervisor) == "T"
    shell.type("fg\n")
    shell.expect("read line.*\r\n")
    shell.type("a word\n")
    shell.expect("got a word\r\n" + PROMPT)
    assert shell.status() == 0
    assert_prompt_works(shell)


def test_started_in_the_background(shell):
    assert shell.run("$cf sh -c 'exit 3' & wait $!; echo =$?").endswith("=3\r\n")
    shell.run("$cf sleep 1000 &")
    assert "Running" in shell.run("jobs")
    shell.run("kill %1")
    assert "Terminated" in shell.run("wait %1; echo =$?") or shell.run("jobs") == ""
    assert_prompt_works(shell)


def test_stopped_by_a_signal(shell):
    """As kill -STOP of one's own, and SIGTSTP that was sent to childflow alone."""
    shell.type("$cf sh -c 'kill -STOP $$; echo on'\n")
    shell.expect("Stopped.*\r\n" + PROMPT)
    shell.type("fg\n")
    shell.expect("\non\r\n" + PROMPT)
    shell.type("$cf sh -c 'echo up; read line; echo got $line'\n")
    shell.expect(r"\nup\r\n")
    supervisor, = children(shell.leader.pid)
    os.kill(supervisor, signal.SIGTSTP)
    shell.expect("Stopped.*\r\n" + PROMPT)
    shell.type("fg\n")
    shell.expect("read line.*\r\n")
    shell.type("word\n")
    shell.expect("got word\r\n" + PROMPT)
    assert_prompt_works(shell)


def test_stops_that_are_over(shell):
    """What the command did while we were stopped is no reason to stop once more."""
    shell.type("$cf sh -c 'kill -STOP $$; echo second; kill -STOP $$; sleep 1; echo on'\n")
    shell.expect("Stopped.*\r\n" + PROMPT)
    supervisor, = children(shell.leader.pid)
    init, = [child for child in children(supervisor) if children(child)]
    command, = children(init)
    os.kill(command, signal.SIGCONT)
    shell.expect("second\r\n")
    poll(lambda: state(command) == "T", "the second stop")
    assert state(supervisor) == "T"
    shell.type("fg\n")
    shell.expect("echo on'\r\non\r\n" + PROMPT)
    assert_prompt_works(shell)


@pytest.mark.skipif(PLAIN, reason="CHILDFLOW=plain")
@pytest.mark.parametrize("stops", ["by a key", "by itself"])
def test_a_late_sigcont_undoes_no_later_stop(shell, stops):
    """The supervisor reads the group's SIGCONT when the command has gone on and stopped again."""
    itself = "kill -STOP $$; echo on; kill -STOP $$; " if stops == "by itself" else ""
    shell.type(f"$cf sh -c 'echo up; {itself}exec sleep 1000'\n")
    shell.expect(r"\nup\r\n")
    if not itself:
        shell.type(CTRL_Z)
    shell.expect("Stopped.*\r\n" + PROMPT)
    supervisor, = children(shell.leader.pid)
    init, = [child for child in children(supervisor) if children(child)]
    command, = children(init)
    # What is sent to the group, a process at a time.
    for number in [signal.SIGCONT] if itself else [signal.SIGCONT, signal.SIGTSTP]:
        os.kill(init, number)
        os.kill(command, number)
    if itself:
        shell.expect("on\r\n")
    poll(lambda: state(command) == "T", "the second stop")
    os.kill(supervisor, signal.SIGCONT)
    poll(lambda: state(supervisor) == "T", "the supervisor to stop, too")
    assert state(command) == "T"
    shell.type("fg\n")
    shell.expect("sleep 1000'\r\n")
    poll(lambda: state(command) != "T", "the command to go on")
    shell.type(CTRL_C)
    shell.expect(PROMPT)
    assert shell.status() == 130
    assert_prompt_works(shell)


# --- a shell inside -----------------------------------------------------------------------------


def test_job_control_inside(shell):
    inner = f"{' '.join(SHELL)}"
    shell.type(f"PS1='{INNER_PROMPT}' $cf {inner}\n")
    shell.expect(r"\n" + INNER_PROMPT)
    assert "no job control" not in shell.screen

    def run(line):
        return shell.run(line, INNER_PROMPT)

    def bring_to_front():
        shell.type("fg\n")
        shell.expect("sleep 1000\r\n")
        # Bash's child ignores a Ctrl-Z, and the SIGCONT that follows takes one back.
        poll(lambda: program(shell.foreground()).endswith("/sleep"), "the job in front")
        poll(lambda: state(shell.foreground()) != "T", "the job to go on")

    run("sleep 1000 &")
    assert "Running" in run("jobs")
    for _ in range(2):
        bring_to_front()
        shell.type(CTRL_Z)
        shell.expect("Stopped.*\r\n" + INNER_PROMPT)
    assert "Stopped" in run("jobs")
    run("bg")
    assert "Running" in run("jobs")
    bring_to_front()
    shell.type(CTRL_C)
    shell.expect(INNER_PROMPT)
    assert shell.status(INNER_PROMPT) == 130
    assert run("jobs") == ""
    shell.type(CTRL_C)  # bash at its prompt takes it, childflow does nothing
    shell.expect(INNER_PROMPT)
    assert run("echo on${x}ward") == "onward\r\n"
    shell.type("exit 5\n")
    shell.expect(r"\n" + PROMPT)
    assert shell.status() == 5
    assert_prompt_works(shell)


# --- the end ------------------------------------------------------------------------------------

# Takes the terminal as shells do for their jobs, and changes its settings.
TAKE_TERMINAL = """
import os, signal, termios, time
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
os.setpgid(0, 0)
os.tcsetpgrp(0, os.getpgrp())
print("up", flush=True)
signal.pause()
"""


@pytest.mark.skipif(PLAIN, reason="CHILDFLOW=plain")
@pytest.mark.parametrize("victim", ["command", "engine", "init", "supervisor"])
def test_killed_while_it_held_the_terminal(lab, shell, victim):
    script = lab.homes["root"].parent / "take_terminal.py"
    script.write_text(TAKE_TERMINAL)
    before = shell.settings()
    shell.type(f"$cf {PYTHON} {script}\n")
    shell.expect(r"\nup\r\n")
    supervisor, = children(shell.leader.pid)
    run = Family(supervisor)
    held, = (pid for pid in children(run.init))
    assert shell.foreground() == held
    os.kill(held if victim == "command" else getattr(run, victim), signal.SIGKILL)
    shell.expect(PROMPT)
    assert shell.status() == (137 if victim in ("command", "supervisor") else 125)
    assert shell.settings() == before
    assert_prompt_works(shell)


def test_without_a_shell_the_terminal_is_given_back(terminal, lab, sandbox):
    """A script without job control goes on in its own group after a command that took the front."""
    script = lab.homes["root"].parent / "take_terminal.py"
    script.write_text(TAKE_TERMINAL.replace("signal.pause()", ""))
    inner = " ".join(map(str, sandbox.program(PYTHON, script)))
    prefix = inner.removesuffix(" --").replace(f" {PYTHON}", f" -- {PYTHON}")
    one = terminal(["sh", "-c", f"{prefix}; echo =$?; read line; echo got $line"])
    one.expect("up\r\n=0\r\n")
    assert one.foreground() == one.leader.pid
    one.type("word\n")
    one.expect("got word\r\n")
    assert one.leader.wait(DEADLINE) == 0


@pytest.mark.parametrize("who_leads", ["shell", "childflow"])
def test_terminal_is_closed(lab, terminal, inside, who_leads):
    """The line drops: everything ends, also what ignores SIGHUP in the background."""
    script = "(trap '' HUP TERM; exec setsid sleep 1000) & echo up; exec sleep 1000"
    if who_leads == "shell":
        bash = terminal(SHELL, PS1=PROMPT, cf=" ".join(map(str, inside.program())) or "env")
        bash.expect(PROMPT)
        bash.type(f'$cf sh -c "{script}"\n')
    elif PLAIN:
        pytest.skip("CHILDFLOW=plain")
    else:
        bash = terminal([*inside.program(), "sh", "-c", script])
    bash.expect(r"up\r\n")
    if PLAIN:
        lab.kill_leftovers()
    bash.hang_up()
    bash.leader.wait(DEADLINE)
    poll(lambda: not lab.leftovers(), "the end of everything")


def test_script(inside):
    """script(1) gives its command a terminal and a session of its own."""
    line = " ".join([*map(str, inside.program()), "bash -c 'test -t 0 && tty; exit 4'"])
    seen = inside.lab.run(["script", "-qec", line, "/dev/null"], inside.who, env={"TERM": "dumb"})
    assert seen.status == 4 and seen.out.startswith("/dev/pts/"), seen
