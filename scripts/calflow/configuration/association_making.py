"""How associations are made where the configuration names none."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from calflow.configuration.section import Maybe, Names, Section, UserPath, number_from_text


def _numbers(value: Any) -> Any:
    """Take one number for a list, and '001' for 1."""
    listed = value if isinstance(value, list | tuple) else [value]
    return [number_from_text(item) for item in listed]


Number = Annotated[int, Field(ge=0)]
Observations = Annotated[list[Number], BeforeValidator(_numbers, json_schema_input_type=Number | list[Number])]


class Link(Section):
    """Observations that belong together, which no header says."""

    type: Literal["background", "group", "mosaic", "coronagraphy"] = Field(
        "group",
        description="background: backgrounds among them are subtracted; group: combined by target; mosaic: whatever "
        "target; coronagraphy: with the PSF references among them",
    )
    observations: Observations = Field([], description="their numbers")


class AssociationMaking(Section):
    """How associations are made."""

    pool: Maybe[UserPath] = Field(
        None, description="a pool file of the archive; null: the headers of the files in input"
    )
    folder: Maybe[UserPath] = Field(None, description="where they are written; null: associations, in output")
    backgrounds: Maybe[Names] = Field(
        None,
        description="targets or files, or patterns, that are backgrounds; null: those whose header says so (BKGDTARG)",
    )
    links: dict[str, Link] = Field(
        {}, description="observations that belong together: {c1001: {type: mosaic, observations: [3, 4]}}"
    )
