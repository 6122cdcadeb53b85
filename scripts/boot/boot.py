#!/usr/bin/env python3
"""Boots the machine that build.sh has made, looks at it, shuts it down, looks at its disks.

boot.py DIR NAME: one boot, a row of BOOTS. In rescue PID 1 finds no job, and a shell on the console is
what is waited for.
Prints what was found with the time of each; ends with status 1 where something is not right.
"""

import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

PATIENCE = 240  # seconds for any one fact: an emulated machine beside others is slow


# How often the daemon is killed meanwhile, what ends the machine, what the kernel says at last, and which
# disks are clean then. PID 1 gets what the kernel sends it for the three keys and for a supply that fails.
BOOTS = {
    "plain": (0, "shutdown -h now", "Power down", ("root", "srv")),
    "killed": (20, "test $(cat /proc/sys/kernel/ctrl-alt-del) = 0 && kill -INT 1", "Restarting system",
               ("root", "srv")),
    "power": (0, "kill -PWR 1", "Power down", ("root", "srv")),
    "term": (0, "kill -TERM 1", "Power down", ("root",)),
}


class Wrong(Exception):
    pass


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Machine:
    """A running QEMU with its console."""

    def __init__(self, directory, words):
        self.directory = directory
        self.ports = {22: free_port(), 80: free_port()}
        forwards = ",".join(
            f"hostfwd=tcp:127.0.0.1:{here}-:{there}" for there, here in self.ports.items())
        disks = []
        for name in ("root", "srv"):
            disks += ["-drive", f"file={directory}/{name}.run.img,if=virtio,format=raw,cache=unsafe"]
        self.began = time.monotonic()
        self.qemu = subprocess.Popen(
            ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-m", "512", "-smp", "1",
             "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot",
             "-kernel", f"{directory}/vmlinuz", "-initrd", f"{directory}/initramfs.gz",
             # Without a processor of its own the machine fails the kernel's test of its timer.
             "-append", f"console=ttyS0 no_timer_check net.ifnames=0 panic=-1 {words}",
             *disks, "-netdev", f"user,id=net,restrict=on,{forwards}",
             "-device", "virtio-net-pci,netdev=net,romfile=", "-device", "virtio-rng-pci"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.said = ""
        self.over = False
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while True:
            piece = os.read(self.qemu.stdout.fileno(), 65536)
            self.lines.put(piece)
            if not piece:
                return

    def age(self):
        return time.monotonic() - self.began

    def hear(self, seconds):
        """Waits for words on the console; false where it is at its end."""
        if self.over:
            return False
        try:
            piece = self.lines.get(timeout=seconds)
        except queue.Empty:
            return True
        self.said += piece.decode(errors="replace")
        self.over = not piece
        return not self.over

    def until(self, fact, look):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = look()
            if found is not None and found is not False:
                return found
            if not self.hear(0.2):
                raise Wrong(f"the machine ended before {fact}")
        raise Wrong(f"in {PATIENCE} s it did not come about that {fact}")

    def type(self, line):
        self.qemu.stdin.write(line.encode() + b"\n")
        self.qemu.stdin.flush()

    def ssh(self, command):
        return subprocess.run(
            ["ssh", "-q", "-F", "/dev/null", "-i", f"{self.directory}/key",
             "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
             "-o", "BatchMode=yes", "-o", "ConnectTimeout=20",
             "-p", str(self.ports[22]), "root@127.0.0.1", command],
            capture_output=True, text=True, timeout=PATIENCE)

    def ok(self, command):
        done = self.ssh(command)
        if done.returncode != 0:
            raise Wrong(f"`{command}` ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def end(self):
        if self.qemu.poll() is None:
            self.qemu.send_signal(signal.SIGKILL)
        self.qemu.wait()


def row(name, what, seconds):
    print(f"{name}: {what:<44} {seconds:6.1f} s", flush=True)


def served(machine):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{machine.ports[80]}/", timeout=10) as page:
            return b"nginx" in page.read()
    except OSError:
        return False


def look(machine, name, kills):
    """What a machine that is up must be."""
    machine.until("a getty waits", lambda: re.search(r"upright-test login: ", machine.said))
    row(name, "a getty waits on the console", machine.age())
    machine.until("sshd answers a login", lambda: machine.ssh("true").returncode == 0)
    row(name, "sshd answers a login", machine.age())
    machine.until("nginx serves", lambda: served(machine))
    row(name, "nginx serves", machine.age())
    machine.until("the boot is over", lambda: machine.ssh("test -s /run/test-booted").returncode == 0)
    machine.ok("udevadm settle --timeout=30 && test -e /dev/disk/by-label/srv")
    row(name, "udev has settled, /dev/disk is there", machine.age())
    mounts = machine.ok("cat /proc/mounts")
    for wanted in (r"^/dev/\S+ / ext4 rw", r"^/dev/vdb /srv ext4 rw", r"^proc /proc proc",
                   r"^\S+ /sys sysfs", r"^\S+ /dev devtmpfs", r"^\S+ /dev/pts devpts",
                   r"^tmpfs /run tmpfs", r"^tmpfs /dev/shm tmpfs"):
        if not re.search(wanted, mounts, re.M):
            raise Wrong(f"no mount is as {wanted}\n{mounts}")
    row(name, "file systems are mounted, the root is writable", machine.age())
    if machine.ok("cat /proc/1/comm").strip() != "upright-keeper":
        raise Wrong("PID 1 is not Upright")
    if machine.ok("runlevel").strip() != "N 2":
        raise Wrong("the runlevel is not 2")
    machine.ok("who -b | grep 'system boot' && who -r | grep 'run-level 2'")
    for said in ("test: output to the console, of terminal 0", "test: the console is mine"):
        if said not in machine.said:
            raise Wrong(f"the console does not show `{said}`")
    early = "grep -qx 'said early' /var/log/upstart/test-early.log"
    machine.until("what was said early is in its log", lambda: machine.ssh(early).returncode == 0)
    row(name, "the console has its jobs, early output is kept", machine.age())
    jobs = machine.ok("initctl list")
    for wanted in ("ssh start/running", "console start/running", "udev start/running"):
        if wanted not in jobs:
            raise Wrong(f"no `{wanted}` in\n{jobs}")
    done = machine.ssh("cat /run/test-kills").stdout.splitlines()
    if len(done) != kills:
        raise Wrong(f"the daemon was killed {len(done)} times, not {kills}")
    if kills:
        over = float(machine.ok("cat /run/test-booted"))
        early = sum(float(line.split()[-1]) < over for line in done)
        print(f"{name}: the daemon was killed {kills} times, {early} of them before the boot was over; "
              f"on the console: {len(re.findall('daemon', machine.said))} lines name it", flush=True)
        if not re.search(r"upright: the daemon|upright: daemon", machine.said):
            raise Wrong("the deaths of the daemon are not told on the console")
    if "Kernel panic" in machine.said:
        raise Wrong("the kernel speaks of a panic")
    machine.ok("logger -t test hello 2> /dev/null; echo written > /srv/file; echo written > /var/tmp/file")


def limit(machine, name):
    """The kernel keeps a job within its limits, and its end for want of memory is told as one."""
    machine.ok("start test-limited")
    for file, wanted in (("memory.max", "67108864"), ("cpu.weight", "50"), ("cpu.max", "50000 100000"),
                         ("pids.max", "20")):
        is_now = machine.ok(f"cat /sys/fs/cgroup/upright/test-limited.job/{file}").strip()
        if is_now != wanted:
            raise Wrong(f"{file} is {is_now}, not {wanted}")
    machine.ok("stop test-limited")
    machine.ssh("start test-memory")
    machine.until("an end for want of memory is told",
                  lambda: "out of memory" in machine.ssh("upright why test-memory").stdout)
    row(name, "limits are kept, and their reason is told", machine.age())


def confine(machine, name):
    """The kernel keeps a job to its profile; one whose profile cannot be had does not start."""
    machine.ok("start test-apparmor")
    machine.until("what the profile forbids is refused",
                  lambda: "Permission denied" in machine.ssh("cat /run/test-confined").stdout)
    pid = machine.ok("status test-apparmor").split()[-1]
    is_now = machine.ok(f"cat /proc/{pid}/attr/current").strip()
    if is_now != "upright-test (enforce)":
        raise Wrong(f"main runs under {is_now}, not under its profile")
    machine.ok("stop test-apparmor")
    machine.ok("echo 'apparmor switch nosuch' > /etc/init/test-apparmor.override && "
               "initctl reload-configuration")
    done = machine.ssh("upright start test-apparmor")
    if done.returncode != 1 or "unable to switch security profile nosuch" not in done.stderr:
        raise Wrong(f"a profile that is not there: {done.returncode}\n{done.stdout}{done.stderr}")
    row(name, "a job is kept to its AppArmor profile", machine.age())


def clean(image):
    """The file system was unmounted, and nothing is wrong with it."""
    head = subprocess.run(["dumpe2fs", "-h", image], capture_output=True, text=True).stdout
    if not re.search(r"^Filesystem state: +clean$", head, re.M) or "needs_recovery" in head:
        raise Wrong(f"{image} is not clean\n{head}")
    done = subprocess.run(["e2fsck", "-f", "-n", image], capture_output=True, text=True)
    if done.returncode != 0:
        raise Wrong(f"{image}: e2fsck ended with {done.returncode}\n{done.stdout}")
    written = subprocess.run(["debugfs", "-R", f"cat {'/var/tmp/file' if 'root' in image else '/file'}",
                              image], capture_output=True, text=True).stdout
    if written != "written\n":
        raise Wrong(f"{image}: what was written is not there: {written!r}")


def attempt(directory, name, words, course):
    for disk in ("root", "srv"):
        subprocess.run(["cp", "--sparse=always", f"{directory}/{disk}.img",
                        f"{directory}/{disk}.run.img"], check=True)
    machine = Machine(directory, words)
    try:
        course(machine)
    except (Wrong, OSError, subprocess.SubprocessError) as wrong:
        print(f"---- the console\n{machine.said}\n----\n{name}: FAILED: {wrong}", flush=True)
        return False
    finally:
        machine.end()
        with open(f"{directory}/{name}.console", "w", encoding="utf-8") as file:
            file.write(machine.said)
    return True


def rescue(directory, name):
    def course(machine):
        def shell(number):
            """sulogin asks for Enter where root has no password; then there is a prompt."""
            asked = "for maintenance"
            machine.until("root may come in", lambda: machine.said.count(asked) == number)
            typed = [0]

            def prompt():
                # What is typed before it listens is thrown away.
                found = machine.said.rstrip().endswith("#")
                if not found and machine.age() - typed[0] > 2:
                    typed[0] = machine.age()
                    machine.type("")
                return found

            machine.until("there is a shell", prompt)

        shell(1)
        row(name, "no jobs: a shell has the console", machine.age())
        if "there are no jobs in /nonexistent" not in machine.said:
            raise Wrong("nobody says why")
        machine.type("echo answer $((6 * 7)); cat /proc/1/comm")
        machine.until("it answers", lambda: "answer 42" in machine.said)
        machine.until("PID 1 is Upright", lambda: "upright-keeper" in machine.said)
        machine.type("exit")
        shell(2)
        row(name, "left, it is there again", machine.age())
        machine.type("poweroff -f")
        machine.until("it is off", lambda: "Power down" in machine.said)

    return attempt(directory, name, "-- --confdir=/nonexistent", course)


def boot(directory, name):
    kills, end, last, disks = BOOTS[name]

    def course(machine):
        look(machine, name, kills)
        if name == "plain":
            limit(machine, name)
            confine(machine, name)
        asked = time.monotonic()
        machine.ssh(end)
        while machine.hear(5):
            if time.monotonic() - asked > PATIENCE:
                raise Wrong("the machine did not switch itself off")
        machine.qemu.wait(30)
        row(name, f"{end.split('&& ')[-1]} has ended it", time.monotonic() - asked)
        if last not in machine.said:
            raise Wrong(f"the kernel did not say {last}")
        for disk in disks:
            clean(f"{directory}/{disk}.run.img")
        print(f"{name}: clean: {', '.join(disks)}", flush=True)

    return attempt(directory, name, f"killer={kills}", course)


def main():
    directory = sys.argv[1]
    name = sys.argv[2]
    for program in ("qemu-system-x86_64", "ssh", "e2fsck", "dumpe2fs", "debugfs"):
        if shutil.which(program) is None:
            print(f"passed over: {program} is not installed")
            sys.exit(3)
    fine = rescue(directory, name) if name == "rescue" else boot(directory, name)
    sys.exit(0 if fine else 1)


main()
