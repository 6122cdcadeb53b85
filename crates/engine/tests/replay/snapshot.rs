//! A machine that is driven by choices, and one made again from its records at any point.

use crate::bytes::Bytes;
use crate::machine::{self, Driver};
use engine::machine::{Changes, Engine};
use engine::pack::{pack, unpack};

/// How many turns one run has at most.
const TURNS: usize = 120;

/// After so many effects a run ends: jobs that start each other for ever are not waited for.
const EFFECTS: usize = 4000;

/// Drives a machine. After each turn its books agree; before chosen turns it is made again from its
/// snapshot, and does the same; at the end it is what its journal makes.
pub fn run(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let mut engine = Engine::new(machine::config());
    let mut driver = Driver::default();
    let mut journal = vec![written(&engine.snapshot())];
    let mut total = 0;
    for _ in 0..TURNS {
        if bytes.is_empty() || total > EFFECTS {
            break;
        }
        let again = bytes.below(4) == 0;
        let before = again.then(|| engine.clone());
        let input = driver.next(&mut bytes, &engine);
        let mut effects = Vec::new();
        engine.handle(driver.now, input.clone(), &mut effects);
        if let Some(before) = before {
            let mut other = restored(&[written(&before.snapshot())]);
            assert_eq!(other.next_deadline(), before.next_deadline(), "before {input:?}");
            let mut same = Vec::new();
            other.handle(driver.now, input.clone(), &mut same);
            assert_eq!(effects, same, "restored, it does something else with {input:?}");
            assert!(other.snapshot() == engine.snapshot(), "restored, it becomes something else");
            machine::look(&engine);
        }
        let wrong = engine.audit();
        assert!(wrong.is_empty(), "after {input:?}: {wrong:?}");
        driver.see(&effects);
        total += effects.len();
        journal.push(written(&engine.take_changes()));
    }
    let other = restored(&journal);
    assert!(other.snapshot() == engine.snapshot(), "its journal makes something else");
    assert_eq!(other.next_deadline(), engine.next_deadline());
}

fn written(changes: &Changes) -> Vec<u8> {
    pack(changes).expect("changes can be written")
}

fn restored(journal: &[Vec<u8>]) -> Engine {
    let read = |bytes: &Vec<u8>| unpack(bytes).expect("and read again");
    Engine::restore(machine::config(), journal.iter().map(read))
}
