"""The lists of mutants/*.txt: which tests see which breakages of the sources.

    tests: tests/unit/policy/test_policy tests/unit/policy/test_rules

    mutant: what is broken, in words
    file: src/policy/policy.c
    -	the line as it stands there, exactly once
    +	the line that takes its place (several - and + lines are one piece of text)
"""


class Mutant:
    def __init__(self, name):
        self.name = name
        self.file = ""
        self.old = []
        self.new = []

    def broken(self, top):
        """The text of its file below `top`, broken; ValueError if it can't be."""
        path = top / self.file
        text = path.read_text() if path.is_file() else ""
        old = "".join(line + "\n" for line in self.old)
        new = "".join(line + "\n" for line in self.new)
        if not old or text.count(old) != 1:
            times = text.count(old) if old else 0
            raise ValueError(f"{self.name}: {self.file} has its text {times} times")
        return text.replace(old, new)


def parse(path):
    """The tests and the mutants of a list; ValueError if it can't be read."""
    tests, mutants = [], []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        key, _, value = line.partition(": ")
        if not line or line.startswith("#"):
            continue
        if key == "tests" and not mutants:
            tests += value.split()
        elif key == "mutant":
            mutants.append(Mutant(value))
        elif key == "file" and mutants:
            mutants[-1].file = value
        elif line[0] == "-" and mutants:
            mutants[-1].old.append(line[1:])
        elif line[0] == "+" and mutants:
            mutants[-1].new.append(line[1:])
        else:
            raise ValueError(f"{path}:{number}: not understood: {line}")
    return tests, mutants
