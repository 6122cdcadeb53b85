//! The programs of a page about Supervisor that its users have had for years, as they stand there: a group
//! of thin servers with a worker and redis, node, gunicorn with Pyramid, percent signs, a trimmed
//! configuration with an `[include]`, and the script that starts it all at boot.

use crate::machine::{Disk, Machine};

const CONFIGURATION: &str = "\
[inet_http_server]
port=127.0.0.1:911

[supervisorctl]
serverurl=http://localhost:991

[supervisord]
logfile=/tmp/supervisord.log
logfile_maxbytes=50MB
logfile_backups=10
loglevel=info
pidfile=/tmp/supervisord.pid
nodaemon=false               ; (start in foreground if true;default false)
minfds=1024
minprocs=200

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[include]
files = /etc/supervisor.d/*
";

const FOURFOLD: &str = "\
[program:fourfold-queue-worker]
user=chbrown
directory=/www/fourfold-app/script
command=ruby redis_queue_worker
autorestart=true

[program:fourfold-rails-8001]
user=chbrown
directory=/www/fourfold-app
command=/www/fourfold-app/bin/thin start -p 8001 -e production

[program:fourfold-rails-8002]
user=chbrown
directory=/www/fourfold-app
command=/www/fourfold-app/bin/thin start -p 8002 -e production

[group:fourfold-rails]
programs=fourfold-queue-worker,fourfold-rails-8001,fourfold-rails-8002


[program:fourfold-node]
user=chbrown
directory=/www/fourfold-app
command=node server.js

[group:fourfold-public]
programs=fourfold-node
";

const CLASSRM: &str = "\
[program:classrm.org]
directory=/www/classrm.org
command=node classrm.js
autorestart=true
user=chbrown
";

const CONFRM: &str = "\
[program:confrm.org]
directory=/www/confrm.org/src
command=/www/confrm.org/src/virtualenv-exec /www/confrm.org gunicorn
    -c gunicorn-prod.py --log-level=DEBUG app-prod
autorestart=true
redirect_stderr=True
user=chbrown
environment=PYTHON_EGG_CACHE=/www/confrm.org/tmp
";

const TWITTER: &str = "\
[program:saidnooneever]
user=chbrown
command=twitter-curl
    --filter \"track=saidnooneever,%%F0%%9F%%91%%8F,butiam\"
    --file /corpora/twitter/saidnooneever_TIMESTAMP.json
    --accounts /home/chbrown/.twitter
    --timeout 86400
    --interval 900
    --ttv2
";

const SCRIPT: &str = "\
#!/bin/sh
# chkconfig: - 64 36
# description: Supervisor Daemon

. /etc/rc.d/init.d/functions

name=supervisord
bin=/usr/bin/supervisord
pid=/tmp/supervisord.pid

start()
{
  echo -n Starting $name:
  daemon $bin -c /etc/supervisord.conf
  [ -f $pid ] && success || failure
  echo
}

stop()
{
  echo -n Stopping $name:
  [ -f $pid ] && killproc $name || success
  echo
}

case \"$1\" in
  start)
    start
  ;;
  stop)
    stop
  ;;
  status)
    status $name
  ;;
  restart)
    stop
    start
  ;;
  *)
    echo Usage: $0 '{start|stop|status|restart}'
    exit 2
esac
";

/// What the script takes from Red Hat's initscripts, in short: processes are found by their names.
const FUNCTIONS: &str = "\
pids() { pidof -c -o $$ -o $PPID -o %PPID -x \"$1\"; }
success() { echo -n ' [  OK  ]'; return 0; }
failure() { echo -n ' [FAILED]'; return 1; }
daemon() { sh -c \"ulimit -S -c 0; $*\" && success || failure; }
killproc() {
  found=$(pids \"$1\") || { failure; return 1; }
  kill -TERM $found
  tries=0
  while kill -0 $found 2> /dev/null && [ $tries -lt 200 ]; do sleep 0.1; tries=$((tries + 1)); done
  kill -0 $found 2> /dev/null && kill -KILL $found
  success
}
status() {
  found=$(pids \"$1\") || { echo \"$1 is stopped\"; return 3; }
  echo \"$1 (pid $found) is running...\"
}
";

/// Answers with its user and process.
const NODE_SERVER: &str = "\
const http = require('http'), [name, port] = require('path').basename(__filename) === 'server.js'
    ? ['fourfold', 8000] : ['classrm', 8100];
http.createServer((_, answer) => answer.end(`${name} ${process.getuid()} ${process.pid}\\n`))
    .listen(port, '127.0.0.1', () => console.log(`${name} listens`));
";

const RACK: &str =
    "run lambda { |_| [200, { 'content-type' => 'text/plain' }, [\"thin #{Process.uid} #{Process.pid}\\n\"]] }\n";

const WORKER: &str = "\
require 'redis'
queue = Redis.new
loop { queue.rpush('done', \"#{queue.blpop('work')[1]} by #{Process.uid}\") }
";

const PYRAMID: &str = "\
import os
from pyramid.config import Configurator
from pyramid.response import Response
def view(request):
    return Response('pyramid %d %s' % (os.getuid(), os.environ['PYTHON_EGG_CACHE']))
with Configurator() as config:
    config.add_route('all', '/')
    config.add_view(view, route_name='all')
    application = config.make_wsgi_app()
";

/// The tool itself wants an account: what it is called with is looked at.
const TWITTER_CURL: &str = "#!/bin/sh\nprintf '%s\\n' \"$@\"\nid -un\nexec sleep 100000\n";

const PREPARE: &str = "\
useradd --create-home chbrown
chmod 755 /etc/init.d/supervisord /usr/local/bin/twitter-curl /www/confrm.org/src/virtualenv-exec
ln -sf /usr/local/sbin/init /usr/bin/supervisord
chmod 755 /usr/local/bin/supervisorctl /usr/local/sbin/upright-http
mkdir -p /www/fourfold-app/bin /www/confrm.org/tmp
ln -s /usr/bin/thin /www/fourfold-app/bin/thin
chown -R chbrown: /www
";

fn boot() -> Machine {
    let disk = Disk::new()
        .built("supervisorctl", "/usr/local/bin/supervisorctl")
        .built("upright-http", "/usr/local/sbin/upright-http")
        .file("/etc/supervisord.conf", CONFIGURATION)
        .file("/etc/supervisor.d/fourfold", FOURFOLD)
        .file("/etc/init.d/supervisord", SCRIPT)
        .file("/etc/rc.d/init.d/functions", FUNCTIONS)
        .file("/www/fourfold-app/config.ru", RACK)
        .file("/www/fourfold-app/server.js", NODE_SERVER)
        .file("/www/fourfold-app/script/redis_queue_worker", WORKER)
        .file("/www/classrm.org/classrm.js", NODE_SERVER)
        .file("/www/confrm.org/src/virtualenv-exec", "#!/bin/sh\nshift\nexec \"$@\"\n")
        .file("/www/confrm.org/src/gunicorn-prod.py", "bind = '127.0.0.1:8200'\nworkers = 2\n")
        .file("/www/confrm.org/src/app-prod.py", PYRAMID)
        .file("/usr/local/bin/twitter-curl", TWITTER_CURL)
        .file("/later/classrm.org", CLASSRM)
        .file("/later/confrm.org", CONFRM)
        .file("/later/saidnooneever", TWITTER)
        .job("redis", "exec redis-server --port 6379 --save ''\n")
        .prepare(PREPARE);
    let machine = Machine::boot(&disk);
    machine.ok("start redis");
    machine.until("redis answers", || machine.run("redis-cli ping").status.success().then_some(()));
    machine
}

const CTL: &str = "supervisorctl -s http://127.0.0.1:911";

/// Waits for a page that begins so; returns its words.
fn page(machine: &Machine, port: u16, begins: &str) -> Vec<String> {
    machine.until(&format!("port {port} answers {begins}"), || {
        let output = machine.run(&format!("curl -s http://127.0.0.1:{port}/"));
        let page = String::from_utf8_lossy(&output.stdout).into_owned();
        page.starts_with(begins).then(|| page.split_whitespace().map(String::from).collect())
    })
}

/// Waits until all of these run.
fn run(machine: &Machine, names: &[&str]) {
    machine.until("all run", || {
        let output = machine.run(&format!("{CTL} status"));
        let status = String::from_utf8_lossy(&output.stdout).into_owned();
        let runs = |name: &&str| {
            status.lines().any(|line| line.starts_with(*name) && line.contains(" RUNNING "))
        };
        (names.iter().all(runs) && status.lines().count() == names.len()).then_some(())
    });
}

const FIRST: [&str; 4] = [
    "fourfold-public:fourfold-node",
    "fourfold-rails:fourfold-queue-worker",
    "fourfold-rails:fourfold-rails-8001",
    "fourfold-rails:fourfold-rails-8002",
];

/// Whatever stands on the page runs as it stands there, the percent signs of the crawler included.
pub fn verbatim(page: &str) {
    let page = std::fs::read_to_string(page).unwrap();
    for text in [CONFIGURATION, FOURFOLD, CLASSRM, CONFRM, TWITTER, SCRIPT] {
        assert!(page.contains(text), "not on the page: {text}");
    }
}

pub fn serves() {
    let machine = boot();
    let told = machine.ok("/etc/init.d/supervisord start");
    assert_eq!(told, "Starting supervisord: [  OK  ] [  OK  ]\n");
    run(&machine, &FIRST);
    let user = machine.ok("id -u chbrown").trim().to_owned();
    for (port, name) in [(8000, "fourfold"), (8001, "thin"), (8002, "thin")] {
        assert_eq!(page(&machine, port, name)[1], user, "{name} at {port}");
    }
    machine.ok("redis-cli rpush work something");
    let done = machine.until("the worker has worked", || {
        Some(machine.ok("redis-cli lpop done")).filter(|done| done.trim() != "")
    });
    assert_eq!(done, format!("something by {user}\n"));

    // What the page says to do with further programs.
    machine.ok("cp /later/* /etc/supervisor.d/");
    let updated = machine.ok(&format!("{CTL} update | sort"));
    let added = ["classrm.org", "confrm.org", "saidnooneever"];
    assert_eq!(updated, added.map(|name| format!("{name}: added process group\n")).concat());
    let all = [&added[..], &FIRST[..]].concat();
    run(&machine, &all);
    assert_eq!(page(&machine, 8200, "pyramid")[1..], [user.clone(), "/www/confrm.org/tmp".into()]);
    let tail = machine.until("the tool tells its arguments", || {
        let output = machine.run(&format!("{CTL} tail saidnooneever"));
        let tail = String::from_utf8_lossy(&output.stdout).into_owned();
        tail.contains("chbrown").then_some(tail)
    });
    let wanted = [
        "--filter",
        "track=saidnooneever,%F0%9F%91%8F,butiam",
        "--file",
        "/corpora/twitter/saidnooneever_TIMESTAMP.json",
        "--accounts",
        "/home/chbrown/.twitter",
        "--timeout",
        "86400",
        "--interval",
        "900",
        "--ttv2",
        "chbrown",
    ];
    assert_eq!(tail.lines().take(wanted.len()).collect::<Vec<_>>(), wanted, "{tail}");

    let old = page(&machine, 8100, "classrm")[2].clone();
    machine.ok(&format!("kill -KILL {old}"));
    machine
        .until("another one answers", || (page(&machine, 8100, "classrm")[2] != old).then_some(()));
    let restarted = machine.ok(&format!("{CTL} restart fourfold-rails:* | sort"));
    assert_eq!(
        restarted.lines().filter(|line| line.ends_with(": started")).count(),
        3,
        "{restarted}"
    );

    // The page's own slip: 991 is not 911.
    let lost = machine.run("supervisorctl status");
    let said = String::from_utf8_lossy(&lost.stdout).into_owned();
    assert_eq!(
        (lost.status.code(), said.as_str()),
        (Some(4), "http://localhost:991 refused connection\n")
    );
}

pub fn boots() {
    let machine = boot();
    assert_eq!(
        machine.ok("/etc/init.d/supervisord status; test $? = 3"),
        "supervisord is stopped\n"
    );
    machine.ok("/etc/init.d/supervisord start");
    run(&machine, &FIRST);
    let pid = machine.pid_file("/tmp/supervisord.pid");
    let status = machine.ok("/etc/init.d/supervisord status");
    assert_eq!(status, format!("supervisord (pid {pid}) is running...\n"));
    let node = page(&machine, 8000, "fourfold")[2].clone();

    let told = machine.ok("/etc/init.d/supervisord restart");
    assert_eq!(told, "Stopping supervisord: [  OK  ]\nStarting supervisord: [  OK  ] [  OK  ]\n");
    run(&machine, &FIRST);
    assert_ne!(machine.pid_file("/tmp/supervisord.pid"), pid);
    assert_ne!(page(&machine, 8000, "fourfold")[2], node);

    assert_eq!(machine.ok("/etc/init.d/supervisord stop"), "Stopping supervisord: [  OK  ]\n");
    assert!(!machine.path("/tmp/supervisord.pid").exists());
    assert_eq!(machine.ok("pgrep -u chbrown || true"), "", "nothing is left");
    let log = machine.read("/tmp/supervisord.log");
    for words in [
        "CRIT Supervisor is running as root.",
        "INFO Included extra file \"/etc/supervisor.d/fourfold\" during parsing",
        "INFO daemonizing the supervisord process",
        "WARN received SIGTERM indicating exit request",
        "WARN stopped: fourfold-node (terminated by SIGTERM)",
    ] {
        assert!(log.contains(words), "no `{words}` in {log}");
    }
}
