#!/usr/bin/env python3
"""Events per CPU-second of the sidecar, from JSON in to acknowledged by Kafka, beside a bare actix-web.

usage: bench-sidecar.py PENSTOCK BARE     (PENSTOCK_TEST_KAFKA names the brokers: `make bench-sidecar`)

Each process answers the same load (wrk, keep-alive connections, fixed bodies). Its CPU time (user and
system, from /proc) counts from before the load until Kafka has acknowledged everything. All in one run,
three rounds in turn, medians; the ratio to the bare server is what can be compared between machines.
With --apart the measured process has the first core to itself, and brokers and load the others: with
them on its own core it is put aside all the time, which costs it more than its work.
BENCH_FORWARD holds settings of the forwarder, such as: max_age = "5ms"
With --outage it also measures resident memory and answers while the brokers are stopped.
With --rate it measures what an event costs a sidecar of two workers, and the brokers, when there is not
much to do: BENCH_RATE events a second (10 000) of all types, 100 a body. Start the brokers a minute before,
or their compiler is measured (this does two rounds unseen).
"""
import http.client
import json
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

SECONDS = int(os.environ.get("BENCH_SECONDS", "8"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
CONNECTIONS = int(os.environ.get("BENCH_CONNECTIONS", "16"))
TICK = os.sysconf("SC_CLK_TCK")
# Cores of the measured process.
MEASURED = os.sched_getaffinity(0)


def event(n, kind="impression"):
    return json.dumps({"type": kind, "payload": {
        "tag": f"app{n % 7}-ch{n % 400}", "site_id": f"ch{n % 400}", "user_id": f"u{n * 7919 % 120000}",
        "ip": f"10.1.{n % 250}.{n % 200}", "country": "DE", "device": "1", "os": str(n % 30)}}, separators=(",", ":"))


def cpu(pid):
    """Seconds of CPU that the process has used, its threads included."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) * 1024


def metric(url, pattern):
    """The sum of all samples whose line begins with `pattern`."""
    with urllib.request.urlopen(url + "/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(pattern))


def load(url, folder, size, seconds=SECONDS):
    """Runs wrk; gives requests that were answered, and those answered with an error."""
    body = "\n".join(event(n) for n in range(size))
    script = pathlib.Path(folder) / f"post-{size}.lua"
    kind = "application/x-ndjson" if size > 1 else "application/json"
    script.write_text(
        f'wrk.method = "POST"\nwrk.body = [==[{body}]==]\nwrk.headers["Content-Type"] = "{kind}"\n'
        'done = function(s) io.write(string.format("RESULT %d %d %d\\n", s.requests, s.errors.status,'
        ' s.errors.connect + s.errors.read + s.errors.write + s.errors.timeout)) end\n')
    said = subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script), url + "/v1/events"],
                          capture_output=True, text=True, check=True).stdout
    return tuple(map(int, re.search(r"RESULT (\d+) (\d+) (\d+)", said).groups()))


class Process:
    def __init__(self, arguments, ready):
        self.child = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                      preexec_fn=lambda: os.sched_setaffinity(0, MEASURED))
        for line in self.child.stdout:
            found = re.search(ready, line)
            if found:
                self.url = found[0]
                return
        raise SystemExit(f"{arguments[0]} ended before it listened")

    def end(self):
        self.child.send_signal(signal.SIGTERM)
        self.child.stdout.read()
        self.child.wait(60)


def broker_pids():
    pids = pathlib.Path(os.environ["BENCH_CLUSTER"].split(" ", 1)[1]) / "pids"
    return [pid.read_text().split()[0] for pid in pids.glob("kafka[0-9]*")]


def stand_apart():
    """Takes the first core from everybody but the measured process."""
    global MEASURED
    every = os.sched_getaffinity(0)
    MEASURED = {min(every)}
    others = every - MEASURED
    for broker in broker_pids():
        for task in pathlib.Path(f"/proc/{broker}/task").iterdir():
            os.sched_setaffinity(int(task.name), others)
    os.sched_setaffinity(0, others)


def sidecar(penstock, folder, brokers, workers=1):
    name = f"bench{os.getpid()}w{workers}"
    config = pathlib.Path(folder) / "cluster.toml"
    quoted = ", ".join(json.dumps(b) for b in brokers.split(","))
    topics = "\n".join(f'{kind} = "{name}.{kind}"' for kind in ("impression", "visit", "click", "conversion"))
    config.write_text(f"""
[kafka]
brokers = [{quoted}]
dead_topic = "{name}.dead"
state_topic = "{name}.state"
kpis_topic = "{name}.kpis"
[kafka.topics]
{topics}
[sidecar]
workers = {workers}
[spool]
reserve_bytes = 1048576
[forward]
{os.environ.get("BENCH_FORWARD", "")}
""")
    subprocess.run([penstock, "topics", "apply", "--yes", "--config", str(config)], check=True, stdout=subprocess.DEVNULL)
    process = Process([penstock, "sidecar", "--config", str(config), "--data", f"{folder}/data", "--listen", "127.0.0.1:0"],
                      r"http://[0-9.:]+")
    await_ready(process.url)
    return process


def await_ready(url, within=120):
    end = time.monotonic() + within
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url + "/readyz", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{url} is not ready")


def acknowledged(url):
    return metric(url, "penstock_forward_acked_total")


def drained(url, events, within=600):
    """Waits until Kafka has acknowledged so many events since the sidecar's start."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        if acknowledged(url) >= events:
            return
        time.sleep(0.05)
    raise SystemExit("the spool did not drain")


def per_cpu_second(process, folder, size, forwards):
    began = acknowledged(process.url) if forwards else 0
    before = cpu(process.child.pid)
    requests, refused, broken = load(process.url, folder, size)
    if refused or broken:
        raise SystemExit(f"{refused} requests were refused, {broken} broke off")
    if forwards:
        drained(process.url, began + requests * size)
    return requests * size / (cpu(process.child.pid) - before)


def at_rate(penstock, folder, brokers):
    """Microseconds of processor time an event, of the sidecar and of the brokers, at a fixed rate."""
    process, rate = sidecar(penstock, folder, brokers, workers=2), int(os.environ.get("BENCH_RATE", "10000"))
    kinds = ["impression"] * 6 + ["visit"] * 2 + ["click", "conversion"]
    body = "\n".join(event(n, kinds[n % len(kinds)]) for n in range(100))
    servers = broker_pids()
    at = urllib.parse.urlparse(process.url)
    connections = [http.client.HTTPConnection(at.hostname, at.port) for _ in range(CONNECTIONS)]
    costs = []
    try:
        for _ in range(ROUNDS + 2):
            before = cpu(process.child.pid), sum(map(cpu, servers)), acknowledged(process.url)
            began, sent = time.monotonic(), 0
            while (due := began + sent / rate) < began + SECONDS:
                time.sleep(max(0, due - time.monotonic()))
                connection = connections[sent // 100 % len(connections)]
                connection.request("POST", "/v1/events", body, {"Content-Type": "application/x-ndjson"})
                answer = connection.getresponse()
                answer.read()
                if answer.status != 202:
                    raise SystemExit(f"a request was answered with {answer.status}")
                sent += 100
            drained(process.url, before[2] + sent)
            costs.append([(after - was) * 1e6 / sent for after, was in
                          zip((cpu(process.child.pid), sum(map(cpu, servers))), before)])
    finally:
        process.end()
    own, theirs = (statistics.median(cost[i] for cost in costs[2:]) for i in range(2))
    print(json.dumps({"measure": f"µs an event at {rate} a second, 100 a body", "sidecar": round(own, 1),
                      "brokers": round(theirs, 1)}, ensure_ascii=False), flush=True)


def main():
    penstock, bare = sys.argv[1:3]
    brokers = os.environ["PENSTOCK_TEST_KAFKA"]
    if "--apart" in sys.argv:
        stand_apart()
    if "--rate" in sys.argv:
        with tempfile.TemporaryDirectory() as folder:
            at_rate(penstock, folder, brokers)
    with tempfile.TemporaryDirectory() as folder:
        yardstick, process = Process([bare], r"http://[0-9.:]+"), sidecar(penstock, folder, brokers)
        try:
            for size in (1, 100):
                alone, whole = [], []
                for _ in range(ROUNDS):
                    alone.append(per_cpu_second(yardstick, folder, size, False))
                    whole.append(per_cpu_second(process, folder, size, True))
                alone, whole = statistics.median(alone), statistics.median(whole)
                print(json.dumps({"measure": f"events per CPU-second, {size} a body", "bare_actix": round(alone),
                                  "sidecar_to_kafka": round(whole), "ratio": round(whole / alone, 3)}), flush=True)
            if "--outage" in sys.argv:
                outage(process, folder)
        finally:
            yardstick.end()
            process.end()


def outage(process, folder):
    """Brokers that hang: every request is answered, and memory stays where it was."""
    cluster, at = os.environ["BENCH_CLUSTER"].split(" ", 1)
    before, began = resident(process.child.pid), acknowledged(process.url)
    subprocess.run([cluster, "stop", at, "kafka"], check=True, stdout=subprocess.DEVNULL)
    try:
        sizes, answers = [], [0, 0, 0]
        end = time.monotonic() + 60
        while time.monotonic() < end:
            answers = [a + b for a, b in zip(answers, load(process.url, folder, 100, 5))]
            sizes.append(resident(process.child.pid))
    finally:
        subprocess.run([cluster, "cont", at, "kafka"], check=True, stdout=subprocess.DEVNULL)
    back = time.monotonic()
    drained(process.url, began + (answers[0] - answers[1]) * 100)
    print(json.dumps({"measure": "a minute without brokers", "requests_answered": answers[0], "refused": answers[1],
                      "broken": answers[2], "resident_before": before, "resident_most": max(sizes),
                      "drained_in_s": round(time.monotonic() - back, 1)}), flush=True)


main()
