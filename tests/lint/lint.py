"""The rules of the house that a compiler doesn't check. Each check yields complaints."""

import fnmatch
import re
from pathlib import Path

import breakages

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 80
FRAGMENTS = ("netif/*.mk", "src/*/*.mk", "src/*/*/*.mk")
# lwIP is linked into the same program and owns these.
FOREIGN_PREFIXES = (
    "tcp udp ip ip4 ip6 icmp icmp6 raw netif pbuf mem memp sys nd6 inet dns ethernet etharp"
).split()

INCLUDE = re.compile(r'\s*#\s*include\s*(["<])([^">]+)[">]')
DECLARATION = re.compile(r"(?!static\b|typedef\b)[A-Za-z_][\w\s*]*?\b(\w+)\(")


class Rules:
    """tests/lint/layers.txt"""

    def __init__(self, text):
        self.rooms = {}
        self.doors = []
        for line in text.splitlines():
            line = line.split("#")[0].strip()
            if "@" in line:
                headers, places = line.split("@")
                self.doors.append((headers.split(), places.split()))
            elif line:
                room, allowed = line.split(":")
                self.rooms[room] = set(allowed.split())

    def room_of(self, path):
        """The room of a file, or of a header as it is included; None outside all rooms."""
        path = path.removeprefix("src/")
        if path == "main.c":
            return "main"
        fitting = [room for room in self.rooms if path.startswith(room + "/")]
        return max(fitting, key=len, default=None)


class Tree:
    def __init__(self, top):
        self.top = top = Path(top)
        paths = sorted([*top.glob("netif/**/*.[ch]"), *top.glob("src/**/*.[ch]")])
        self.files = {str(p.relative_to(top)): p.read_text() for p in paths}
        fragments = sorted(p for pattern in FRAGMENTS for p in top.glob(pattern))
        lines = [line for p in fragments for line in p.read_text().splitlines()]
        # What the build makes is in no checkout.
        made = {
            word
            for line in lines
            if line.startswith(("BUILT_SOURCES", "CLEANFILES"))
            for word in line.split()
        }
        self.listed = {
            word
            for line in lines
            for word in line.split("#")[0].replace(":", " ").split()
            if word.endswith((".c", ".h")) and word not in made
        }

    def includes(self):
        for path, text in self.files.items():
            for number, line in enumerate(text.splitlines(), 1):
                if match := INCLUDE.match(line):
                    yield path, number, match[1] == '"', match[2]


def check_layers(tree, rules):
    for path, number, quoted, header in tree.includes():
        mine, theirs = rules.room_of(path), rules.room_of(header)
        if mine is None:
            yield f"{path}: in no room of layers.txt"
        elif theirs and theirs != mine and theirs not in rules.rooms[mine]:
            yield f"{path}:{number}: {mine} may not include {theirs} ({header})"
        elif quoted and not theirs and not door_of(header, rules):
            yield f"{path}:{number}: {header} is not included by its room"


def door_of(header, rules):
    for patterns, places in rules.doors:
        if any(fnmatch.fnmatch(header, pattern) for pattern in patterns):
            return places
    return None


def check_doors(tree, rules):
    for path, number, _, header in tree.includes():
        places = door_of(header, rules)
        if places and path not in places and rules.room_of(path) not in places:
            yield f"{path}:{number}: {header} belongs only into {', '.join(places)}"


def check_lengths(tree, rules):
    for path, text in tree.files.items():
        lines = text.splitlines()
        if len(lines) > FILE_LINES_MAX:
            yield f"{path}: {len(lines)} lines, {FILE_LINES_MAX} at most"
        start = 0
        for number, line in enumerate(lines, 1):
            if line.startswith("{"):
                start = number
            elif line.startswith("}") and start:
                if number - start + 1 > FUNCTION_LINES_MAX:
                    yield (
                        f"{path}:{start}: a function of {number - start + 1} lines, "
                        f"{FUNCTION_LINES_MAX} at most"
                    )
                start = 0


def check_names(tree, rules):
    for path, text in tree.files.items():
        for number, line in enumerate(text.splitlines(), 1):
            match = DECLARATION.match(line)
            if match and match[1].split("_")[0] in FOREIGN_PREFIXES and "_" in match[1]:
                yield f"{path}:{number}: {match[1]}() is named like a function of lwIP"


def check_fragments(tree, rules):
    present = set(tree.files) - {"src/main.c"}
    for path in sorted(present - tree.listed):
        yield f"{path}: in no room's .mk fragment"
    for path in sorted(tree.listed - present):
        yield f"{path}: listed in a .mk fragment, but not there"


def check_unfinished(tree, rules):
    for path, text in tree.files.items():
        for number, line in enumerate(text.splitlines(), 1):
            if re.search(r"\b(TODO|FIXME|XXX)\b", line):
                yield f"{path}:{number}: unfinished"


def check_breakages(tree, rules):
    """make check-mutants takes long, so its lists would grow old unseen."""
    for path in sorted((tree.top / "tests/lint/mutants").glob("*.txt")):
        try:
            tests, mutants = breakages.parse(path)
        except ValueError as error:
            yield str(error)
            continue
        if not tests:
            yield f"{path.name}: names no tests"
        for mutant in mutants:
            try:
                mutant.broken(tree.top)
            except ValueError as error:
                yield f"{path.name}: {error}"


CHECKS = {
    "rooms include only what layers.txt allows": check_layers,
    "library headers come in at one door": check_doors,
    "files and functions are short": check_lengths,
    "no exported name looks like lwIP's": check_names,
    "fragments list exactly the files there are": check_fragments,
    "nothing is left unfinished": check_unfinished,
    "what check-mutants breaks is there": check_breakages,
}
