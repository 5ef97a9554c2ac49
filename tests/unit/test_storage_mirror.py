"""Stand-ins of objects in S3, against a server that is a dictionary."""

import io
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from calflow.configuration.problems import InputError
from calflow.inputs import storage_mirror
from calflow.inputs.fits_headers import read_hdus
from calflow.inputs.storage_mirror import _read_record, mirror_storage

RECORD = Path(".snakemake/calflow/storage.json")


class Client:
    """As much of an S3 client as is used, counting the bytes that it gives away."""

    def __init__(self, objects):
        self.objects, self.etag, self.read = objects, '"1"', 0

    def get_paginator(self, name):
        assert name == "list_objects_v2"
        return self

    def paginate(self, Bucket, Prefix):
        when = datetime(2026, 1, 1, tzinfo=UTC)
        return [
            {"Contents": [
                {"Key": key, "Size": len(body), "ETag": self.etag, "LastModified": when}
                for key, body in self.objects.items() if key.startswith(Prefix)
            ]}
        ]  # fmt: skip

    def get_object(self, Bucket, Key, IfMatch, Range):
        first, last = map(int, Range.removeprefix("bytes=").split("-"))
        body = self.objects[Key][first : last + 1]
        self.read += len(body)
        return {"Body": io.BytesIO(body)}


def storage(client, provider="s3"):
    return provider, "s3://bucket/program", lambda: client


def exposure():
    image = fits.ImageHDU(np.ones((400, 500), np.float32), name="SCI")
    file = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), image, fits.ImageHDU(np.ones((400, 500), np.float32), name="ERR")]).writeto(file)
    return file.getvalue()


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_of_a_large_fits_file_only_the_headers_are_read(here, monkeypatch):
    monkeypatch.setattr(storage_mirror, "WHOLE_BYTES", 100_000)
    monkeypatch.setattr(storage_mirror, "_CHUNK", 2880)
    body = exposure()
    client = Client({"program/data/a_rate.fits": body})
    mirror_storage(*storage(client), "results", RECORD)
    path = here / "data" / "a_rate.fits"
    assert path.stat().st_size == len(body)
    assert client.read <= 3 * 2 * 2880
    with path.open("rb") as file:
        assert [shape.shape for _, shape in read_hdus(file, None)] == [(), (400, 500), (400, 500)]


def test_a_large_table_is_read_whole(here, monkeypatch):
    """Planning looks at what is in a catalogue."""
    monkeypatch.setattr(storage_mirror, "WHOLE_BYTES", 10_000)
    monkeypatch.setattr(storage_mirror, "_CHUNK", 2880)
    file = io.BytesIO()
    stars = fits.BinTableHDU.from_columns([fits.Column("ra", "D", array=np.arange(10_000.0))])
    fits.HDUList([fits.PrimaryHDU(), stars]).writeto(file)
    mirror_storage(*storage(Client({"program/stars.fits": file.getvalue()})), "results", RECORD)
    assert (here / "stars.fits").read_bytes() == file.getvalue()


def test_small_files_are_read_whole_once_and_again_when_the_object_changes(here):
    client = Client({"program/a_asn.json": b"{}"})
    for _ in range(2):
        mirror_storage(*storage(client), "results", RECORD)
    assert (here / "a_asn.json").read_bytes() == b"{}"
    assert client.read == 2
    before = (here / "a_asn.json").stat().st_mtime_ns
    client.objects["program/a_asn.json"], client.etag = b"[]", '"2"'  # same size, same second
    mirror_storage(*storage(client), "results", RECORD)
    assert (here / "a_asn.json").read_bytes() == b"[]"
    assert (here / "a_asn.json").stat().st_mtime_ns != before


def test_products_are_left_out_and_a_removed_object_takes_its_stand_in_with_it(here):
    client = Client({"program/a.json": b"1", "program/results/stage2/a_cal.fits": b"2"})
    mirror_storage(*storage(client), "results", RECORD)
    assert not (here / "results").exists()
    client.objects.pop("program/a.json")
    mirror_storage(*storage(client), "results", RECORD)
    assert not (here / "a.json").exists()


def test_a_file_of_the_user_is_not_overwritten(here):
    (here / "a.json").write_text("mine")
    with pytest.raises(InputError, match=r"a\.json: is in the way of an object in S3"):
        mirror_storage(*storage(Client({"program/a.json": b"1"})), "results", RECORD)
    assert (here / "a.json").read_text() == "mine"


def test_without_s3_nothing_happens_unless_there_are_stand_ins(here):
    mirror_storage(*storage(None, provider=None), "results", RECORD)
    assert not list(here.iterdir())
    mirror_storage(*storage(Client({"program/a.json": b"1"})), "results", RECORD)
    with pytest.raises(InputError, match="stand-ins for objects in S3"):
        mirror_storage(*storage(None, provider=None), "results", RECORD)


@pytest.mark.parametrize("text", ["5", "{}", '[["a"], {}, 1, "x"]', "[" * 100_000, "null"])
def test_a_damaged_record_names_what_can_be_read(tmp_path, text):
    (tmp_path / "storage.json").write_text(text)
    assert _read_record(tmp_path / "storage.json") == ({"x"} if "x" in text else set())
