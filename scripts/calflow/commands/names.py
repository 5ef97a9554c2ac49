"""All commands by name."""

from typing import NamedTuple


class Command(NamedTuple):
    """A command: what it says, whether words may follow it, and where its function `answer` is."""

    meaning: str
    takes_words: bool
    module: str


COMMANDS = {
    "check": Command("look at the configuration and all inputs, and tell all that is wrong", False, "check"),
    "status": Command(
        "what is made of each exposure and association, step by step; `status json` for programs", True, "status"
    ),
    "associations": Command("make the associations of the exposures in input, and list them", False, "associations"),
    "download": Command("fetch what is missing of a programme's exposures, docs/download.md", False, "download"),
    "shards": Command(
        "cut a survey into runs of their own; `shards status`, `shards plan`: of all of them, docs/surveys.md",
        True,
        "shards",
    ),
    "difference": Command(
        "in what two products of one name differ, and why: `difference A B`, docs/provenance.md", True, "difference"
    ),
    "attempts": Command(
        "every attempt of every job: time, memory, outcome; `attempts json` for programs, docs/provenance.md",
        True,
        "attempts",
    ),
    "crate": Command("write the run as an RO-Crate beside its products, docs/provenance.md", False, "crate"),
    "help": Command("this text; `help tweakreg` the keys of a step, `help minobj` a key", True, "help"),
}
