//! Idempotency keys: once appended, however often it is sent.

use super::*;
use std::task::Poll;

const BODY: [u8; 16] = [2; 16];
const FIRST: [u8; 16] = [1; 16];

fn key(n: u8) -> [u8; 16] {
    [n; 16]
}

fn begin_new(spool: &Spool<SimDisk>, n: u8) -> KeyGuard {
    match spool.keys().begin(&key(n), &BODY).unwrap() {
        Begin::New(guard) => guard,
        other => panic!("{other:?}"),
    }
}

fn append_keyed(writer: &mut Writer<SimDisk>, guard: &KeyGuard, answer: &str) -> crate::log::Range {
    let records = group(&["event"]);
    writer.append(&Group { records: &records, key: Some(guard.key()), answer: answer.as_bytes() }).unwrap()
}

fn answer_of(spool: &Spool<SimDisk>, n: u8) -> Option<String> {
    match spool.keys().begin(&key(n), &BODY).unwrap() {
        Begin::Done(answer) => Some(String::from_utf8(answer.bytes.to_vec()).unwrap()),
        Begin::New(_) => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_repeat_waits_for_the_first_and_gets_its_answer() {
    let (spool, _) = open(&SimDisk::new(1));
    let mut writer = spool.writer(0).unwrap();
    let guard = begin_new(&spool, 1);
    block_on(async {
        let mut repeat = Box::pin(spool.keys().claim(&FIRST, &BODY));
        assert!(matches!(futures::poll!(&mut repeat), Poll::Pending));
        let range = append_keyed(&mut writer, &guard, "202");
        // Whoever held the guard may be gone: the group's fate is the flush's now.
        drop(guard);
        assert!(matches!(futures::poll!(&mut repeat), Poll::Pending));
        assert!(matches!(spool.keys().begin(&key(1), &[3; 16]).unwrap(), Begin::Conflict));
        writer.flush().unwrap();
        let Claim::Done(answer) = repeat.await.unwrap() else { panic!("not done") };
        assert_eq!((&*answer.bytes, answer.partition, answer.range), (&b"202"[..], 0, range));
    });
    assert!(matches!(spool.keys().begin(&key(1), &[3; 16]).unwrap(), Begin::Conflict));
}

#[test]
fn a_failed_first_lets_the_repeat_try_for_itself() {
    let disk = SimDisk::new(1);
    let (spool, _) = open(&disk);
    let mut writer = spool.writer(0).unwrap();
    block_on(async {
        // Given up before the append.
        let guard = begin_new(&spool, 1);
        let mut repeat = Box::pin(spool.keys().claim(&FIRST, &BODY));
        assert!(matches!(futures::poll!(&mut repeat), Poll::Pending));
        drop(guard);
        let Claim::New(guard) = repeat.await.unwrap() else { panic!("not free") };
        // Failed in the flush.
        let mut repeat = Box::pin(spool.keys().claim(&FIRST, &BODY));
        append_keyed(&mut writer, &guard, "first");
        assert!(matches!(futures::poll!(&mut repeat), Poll::Pending));
        disk.inject(Fault { on: FaultOn::Write, after: 0, times: 1, error: std::io::ErrorKind::Other });
        assert_eq!(writer.flush().unwrap_err().written, 0);
        let Claim::New(guard) = repeat.await.unwrap() else { panic!("not free") };
        append_keyed(&mut writer, &guard, "second");
        writer.flush().unwrap();
    });
    assert_eq!(answer_of(&spool, 1).as_deref(), Some("second"));
    // A writer that is dropped with its buffer gives its keys back.
    let guard = begin_new(&spool, 2);
    append_keyed(&mut writer, &guard, "never");
    drop(writer);
    assert_eq!(answer_of(&spool, 2), None);
}

#[test]
fn answers_survive_a_power_cut_and_the_end_of_their_segment_until_the_window_is_over() {
    let disk = SimDisk::new(1);
    let (options, clock) = options();
    let open = || Spool::open_with(disk.clone(), &dir(), options.clone()).unwrap();
    let (spool, _) = open();
    let mut writer = spool.writer(0).unwrap();
    let mut reader = spool.reader("statistics", 0).unwrap();
    for n in 1..=100 {
        let guard = begin_new(&spool, n);
        append_keyed(&mut writer, &guard, &format!("answer {n}"));
        writer.flush().unwrap();
        if n == 50 {
            clock.advance(Duration::from_secs(300));
        }
    }
    spool.sync_now().unwrap();
    block_on(reader.store(crate::log::Position::at(100))).unwrap();
    assert!(spool.housekeep().unwrap() > 3);
    assert!(spool.start(0).unwrap() > 50, "the first half's segments are gone");
    let check = |spool: &Spool<SimDisk>, gone: u8| {
        for n in 1..=100 {
            let want = (n > gone).then(|| format!("answer {n}"));
            assert_eq!(answer_of(spool, n), want);
        }
    };
    check(&spool, 0);
    disk.crash();
    let (spool, recovery) = open();
    assert_eq!(recovery.keys, 100);
    check(&spool, 0);
    clock.advance(Duration::from_secs(301));
    check(&spool, 50);
    disk.crash();
    let (spool, recovery) = open();
    assert_eq!(recovery.keys, 50);
    clock.advance(Duration::from_secs(300));
    spool.housekeep().unwrap();
    assert!(spool.keys().is_empty());
    assert!(disk.files().iter().all(|p| p.extension().is_none_or(|e| e != "keys")), "{:?}", disk.files());
}

#[test]
fn the_table_is_bounded_and_recovers_as_keys_expire() {
    let (mut options, clock) = options();
    options.retention.max_keys = 10;
    let (spool, _) = Spool::open_with(SimDisk::new(1), &dir(), options).unwrap();
    let mut writer = spool.writer(0).unwrap();
    for n in 0..10 {
        let guard = begin_new(&spool, n);
        append_keyed(&mut writer, &guard, "x");
        writer.flush().unwrap();
    }
    let full = spool.keys().begin(&key(10), &BODY).unwrap_err();
    assert_eq!(full.keys, 10);
    assert_eq!(answer_of(&spool, 3).as_deref(), Some("x"), "known keys are answered all the same");
    clock.advance(Duration::from_secs(600));
    spool.housekeep().unwrap();
    drop(begin_new(&spool, 10));
    assert!(spool.keys().is_empty());
}

#[test]
fn bytes_of_answers_are_bounded_too() {
    let (mut options, _) = options();
    options.retention.max_answer_bytes = 1000;
    let (spool, _) = Spool::open_with(SimDisk::new(1), &dir(), options).unwrap();
    let mut writer = spool.writer(0).unwrap();
    let guard = begin_new(&spool, 1);
    append_keyed(&mut writer, &guard, &"x".repeat(1000));
    writer.flush().unwrap();
    assert!(spool.keys().begin(&key(2), &BODY).is_err());
}
