#!/usr/bin/env python3
"""What keeper, daemon, logger and gateway take after many restarts and requests, against the start.

    bench/endurance.py [RESTARTS] [REQUESTS] [SECONDS]     100000 of each within 3600 s by default; prints a table

Two hundred programs that end at once and are started again at once (restart_pace=0), each with a line of output;
then requests of every kind, a tenth of them over connections of their own, which are cut now and then while the
answer is under way. Both times what is compared stands still: all programs are stopped, and there have been some
restarts and requests before. UPRIGHT_BIN as for bench/programs.py.
"""
import os, re, shutil, socket, sys, tempfile, time
from programs import BIN, Connection, Server, call, pss

PROGRAMS = 200
TICK = os.sysconf("SC_CLK_TCK")
PROGRAM = """[program:p{0:03}]
command=sh -c "echo {0}"
autostart=false
autorestart=true
startsecs=0
restart_pace=0
"""
GET = "GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n"
REQUESTS = [
    *[call("supervisor.getProcessInfo", f"p{n:03}") for n in range(10)],
    call("supervisor.getState"),
    call("supervisor.tailProcessStdoutLog", "p001", 0, 100),
    call("supervisor.readProcessStdoutLog", "p002", -50, 0),
    call("supervisor.readLog", -100, 0),
    call("supervisor.getProcessInfo", "no"),
    call("supervisor.startProcess", "no"),
    call("supervisor.clearProcessLogs", "p003"),
    call("supervisor.sendRemoteCommEvent", "kind", "text"),
    *[GET.format(path).encode() for path in ("/job.html?processname=p001", "/api/Why?job=p001", "/nothing", "/style.css")],
]
LONG = [call("supervisor.getAllProcessInfo"), GET.format("/").encode(), GET.format("/metrics").encode()]
STREAMS = [GET.format(path).encode() for path in ("/events", "/logtail/p004", "/mainlogtail")]


def state(server):
    """For each of our processes its memory in KiB, descriptors and processor time in seconds."""
    found = {}
    for name, pid in server.own().items():
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(") ", 1)[1].split()
        found[name] = (pss(pid), len(os.listdir(f"/proc/{pid}/fd")), (int(fields[11]) + int(fields[12])) / TICK)
    return found


def restarts(server):
    """How often programs were started again since the gateway began."""
    _, body = Connection(server.place + "/s").ask(GET.format("/metrics").encode())
    return sum(int(number) for number in re.findall(rb"upright_job_restarts_total\{[^}]*\} (\d+)", body))


def restart(server, count, end):
    connection, before = server.connection(), restarts(server)
    connection.ask(call("supervisor.startAllProcesses"))
    began = time.monotonic()
    while restarts(server) - before < count and time.monotonic() < end:
        time.sleep(0.2)
    took = time.monotonic() - began
    connection.ask(call("supervisor.stopAllProcesses"))
    return restarts(server) - before, took


def request(server, count, end):
    connection, began, done = server.connection(), time.monotonic(), 0
    while done < count and time.monotonic() < end:
        if done % 10:
            connection.ask(REQUESTS[done % len(REQUESTS)] if done % 100 else LONG[done // 100 % len(LONG)])
        else:
            cut(server.place + "/s", done // 10)
        done += 1
    return done, time.monotonic() - began


def cut(path, number):
    """Asks over a connection of its own, and goes away at another moment each time."""
    with socket.socket(socket.AF_UNIX) as other:
        other.settimeout(60)
        other.connect(path)
        asked = [REQUESTS[number % len(REQUESTS)], LONG[number % len(LONG)], STREAMS[number % len(STREAMS)]][number % 3]
        if number % 4 == 0:
            other.sendall(asked[: len(asked) // 2])
            return
        other.sendall(asked)
        if number % 4 > 1:
            other.recv(4096)


def main():
    wanted = [int(word) for word in sys.argv[1:4]] + [100000, 100000, 3600][len(sys.argv) - 1 :]
    end = time.monotonic() + wanted[2]
    place = tempfile.mkdtemp(prefix="endurance-")
    os.symlink(os.path.realpath(BIN + "/upright-core"), place + "/supervisord")
    programs = "".join(PROGRAM.format(n) for n in range(PROGRAMS))
    server = Server(place + "/supervisord", programs, "restart_budget=100000:100000\nloglevel=error")
    restart(server, wanted[0] / 20, end)
    request(server, wanted[1] / 20, end)
    time.sleep(5)
    before = state(server)
    ended, first = restart(server, wanted[0], end)
    time.sleep(5)
    between = state(server)
    answered, second = request(server, wanted[1], end)
    time.sleep(5)
    after = state(server)
    server.end()
    shutil.rmtree(place)
    print(f"{ended} restarts in {first:.0f} s, then {answered} requests in {second:.0f} s\n")
    print("| | memory at the start, after the restarts, after the requests (KiB) | descriptors | processor time of the restarts, of the requests (s) |\n|---|---|---|---|")
    for name in before:
        rows = [before[name], between.get(name, (0, 0, 0)), after.get(name, (0, 0, 0))]
        print(f"| {name} | " + ", ".join(str(row[0]) for row in rows) + " | " + ", ".join(str(row[1]) for row in rows) + f" | {rows[1][2] - rows[0][2]:.2f}, {rows[2][2] - rows[1][2]:.2f} |")


if __name__ == "__main__":
    main()
