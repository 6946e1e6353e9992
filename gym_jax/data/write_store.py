"""Panels to a folder of Parquet files that can be read in portions: whole or not at all."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gym_jax.data.findings import Tally
from gym_jax.data.index import KEY, Index
from gym_jax.data.panel import Panel, refuse_other_step
from gym_jax.data.remote import Place, find_place
from gym_jax.data.words import SENTENCE, shown
from gym_jax.data.write import panel_frame
from gym_jax.errors import ConfigError, DataError, StorageError

GROUP_ROWS = 1 << 17
"""Rows of a row group: one holds whole series, or a part of a single longer one."""
FILE_ROWS = 1 << 23
"""Rows of a file, about; it ends with a series."""


class Written(NamedTuple):
    """What was written."""

    path: str
    files: int
    rows: int
    series: int
    columns: tuple[str, ...]
    step: str
    notes: tuple[str, ...]


def write_store(
    panels: Iterable[Panel], path: str | Path, *, group_rows: int = GROUP_ROWS, file_rows: int = FILE_ROWS
) -> Written:
    """Write panels with different series, one behind the other, into a new folder (or at an address).

    At an address the files appear one by one. Every file keeps an index of its series in its footer. Raises ConfigError
    when something is there already, StorageError, DataError when a series comes twice or there is nothing to write.
    """
    place = find_place(path)
    with _new_folder(place, path) as folder:
        writer = _Writer(place, folder, group_rows, file_rows)
        try:
            for panel in panels:
                writer.add(panel)
            writer.end_file()
        finally:
            writer.close()
        if writer.panel is None:
            raise DataError("there is no series to write", hint="the data hold no rows", code="data.empty")
    return Written(
        str(path),
        writer.number,
        writer.rows,
        len(writer.names),
        tuple(writer.columns),
        writer.panel.describe_step(),
        writer.tally.said,
    )


@contextmanager
def _new_folder(place: Place, path: str | Path) -> Iterator[str]:
    """Yield where to write; on this machine the folder takes its name at the end."""
    import pyarrow.fs as pafs

    found = place.system.get_file_info(place.root)
    empty = found.type == pafs.FileType.Directory and not place.system.get_file_info(pafs.FileSelector(place.root))
    if found.type != pafs.FileType.NotFound and not empty:
        raise ConfigError(
            f"`{shown(path, SENTENCE)}` is there already",
            hint="what is converted goes into a new folder; nothing is written over",
            attempt=f"gymjax data convert ... --out {shown(str(path).rstrip('/'), SENTENCE)}-2/",
            code="config.exists",
        )
    if place.remote is not None:
        try:
            yield place.root
        except BaseException:
            if place.remote.exists(place.root):
                place.remote.rm(place.root, recursive=True)
            raise
        return
    root = Path(place.root)
    temporary = root.with_name(f".{root.name}.tmp")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield str(temporary)
        if empty:
            root.rmdir()
        temporary.rename(root)
    except OSError as error:
        raise StorageError(
            f"{root} can not be written: {error.strerror or error}", hint="is there room, and may this user write?"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class _Writer:
    """The file that is being written, and what its footer will say."""

    def __init__(self, place: Place, folder: str, group_rows: int, file_rows: int) -> None:
        self.place, self.folder = place, folder
        self.group_rows, self.file_rows = group_rows, file_rows
        self.names: dict[str, None] = {}
        self.tally = Tally()
        self.panel: Panel | None = None
        self.number = self.rows = 0
        self.columns: list[str] = []
        self.parquet: Any = None
        self.stream: Any = None
        self._begin_index()

    def _begin_index(self) -> None:
        self.waiting: list[Any] = []
        self.held = self.written = 0
        self.index: list[tuple[str, int, int, int, int]] = []

    def add(self, panel: Panel) -> None:
        import pyarrow as pa

        first = self.panel = self.panel or panel.select([0])
        refuse_other_step(first, panel, "gymjax data convert")
        frame = panel_frame(panel)
        owner = np.searchsorted(panel.offsets, np.flatnonzero(panel.mask.any(axis=1)), side="right") - 1
        table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
        self.columns = table.column_names
        self.tally.add(panel.notes, panel.findings)
        ends = np.searchsorted(owner, np.arange(len(panel.series)), side="right").tolist()
        order = sorted(range(len(panel.series)), key=panel.series.__getitem__)
        stamps = panel.stamps(owner, np.flatnonzero(panel.mask.any(axis=1)))
        for number in order:
            begin, end = ends[number - 1] if number else 0, ends[number]
            if end > begin:  # one without any value is no series
                self._add_series(panel.series[number], table.slice(begin, end - begin), stamps[[begin, end - 1]])

    def _add_series(self, name: str, table: Any, times: np.ndarray) -> None:
        if name in self.names:
            raise DataError(f"series `{shown(name)}` comes twice", hint="a series is whole", code="data.scattered")
        self.names[name] = None
        begin = self.written + self.held
        self.index.append((name, begin, begin + len(table), *times.tolist()))
        self.rows += len(table)
        if self.held and self.held + len(table) > self.group_rows:
            self._end_group(table.schema)
        self.waiting.append(table)
        self.held += len(table)
        if self.held >= self.group_rows:
            self._end_group(table.schema)
        if self.written >= self.file_rows:
            self.end_file()

    def _end_group(self, schema: Any) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self.parquet is None:
            self.stream = self.place.system.open_output_stream(f"{self.folder}/part-{self.number:05d}.parquet")
            words = [field.name for field in schema if str(field.type) in ("string", "large_string")]
            self.parquet = pq.ParquetWriter(
                self.stream, schema, compression="zstd", use_dictionary=words, write_page_checksum=True
            )
        whole = pa.concat_tables(self.waiting)
        for begin in range(0, len(whole), self.group_rows):
            self.parquet.write_table(whole.slice(begin, self.group_rows), row_group_size=self.group_rows)
        self.written += self.held
        self.waiting, self.held = [], 0

    def end_file(self) -> None:
        if self.waiting:
            self._end_group(self.waiting[0].schema)
        if self.parquet is None or self.panel is None:
            return
        names, *arrays = zip(*self.index, strict=True)
        step = self.panel.describe_step().split()[0]  # a count of steps is declared without its word
        begin, end, first, last = (np.array(array, np.int64) for array in arrays)
        index = Index(list(names), begin, end, first, last, step)
        self.parquet.add_key_value_metadata({KEY.decode(): index.to_json()})
        self.close()
        self.number += 1
        self._begin_index()

    def close(self) -> None:
        for opened in (self.parquet, self.stream):
            if opened is not None:
                opened.close()
        self.parquet = self.stream = None
