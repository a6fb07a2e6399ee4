"""Man pages, completions and --help tell of the same options: those of the program at hand.

The pages are taken from where make puts them, beside the program. What --help says is the
measure; the pages come from the same table by other ways.
"""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

from conftest import PLAIN
from lab import HERE, PATH

TOP = HERE.parents[1]
PACKAGING = pathlib.Path(os.environ.get("CHILDFLOW", "")).resolve().parent / "packaging"
MAN1, MAN5 = "childflow.1", "childflow-profile.5"
NOT_HERE = "Not available in this build"
SHELLS = ("bash", "zsh", "fish")

pytestmark = [
    pytest.mark.skipif(PLAIN, reason="CHILDFLOW=plain"),
    pytest.mark.skipif(
        not PLAIN and not PACKAGING.is_dir(), reason="no pages beside the program to test"
    ),
]


def run(*argv, **how):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, **how)
    if done.returncode == 77:
        pytest.skip(f"{argv[0]} says that it can't run here: {done.stderr}")
    assert done.returncode == 0 and not done.stderr, done
    return done.stdout


def tool(name):
    return shutil.which(name, path=PATH) or pytest.skip(f"{name} is not installed")


class Help:
    """What --help names: option -> its short form, whether this build has it, its value."""

    ROW = re.compile(r"^  (?:(-\w), |    )(--[a-z-]+)(?: ([A-Z][\w. ]*?))?(?:  .*)?$")

    def __init__(self, text):
        self.short, self.value, told = {}, {}, {}
        option = None
        for line in text.splitlines():
            if match := self.ROW.match(line):
                short, option, self.value[option] = match.groups()
                if short:
                    self.short[option] = short
            if option:
                told[option] = f"{told.get(option, '')} {line.strip()}"
        self.missing = {option for option in told if "[not in this build]" in told[option]}
        self.options = set(self.value)
        self.offered = self.options - self.missing


@pytest.fixture(scope="module")
def helped():
    told = Help(run(os.environ["CHILDFLOW"], "--help"))
    # One of each kind, so that a text that isn't understood doesn't pass for an empty one.
    assert told.value["--dns"] == "ADDR" and told.short["--dns"] == "-d"
    assert {"--version", "--no-such"} & told.offered == {"--version"}
    return told


@pytest.fixture(scope="module")
def zdotdir(tmp_path_factory):
    """zsh lists all its completions there, once."""
    return tmp_path_factory.mktemp("zsh")


@pytest.fixture
def complete(tmp_path, zdotdir):
    """complete(shell, word...): what a tab behind the words offers; the last one is being typed.

    Who presses it has profiles of their own, and childflow in PATH.
    """
    profiles = tmp_path / "config/childflow/profiles"
    profiles.mkdir(parents=True)
    (profiles / "mine.toml").write_text("")
    (tmp_path / "some-file").write_text("")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/childflow").symlink_to(pathlib.Path(os.environ["CHILDFLOW"]).resolve())
    environment = {
        "PATH": f"{tmp_path}/bin:{PATH}", "HOME": str(tmp_path), "ZDOTDIR": str(zdotdir),
        "XDG_CONFIG_HOME": f"{tmp_path}/config", "LC_ALL": "C.UTF-8", "TERM": "xterm",
    }

    def argv_of(shell, words):
        line = " ".join(words)
        if shell == "bash":
            file = PACKAGING / "completions/bash/childflow"
            split = [part for word in words for part in re.split("([=:]+)", word) if part]
            split += [""] if line[-1] in " =:" else []
            return ["--norc", HERE / "guest/complete.bash", file, line, *split]
        if shell == "zsh":
            directory = PACKAGING / "completions/zsh"
            return ["-f", HERE / "guest/complete.zsh", directory, line]
        file = PACKAGING / "completions/fish/childflow.fish"
        return ["-c", f"source {file}; complete --do-complete=$argv[1]", line]

    def press_tab(shell, *words):
        (zdotdir / "offered").unlink(missing_ok=True)
        argv = [tool(shell), *argv_of(shell, ["childflow", *words])]
        text = run(*argv, env=environment, cwd=tmp_path)
        # fish explains behind a tab, and gives the whole of "--option=value".
        offers = [line.split("\t")[0] for line in text.splitlines()]
        attached = re.match("--[a-z-]+=", words[-1])
        prefix = attached[0] if attached else ""
        return {offer.removeprefix(prefix).removesuffix("=") for offer in offers}

    return press_tab


# --- completions ---


@pytest.fixture(params=SHELLS)
def shell(request):
    return request.param


def test_options(complete, shell, helped):
    assert complete(shell, "--") == helped.offered


def test_letters(complete, shell, helped):
    letters = {helped.short[option] for option in helped.offered if option in helped.short}
    assert {o for o in complete(shell, "-") if re.fullmatch("-[^-]", o)} == letters


def test_negations(complete, shell, helped):
    """--no-OPTION is offered for the options that the parser takes it for."""
    taken = set()
    for option in helped.offered:
        no = "--no-" + option[2:]
        done = subprocess.run([os.environ["CHILDFLOW"], no, "--version"], capture_output=True)
        if done.returncode == 0:
            taken.add(no)
    assert "--no-as-root" in taken
    named = {option for option in helped.offered if option.startswith("--no-")}
    assert complete(shell, "--no") == taken | named


@pytest.mark.parametrize("words", [["--log-level", ""], ["-q", "--log-level="]])
def test_choices(complete, shell, words):
    assert complete(shell, *words) == {"quiet", "error", "warn", "info", "debug"}


@pytest.mark.parametrize("words", [
    ["--profile", "mi"], ["--hosts-file", "some"], ["--hosts-file=some"],
])
def test_names(complete, shell, words):
    expected = {"--profile": "mine"}.get(words[0], "some-file")
    assert complete(shell, *words) == {expected}


@pytest.mark.parametrize("words", [
    ["--"], [], ["-qd", "192.0.2.1"], ["--log-level=warn", "--"],
    # Refused by this build or not: its value is no command.
    ["--proxy", "socks5h://192.0.2.1:1"],
])
def test_command(complete, shell, words):
    """What follows the command is completed as without childflow."""
    assert complete(shell, *words, "chown", "--deref") == {"--dereference"}


def test_commands(complete, shell):
    """The command itself is completed, with -- before it or not."""
    for words in ["--"], ["-q"]:
        assert "nsenter" in complete(shell, *words, "nsent")


# --- man pages ---


def rendered(page):
    """The page as a reader sees it; what man warns of fails the test."""
    environment = {"PATH": PATH, "LC_ALL": "C.UTF-8", "MANWIDTH": "200", "MANROFFOPT": "-ww"}
    with open(PACKAGING / "man" / page) as source:
        text = run(tool("man"), "--warnings=all", "-l", "-", env=environment, stdin=source)
    return re.sub(".\b", "", text)


def section(text, title):
    return re.search(rf"^{title}\n(.*?)(?=^\S|\Z)", text, re.M | re.S)[1]


def entries(text):
    """What a list of the page names -> what it says there."""
    parts = re.split(r"^     (?=\S)(.*)\n", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def test_man_options(helped):
    found = {}
    for tag, text in entries(section(rendered(MAN1), "OPTIONS")).items():
        if match := re.fullmatch(r"(?:(-\w), )?(--[a-z-]+)(?: (.*))?", tag):
            found[match[2]] = match[1], match[3], NOT_HERE in " ".join(text.split())
    assert found == {
        option: (helped.short.get(option), helped.value[option], option in helped.missing)
        for option in helped.options
    }


def test_man_keys():
    """The keys of the page are those of the table, and the program takes each."""
    table = (TOP / "src/config/options.c").read_text()
    keys = set(re.findall(r'^\s+"[a-z-]+", (?:0|\'\w\'), "(\w+)"', table, re.M))
    keys |= set(re.findall(r'\.key = "(\w+)"', table))
    found = {}
    for tag, text in entries(section(rendered(MAN5), "DESCRIPTION")).items():
        if match := re.fullmatch(r"(\w+) \(([a-z ]+)\)", tag):
            found[match[1]] = match[2]
    assert set(found) == keys and found["dns"] == "string"
    articles = {
        "boolean": "true or false", "integer": "an integer", "string": "a string",
        "array of strings": "an array of strings",
    }
    for key, kind in found.items():
        wrong = "1" if kind == "boolean" else "true"
        done = subprocess.run(
            [os.environ["CHILDFLOW"], "--profile", "/dev/stdin", "--dump-profile"],
            input=f"{key} = {wrong}\n", capture_output=True, text=True,
        )
        expected = " or ".join(articles[form] for form in kind.split(" or "))
        assert f"{key} must be {expected}, not" in done.stderr


@pytest.mark.parametrize("page", [MAN1, MAN5])
def test_mandoc(page):
    """The other program that shows man pages has nothing to say about them either."""
    assert not run(tool("mandoc"), "-Tlint", "-Wwarning", PACKAGING / "man" / page)


# --- profiles ---


def test_profiles_are_installed():
    listed = re.findall(r"^\tprofiles/(\S+\.toml)", (TOP / "packaging/packaging.mk").read_text(),
                        re.M)
    assert sorted(listed) == sorted(p.name for p in (TOP / "profiles").glob("*.toml")) != []
