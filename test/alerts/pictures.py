"""Draws the dashboards as Grafana would lay them out, from the same queries on a
running Prometheus: pictures.py PROMETHEUS_URL FOLDER [MINUTES].

It needs matplotlib. Thresholds have the colours that they have there."""

import datetime
import json
import pathlib
import re
import sys
import time
import urllib.parse
import urllib.request

import matplotlib

matplotlib.use("Agg")
import matplotlib.dates
import matplotlib.pyplot as plt

DASHBOARDS = pathlib.Path(__file__).parents[2] / "charts/meddela/files/dashboards"
COLUMN, LINE = 0.75, 0.32  # inches of a unit of Grafana's grid
PAPER, CARD, INK, DIM = "#111217", "#181b1f", "#ccccdc", "#7b8087"
COLOURS = {"green": "#73bf69", "orange": "#ff9830", "red": "#f2495c"}


class Prometheus:
    def __init__(self, url, minutes):
        self.url, self.end = url, time.time()
        self.start = self.end - minutes * 60
        self.step = max(5, minutes * 60 // 240)

    def ask(self, target):
        expr = target["expr"].replace("$namespace", ".*").replace("$lane", ".*").replace("$__rate_interval", "1m")
        expr = expr.replace("$__range", f"{int(self.end - self.start)}s")
        if target["range"]:
            return self.get("query_range", query=expr, start=self.start, end=self.end, step=self.step)
        return self.get("query", query=expr, time=self.end)

    def get(self, path, **arguments):
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(arguments)}") as answer:
            return json.load(answer)["data"]["result"]


def legend(target, metric):
    name = re.sub(r"{{(\w+)}}", lambda m: metric.get(m[1], ""), target["legendFormat"])
    return " ".join(name.split()) or " ".join(v for k, v in sorted(metric.items()) if k != "__name__") or "value"


def shown(value, unit):
    if value != value:
        return "–"
    if unit == "percentunit":
        return f"{value * 100:.2f} %"
    if unit == "s":
        return f"{value * 1000:.0f} ms" if abs(value) < 1 else f"{value:.1f} s"
    if unit == "dateTimeFromNow":
        return f"{(time.time() - value / 1000) / 60:.0f} min ago"
    if unit == "bytes":
        return f"{value / 2**20:.0f} MiB"
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def colour(panel, value):
    found = "green"
    for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]:
        if step["value"] is None or value >= step["value"]:
            found = step["color"]
    return COLOURS[found]


def numbers(axes, panel, series):
    axes.axis("off")
    values = [(name, float(s["value"][1])) for name, s in series] or [("", float("nan"))]
    unit = panel["fieldConfig"]["defaults"]["unit"]
    for i, (name, value) in enumerate(values):
        left, width = i / len(values), 1 / len(values)
        axes.add_patch(plt.Rectangle((left + 0.01, 0), width - 0.02, 1, color=colour(panel, value), alpha=0.85, transform=axes.transAxes))
        axes.text(left + width / 2, 0.55, shown(value, unit), ha="center", va="center", color=PAPER, fontsize=9, weight="bold", transform=axes.transAxes)
        axes.text(left + width / 2, 0.15, name, ha="center", va="center", color=PAPER, fontsize=6, transform=axes.transAxes)


def bars(axes, panel, series):
    unit = panel["fieldConfig"]["defaults"]["unit"]
    values = sorted(((name, float(s["value"][1])) for name, s in series), reverse=True)
    axes.barh([n for n, _ in values], [v for _, v in values], color=[colour(panel, v) for _, v in values])
    for i, (_, value) in enumerate(values):
        axes.text(value, i, " " + shown(value, unit), va="center", color=INK, fontsize=5)


def table(axes, panel, series):
    axes.axis("off")
    if not series:
        axes.text(0.5, 0.5, "nothing", ha="center", color=DIM, fontsize=7, transform=axes.transAxes)
        return
    columns = sorted({k for _, s in series for k in s["metric"]} - {"__name__", "namespace", "job", "instance", "group"})
    unit = panel["fieldConfig"]["defaults"]["unit"]
    rows = [[s["metric"].get(c, "") for c in columns] + [shown(float(s["value"][1]), unit)] for _, s in series[:12]]
    drawn = axes.table(cellText=rows, colLabels=columns + ["value"], loc="upper center", cellLoc="left")
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(5)
    for cell in drawn.get_celld().values():
        cell.set(facecolor=CARD, edgecolor="#2c3235")
        cell.set_text_props(color=INK)


def graph(axes, panel, series):
    defaults = panel["fieldConfig"]["defaults"]
    stacked = defaults["custom"]["stacking"]["mode"] == "normal"
    lines = []
    for name, s in series:
        times = [datetime.datetime.fromtimestamp(float(t)) for t, _ in s["values"]]
        lines.append((name, times, [float(v) for _, v in s["values"]]))
    if stacked and lines:
        every = sorted({t for _, times, _ in lines for t in times})
        rows = [[dict(zip(times, values)).get(t, 0) for t in every] for _, times, values in lines]
        axes.stackplot(every, rows, labels=[n for n, _, _ in lines], alpha=0.8)
    else:
        for name, times, values in lines:
            axes.plot(times, values, label=name, linewidth=0.9)
    for step in defaults["thresholds"]["steps"]:
        if step["value"] is not None and not stacked:
            axes.axhline(step["value"], color=COLOURS[step["color"]], linestyle="--", linewidth=0.6)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter(matplotlib.dates.DateFormatter("%H:%M"))
    axes.yaxis.set_major_formatter(lambda v, _: shown(v, defaults["unit"]))
    axes.grid(color="#2c3235", linewidth=0.4)
    if lines:
        axes.legend(loc="upper left", fontsize=4.5, ncols=2, frameon=False, labelcolor=INK)


KINDS = {"stat": numbers, "bargauge": bars, "table": table, "timeseries": graph}


def draw(path, prometheus, folder):
    dashboard = json.loads(path.read_text())
    panels = dashboard["panels"]
    height = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in panels)
    figure = plt.figure(figsize=(24 * COLUMN, height * LINE + 0.5), facecolor=PAPER)
    figure.text(0.01, 1 - 0.3 / figure.get_figheight(), dashboard["title"] + "   " + dashboard["description"], color=INK, fontsize=12)
    for panel in panels:
        place = panel["gridPos"]
        top = 1 - (place["y"] * LINE + 0.5) / figure.get_figheight()
        if panel["type"] == "row":
            figure.text(0.01, top - 0.2 / figure.get_figheight(), panel["title"], color=INK, fontsize=9, weight="bold")
            continue
        h = place["h"] * LINE / figure.get_figheight()
        axes = figure.add_axes((place["x"] / 24 + 0.028, top - h * 0.86, place["w"] / 24 - 0.036, h * 0.68), facecolor=CARD)
        axes.set_title(panel["title"], color=INK, fontsize=8, loc="left")
        axes.tick_params(colors=DIM, labelsize=5.5)
        for spine in axes.spines.values():
            spine.set_color("#2c3235")
        series = [(legend(t, s["metric"]), s) for t in panel["targets"] for s in prometheus.ask(t)]
        KINDS[panel["type"]](axes, panel, series)
    figure.savefig(folder / (path.stem + ".png"), dpi=110, facecolor=PAPER)
    plt.close(figure)
    print(path.stem, len(panels), "panels")


def main():
    url, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    minutes = int(sys.argv[3]) if len(sys.argv) > 3 else 60
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(DASHBOARDS.glob("*.json")):
        draw(path, Prometheus(url, minutes), folder)


main()
