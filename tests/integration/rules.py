"""What the tests of the rules share: how a refusal looks to a program, and ways to provoke it."""

from lab import PYTHON

TCP_BLOCKED = "ECONNREFUSED"
# "Administratively prohibited", as Linux tells it: IPv4 has no message that becomes EACCES.
UDP_BLOCKED = {4: "EHOSTUNREACH", 6: "EACCES"}


def family_of(address):
    return 6 if ":" in address else 4


def attempt(run, name, *words, **how):
    """Runs one of guest/attempts.py's programs."""
    return run(PYTHON, run.lab.top / "bin/attempts.py", name, *words, **how)


def lines(seen):
    """The last word of each line, the outcome."""
    assert seen.status == 0, seen
    return [line.split()[-1] for line in seen.out.splitlines()]
