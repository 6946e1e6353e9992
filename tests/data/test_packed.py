"""Packed files: read as they are, and no further than data unpack to."""

import gzip
import io
import zipfile

import numpy as np
import pytest

from gym_jax.data.formats import open_table
from gym_jax.data.formats.packed import LEAST, RATIO, open_bytes, refuse_bomb
from gym_jax.data.reading import Reading
from gym_jax.errors import DataError


def test_a_packed_file_reads_as_it_does_unpacked(tmp_path):
    content = np.random.default_rng(0).bytes(3_000_000)
    (tmp_path / "x.gz").write_bytes(gzip.compress(content[:1_000_000]) + gzip.compress(content[1_000_000:]))
    (tmp_path / "x").write_bytes(content)
    for name in ("x", "x.gz"):
        with open_bytes(tmp_path / name) as stream:
            assert stream.read(10) + stream.read() == content


@pytest.mark.parametrize(
    ("packed", "unpacked", "fine"),
    [(1, LEAST, True), (1, LEAST + 1, False), (LEAST, RATIO * LEAST, True), (LEAST, RATIO * LEAST + 1, False)],
)
def test_how_far(tmp_path, packed, unpacked, fine):
    if fine:
        refuse_bomb(tmp_path / "x.csv.gz", packed, unpacked)
        return
    with pytest.raises(DataError, match=f"`x.csv.gz` unpacks to more than {unpacked:,} bytes, out of {packed:,}"):
        refuse_bomb(tmp_path / "x.csv.gz", packed, unpacked)


HEADS = {
    "x.csv.gz": b"unique_id,ds,cpu\na,2026-01-01,1\n",
    "x.jsonl.gz": b'{"unique_id": "a", "ds": "2026-01-01", "cpu": 1}\n',
    "x.ts.gz": b"@problemName x\n@data\n1,2,3\n",
}


@pytest.mark.parametrize("name", HEADS)
def test_a_bomb_is_refused_in_any_format(tmp_path, name):
    """Five hundred megabytes of blanks in half of one."""
    (tmp_path / name).write_bytes(gzip.compress(HEADS[name]) + gzip.compress(b" " * (1 << 22)) * 128)
    with pytest.raises(DataError, match=r"unpacks to more than [0-9,]+ bytes, out of [0-9]{3},[0-9]{3}$"):
        open_table(tmp_path / name, Reading()).load({"cpu": "number"})


def test_an_archive_is_refused_before_it_is_unpacked(tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("values.npy", b"\0" * (LEAST + 1))
    (tmp_path / "x.npz").write_bytes(out.getvalue())
    with pytest.raises(DataError, match=r"`x\.npz` unpacks to more than"):
        open_table(tmp_path / "x.npz", Reading())


def test_a_header_that_lies_about_its_shape_is_refused(tmp_path):
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "<f8", "fortran_order": False, "shape": (10**13,)})
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("values.npy", out.getvalue() + b"\0" * 8)
    with pytest.raises(DataError, match=r"array `values` of `x\.npz` needs more memory than there is"):
        open_table(tmp_path / "x.npz", Reading())
