"""``snakemake download``: what is missing of a programme's exposures, fetched from the archive."""

from calflow.archive.download import download
from calflow.commands.asked import Answer, Asked


def answer(asked: Asked) -> Answer:
    """Fetch the files, saying what comes as it comes, and return the exit status.

    Parameters
    ----------
    asked : Asked

    Raises
    ------
    InputError
        If the configuration asks for nothing, or for what there is not.
    """
    return Answer("", download(asked.settings, asked.files, dry=asked.is_dry))
