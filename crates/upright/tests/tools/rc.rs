//! `jobs/rc.conf`: the scripts of System V's runlevels.

use crate::machine::{Disk, Machine};

/// Makes a script for a level that writes down that it was run.
const SCRIPTS: &str = "rm -rf /etc/rc?.d
for script in rc2.d/S02two rc2.d/S01one rc2.d/S03after rc2.d/S04broken rc2.d/S05plain.sh \\
    rc3.d/S01one rc3.d/K01two rc0.d/K02one rc0.d/K01two rc0.d/S90last; do
    mkdir -p /etc/${script%/*}
    printf '#!/bin/sh\\necho \"%s $1 $RUNLEVEL $PREVLEVEL\" >> /tmp/rc\\n' $script > /etc/$script
    chmod 755 /etc/$script
done
echo 'exit 3' >> /etc/rc2.d/S04broken
: > /etc/rc2.d/S06notes
: > /run/utmp";

pub fn runs() {
    let after = "start on stopped rc\nexec sh -c 'echo \"$RUNLEVEL done $INIT_HALT\" >> /tmp/rc'\n";
    let disk = Disk::new()
        .job("rc", include_str!("../../../../jobs/rc.conf"))
        .job("after", &format!("task\n{after}"))
        .prepare(SCRIPTS);
    let machine = Machine::boot(&disk);
    let went = |command: &str, last: &str, lines: &[&str]| {
        machine.ok(command);
        machine.line("/tmp/rc", last);
        machine.until("all is at rest", || {
            let jobs = machine.ok("initctl list");
            (!jobs.contains("start/") && !jobs.contains("stop/p")).then_some(())
        });
        assert_eq!(machine.ok("cat /tmp/rc; rm /tmp/rc").lines().collect::<Vec<_>>(), lines);
    };
    let two = [
        "rc2.d/S01one start 2 N",
        "rc2.d/S02two start 2 N",
        // `after` has a job of its name; what fails keeps nobody else away.
        "rc2.d/S04broken start 2 N",
        "rc2.d/S05plain.sh start 2 N",
        "2 done ",
    ];
    went("telinit 2", "2 done", &two);
    // What runs already is not started once more.
    went("telinit 3", "3 done", &["rc3.d/K01two stop 3 2", "3 done "]);
    let zero = [
        "rc0.d/K01two stop 0 3",
        "rc0.d/K02one stop 0 3",
        "rc0.d/S90last stop 0 3",
        "0 done POWEROFF",
    ];
    went("shutdown -P now", "0 done", &zero);
}
