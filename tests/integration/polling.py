"""Waiting without sleeping for a guessed time."""

import time

DEADLINE = 20  # seconds after which a thing that must happen counts as not happening


def poll(condition, what, seconds=DEADLINE):
    """Waits until condition() is true and returns its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        time.sleep(0.005)
    return value
