//! A configuration with the names and numbers that Supervisor has for it.

use engine::dialect::supervisord::{
    self, Config, Group, GroupKind, Listen, LogFile, Owner, Program, Restart, SocketPlace,
};
use serde_json::{json, Map, Value};

/// Returns what a configuration says with the names that the original has for it.
pub fn as_original(config: &Config) -> Map<String, Value> {
    let daemon = &config.daemon;
    let object = json!({
        "supervisord": {
            "minfds": daemon.minfds,
            "minprocs": daemon.minprocs,
            "directory": daemon.directory,
            "user": daemon.user,
            "umask": daemon.umask,
            "logfile": daemon.logfile,
            "logfile_maxbytes": daemon.logfile_maxbytes,
            "logfile_backups": daemon.logfile_backups,
            "loglevel": daemon.loglevel,
            "pidfile": daemon.pidfile,
            "identifier": daemon.identifier,
            "nodaemon": daemon.nodaemon,
            "silent": daemon.silent,
            "childlogdir": daemon.childlogdir,
            "nocleanup": daemon.nocleanup,
            "strip_ansi": daemon.strip_ansi,
            "environment": pairs(&daemon.environment),
        },
        "servers": config.servers.iter().map(server).collect::<Vec<_>>(),
        "groups": config.groups.iter().map(group).collect::<Vec<_>>(),
        // Included files were taken to be there.
        "warnings": config.warnings.iter().filter(|one| one.starts_with("For [")).collect::<Vec<_>>(),
    });
    match object {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn pairs(rows: &[(String, String)]) -> Value {
    Value::Object(rows.iter().map(|(key, value)| (key.clone(), json!(value))).collect())
}

fn server(server: &supervisord::Server) -> Value {
    let (username, password) = match &server.login {
        Some((username, password)) => (Some(username), Some(password)),
        None => (None, None),
    };
    let mut object = json!({
        "name": server.name,
        "section": server.section,
        "username": username,
        "password": password,
    });
    let more = match &server.listen {
        Listen::Inet { host, port } => json!({ "family": 2, "host": host, "port": port }),
        Listen::Unix { file, chmod, chown } => {
            let chown = chown.map_or(json!([-1, -1]), owner);
            json!({ "family": 1, "file": file, "chmod": chmod, "chown": chown })
        }
    };
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    object
}

fn owner(owner: Owner) -> Value {
    json!([owner.uid, owner.gid.map_or(-1, i64::from)])
}

fn group(group: &Group) -> Value {
    let mut object = Map::new();
    let processes: Vec<Value> = group.programs.iter().map(program).collect();
    object.insert("name".into(), json!(group.name));
    object.insert("priority".into(), json!(group.priority));
    object.insert("processes".into(), json!(processes));
    let kind = match &group.kind {
        GroupKind::Programs => "ProcessGroupConfig",
        GroupKind::Listeners(pool) => {
            object.insert("buffer_size".into(), json!(pool.buffer_size));
            let mut events: Vec<String> = pool.events.iter().map(|name| class(name)).collect();
            events.sort();
            object.insert("pool_events".into(), json!(events));
            object.insert("result_handler".into(), json!("<lambda>"));
            "EventListenerPoolConfig"
        }
        GroupKind::FastCgi(socket) => {
            let backlog = socket.backlog;
            let config = match &socket.listen {
                SocketPlace::Unix { path, mode, owner } => json!({
                    "type": "UnixStreamSocketConfig",
                    "url": format!("unix://{path}"),
                    "path": path,
                    "mode": mode,
                    "owner": owner.map(self::owner),
                    "backlog": backlog,
                }),
                SocketPlace::Tcp { host, port } => json!({
                    "type": "InetStreamSocketConfig",
                    "url": format!("tcp://{host}:{port}"),
                    "host": host,
                    "port": port,
                    "backlog": backlog,
                }),
            };
            object.insert("socket_config".into(), config);
            "FastCGIGroupConfig"
        }
    };
    object.insert("type".into(), json!(kind));
    Value::Object(object)
}

/// Returns the name of an event's Python class.
fn class(event: &str) -> String {
    let state =
        event.strip_prefix("SUPERVISOR_STATE_CHANGE_").map(|rest| format!("SUPERVISOR_{rest}"));
    let words = state.as_deref().unwrap_or(event).split('_').map(|word| {
        let (first, rest) = word.split_at(1);
        format!("{first}{}", rest.to_lowercase())
    });
    let joined: String = words.collect();
    if event == "EVENT" {
        joined
    } else {
        format!("{joined}Event")
    }
}

fn program(program: &Program) -> Value {
    let file = |file: &LogFile| match file {
        LogFile::None | LogFile::Syslog => Value::Null,
        LogFile::Auto => json!("Automatic"),
        LogFile::Path(path) => json!(path),
    };
    let (stdout, stderr) = (&program.stdout, &program.stderr);
    let restart = match program.autorestart {
        Restart::Never => json!(false),
        Restart::Unexpected => json!("RestartWhenExitUnexpected"),
        Restart::Always => json!("RestartUnconditionally"),
    };
    json!({
        "name": program.name,
        "uid": program.user.as_ref().map(|user| user.1),
        "command": program.command,
        "directory": program.directory,
        "umask": program.umask,
        "priority": program.priority,
        "autostart": program.autostart,
        "autorestart": restart,
        "startsecs": program.startsecs,
        "startretries": program.startretries,
        "stdout_logfile": file(&stdout.logfile),
        "stdout_capture_maxbytes": stdout.capture_maxbytes,
        "stdout_events_enabled": stdout.events_enabled,
        "stdout_syslog": stdout.syslog,
        "stdout_logfile_backups": stdout.backups,
        "stdout_logfile_maxbytes": stdout.maxbytes,
        "stderr_logfile": file(&stderr.logfile),
        "stderr_capture_maxbytes": stderr.capture_maxbytes,
        "stderr_events_enabled": stderr.events_enabled,
        "stderr_syslog": stderr.syslog,
        "stderr_logfile_backups": stderr.backups,
        "stderr_logfile_maxbytes": stderr.maxbytes,
        "stopsignal": program.stopsignal.map_or(0, |signal| signal.number()),
        "stopwaitsecs": program.stopwaitsecs,
        "stopasgroup": program.stopasgroup,
        "killasgroup": program.killasgroup,
        "exitcodes": program.exitcodes,
        "redirect_stderr": program.redirect_stderr,
        "environment": pairs(&program.environment),
        "serverurl": program.serverurl,
    })
}
