"""Holds the Parquet files of a compaction against the Avro files that it was made of.

usage: parquet.py ROOT

Reads the Avro files below ROOT with fastavro and the Parquet files with DuckDB: each event once in
both, field by field, and the rows of a file in the order of partition and offset. Events whose
`user_id` is `u` and a number stood at that offset. Prints every difference on a line; exit 0 when
there is none, 1 otherwise.
"""

import datetime
import pathlib
import sys
import uuid

import duckdb
import fastavro

PLACE = ["log_topic", "log_partition", "log_offset"]
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def plain(value):
    """A value as both readers can have it."""
    if isinstance(value, datetime.datetime):
        return (value - EPOCH) // datetime.timedelta(microseconds=1)
    if isinstance(value, uuid.UUID):
        return value.bytes
    if isinstance(value, bytearray):
        return bytes(value)
    if isinstance(value, dict):
        if set(value) == {"key", "value"} and isinstance(value["key"], list):
            value = dict(zip(value["key"], value["value"]))
        return tuple(sorted(value.items()))
    return value


def of_avro(folder):
    for path in sorted(folder.rglob("*.avro")):
        with path.open("rb") as file:
            for record in fastavro.reader(file):
                yield {key: plain(value) for key, value in record.items()}


def of_parquet(folder, wrong):
    for path in sorted(folder.rglob("*.parquet")):
        relation = duckdb.sql(
            "SELECT * REPLACE (epoch_us(time) AS time, epoch_us(received) AS received) "
            f"FROM read_parquet('{path}', hive_partitioning = false)"
        )
        names, before = relation.columns, None
        for row in relation.fetchall():
            record = dict(zip(names, map(plain, row)))
            place = tuple(record.pop(name) for name in PLACE)
            if before is not None and place <= before:
                wrong.append(f"{path}: {place} behind {before}")
            before = place
            user = record.get("user_id") or ""
            if user[:1] == "u" and user[1:].isdigit() and int(user[1:]) != place[2]:
                wrong.append(f"{path}: {user} at offset {place[2]}")
            if record.pop("type") != path.parts[-6]:
                wrong.append(f"{path}: an event of another type")
            yield record


def main():
    root, wrong, total = pathlib.Path(sys.argv[1]), [], 0
    for folder in sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("_")):
        avro = {record["id"]: record for record in of_avro(folder)}
        seen = set()
        for record in of_parquet(folder, wrong):
            total += 1
            if record["id"] in seen:
                wrong.append(f"{folder.name}: {record['id']} twice")
            seen.add(record["id"])
            if record != avro.get(record["id"]):
                wrong.append(f"{folder.name}: {record} is not {avro.get(record['id'])}")
        wrong.extend(f"{folder.name}: {missing} is missing" for missing in avro.keys() - seen)
    for line in wrong[:100]:
        print(line)
    print(f"{total} events, {len(wrong)} differences")
    return 1 if wrong or not total else 0


if __name__ == "__main__":
    sys.exit(main())
