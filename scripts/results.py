#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keeps the logs of training runs, and makes the tables of docs/results.md from them.

results.py add LOG...   slims logs of finished runs (OUT/NAME.onnx.log.jsonl) into recipes/results/NAME.jsonl: start,
                        evaluations, result and at most a hundred steps; places of files are cut down to their last part
results.py docs         writes the tables and docs/figures/results-*.svg
results.py check        fails if they are not what the logs say, or if a log holds a path

recipes/series.tsv says which runs there are, and what they should reach. What a run used is taken from its log.
"""
import collections
import glob
import html
import json
import math
import os
import re
import sys

ROOT = os.environ.get("VECQ_SOURCE") or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
STEPS_MAX = 100
EVALUATIONS_MAX = 400
# Settings that change no result, or say where things lie.
NEUTRAL = {"threads", "backend", "data.train", "data.test", "data.workers", "model.file", "train.eval_batch",
           "train.eval_every", "train.checkpoint_every", "train.log_every"}
Series = collections.namedtuple("Series", "heading name recipe data model seeds settings paper other target")


class Trouble(Exception):
    pass


# ---- recipes: the part of YAML that they use ----

def scalar(text):
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    if text in ("true", "false"):
        return text
    if re.fullmatch(r"1/\d+", text):
        return 1 / float(text[2:])
    try:
        return float(text)
    except ValueError:
        return text


def value_of(text):
    text = text.strip()
    if text.startswith("["):
        inner = text.strip("[]").strip()
        return tuple(scalar(item) for item in inner.split(",")) if inner else ()
    return scalar(text)


def parse_recipe(text):
    """{"train.epochs": 10.0, ...}"""
    keys, section = {}, ""
    for line in text.split("\n"):
        line = re.sub(r"(^|\s)#.*$", "", line).rstrip()
        if not line:
            continue
        match = re.fullmatch(r"(\s*)([a-z_0-9]+):(.*)", line)
        if match is None:
            raise Trouble("a line of a recipe that this script does not know: " + line)
        indent, name, rest = match.groups()
        if not indent and not rest.strip():
            section = name + "."
        elif not indent:
            keys[name] = value_of(rest)
        else:
            keys[section + name] = value_of(rest)
    return keys


def printed(value):
    if isinstance(value, tuple):
        return ",".join(printed(item) for item in value)
    return "%.6g" % value if isinstance(value, float) else value


# ---- the table of series ----

def read_series(root):
    path = os.path.join(root, "recipes", "series.tsv")
    rows, heading = [], ""
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip("\n")
            if line.startswith("##"):
                heading = line.strip("# ")
            elif line and not line.startswith("#"):
                cells = line.split("\t")
                if len(cells) != 9:
                    raise Trouble("recipes/series.tsv:%d: %d columns, not 9" % (number, len(cells)))
                rows.append(Series(heading, *cells))
    return rows


def runs_of(series):
    return [series.name] if series.seeds == "-" else [
        "%s-s%s" % (series.name, seed) for seed in series.seeds.split(",")]


# ---- logs ----

def read_log(path):
    records = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                records.append(json.loads(line))
            except ValueError:
                raise Trouble("%s:%d: no JSON" % (path, number))
    return records


def thinned(records, n):
    if len(records) <= n:
        return records
    picked = {round(i * (len(records) - 1) / (n - 1)) for i in range(n)}
    return [record for i, record in enumerate(records) if i in picked]


def without_places(recipe):
    """data.train: "idx:/a/b/mnist" becomes "idx:mnist"; the last part of a place tells what, not where."""
    return re.sub(r'"([a-z0-9]+:)?[^"\n]*/([^"/\n]*)"', lambda m: '"%s%s"' % (m.group(1) or "", m.group(2)), recipe)


def slim(records):
    steps = {id(r) for r in thinned([r for r in records if r["event"] == "step"], STEPS_MAX)}
    evaluations = {id(r) for r in thinned([r for r in records if r["event"] == "evaluation"], EVALUATIONS_MAX)}
    out = []
    for record in records:
        if record["event"] in ("start", "resume"):
            record = dict(record, recipe=without_places(record["recipe"]))
            if record["event"] == "resume" and out and out[0].get("recipe") == record["recipe"]:
                del record["recipe"]
        elif id(record) not in steps | evaluations and record["event"] != "result":
            continue
        out.append(record)
    return out


def seconds_of(records):
    """Time taken; each process counts from its own beginning."""
    total = last = 0.0
    for record in records:
        if record["event"] in ("start", "resume"):
            total, last = total + last, 0.0
        last = record.get("seconds", last)
    return total + last


def log_problems(path, text):
    if "/" in text or "\\\\" in text:
        line = next(i for i, l in enumerate(text.split("\n"), 1) if "/" in l or "\\\\" in l)
        yield "%s:%d: a path" % (path, line)


def add(root, paths):
    known = {run: series for series in read_series(root) for run in runs_of(series)}
    folder = os.path.join(root, "recipes", "results")
    os.makedirs(folder, exist_ok=True)
    for path in paths:
        name = re.sub(r"(\.onnx)?(\.log)?\.jsonl$", "", os.path.basename(path))
        records = read_log(path)
        if name not in known:
            print("%s: no run of recipes/series.tsv, left out" % name)
        elif not records or records[0]["event"] != "start" or records[-1]["event"] != "result":
            print("%s: not finished, left out" % name)
        else:
            said = dict(pair.split("=", 1) for pair in known[name].settings.split() if "=" in pair)
            used = parse_recipe(records[0]["recipe"])
            for key, text in said.items():
                if used.get(key) != value_of(text):
                    raise Trouble("%s: %s is %s in the log, %s in recipes/series.tsv" % (
                        name, key, printed(used.get(key, "-")), text))
            text = "".join(json.dumps(r, separators=(",", ":"), ensure_ascii=False) + "\n" for r in slim(records))
            for problem in log_problems(name, text):
                raise Trouble(problem)
            with open(os.path.join(folder, name + ".jsonl"), "w", encoding="utf-8") as file:
                file.write(text)
            print("%s: %d of %d records kept" % (name, text.count("\n"), len(records)))


# ---- tables ----

class Run:
    def __init__(self, name, records):
        self.name, self.records = name, records
        self.result = records[-1]
        self.recipe = parse_recipe(records[0]["recipe"])
        of_file = self.result.get("file_accuracy")  # "NaN" where no file was written
        self.accuracy = 100 * (self.result["test_accuracy"] if isinstance(of_file, (str, type(None))) else of_file)
        self.seconds = seconds_of(records)
        # not from the result, which knows nothing of what was before a resume
        self.start = next((100 * r["accuracy"] for r in records if r["event"] == "evaluation" and r["step"] == 0), None)

    def curve(self):
        return [(r["epoch"], 100 * r["accuracy"]) for r in self.records
                if r["event"] == "evaluation" and r["data"] in ("test", "held back") and r["epoch"] > 0]


def load_runs(root):
    runs = {}
    for path in sorted(glob.glob(os.path.join(root, "recipes", "results", "*.jsonl"))):
        name = os.path.basename(path)[:-len(".jsonl")]
        records = read_log(path)
        if not records or records[0].get("event") != "start" or records[-1].get("event") != "result":
            raise Trouble("recipes/results/%s.jsonl: no finished run" % name)
        runs[name] = Run(name, records)
    return runs


def differences(root, series, run):
    """What a run used beyond recipe and series: the recipe may have changed since."""
    with open(os.path.join(root, "recipes", series.recipe + ".yaml"), encoding="utf-8") as file:
        recipe = parse_recipe(file.read())
    if series.settings != "-":
        recipe.update((k, value_of(v)) for k, v in (pair.split("=", 1) for pair in series.settings.split()))
    if series.model != "-":
        recipe.pop("model.network", None)
    found = []
    for key, value in sorted(recipe.items()):
        if key not in NEUTRAL and key in run.recipe:
            used = run.recipe[key]
            if isinstance(used, float) and isinstance(value, float):
                same = math.isclose(used, value, rel_tol=1e-12)
            else:
                same = used == value or (used,) == value or used == (value,)
            if not same:
                found.append("%s=%s" % (key, printed(used)))
    return found


def duration(seconds):
    if seconds < 99:
        return "%.0f s" % seconds
    return "%.0f min" % (seconds / 60) if seconds < 99 * 60 else "%.1f h" % (seconds / 3600)


def mean(values):
    return sum(values) / len(values)


def target_of(series, means):
    """(text, number or None); the number of a relative target is known when its series is."""
    if series.target == "-":
        return "", None
    match = re.fullmatch(r"(.+)-([\d.]+)", series.target)
    if match is None:
        return "%.2f" % float(series.target), float(series.target)
    other, points = match.group(1), float(match.group(2))
    if other not in means:
        return "%s - %g" % (other, points), None
    return "%.2f" % (means[other] - points), means[other] - points


def bits_text(run):
    weights, acts = run.recipe["quantize.bits"], run.recipe["quantize.act_bits"]
    return "%s / %s" % tuple("%d" % bits if bits else "float" for bits in (weights, acts))


def row_of(root, series, runs, means):
    have = [runs[name] for name in runs_of(series) if name in runs]
    settings = "" if series.settings == "-" else "`%s`" % series.settings.replace(" ", "` `")
    recipe = "[%s](../recipes/%s.yaml) %s" % (series.recipe, series.recipe, settings)
    target, number = target_of(series, means)
    figures = ["" if text == "-" else text for text in (series.paper, series.other)] + [target]
    if not have:
        return [series.name, recipe.strip(), "", "", "", "not run yet"] + figures + ["", ""]
    changed = differences(root, series, have[0])
    if changed:
        recipe += " with `%s`" % "` `".join(changed)
    accuracies = [run.accuracy for run in have]
    total = len(runs_of(series))
    text = "**%.2f**" % mean(accuracies)
    if len(have) > 1:
        text += " (%.2f to %.2f)" % (min(accuracies), max(accuracies))
    if len(have) < total:
        text += ", %d of %d runs" % (len(have), total)
    start = "" if have[0].start is None else "%.2f" % have[0].start
    # Compared as printed, and when all runs are there.
    reached = "" if number is None or len(have) < total else "yes" if round(mean(accuracies), 2) >= round(number, 2) else "**no**"
    seeds = ", ".join("%d" % run.result["seed"] for run in have)
    return [series.name, recipe.strip(), bits_text(have[0]), seeds, start, text] + figures + [
        reached, duration(mean([run.seconds for run in have]))]


HEADS = ["series", "recipe and settings", "bits W / A", "seeds", "before", "test accuracy", "paper",
         "other", "target", "reached", "time of a run"]


def table(rows):
    used = [i for i in range(len(HEADS)) if i in (0, 1, 5) or any(row[i] for row in rows)]
    lines = ["| " + " | ".join(HEADS[i] for i in used) + " |", "|" + "---|" * len(used)]
    lines += ["| " + " | ".join(row[i] for i in used) + " |" for row in rows]
    return "\n".join(re.sub(r"\|  (?=\|)", "| ", line) for line in lines)


# ---- learning curves ----

COLOURS = ["#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#d68910", "#16808a", "#7f5539", "#5d6d7e", "#b03a7a", "#444444"]


def ticks(low, high, n):
    raw = (high - low) / n
    unit = 10 ** math.floor(math.log10(raw))
    step = next(unit * k for k in (1, 2, 5, 10) if unit * k >= raw)
    first = math.ceil(low / step - 1e-9)
    return [round(step * i, 9) for i in range(first, int(math.floor(high / step + 1e-9)) + 1)]


def figure(title, runs):
    """An SVG of test accuracy over epochs; the lowest values of the first epochs may lie below the frame."""
    curves = [(run.name, run.curve()) for run in runs if len(run.curve()) > 1]
    if not curves:
        return None
    width, height, left, right, top, bottom = 720, 340, 52, 190, 30, 36
    values = sorted(y for _, curve in curves for _, y in curve)
    low, high = values[len(values) // 10], values[-1]
    pad = max(high - low, 0.2) * 0.08
    low, high = low - pad, high + pad
    far = max(x for _, curve in curves for x, _ in curve)

    def px(x):
        return left + (width - left - right) * x / far

    def py(y):
        return top + (height - top - bottom) * (high - y) / (high - low)

    out = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">' % (
        width, height),
        '<rect width="%d" height="%d" fill="#ffffff"/>' % (width, height),
        '<clipPath id="frame"><rect x="%d" y="%d" width="%d" height="%d"/></clipPath>' % (
            left, top, width - left - right, height - top - bottom),
        '<text x="%d" y="18">%s: test accuracy in percent by epoch</text>' % (left, html.escape(title, quote=False))]
    for y in ticks(low, high, 6):
        out.append('<path d="M%d %.1fH%d" stroke="#dddddd"/><text x="%d" y="%.1f" text-anchor="end">%g</text>' % (
            left, py(y), width - right, left - 6, py(y) + 4, y))
    for x in ticks(0, far, 6):
        out.append('<text x="%.1f" y="%d" text-anchor="middle">%g</text>' % (px(x), height - bottom + 18, x))
    out.append('<path d="M%d %dV%dH%d" stroke="#444444" fill="none"/>' % (left, top, height - bottom, width - right))
    for i, (name, curve) in enumerate(curves):
        colour = COLOURS[i % len(COLOURS)]
        dash = ' stroke-dasharray="5 3"' if i >= len(COLOURS) else ""
        points = " ".join("%.1f,%.1f" % (px(x), py(y)) for x, y in curve)
        out.append('<polyline clip-path="url(#frame)" points="%s" fill="none" stroke="%s" stroke-width="1.6"%s/>' % (
            points, colour, dash))
        out.append('<text x="%d" y="%d" fill="%s">%s  %.2f</text>' % (
            width - right + 10, top + 10 + 15 * i, colour, name, curve[-1][1]))
    return "\n".join(out + ["</svg>"]) + "\n"


def made(root):
    """{path: text} of all that is made."""
    runs, series = load_runs(root), read_series(root)
    known = {run for row in series for run in runs_of(row)}
    for name in sorted(set(runs) - known):
        raise Trouble("recipes/results/%s.jsonl: no run of recipes/series.tsv" % name)
    means = {row.name: mean([runs[name].accuracy for name in runs_of(row) if name in runs])
             for row in series if any(name in runs for name in runs_of(row))}
    parts, files = [], {}
    for number, heading in enumerate(dict.fromkeys(row.heading for row in series), 1):
        rows = [row for row in series if row.heading == heading]
        parts += ["## " + heading, table([row_of(root, row, runs, means) for row in rows])]
        drawn = figure(heading, [runs[name] for row in rows for name in runs_of(row) if name in runs])
        if drawn is not None:
            stem = "results-%d.svg" % number
            files["docs/figures/" + stem] = drawn
            parts.append("![Learning curves: %s](figures/%s)" % (heading, stem))
    path = os.path.join(root, "docs", "results.md")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise Trouble("docs/results.md: the marks of the tables are missing")
    head, rest = text.split(BEGIN)
    files["docs/results.md"] = head + BEGIN + "\n\n" + "\n\n".join(parts) + "\n\n" + END + rest.split(END)[1]
    return files


def stale_figures(root, files):
    there = glob.glob(os.path.join(root, "docs", "figures", "results-*.svg"))
    names = {"docs/figures/" + os.path.basename(path) for path in there}
    return sorted(names - set(files))


def docs(root):
    files = made(root)
    os.makedirs(os.path.join(root, "docs", "figures"), exist_ok=True)
    for name in stale_figures(root, files):
        os.remove(os.path.join(root, name))
    for name, text in files.items():
        with open(os.path.join(root, name), "w", encoding="utf-8") as file:
            file.write(text)


def check(root):
    problems = []
    for path in sorted(glob.glob(os.path.join(root, "recipes", "results", "*.jsonl"))):
        with open(path, encoding="utf-8") as file:
            problems += log_problems("recipes/results/" + os.path.basename(path), file.read())
    files = made(root)
    for name, text in files.items():
        path = os.path.join(root, name)
        if not os.path.exists(path) or open(path, encoding="utf-8").read() != text:
            problems.append("%s is not what the logs say: run scripts/results.py docs" % name)
    problems += ["%s has no logs: run scripts/results.py docs" % name for name in stale_figures(root, files)]
    for problem in problems:
        print(problem)
    print("results: %d logs, %d problems" % (len(load_runs(root)), len(problems)))
    return 1 if problems else 0


def main(arguments):
    try:
        if arguments[:1] == ["add"] and len(arguments) > 1:
            add(ROOT, arguments[1:])
        elif arguments == ["docs"]:
            docs(ROOT)
        elif arguments == ["check"]:
            return check(ROOT)
        else:
            print(__doc__.strip(), file=sys.stderr)
            return 2
    except (Trouble, OSError, KeyError) as trouble:
        print("results: %s" % trouble, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
