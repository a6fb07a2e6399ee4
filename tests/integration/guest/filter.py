"""Runs a command behind a seccomp filter: filter.py userns|clone3 COMMAND...

userns: no user namespaces, as container engines set it, and no clone3(2). clone3: only the latter.
"""

import ctypes
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
CLONE_NEWUSER = 0x10000000
ALLOW, ERRNO, EPERM, ENOSYS = 0x7FFF0000, 0x00050000, 1, 38
CLONE, UNSHARE, CLONE3 = {"x86_64": (56, 272, 435), "aarch64": (220, 97, 435)}[os.uname().machine]

# linux/filter.h: operation, jump if true, jump if false, operand
LOAD, JUMP_EQUAL, JUMP_SET, RETURN = 0x20, 0x15, 0x45, 0x06
NUMBER, FIRST_ARGUMENT = 0, 16  # places in struct seccomp_data

USERNS = [
    (LOAD, 0, 0, NUMBER),
    (JUMP_EQUAL, 0, 1, CLONE3),
    (RETURN, 0, 0, ERRNO | ENOSYS),
    (JUMP_EQUAL, 1, 0, CLONE),
    (JUMP_EQUAL, 0, 3, UNSHARE),
    (LOAD, 0, 0, FIRST_ARGUMENT),
    (JUMP_SET, 0, 1, CLONE_NEWUSER),
    (RETURN, 0, 0, ERRNO | EPERM),
    (RETURN, 0, 0, ALLOW),
]


def main(kind, *command):
    program = USERNS if kind == "userns" else [*USERNS[:3], USERNS[-1]]
    code = b"".join(struct.pack("HBBI", *line) for line in program)
    memory = ctypes.create_string_buffer(code)
    pointer = ctypes.addressof(memory)
    head = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), pointer))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((PR_SET_NO_NEW_PRIVS, 1, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, head)):
        if libc.prctl(*arguments, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
