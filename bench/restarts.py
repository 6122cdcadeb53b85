#!/usr/bin/env python3
"""How often five hundred programs that fail at once are started again, and what that costs.

    bench/restarts.py [SECONDS] [COUNT]     writes docs/restarts.svg, prints a table

UPRIGHT_BIN names the directory of the binaries (default: those of scripts/release.sh). Each way of backing off
has an Upright of its own in a directory of its own; restarts are counted by the lines that Upright says, the
processor time is that of its own processes, without the programs'.
"""
import os, shutil, signal, subprocess, sys, tempfile, threading, time

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BIN = os.environ.get("UPRIGHT_BIN", TREE + "/out")
SECONDS = int(sys.argv[1]) if len(sys.argv) > 1 else 120
COUNT = int(sys.argv[2]) if len(sys.argv) > 2 else 500
TICK = os.sysconf("SC_CLK_TCK")

JOB = "start on startup\nrespawn\n{}exec false\n"
WAYS = [
    ("respawn", "job: `respawn`", "jobs", JOB.format("")),
    ("backoff", "job: `respawn backoff 1`", "jobs", JOB.format("respawn backoff 1\n")),
    ("program", "`[program:x]`, all defaults", "programs", "[program:p{}]\ncommand=false\n"),
    ("retry", "`[program:x]`, `backoff_retry=30`", "programs", "[program:p{}]\ncommand=false\nbackoff_retry=30\n"),
    ("unlimited", "job: `respawn limit unlimited`", "jobs", JOB.format("respawn limit unlimited\n")),
    ("none", "the same, `--restart-budget 0`", "jobs", JOB.format("respawn limit unlimited\n")),
]
AGAIN = (b"main process ended, respawning", b"ended too early, starting again")


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def name(pid):
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()
    except OSError:
        return ""


def spent(pid):
    """Processor seconds of a process, without those of its children."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def run(way):
    key, _, kind, text = way
    place = tempfile.mkdtemp(prefix="upright-restarts-")
    jobs = place + "/jobs"
    os.makedirs(jobs)
    if kind == "jobs":
        for number in range(COUNT):
            with open(f"{jobs}/j{number:03}.conf", "w") as file:
                file.write(text)
    else:
        with open(jobs + "/programs.ini", "w") as file:
            file.write("[supervisord]\n" + "".join(text.replace("{}", f"{n:03}") for n in range(COUNT)))
    where = jobs if kind == "jobs" else jobs + "/programs.ini"
    options = ["--restart-budget", "0"] if key == "none" else []
    command = [BIN + "/upright-core", "--up", "--logdir", place + "/logs", "--socket", place + "/sock", *options, "--", where]
    core = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=place)
    began = time.monotonic()
    seconds = [0] * SECONDS

    def count():
        for line in core.stdout:
            at = int(time.monotonic() - began)
            if at < SECONDS and any(words in line for words in AGAIN):
                seconds[at] += 1

    reader = threading.Thread(target=count, daemon=True)
    reader.start()
    time.sleep(max(0.0, began + SECONDS - time.monotonic()))
    own = [core.pid] + [pid for pid in children(core.pid) if name(pid).startswith("upright")]
    cost = sum(spent(pid) for pid in own)
    core.send_signal(signal.SIGTERM)
    try:
        core.wait(60)
    except subprocess.TimeoutExpired:
        core.kill()
    reader.join(10)
    shutil.rmtree(place, ignore_errors=True)
    return seconds, cost


def chart(results):
    wide, high, left, gap = 640, 70, 60, 44
    total = (high + gap) * len(results) + 30
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide + left + 20} {total}" font-family="sans-serif" font-size="12">',
           '<style>text{fill:#333}rect.b{fill:#2a6f97}@media(prefers-color-scheme:dark){text{fill:#ddd}rect.b{fill:#61a5c2}}</style>']
    for row, (label, seconds, cost) in enumerate(results):
        top = row * (high + gap) + 24
        # Peaks in the first seconds would flatten the rest: the root is drawn.
        most = max(max(seconds), 1)
        bar = wide / len(seconds)
        out.append(f'<text x="{left}" y="{top - 8}">{label.replace("`", "")}: {sum(seconds)} restarts, {cost:.2f} s of Upright</text>')
        out.append(f'<text x="{left - 6}" y="{top + 10}" text-anchor="end">{most}/s</text><text x="{left - 6}" y="{top + high}" text-anchor="end">0</text>')
        for at, value in enumerate(seconds):
            tall = high * (value / most) ** 0.5
            if value:
                out.append(f'<rect class="b" x="{left + at * bar:.1f}" y="{top + high - tall:.1f}" width="{max(bar - 0.5, 0.5):.1f}" height="{tall:.1f}"/>')
        out.append(f'<line x1="{left}" x2="{left + wide}" y1="{top + high}" y2="{top + high}" stroke="#999"/>')
    out.append(f'<text x="{left + wide}" y="{total - 6}" text-anchor="end">{len(results[0][1])} seconds; heights are roots</text></svg>')
    return "\n".join(out) + "\n"


def main():
    results = []
    print(f"| {COUNT} that fail at once | restarts in {SECONDS} s | most in a second | in the last ten, each second | processor time of Upright |\n|---|---|---|---|---|", flush=True)
    for way in WAYS:
        seconds, cost = run(way)
        results.append((way[1], seconds, cost))
        print(f"| {way[1]} | {sum(seconds)} | {max(seconds)} | {sum(seconds[-10:]) / 10:.1f} | {cost:.2f} s ({100 * cost / SECONDS:.1f} %) |", flush=True)
    with open(TREE + "/docs/restarts.svg", "w") as file:
        file.write(chart(results))


main()
