"""What is fetched from the archive, when that is asked for."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from calflow.configuration.association_making import Observations
from calflow.configuration.section import Maybe, Names, Section, UserPath, list_from_one

ARCHIVE = "https://mast.stsci.edu/search/jwst/api/v0.1"

Suffix = Literal["rate", "rateints", "cal", "calints"]
Suffixes = Annotated[
    list[Suffix],
    Field(min_length=1),
    BeforeValidator(list_from_one, json_schema_input_type=Suffix | Annotated[list[Suffix], Field(min_length=1)]),
]


class Download(Section):
    """What `snakemake download` fetches from the archive; no other run fetches exposures."""

    program: Maybe[Annotated[int, Field(ge=1)]] = Field(None, description="the number of the programme")
    observations: Observations = Field([], description="of its exposures, those of these observations; []: all")
    targets: Names = Field([], description="those of these targets, or patterns")
    filters: Names = Field([], description="those with these filters or pupils")
    instruments: Names = Field([], description="those of these instruments, or patterns")
    products: Suffixes = Field(["rate"], description="what of each exposure: rate, rateints, cal, calints")
    folder: Maybe[UserPath] = Field(None, description="where to; null: input")
    pool: bool = Field(False, description="the association pool of the programme, too, for make_associations.pool")
    url: str = Field(ARCHIVE, description="the archive, MAST or what answers like it")
    at_once: int = Field(4, ge=1, le=16, description="how many files are fetched at once")
