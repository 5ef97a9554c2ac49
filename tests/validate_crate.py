"""Validate an RO-Crate: ``python tests/validate_crate.py FOLDER``, where roc-validator and rocrate are installed.

Prints what the profile Workflow Run Crate requires and the crate lacks. The contexts of JSON-LD are made of what the
package rocrate brings, so that it needs no network.
"""

import io
import json
import sys
from email.message import Message
from pathlib import Path
from urllib.response import addinfourl

import rdflib.parser
import rocrate
import rocrate_validator.utils.http as http
from rocrate_validator import services

PROFILE = "workflow-run-crate-0.5"
TERMS = "https://w3id.org/ro/terms/workflow-run"


class Answer:
    """What a server would answer that has a context."""

    status_code, ok, headers = 200, True, {"Content-Type": "application/ld+json"}

    def __init__(self, url):
        self.url = url
        self.text = json.dumps({"@context": contexts()[url]})
        self.content = self.text.encode()

    def json(self):
        """Return it as Python has it."""
        return json.loads(self.text)

    def raise_for_status(self):
        """Do nothing: it is there."""


def contexts():
    """Return the contexts by address. What rocrate brings is that of 1.3, where bioschemas have other addresses."""
    terms = json.loads((Path(rocrate.__file__).parent / "data/ro-crate.jsonld").read_text())["@context"]
    plain = {name: address for name, address in terms.items() if isinstance(address, str)}
    known = {name: address.replace("bioschemas.org/terms/", "bioschemas.org/") for name, address in plain.items()}
    own = {name: f"{TERMS}#{name}" for name in ("sha256", "sha512")}
    return {"https://w3id.org/ro/crate/1.1/context": terms | known, f"{TERMS}/context": own}


def opened(request):
    """Answer in place of the network."""
    head = Message()
    head["Content-Type"] = "application/ld+json"
    return addinfourl(io.BytesIO(Answer(request.full_url).content), head, request.full_url, 200)


def main():
    """Print the issues, and return how many there are."""
    rdflib.parser._urlopen = opened
    http.HttpRequester.__getattr__ = lambda requester, name: lambda url, **options: Answer(url)
    settings = services.ValidationSettings(
        rocrate_uri=sys.argv[1], profile_identifier=PROFILE, requirement_severity="REQUIRED"
    )
    issues = services.validate(settings).get_issues()
    for issue in issues:
        print(issue.severity.name, issue.check.identifier, issue.message)
    return len(issues)


if __name__ == "__main__":
    sys.exit(main())
