"""Upright as a peer of supbench: one Upstart job file per service, `upright-core --user` in the foreground.

UPRIGHT_BIN names the directory of the two static binaries (default: those of scripts/release.sh).
"""
import contextlib, os, signal, subprocess
from supbench import Adapter, ROTATE_BYTES, ROTATE_KEEP

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BIN = os.environ.get("UPRIGHT_BIN", TREE + "/out")
CORE, CLI = BIN + "/upright-core", BIN + "/upright"


class Upright(Adapter):
    name, needs, max_n = "upright", (CORE, CLI), 10000
    config = ("upright-core --user (keeper, daemon, logger); one Upstart job per service: start on startup, respawn, "
              "respawn limit unlimited; logging: console log, log rotate; without: console none; SIGTERM to stop; status by `upright status`")
    def version(self):
        said = subprocess.run([CLI, "--version"], capture_output=True, text=True).stdout.split()
        return said[-1].strip("()") if said else "?"
    def setup(self, ctx):
        ctx.mkdir("logs")
        kept = f"console log\nlog rotate {ROTATE_BYTES} {ROTATE_KEEP}\n" if ctx.log else "console none\n"
        for i in range(ctx.n):
            ctx.write(f"conf/{ctx.sid(i)}.conf", f"start on startup\nrespawn\nrespawn limit unlimited\n{kept}exec {ctx.cmdline(i)}\n")
    def start(self, ctx):
        ctx.launch([CORE, "--user", "--confdir", ctx.dir + "/conf", "--logdir", ctx.dir + "/logs", "--socket", ctx.dir + "/sock"])
    def stop(self, ctx):
        with contextlib.suppress(OSError): os.kill(ctx.root.pid, signal.SIGTERM)
    def status_cmd(self, ctx, i): return [CLI, "status", "--socket", ctx.dir + "/sock", ctx.sid(i)]
    def status_all_cmd(self, ctx): return [CLI, "status", "--socket", ctx.dir + "/sock"]
    def logfile(self, ctx, i): return f"{ctx.dir}/logs/{ctx.sid(i)}.log"
    def binaries(self): return [CORE, CLI]
