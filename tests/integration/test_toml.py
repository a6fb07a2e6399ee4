"""The reader and writer of profiles against Python's: what one makes of a text, so does the other.

The texts are made at random from a fixed seed. A text that is right TOML and has none of what a
profile can't have must be read as Python reads it, every other one refused.
"""

import os
import pathlib
import random
import re
import subprocess

import pytest

tomllib = pytest.importorskip("tomllib", reason="this python3 has no tomllib (3.11 or later)")

DOCUMENTS = 250
MUTANTS = 4  # of each document
ALPHABET = "abz AZ09_-.,:;=#[]{}'\"\\/*@\t~ä€😀\u0080\ufeff"
CONTROLS = "\b\f\r\n\x01\x1b\x7f"
LETTERS = {"\b": "b", "\t": "t", "\n": "n", "\f": "f", "\r": "r", '"': '"', "\\": "\\"}


class Author:
    """Writes documents, and everything in them in each of the ways TOML has for it."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def chance(self, percent):
        return self.random.randrange(100) < percent

    def words(self, alphabet, most):
        length = self.random.choice([0, 1, 2, 5, most])
        return "".join(self.random.choices(alphabet, k=length))

    def blanks(self):
        return self.random.choice(["", "", " ", "\t", "  \t "])

    def comment(self):
        return "#" + self.words(ALPHABET, 300) if self.chance(30) else ""

    def line_end(self):
        return self.blanks() + self.comment() + self.random.choice(["\n", "\n", "\r\n"])

    def space(self):
        """What may stand between the elements of an array."""
        return "".join(self.line_end() for _ in range(self.random.choice([0, 0, 1, 2])))

    def escaped(self, char, multi):
        code = ord(char)
        long_form = f"\\U{code:08x}"
        if self.chance(10):
            return long_form if code > 0xFFFF or self.chance(50) else f"\\u{code:04X}"
        if multi and char == "\n" and self.chance(70):
            return self.random.choice(["\n", "\r\n"])
        if char == "\t" and self.chance(50):
            return char
        if char in LETTERS:
            return "\\" + LETTERS[char]
        return f"\\u{code:04x}" if code < 0x20 or code == 0x7F else char

    def basic(self):
        text = self.words(ALPHABET + CONTROLS, 300)
        return '"' + "".join(self.escaped(char, False) for char in text) + '"'

    def basic_multi(self):
        text = self.words(ALPHABET + CONTROLS + "\n\n", 300)
        parts = [self.escaped(char, True) for char in text]
        for at in range(len(parts)):
            if self.chance(5):
                parts[at] += "\\" + self.blanks() + "\n" + self.space_in_string()
            if parts[at] == '\\"' and self.chance(50) and '""' not in "".join(parts[at - 2 : at]):
                parts[at] = '"'
        return '"""' + self.random.choice(["", "\n", "\r\n"]) + "".join(parts) + '"""'

    def space_in_string(self):
        return self.words(" \t\n", 5)

    def literal(self):
        return "'" + self.words(ALPHABET.replace("'", ""), 300) + "'"

    def literal_multi(self):
        text = re.sub("'''+", "''", self.words(ALPHABET + "\n", 300))
        return "'''" + self.random.choice(["", "\n", "\r\n"]) + text + "'''"

    def string(self):
        forms = [self.basic, self.basic_multi, self.literal, self.literal_multi]
        return self.random.choice(forms)()

    def integer(self):
        bits = self.random.choice([1, 4, 16, 63])
        number = self.random.getrandbits(bits)
        form = self.random.choice(["d", "d", "_d", "#x", "#X", "#o", "#b", "_x"])
        if "d" in form:
            sign = self.random.choice(["", "+", "-"])
            return sign + format(number, form)
        if form == "_x":
            return "0x" + format(number, form)
        return format(number, form).replace("0X", "0x")

    def scalar(self):
        boolean = self.random.choice(["true", "false"])
        return self.random.choice([self.string(), self.string(), self.integer(), boolean])

    def array(self):
        items = []
        for _ in range(self.random.choice([0, 1, 2, 5])):
            items.append(self.blanks() + self.space() + self.blanks() + self.scalar())
            items[-1] += self.blanks() + self.space()
        comma = "," if items and self.chance(50) else ""
        return "[" + ",".join(items) + comma + self.space() + self.blanks() + "]"

    def key(self, number):
        if self.chance(70):
            return self.words("abzAZ09_-", 250) + f"_{number}"
        text = self.words(ALPHABET.replace("\t", ""), 250) + f" {number}"
        if self.chance(50):
            return "'" + text.replace("'", "") + "'"
        return '"' + "".join(self.escaped(char, False) for char in text) + '"'

    def document(self):
        lines = []
        for number in range(self.random.choice([0, 1, 3, 10, 30])):
            if self.chance(30):
                lines.append(self.line_end())
            value = self.array() if self.chance(30) else self.scalar()
            equals = self.blanks() + "=" + self.blanks()
            lines.append(self.blanks() + self.key(number) + equals + value + self.line_end())
        text = "".join(lines)
        return (text.rstrip("\r\n") if self.chance(20) else text).encode()

    def mutant(self, document):
        """The document with one to three small changes."""
        for _ in range(self.random.choice([1, 1, 2, 3])):
            at = self.random.randrange(len(document) + 1)
            end = at + self.random.choice([0, 0, 1, 1, 2])
            change = self.random.choice([
                *"\"'\\#=.,[]{}_-+ \n\t0x1e;", "", "", '"""', "'''", "\r\n", "\r", "\\\n",
                "\\u", "[[", "inf", "1.5", "[x]\n", "a.b", "1979-05-27", "\x00", "true",
            ])  # fmt: skip
            new = b"\xff" if self.random.randrange(40) == 0 else change.encode()
            document = document[:at] + new + document[end:]
        return document


@pytest.fixture(scope="module")
def dump():
    """Runs tests/unit/config/toml_dump. None when it has refused the text."""
    path = pathlib.Path(os.environ.get("CHILDFLOW", "")).parent / "tests/unit/config/toml_dump"
    if not path.exists():
        pytest.skip("toml_dump doesn't stand beside the program")

    def run(document, *arguments):
        done = subprocess.run([path, *arguments], input=document, capture_output=True)
        if done.returncode == 0:
            assert not done.stderr
            return done.stdout
        assert done.returncode == 1, done
        place, cure = done.stderr.decode().splitlines()
        assert re.match(r"stdin:\d+:\d+: .", place) and cure, done
        return None

    return run


def text_of(word):
    return bytes.fromhex(word).decode()


def value_of(words):
    kind, text = words.pop(0).split(":")
    if kind == "a":
        items = []
        while words:
            items.append(value_of(words))
        return items
    return {"s": text_of, "b": lambda word: word == "true", "i": int}[kind](text)


def settings(dumped):
    """What toml_dump has printed, as tomllib would give it, in the order of the file."""
    result = {}
    for line in dumped.decode().splitlines():
        key, *words = line.split(" ")
        assert text_of(key) not in result
        result[text_of(key)] = value_of(words)
        assert not words
    return result


def types(value):
    return [types(item) for item in value] if isinstance(value, list) else type(value)


def same(ours, theirs):
    """True is not 1, and the order counts."""
    if list(ours.items()) != list(theirs.items()):
        return False
    return all(types(ours[key]) == types(theirs[key]) for key in ours)


def is_ours(value, in_array=False):
    if isinstance(value, list):
        return not in_array and all(is_ours(item, True) for item in value)
    if type(value) is int:
        return -(2**63) <= value < 2**63
    return type(value) is bool or (type(value) is str and "\0" not in value)


def python_reads(document):
    """What a profile can have of what tomllib reads; None when it refuses or that isn't all."""
    try:
        parsed = tomllib.loads(document.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return None
    controls = any(char < " " or char == "\x7f" for key in parsed for char in key)
    return None if controls or not all(map(is_ours, parsed.values())) else parsed


def test_documents(dump):
    author = Author(5)
    for _ in range(DOCUMENTS):
        document = author.document()
        theirs = python_reads(document)
        assert theirs is not None, document
        ours = dump(document)
        assert ours is not None and same(settings(ours), theirs), document
        written = dump(document, "toml")
        assert same(tomllib.loads(written.decode()), theirs), written
        again = dump(written)
        assert again is not None and same(settings(again), theirs), written


def test_mutants(dump):
    author = Author(6)
    read = refused = 0
    for _ in range(DOCUMENTS):
        document = author.document()
        for _ in range(MUTANTS):
            mutant = author.mutant(document)
            theirs, ours = python_reads(mutant), dump(mutant)
            if theirs is None:
                assert ours is None, mutant
                refused += 1
            else:
                assert ours is not None and same(settings(ours), theirs), mutant
                read += 1
    # Both halves of the claim have been put to the test.
    assert min(read, refused) > DOCUMENTS * MUTANTS / 10
