#!/usr/bin/env python3
"""Holds alerts, their tests, runbooks and dashboards against each other.

    alerts_check.py OUT.yml

Every alert has a severity, words, and a runbook of its name; every runbook an alert; every alert is
seen firing in a test. Links between runbooks lead somewhere. Recorded names that alerts and dashboards
use are recorded. The dashboards' PromQL goes to OUT.yml as rules, for `promtool check rules`.
"""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RULES = sorted((ROOT / "config/prometheus/rules").glob("*.yml"))
TESTS = sorted((ROOT / "config/prometheus/tests").glob("*.yml"))
RUNBOOKS = {path.stem: path for path in (ROOT / "docs/runbooks").glob("*.md") if path.stem != "README"}
DASHBOARDS = sorted((ROOT / "config/grafana/dashboards").glob("*.json"))
RECORDED = re.compile(r"penstock:[a-z0-9_:]+")

wrong: list[str] = []


def kebab(alert: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", alert.removeprefix("Penstock")).lower()


def alerts() -> None:
    tests = "".join(path.read_text() for path in TESTS)
    fires = set(re.findall(r'alertname="(Penstock\w+)"[^}]*}\', value: [1-9]', tests))
    names = set()
    for path in RULES:
        for block in re.split(r"^      - ", path.read_text(), flags=re.M)[1:]:
            if not block.startswith("alert:"):
                continue
            alert = block.split("\n", 1)[0].removeprefix("alert:").strip()
            names.add(alert)
            where = f"{path.name}: {alert}"
            if not re.search(r"labels: \{severity: (page|ticket)\}", block):
                wrong.append(f"{where} has no severity page or ticket")
            if "\n        for: " not in block:
                wrong.append(f"{where} does not say for how long")
            if "annotations: *" in block:
                continue  # those of the same alert above
            for key in ("summary", "description"):
                if f"          {key}: " not in block:
                    wrong.append(f"{where} has no {key}")
            if f"runbook_url: docs/runbooks/{kebab(alert)}.md" not in block:
                wrong.append(f"{where} does not link docs/runbooks/{kebab(alert)}.md")
    for alert in sorted(names - fires):
        wrong.append(f"{alert} is not seen firing in config/prometheus/tests")
    pages = {kebab(name) for name in names}
    wrong.extend(f"docs/runbooks/{page}.md is missing" for page in sorted(pages - RUNBOOKS.keys()))
    wrong.extend(f"docs/runbooks/{page}.md is of no alert" for page in sorted(RUNBOOKS.keys() - pages))
    index = (ROOT / "docs/runbooks/README.md").read_text()
    wrong.extend(f"docs/runbooks/README.md does not list {page}" for page in sorted(pages) if f"({page}.md)" not in index)


def runbooks() -> None:
    for page, path in RUNBOOKS.items():
        text = path.read_text()
        if not text.startswith("# Penstock") or kebab(text.split("\n", 1)[0].removeprefix("# ")) != page:
            wrong.append(f"{path.name} does not begin with its alert's name")
        for part in ("**Means.**", "**See.**", "**Do.**", "**Wake somebody**"):
            if part not in text:
                wrong.append(f"{path.name} has no part {part}")
        for link in re.findall(r"\]\(([^)#]+)\)", text):
            if not (path.parent / link).exists():
                wrong.append(f"{path.name} links {link}, which there is not")


def recorded() -> None:
    names = set(re.findall(r"- record: (\S+)", "".join(path.read_text() for path in RULES)))
    for path in [*RULES, *DASHBOARDS, *RUNBOOKS.values()]:
        for name in sorted(set(RECORDED.findall(path.read_text())) - names):
            wrong.append(f"{path.name} uses {name}, which no rule records")


def dashboards(out: Path) -> None:
    rules = []
    for path in DASHBOARDS:
        board = json.loads(path.read_text())
        if path.stem != board["uid"]:
            wrong.append(f"{path.name} has the uid {board['uid']}")
        variables = {variable["name"] for variable in board["templating"]["list"]}
        used = set(re.findall(r"\$\{?([a-z]\w*)", path.read_text().replace("$__", "")))
        wrong.extend(f"{path.name} uses the variable {name}, which it has not" for name in sorted(used - variables))
        cells: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            grid = panel["gridPos"]
            area = {(x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])}
            if cells & area or grid["x"] + grid["w"] > 24:
                wrong.append(f"{path.name}: the panel {panel['title']} lies on another or outside")
            cells |= area
            if panel["type"] not in ("row", "text") and not panel.get("targets"):
                wrong.append(f"{path.name}: the panel {panel['title']} asks nothing")
            for target in panel.get("targets", []):
                if "expr" in target:
                    rules.append((f"{path.stem}_{panel['id']}_{target['refId']}", target["expr"]))
        for annotation in board["annotations"]["list"]:
            rules.append((f"{path.stem}_annotation", annotation["expr"]))
    lines = ["groups:", "  - name: dashboards", "    rules:"]
    for name, expr in rules:
        expr = expr.replace("$__rate_interval", "5m").replace("$__interval", "1m").replace("$system", "ads")
        lines += [f"      - record: {name.replace('-', '_')}", f"        expr: {json.dumps(expr)}"]
    out.write_text("\n".join(lines) + "\n")


alerts()
runbooks()
recorded()
dashboards(Path(sys.argv[1]))
for sentence in wrong:
    print(f"alerts-check: {sentence}", file=sys.stderr)
sys.exit(1 if wrong else 0)
