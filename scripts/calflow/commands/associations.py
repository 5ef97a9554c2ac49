"""``snakemake associations``: the associations of a folder of exposures, made, written and listed."""

from calflow.commands.asked import HEADERS, Answer, Asked
from calflow.plan.planner import only_associations


def answer(asked: Asked) -> Answer:
    """Return a table of the associations, having written them.

    Parameters
    ----------
    asked : Asked

    Raises
    ------
    InputError
        With everything that is wrong.
    """
    made = only_associations(asked.settings, asked.files, cache=HEADERS)
    if not asked.is_dry:
        made.write()
    return Answer(made.table())
