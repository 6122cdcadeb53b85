//! Any bytes as a journal; and a real journal with any of its values changed.

use crate::bytes::Bytes;
use crate::keeper;
use crate::machine::{self, Driver};
use engine::journal::{self, Header, Record, HEADER, RECORDS_AT};
use engine::keeper::Replaced;
use engine::machine::{Effect, Engine, Input};
use engine::pack::{pack, unpack};
use engine::process::Exit;
use engine::recovery::{recover, Table};
use engine::time::{Mono, Span};

/// How many turns a real journal has at most.
const TURNS: usize = 24;

/// How often a recovered machine is told something.
const AFTER: usize = 24;

/// After so many effects a recovered machine is told nothing more.
const EFFECTS: usize = 4000;

/// What a value of a record is changed into.
const VALUES: [&str; 12] = [
    "0",
    "1",
    "2",
    "255",
    "4294967295",
    "18446744073709551615",
    "18446744073709551614",
    "null",
    "true",
    "[]",
    "\"\"",
    "\"running\"",
];

/// Reads the bytes as a whole journal, as the part behind its header, as one record, as records in
/// JSON, one a line, and as choices.
pub fn run(data: &[u8]) {
    let _ = journal::read(data);
    let _ = journal::decode_all(data);
    if let Ok(record) = unpack::<Record>(data) {
        recovered(vec![record], &mut Bytes::new(&data[data.len() / 2..]));
    }
    paged(data);
    let lines = data.split(|byte| *byte == b'\n');
    let records: Vec<Record> =
        lines.filter_map(|line| serde_json::from_slice(line).ok()).take(TURNS).collect();
    let mut bytes = Bytes::new(data);
    if records.is_empty() {
        let records = changed(&mut bytes);
        recovered(records, &mut bytes);
    } else {
        recovered(records, &mut Bytes::new(&data[data.len() / 2..]));
    }
}

/// Reads the bytes as the records of a journal whose header says that they are committed.
fn paged(data: &[u8]) {
    let header = Header { committed: data.len() as u64, ticked: 1 };
    let mut whole = header.bytes().to_vec();
    whole.resize(RECORDS_AT, 0);
    whole.extend_from_slice(data);
    assert_eq!(Header::parse(&whole[..HEADER]), Ok(header));
    let (_, decoded) = journal::read(&whole).expect("its header is right");
    assert_eq!(decoded, journal::decode_all(data));
}

/// Returns the records of a machine that was driven, some of their values changed.
fn changed(bytes: &mut Bytes<'_>) -> Vec<Record> {
    let mut engine = Engine::new(machine::config());
    let mut driver = Driver::default();
    let mut records = Vec::new();
    let turns = bytes.below(TURNS);
    for _ in 0..turns {
        let input = driver.next(bytes, &engine);
        let mut effects = Vec::new();
        engine.handle(driver.now, input, &mut effects);
        driver.see(&effects);
        records.push(Record { changes: engine.take_changes(), effects });
    }
    if bytes.flag() {
        records = vec![Record { changes: engine.snapshot(), effects: Vec::new() }];
    }
    let change = |record: Record| {
        if bytes.flag() {
            return with_bytes_changed(&record, bytes).unwrap_or(record);
        }
        let mut json = serde_json::to_string(&record).expect("a record is JSON");
        for _ in 0..bytes.below(4) {
            json = with_a_value_changed(&json, bytes);
        }
        serde_json::from_str(&json).unwrap_or(record)
    };
    records.into_iter().map(change).collect()
}

/// Changes some of the bytes that a record is written as; none where that is no record any more.
fn with_bytes_changed(record: &Record, bytes: &mut Bytes<'_>) -> Option<Record> {
    let mut packed = pack(record).expect("a record can be written");
    for _ in 0..1 + bytes.below(3) {
        let at = (usize::from(bytes.byte()) << 8 | usize::from(bytes.byte())) % packed.len();
        packed[at] = bytes.byte();
    }
    unpack(&packed).ok()
}

/// Replaces one value of a JSON text: the one that begins behind a chosen colon, comma or bracket.
fn with_a_value_changed(json: &str, bytes: &mut Bytes<'_>) -> String {
    let begins: Vec<usize> = json.match_indices([':', ',', '[']).map(|(at, _)| at + 1).collect();
    if begins.is_empty() {
        return String::from(json);
    }
    let chosen = usize::from(bytes.byte()) << 8 | usize::from(bytes.byte());
    let at = begins[chosen % begins.len()];
    let rest = &json[at..];
    let end = rest.find([',', ']', '}', ':']).unwrap_or(rest.len());
    format!("{}{}{}", &json[..at], bytes.pick(&VALUES), &rest[end..])
}

/// Writes the records, reads them again, and recovers with what a keeper may tell.
fn recovered(records: Vec<Record>, bytes: &mut Bytes<'_>) {
    let body: Vec<u8> = records.iter().flat_map(journal::encode).collect();
    let decoded = journal::decode_all(&body);
    assert_eq!((decoded.fault, &decoded.records), (None, &records), "what is written is read");
    let torn = journal::decode_all(&body[..body.len() - bytes.below(body.len().min(256))]);
    assert!(records.starts_with(&torn.records));
    let ticked = bytes.number();
    let mut table = Table::default();
    for record in &records {
        for effect in &record.effects {
            if let (Effect::Spawn(slot), true) = (effect, bytes.flag()) {
                let pid = bytes.number() as i32;
                let slot = *slot;
                table.tell(&engine::keeper::FromKeeper::Spawned { slot, pid, warnings: 0 });
            }
        }
    }
    for _ in 0..bytes.below(8) {
        table.tell(&keeper::from_keeper(bytes));
    }
    let replaced = if bytes.flag() { Replaced::Yes } else { Replaced::No };
    let (mut engine, catching) =
        recover(machine::config(), records.clone(), ticked, &table, replaced);
    let (again, same) = recover(machine::config(), records, ticked, &table, replaced);
    assert_eq!(catching, same, "recovering twice is recovering");
    assert!(again.snapshot() == engine.snapshot());
    go_on(&mut engine, catching.inputs, bytes);
}

/// Tells a recovered machine what it missed, then anything. It cannot be said what is right then,
/// only that nothing breaks.
fn go_on(engine: &mut Engine, missed: Vec<Input>, bytes: &mut Bytes<'_>) {
    let mut driver = Driver::default();
    let mut effects = Vec::new();
    for input in missed {
        engine.handle(driver.now, input, &mut effects);
    }
    let slots: Vec<_> = engine.processes().collect();
    for (slot, pid) in slots {
        driver.slots.push(slot);
        engine.handle(
            driver.now,
            Input::Exited(slot, pid.unwrap_or(1), Exit::Status(1)),
            &mut effects,
        );
    }
    machine::look(engine);
    for _ in 0..AFTER {
        if effects.len() > EFFECTS {
            return;
        }
        driver.now = engine.next_deadline().unwrap_or(Mono(0)).max(driver.now) + Span(1);
        let input = if bytes.is_empty() { Input::Tick } else { driver.next(bytes, engine) };
        engine.handle(driver.now, input, &mut effects);
        let spawned = effects.iter().filter_map(|effect| match effect {
            Effect::Spawn(slot) => Some(*slot),
            _ => None,
        });
        driver.slots = spawned.collect();
    }
    machine::look(engine);
    let _ = engine.audit();
    let restored = Engine::restore(machine::config(), [engine.snapshot()]);
    assert!(restored.snapshot() == engine.snapshot());
}
