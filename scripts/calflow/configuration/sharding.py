"""How a survey is cut into runs of their own."""

from pydantic import Field

from calflow.configuration.section import NormalPath, Section


class Sharding(Section):
    """What `snakemake shards` cuts a survey into."""

    exposures: int = Field(1000, ge=1, description="how many a shard gets; what hangs together may be more")
    cores: int = Field(16, ge=1, description="of the machine that a shard gets; `shards plan` takes --cores before it")
    folder: NormalPath = Field("shards", min_length=1, description="where they are: a folder for each, 0001, 0002 ...")
