use crate::keeper::{file, route, slot, Keeper};
use engine::logroute::{Count, FromLogger, LogFile, ToLogger};
use engine::process::Stream;
use engine::text::Text;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;

#[test]
fn a_renamed_log_is_followed_by_a_new_one() {
    let mut keeper = Keeper::new();
    let path = keeper.dir.path("log");
    let mut pipe = keeper.pipe(slot(1), &route(file(&path)));
    pipe.write_all(b"one\n").unwrap();
    keeper.drain(slot(1));
    fs::rename(&path, keeper.dir.path("old")).unwrap();
    pipe.write_all(b"two\n").unwrap();
    keeper.drain(slot(1));
    assert_eq!((keeper.dir.read("old"), keeper.dir.read("log")), ("one\n".into(), "two\n".into()));
}

#[test]
fn a_deleted_log_is_made_anew() {
    let mut keeper = Keeper::new();
    let path = keeper.dir.path("log");
    let mut pipe = keeper.pipe(slot(1), &route(file(&path)));
    pipe.write_all(b"one\n").unwrap();
    keeper.drain(slot(1));
    fs::remove_file(&path).unwrap();
    pipe.write_all(b"two\n").unwrap();
    keeper.drain(slot(1));
    assert_eq!(keeper.dir.read("log"), "two\n");
}

#[test]
fn a_log_that_somebody_truncates_goes_on_at_its_new_end() {
    let mut keeper = Keeper::new();
    let path = keeper.dir.path("log");
    let mut pipe = keeper.pipe(slot(1), &route(file(&path)));
    pipe.write_all(b"one\n").unwrap();
    keeper.drain(slot(1));
    fs::copy(&path, keeper.dir.path("copy")).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    pipe.write_all(b"two\n").unwrap();
    assert_eq!(keeper.drain(slot(1)), "two\n");
    assert_eq!(keeper.dir.read("log"), "two\n");
}

#[test]
fn a_new_log_has_the_mode_and_owner_that_were_asked_for_in_a_directory_that_was_missing() {
    let mut keeper = Keeper::with("umask 077;", None);
    let path = keeper.dir.path("a/b/log");
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let owner = if root { Some(4711) } else { None };
    let log = LogFile { mode: 0o664, uid: owner, gid: owner, ..file(&path) };
    let mut pipe = keeper.pipe(slot(1), &route(log));
    pipe.write_all(b"one\n").unwrap();
    keeper.drain(slot(1));
    let made = fs::metadata(&path).unwrap();
    assert_eq!(made.permissions().mode() & 0o7777, 0o664);
    assert_eq!(made.uid(), owner.unwrap_or(made.uid()));
    let above = fs::metadata(keeper.dir.path("a/b")).unwrap();
    assert_eq!(above.permissions().mode() & 0o7777, 0o755);
}

#[test]
fn only_as_many_old_files_are_kept_as_asked_for_and_a_gap_is_filled() {
    let mut keeper = Keeper::new();
    let path = keeper.dir.path("log");
    let log = LogFile { rotate_size: 10, rotate_count: 3, ..file(&path) };
    let mut pipe = keeper.pipe(slot(1), &route(log));
    for line in ["1........\n", "2........\n", "3........\n", "4........\n", "5........\n"] {
        pipe.write_all(line.as_bytes()).unwrap();
        keeper.drain(slot(1));
    }
    let all = keeper.dir.all("log");
    assert_eq!(all, ["2........\n", "3........\n", "4........\n", "5........\n"]);
    fs::remove_file(keeper.dir.path("log.2")).unwrap();
    pipe.write_all(b"6........\n").unwrap();
    keeper.drain(slot(1));
    let all = keeper.dir.all("log");
    assert_eq!(all, ["2........\n", "4........\n", "5........\n", "6........\n"]);
}

#[test]
fn without_old_files_a_full_log_is_begun_anew() {
    let mut keeper = Keeper::new();
    let path = keeper.dir.path("log");
    let log = LogFile { rotate_size: 10, rotate_count: 0, ..file(&path) };
    let mut pipe = keeper.pipe(slot(1), &route(log));
    for line in ["1........\n", "2........\n"] {
        pipe.write_all(line.as_bytes()).unwrap();
        keeper.drain(slot(1));
    }
    assert_eq!(keeper.dir.all("log"), ["2........\n"]);
}

#[test]
fn several_processes_write_to_one_file_and_each_has_its_own_last_lines() {
    let mut keeper = Keeper::new();
    let path = keeper.dir.path("log");
    let mut before = keeper.pipe(slot(1), &route(file(&path)));
    let mut main = keeper.pipe(slot(2), &route(file(&path)));
    for number in 0..3 {
        writeln!(before, "before {number}").unwrap();
        keeper.drain(slot(1));
        writeln!(main, "main {number}").unwrap();
        keeper.drain(slot(2));
    }
    assert_eq!(keeper.drain(slot(1)), "before 0\nbefore 1\nbefore 2\n");
    assert_eq!(keeper.drain(slot(2)), "main 0\nmain 1\nmain 2\n");
    drop(before);
    assert_eq!(keeper.ended(), slot(1));
    assert_eq!(keeper.drain(slot(1)), "before 0\nbefore 1\nbefore 2\n", "also after its end");
    let expected = "before 0\nmain 0\nbefore 1\nmain 1\nbefore 2\nmain 2\n";
    assert_eq!(keeper.dir.read("log"), expected);
}

#[test]
fn the_last_bytes_are_found_in_the_file_that_was_rotated() {
    let mut keeper = Keeper::new();
    let path = keeper.dir.path("log");
    let log = LogFile { rotate_size: 20, ..file(&path) };
    let mut pipe = keeper.pipe(slot(1), &route(log));
    for line in ["1........\n", "2........\n", "3........\n"] {
        pipe.write_all(line.as_bytes()).unwrap();
        keeper.drain(slot(1));
    }
    assert_eq!(keeper.dir.read("log"), "3........\n");
    assert_eq!(keeper.drain(slot(1)), "1........\n2........\n3........\n");
}

#[test]
fn more_logs_than_descriptors_are_written_by_turns() {
    let mut keeper = Keeper::with("ulimit -n 64;", None);
    let mut pipes = Vec::new();
    for number in 0..40 {
        let path = keeper.dir.path(&format!("log{number}"));
        pipes.push(keeper.pipe(slot(number), &route(file(&path))));
    }
    for round in 0..3 {
        for (pipe, number) in pipes.iter_mut().zip(0..) {
            writeln!(pipe, "{round} {number}").unwrap();
            keeper.drain(slot(number));
        }
    }
    for number in 0..40 {
        let expected = format!("0 {number}\n1 {number}\n2 {number}\n");
        assert_eq!(keeper.dir.read(&format!("log{number}")), expected);
    }
}

#[test]
fn a_pipe_for_which_no_descriptor_is_free_is_asked_for_again_until_one_is() {
    let mut keeper = Keeper::with("ulimit -n 24;", None);
    let mut pipes = Vec::new();
    for number in 0..40 {
        let path = keeper.dir.path(&format!("log{number}"));
        let mut pipe = keeper.pipe(slot(number), &route(file(&path)));
        writeln!(pipe, "{number}").unwrap();
        pipes.push(pipe);
    }
    let refused = "its output cannot be taken yet: too many open files";
    keeper.asked_again();
    drop(pipes);
    for _ in 0..40 {
        keeper.ended();
    }
    for number in 0..40 {
        assert_eq!(keeper.dir.read(&format!("log{number}")), format!("{number}\n"));
    }
    let said = keeper.dir.read("stderr");
    assert!(said.matches(refused).count() < 40, "each is named once: {said}");
}

#[test]
fn files_are_opened_anew_when_asked() {
    let mut keeper = Keeper::new();
    let path = keeper.dir.path("log");
    let mut pipe = keeper.pipe(slot(1), &route(file(&path)));
    pipe.write_all(b"one\n").unwrap();
    keeper.drain(slot(1));
    keeper.ask(&ToLogger::Reopen);
    pipe.write_all(b"two\n").unwrap();
    keeper.drain(slot(1));
    assert_eq!(keeper.dir.read("log"), "one\ntwo\n");
}

#[test]
fn what_is_no_pipe_is_copied() {
    let mut keeper = Keeper::new();
    let path = keeper.dir.path("log");
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let log = LogFile { rotate_size: 10_000, rotate_count: 1000, ..file(&path) };
    keeper.give(slot(1), &route(log), ours.into());
    for number in 0..10_000 {
        writeln!(theirs, "{number}").unwrap();
    }
    assert!(keeper.drain(slot(1)).ends_with("9998\n9999\n"));
    drop(theirs);
    assert_eq!(keeper.ended(), slot(1));
    let expected: String = (0..10_000).map(|number| format!("{number}\n")).collect();
    assert_eq!(keeper.dir.all("log").concat(), expected);
}

#[test]
fn a_log_that_cannot_be_rotated_grows() {
    let mut keeper = Keeper::new();
    let path = keeper.dir.path("log");
    fs::create_dir(keeper.dir.path("log.1")).unwrap();
    let log = LogFile { rotate_size: 10, rotate_count: 1, ..file(&path) };
    let mut pipe = keeper.pipe(slot(1), &route(log));
    for line in ["1........\n", "2........\n", "3........\n"] {
        pipe.write_all(line.as_bytes()).unwrap();
        keeper.drain(slot(1));
    }
    assert_eq!(keeper.dir.read("log"), "1........\n2........\n3........\n");
    let said = keeper.dir.read("stderr");
    assert_eq!(said.matches("cannot be rotated: Is a directory").count(), 1, "{said}");
}

#[test]
fn a_process_may_get_another_log() {
    let mut keeper = Keeper::new();
    let mut pipe = keeper.pipe(slot(1), &route(file(&keeper.dir.path("log"))));
    pipe.write_all(b"one\n").unwrap();
    keeper.drain(slot(1));
    let reader = fs::File::open("/dev/null").unwrap();
    keeper.give(slot(1), &route(file(&keeper.dir.path("other"))), reader.into());
    pipe.write_all(b"two\n").unwrap();
    assert_eq!(keeper.drain(slot(1)), "two\n");
    assert_eq!(
        (keeper.dir.read("log"), keeper.dir.read("other")),
        ("one\n".into(), "two\n".into())
    );
}

#[test]
fn a_log_is_opened_and_emptied_for_others_with_what_was_written_before() {
    let mut keeper = Keeper::new();
    let path = keeper.dir.path("log");
    let mut pipe = keeper.pipe(slot(1), &route(file(&path)));
    let text = |path: &Path| Text::from(path.as_os_str().as_bytes());
    let read = |keeper: &Keeper, number: u64, path: &Path| {
        keeper.ask(&ToLogger::Open { number, path: text(path) });
        match keeper.told_with() {
            (FromLogger::Opened { number: of, errno: 0 }, Some(file)) if of == number => {
                let mut read = String::new();
                fs::File::from(file).read_to_string(&mut read).unwrap();
                Ok(read)
            }
            (FromLogger::Opened { errno, .. }, None) => Err(errno),
            (other, _) => panic!("{other:?}"),
        }
    };
    pipe.write_all(b"one\n").unwrap();
    assert_eq!(read(&keeper, 1, &path), Ok("one\n".into()));
    pipe.write_all(b"two\n").unwrap();
    keeper.ask(&ToLogger::Clear { number: 2, path: text(&path) });
    assert_eq!(keeper.told(), FromLogger::Cleared { number: 2, errno: 0 });
    assert_eq!(read(&keeper, 3, &path), Ok("".into()));
    pipe.write_all(b"three\n").unwrap();
    assert_eq!(read(&keeper, 4, &path), Ok("three\n".into()));
    // Whoever puts a link there shows and loses nothing but that.
    let (link, other) = (keeper.dir.path("link"), keeper.dir.path("other"));
    fs::write(&other, "secret").unwrap();
    std::os::unix::fs::symlink(&other, &link).unwrap();
    const LOOP: i32 = 40;
    assert_eq!(read(&keeper, 5, &link), Err(LOOP));
    keeper.ask(&ToLogger::Clear { number: 6, path: text(&link) });
    assert_eq!(keeper.told(), FromLogger::Cleared { number: 6, errno: LOOP });
    assert_eq!(keeper.dir.read("other"), "secret");
    assert_eq!(read(&keeper, 7, &keeper.dir.path("no")), Err(2));
    keeper.ask(&ToLogger::Clear { number: 8, path: text(&keeper.dir.path("no")) });
    assert_eq!(keeper.told(), FromLogger::Cleared { number: 8, errno: 0 });
    const SPIPE: i32 = 29;
    assert_eq!(read(&keeper, 9, Path::new("/dev/null")), Err(SPIPE));
}

#[test]
fn what_came_is_counted_over_all_processes_of_a_job() {
    let mut keeper = Keeper::new();
    let path = keeper.dir.path("log");
    let counted = |keeper: &Keeper, number: u64| {
        keeper.ask(&ToLogger::Count { number });
        let mut all: Vec<Count> = Vec::new();
        loop {
            match keeper.told() {
                FromLogger::Counted { number: of, rows } if of == number && rows.is_empty() => {
                    break
                }
                FromLogger::Counted { rows, .. } => all.extend(rows),
                other => panic!("{other:?}"),
            }
        }
        all
    };
    assert_eq!(counted(&keeper, 1), []);
    let mut pipe = keeper.pipe(slot(1), &route(file(&path)));
    pipe.write_all(b"one\n").unwrap();
    keeper.drain(slot(1));
    let label = route(file(&path)).label;
    let count = Count { label, stream: Stream::Stdout, taken: 4, dropped: 0, size: Some(4) };
    assert_eq!(counted(&keeper, 2), std::slice::from_ref(&count));
    drop(pipe);
    keeper.ended();
    assert_eq!(counted(&keeper, 3), [Count { size: None, ..count.clone() }]);
    let mut pipe = keeper.pipe(slot(2), &route(file(&path)));
    pipe.write_all(b"three\n").unwrap();
    keeper.drain(slot(2));
    assert_eq!(counted(&keeper, 4), [Count { taken: 10, size: Some(10), ..count }]);
}
