#!/usr/bin/env python3
"""What a number of events a day needs: machines, partitions, disks, money.

    capacity.py [FIGURES.json] [--events 1e9,2e10,1e11] [--set money.core_month=20 …]
    capacity.py measure FIGURES.json --events N PROCESS=PID … [--disk NAME=BYTES …]

The first form computes from measured figures (docs/capacity.json). The second measures them: it is
called twice around a load, before it (with --events 0) and after it, and takes the difference of what
the processes have used of the processor.
"""
import json
import math
import os
import sys

DAY = 86_400


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def compute(figures, events_a_day):
    """All of it for one number of events a day."""
    cpu, size, want = figures["cpu_us_per_event"], figures["bytes_per_event"], figures["wanted"]
    mean = events_a_day / DAY
    peak = mean * want["peak_over_mean"]
    cores = {role: peak * us / 1e6 / want["busy"] for role, us in cpu.items()}
    # A partition is read by one pipeline of a sink, which runs on one core.
    slowest = max((us for role, us in cpu.items() if role.startswith("consume")), default=0.0)
    by_speed = peak * slowest / 1e6 / want["busy"]
    partitions = max(want["least_partitions"], 2 ** math.ceil(math.log2(max(1.0, by_speed))))
    kafka = events_a_day * size["kafka"] * want["kafka_days"] * want["kafka_copies"]
    spool = peak * size["spool"] * want["outage_hours"] * 3600
    clickhouse = events_a_day * size["clickhouse"] * want["clickhouse_days"] * want["clickhouse_copies"]
    archive = events_a_day * size["archive"] * want["archive_days"] * want["archive_copies"]
    network = peak * size["kafka"] * (1 + (want["kafka_copies"] - 1) + 3)  # in, to the copies, to three sinks
    machine = want["cores_a_machine"]
    machines = {role: max(want["least_processes"], math.ceil(n / machine)) for role, n in cores.items()}
    kafka_machines = max(3, math.ceil(kafka / want["disk_a_machine"]), math.ceil(network / want["network_a_machine"]))
    stores = max(want["clickhouse_copies"], math.ceil(clickhouse / want["disk_a_machine"]))
    money = figures["money"]
    per_month = {
        "processors": sum(cores.values()) * money["core_month"],
        "disks of Kafka": kafka / 1e9 * money["disk_gb_month"],
        "disks of the spools": spool / 1e9 * money["disk_gb_month"],
        "disks of ClickHouse": clickhouse / 1e9 * money["disk_gb_month"],
        "archive": archive / 1e9 * money["archive_gb_month"],
    }
    return {
        "events a day": events_a_day, "mean a second": mean, "peak a second": peak,
        "cores": cores, "machines": machines, "partitions": partitions,
        "kafka bytes": kafka, "kafka machines": kafka_machines, "spool bytes": spool,
        "clickhouse bytes": clickhouse, "clickhouse machines": stores, "archive bytes": archive,
        "network bytes a second": network, "money a month": per_month,
    }


def short(n):
    for unit, size in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if n >= size:
            return f"{n / size:,.1f} {unit}"
    return f"{n:,.0f} B"


def table(figures, all_events):
    columns = [compute(figures, n) for n in all_events]
    rows = [("events a day", [f"{c['events a day'] / 1e9:g} billion" for c in columns]),
            ("events a second, mean and peak",
             [f"{c['mean a second']:,.0f}, {c['peak a second']:,.0f}" for c in columns])]
    for role in figures["cpu_us_per_event"]:
        rows.append((f"cores: {role}", [f"{c['cores'][role]:,.1f}" for c in columns]))
        rows.append((f"machines: {role}", [str(c["machines"][role]) for c in columns]))
    rows.append(("partitions of all event topics, at least", [str(c["partitions"]) for c in columns]))
    rows.append(("Kafka's machines", [str(c["kafka machines"]) for c in columns]))
    rows.append(("Kafka's disks", [short(c["kafka bytes"]) for c in columns]))
    rows.append(("network at the peak", [short(c["network bytes a second"]) + "/s" for c in columns]))
    rows.append(("the sidecars' spools together", [short(c["spool bytes"]) for c in columns]))
    rows.append(("ClickHouse's machines", [str(c["clickhouse machines"]) for c in columns]))
    rows.append(("ClickHouse's disks", [short(c["clickhouse bytes"]) for c in columns]))
    rows.append(("archive", [short(c["archive bytes"]) for c in columns]))
    for what in columns[0]["money a month"]:
        rows.append((f"money a month: {what}", [f"{c['money a month'][what]:,.0f}" for c in columns]))
    rows.append(("money a month: together", [f"{sum(c['money a month'].values()):,.0f}" for c in columns]))
    print("| |" + " |" * len(columns))
    print("| --- |" + " ---: |" * len(columns))
    for name, cells in rows:
        print(f"| {name} | " + " | ".join(cells) + " |")


def used(pid):
    """Seconds of processor that a process has used."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(path, arguments):
    """Before a load it notes what was used; after it, it writes what an event has cost."""
    events, processes, disks = 0, {}, {}
    arguments = iter(arguments)
    for argument in arguments:
        if argument == "--events":
            events = int(next(arguments))
        elif argument == "--disk":
            name, size = next(arguments).split("=")
            disks[name] = int(size)
        else:
            name, pid = argument.split("=")
            processes.setdefault(name, []).append(int(pid))
    now = {name: sum(used(pid) for pid in pids) for name, pids in processes.items()}
    note = path + ".before"
    if events == 0:
        with open(note, "w", encoding="utf-8") as file:
            json.dump({"cpu": now, "disks": disks}, file)
        return
    before = load(note)
    os.remove(note)
    figures = load(path)
    for name, seconds in now.items():
        figures["cpu_us_per_event"][name] = round((seconds - before["cpu"].get(name, 0)) / events * 1e6, 2)
    for name, size in disks.items():
        figures["bytes_per_event"][name] = round((size - before["disks"].get(name, 0)) / events, 1)
    figures["measured"]["events"] = events
    with open(path, "w", encoding="utf-8") as file:
        json.dump(figures, file, indent=2)
        file.write("\n")


def main():
    arguments = sys.argv[1:]
    if arguments[:1] == ["measure"]:
        return measure(arguments[1], arguments[2:])
    path = os.path.join(os.path.dirname(__file__), "..", "docs", "capacity.json")
    events = [1e9, 20e9, 100e9]
    changes = []
    arguments = iter(arguments)
    for argument in arguments:
        if argument == "--events":
            events = [float(n) for n in next(arguments).split(",")]
        elif argument == "--set":
            changes.append(next(arguments))
        elif argument in ("-h", "--help"):
            print(__doc__)
            return None
        else:
            path = argument
    figures = load(path)
    for change in changes:
        name, value = change.split("=")
        group, key = name.split(".")
        if key not in figures.get(group, {}):
            sys.exit(f"capacity.py: there is no {name} in {path}")
        figures[group][key] = float(value)
    return table(figures, events)


if __name__ == "__main__":
    sys.exit(main())
