//! Pages, completions and syntax files that are made from the tables: what stands in the repository is
//! what they say. `UPDATE_EXPECT=1 cargo test -p upright --test pages` writes them.

mod completions;
mod man;
mod syntax;

use std::fs;
use std::path::{Path, PathBuf};

/// Makes the text of a file.
type Make = fn() -> String;

/// Every file that is made, below the repository, and how.
const PAGES: &[(&str, Make)] = &[
    ("dist/man/upright.1", man::upright),
    ("dist/man/upright-job.5", man::job),
    ("dist/man/upright-supervisord.conf.5", man::supervisord_conf),
    ("dist/man/upright-events.7", man::events),
    ("dist/man/originals/init.8", man::init),
    ("dist/man/originals/initctl.8", man::initctl),
    ("dist/man/originals/init-checkconf.8", || man::tool("init-checkconf")),
    ("dist/man/originals/initctl2dot.8", || man::tool("initctl2dot")),
    ("dist/man/originals/supervisord.1", man::supervisord),
    ("dist/man/originals/telinit.8", || man::tool("telinit")),
    ("dist/man/originals/runlevel.8", || man::tool("runlevel")),
    ("dist/man/originals/shutdown.8", || man::tool("shutdown")),
    ("dist/man/originals/reboot.8", || man::tool("reboot")),
    ("dist/man/originals/halt.8", || man::tool("halt")),
    ("dist/man/originals/poweroff.8", || man::tool("poweroff")),
    ("dist/completions/upright.bash", completions::bash),
    ("dist/completions/_upright", completions::zsh),
    ("dist/completions/upright.fish", completions::fish),
    ("dist/vim/syntax/upright-job.vim", syntax::vim),
    ("dist/nano/upright-job.nanorc", syntax::nano),
    ("dist/vscode/package.json", syntax::vscode_package),
    ("dist/vscode/upright-job.tmLanguage.json", syntax::vscode),
];

/// What each of them says of where it comes from.
const MADE: &str = "Made from the tables by crates/upright/tests/pages.";

#[test]
fn what_is_made_from_the_tables_is_up_to_date() {
    for (file, make) in PAGES {
        let (path, made) = (at(file), make());
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &made).unwrap();
        }
        let there = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            there == made,
            "{file} is not what the tables say: run again with UPDATE_EXPECT=1 and look at it"
        );
    }
}

fn at(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file)
}
