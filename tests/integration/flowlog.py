"""Reading flow logs: each line is held against the schema that is installed for others."""

import json
import os
import pathlib

import jsonschema

SCHEMA = json.loads(
    (pathlib.Path(os.environ["TOP_SRCDIR"]) / "docs/schema/flow-log.schema.json").read_text()
)
_validator = jsonschema.Draft202012Validator(SCHEMA)


def _known_fields():
    """Every field that the schema describes: a line of ours has no other."""
    objects = [SCHEMA, *SCHEMA["$defs"].values()]
    return {name for part in objects for name in part.get("properties", {})}


KNOWN = _known_fields()


def check(event):
    error = jsonschema.exceptions.best_match(_validator.iter_errors(event))
    assert error is None, f"{error.message} in {event}"
    assert not event.keys() - KNOWN, f"not in the schema: {event.keys() - KNOWN}"


def parse(text):
    """The events of a log that is whole: one line each, one run."""
    assert text == "" or text.endswith("\n"), "the last line has no end"
    events = [json.loads(line) for line in text.splitlines()]
    for event in events:
        check(event)
    assert len({event["run_id"] for event in events}) <= 1
    times = [event["ts_ms"] for event in events]
    assert times == sorted(times)
    return events


class FlowLog:
    """A log that a run is to write."""

    def __init__(self, path):
        self.path = path
        self.options = ["--flow-log", path]

    def events(self):
        return parse(self.path.read_text())

    def of(self, *kinds):
        return [event for event in self.events() if event["event"] in kinds]

    def kinds(self):
        """The events between the beginning and the end of a run that began."""
        kinds = [event["event"] for event in self.events()]
        assert kinds[0] == "run_start" and kinds[-1] == "run_end", kinds
        return kinds[1:-1]
