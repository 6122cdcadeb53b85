//! What a job costs in memory: counted by an allocator that knows how much it has given, which is
//! why this stands beside the only crate that may be unsafe.

use engine::dialect::upstart::parse;
use engine::machine::{Config, Effect, Engine, Input};
use engine::names::{EventName, JobName};
use engine::text::Text;
use engine::time::Mono;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

/// What a running job may take, with what the allocator adds to each block.
const JOB_MAX: usize = 900; // bytes

static GIVEN: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, counting what is out.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What our allocator takes for a block: steps of eight bytes up to 128, then eight for each doubling.
fn taken(size: usize) -> usize {
    match size {
        0..=128 => size.next_multiple_of(8),
        129.. => size.next_multiple_of(1 << ((size - 1).ilog2() - 3)),
    }
}

// SAFETY: everything is handed to the system's allocator as it comes; counting does not touch it.
unsafe impl GlobalAlloc for Counting {
    // SAFETY: as for the whole.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        GIVEN.fetch_add(taken(layout.size()), Ordering::Relaxed);
        // SAFETY: the caller's promise is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    // SAFETY: as for the whole.
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        GIVEN.fetch_sub(taken(layout.size()), Ordering::Relaxed);
        // SAFETY: as above; the block came from there.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Returns a machine that runs so many jobs as the benchmark has them, and what it takes.
fn machine(jobs: usize) -> (Engine, usize) {
    let before = GIVEN.load(Ordering::Relaxed);
    let mut engine = Engine::new(Config {
        table: vec![Text::from("PATH=/usr/bin:/bin"), Text::from("TERM=linux")],
        ..Config::default()
    });
    let mut effects = Vec::new();
    for number in 0..jobs {
        let name = format!("s{number:04}");
        let text = format!(
            "start on startup\nrespawn\nrespawn limit unlimited\nconsole log\nlog rotate 1048576 3\nexec /usr/bin/{name} {number}\n"
        );
        let spec = Arc::new(parse(JobName::try_from(&*name).unwrap(), text.as_bytes()).spec);
        // Whoever read the file still has it.
        engine.handle(Mono(1), Input::Define(spec.clone()), &mut effects);
        drop(spec);
    }
    let startup = EventName::try_from("startup").unwrap();
    engine.handle(Mono(2), Input::Happened(startup, Vec::new()), &mut effects);
    let spawned = |effect: &Effect| match effect {
        Effect::Spawn(slot) => Some(*slot),
        _ => None,
    };
    let slots: Vec<_> = effects.iter().filter_map(spawned).collect();
    assert_eq!(slots.len(), jobs);
    for (pid, slot) in (100..).zip(slots) {
        engine.handle(Mono(3), Input::Spawned(slot, pid, 0), &mut effects);
    }
    drop(effects);
    engine.take_changes();
    engine.rest();
    let given = GIVEN.load(Ordering::Relaxed) - before;
    (engine, given)
}

#[test]
fn a_running_job_takes_little_memory_and_the_thousandth_no_more_than_the_hundredth() {
    let (few, few_given) = machine(100);
    drop(few);
    let (many, many_given) = machine(1100);
    drop(many);
    let each = (many_given - few_given) / 1000;
    println!("{each} bytes a job; the first hundred {}", few_given / 100);
    assert!(each <= JOB_MAX, "{each} bytes a job, more than {JOB_MAX}");
    assert!(each <= few_given / 100 * 5 / 4, "{each} bytes a job, the first {}", few_given / 100);
}
