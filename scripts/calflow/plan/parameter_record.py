"""What parameter references change in a plan."""

from typing import Any

from calflow.plan.plan import Plan


def parameter_record(plan: Plan) -> list[dict[str, Any]]:
    """Return each set of parameter references, their values that count, and the exposures or associations.

    Parameters
    ----------
    plan : Plan
        What this run does.
    """
    users = [(2, e.root, plan.chosen(e)) for e in plan.exposures.values()]
    users += [(3, a.name, a.parameters) for a in plan.stage3.associations.values() if a.parameters]
    entries: dict[tuple, dict[str, Any]] = {}
    for stage, name, chosen in users:
        if chosen.references:
            values = {key: value for key, value in chosen.values.items() if key not in chosen.own}
            entry = {"stage": stage, "references": list(chosen.references), "values": values, "of": []}
            entries.setdefault((stage, chosen.references), entry)["of"].append(name)
    return list(entries.values())
