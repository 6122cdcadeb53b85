//! What the disk says about a program or a directory that could not be used: looked up when somebody asks
//! why, as far as the caller may look.

use engine::view::WhyView;
use shown::words::printable;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// How much of a program is read for its first line. Source: linux/binfmts.h, BINPRM_BUF_SIZE.
const FIRST_LINE_MAX: u64 = 256;

/// Returns what is found, in a sentence without its end; nothing where that explains nothing.
pub(super) fn tell(view: &WhyView) -> Option<String> {
    // Within a chroot or behind another root nothing here is what the job found.
    if view.verdict.contains("(within its chroot") {
        return None;
    }
    let named = |before: &str| {
        let (_, rest) = view.verdict.split_once(before)?;
        let (path, why) = rest.rsplit_once(": ")?;
        Some((Path::new(path), why))
    };
    let found = match named("unable to execute ") {
        Some((path, why)) => program(path, why),
        None => named("unable to change working directory ").and_then(|(path, _)| absent(path)),
    };
    found.map(|words| printable(&words))
}

fn program(path: &Path, why: &str) -> Option<String> {
    let shown = path.display();
    if !path.is_absolute() {
        let pathless = path.components().count() == 1 && why.contains("No such file");
        return pathless.then(|| format!("{shown} is looked for in the job's PATH, without a /"));
    }
    if why.contains("No such file") {
        return if path.exists() { interpreter(path) } else { absent(path) };
    }
    let mode = fs::metadata(path).ok().filter(fs::Metadata::is_file)?.permissions().mode();
    let refused = why.contains("Permission denied") && mode & 0o111 == 0;
    refused.then(|| {
        let mode = mode & 0o7777;
        format!("{shown} may be executed by nobody (mode {mode:o}); `chmod +x {shown}` mends that")
    })
}

/// Says what is missing of a script whose file is there.
fn interpreter(path: &Path) -> Option<String> {
    let mut head = Vec::new();
    fs::File::open(path).ok()?.take(FIRST_LINE_MAX).read_to_end(&mut head).ok()?;
    let shown = path.display();
    if head.starts_with(b"\x7fELF") {
        return Some(format!("{shown} is there; the loader that it is linked to is not"));
    }
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let words = line.trim_matches([' ', '\t']);
    let name = words.split([' ', '\t']).next()?;
    if Path::new(name).exists() {
        return None;
    }
    let name = name.escape_default();
    let written =
        if words.ends_with('\r') { ", whose lines end as on Windows (CR LF)" } else { "" };
    Some(format!("{shown} is there; its first line asks for `{name}`, which is not{written}"))
}

/// Says how much of a path is there.
fn absent(path: &Path) -> Option<String> {
    let there = path.ancestors().skip(1).find(|above| above.is_dir())?;
    let next = path.strip_prefix(there).ok()?.components().next()?;
    let missing = there.join(next);
    (missing != path).then(|| format!("there is not even {}", missing.display()))
}
