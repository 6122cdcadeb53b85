"""Reads configurations with the real Supervisor: a JSON object a line in, one out.

In: {"directory", "environment": {}, "file": path}. Out: what was read, or the refusal.
"""
import json
import os
import platform
import sys

from supervisor import loggers
from supervisor.datatypes import (
    Automatic, RestartUnconditionally, RestartWhenExitUnexpected, name_to_uid)
from supervisor.options import ServerOptions

NAMES = {
    Automatic: "Automatic",
    RestartUnconditionally: "RestartUnconditionally",
    RestartWhenExitUnexpected: "RestartWhenExitUnexpected",
}
DAEMON = (
    "minfds minprocs directory user umask logfile logfile_maxbytes logfile_backups loglevel pidfile "
    "identifier nodaemon silent childlogdir nocleanup strip_ansi environment"
).split()


def process(config):
    names = config.req_param_names + config.optional_param_names
    values = {name: getattr(config, name) for name in names}
    return {name: NAMES.get(value, value) if isinstance(value, type) else value
            for name, value in values.items()}


def group(config):
    out = {"type": type(config).__name__, "name": config.name, "priority": config.priority,
           "processes": [process(one) for one in config.process_configs]}
    if hasattr(config, "pool_events"):
        out["buffer_size"] = config.buffer_size
        out["pool_events"] = sorted(event.__name__ for event in config.pool_events)
        out["result_handler"] = "<lambda>"
    if hasattr(config, "socket_config"):
        socket = config.socket_config
        names = ("url", "path", "mode", "owner", "backlog", "host", "port")
        values = {name: getattr(socket, name) for name in names if hasattr(socket, name)}
        out["socket_config"] = dict(values, type=type(socket).__name__)
    return out


def read(case):
    os.environ.clear()
    os.environ.update(case["environment"])
    os.chdir(case["directory"])
    options = ServerOptions()
    options.configfile = case["file"]
    options.here = os.path.abspath(os.path.dirname(case["file"]))
    try:
        section = options.read_config(case["file"])
        # What the daemon looks at when all has been read.
        if section.user is not None:
            name_to_uid(section.user)
    except ValueError as refusal:
        return {"refusal": str(refusal)}
    return {
        "supervisord": {name: getattr(section, name) for name in DAEMON},
        "servers": section.server_configs,
        "groups": [group(one) for one in section.process_group_configs],
        "warnings": options.parse_warnings,
        "notices": options.parse_infos,
    }


platform.node = lambda: "box"
for line in sys.stdin:
    print(json.dumps(read(json.loads(line))), flush=True)
