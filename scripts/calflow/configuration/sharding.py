"""How a survey is cut into runs of their own."""

from pydantic import Field

from calflow.configuration.section import Maybe, NormalPath, Section, UserPath


class Sharding(Section):
    """What `snakemake shards` cuts a survey into."""

    exposures: int = Field(1000, ge=1, description="how many a shard gets; what hangs together may be more")
    folder: NormalPath = Field("shards", min_length=1, description="where they are: a folder for each, 0001, 0002 ...")
    cores: int = Field(16, ge=1, description="of the machine that a shard gets; `shards plan` takes --cores before it")
    memory_gb: int = Field(64, ge=1, description="of that machine: what a container asks for")
    image: Maybe[str] = Field(None, description="of containers: that of envs/Dockerfile, where they can pull it")
    volume: Maybe[str] = Field(
        None,
        description="with all data and calflow: a persistent volume claim of Kubernetes, an EFS file system of AWS",
    )
    mount: Maybe[UserPath] = Field(None, description="where that volume is, here and in containers")
    queue: Maybe[str] = Field(None, description="the job queue of AWS Batch")
