//! What every [`Log`] promises its pipeline, held against each of them.

use super::{FlushReason, Limits, Log, Offset, Position, Records};
use std::time::Duration;

/// One partition of a log that a test may append to.
pub trait Fixture {
    /// The log.
    type Log: Log;
    /// Appends records; they are durable when it returns.
    async fn append(&mut self, bodies: &[Vec<u8>]);
    /// The partition as its owner reads it, opened anew.
    async fn open(&mut self) -> Self::Log;
}

/// Ten seconds for whatever is there, and no more than `rows`.
pub fn rows(rows: usize) -> Limits {
    let long = Duration::from_secs(10);
    Limits { rows, bytes: 1 << 20, age: long, idle: long, end: None }
}

async fn read(log: &mut impl Log, from: Offset, limits: &Limits) -> (FlushReason, Vec<Vec<u8>>) {
    let mut out = Records::new();
    let reason = log.read(from, limits, &mut out).await.unwrap();
    let offsets: Vec<Offset> = out.iter().map(|r| r.offset).collect();
    assert_eq!(offsets, (from..from + out.len() as u64).collect::<Vec<_>>(), "in order, without gaps");
    (reason, out.iter().map(|r| r.body.unwrap().to_vec()).collect())
}

/// Runs all of it.
pub async fn suite<F: Fixture>(mut fixture: F) {
    let bodies: Vec<Vec<u8>> = (0..10u8).map(|n| vec![b'a' + n; 10]).collect();
    fixture.append(&bodies).await;
    let mut log = fixture.open().await;
    assert_eq!(log.position().await.unwrap().unwrap_or_default(), Position::at(0), "nobody has read it");

    // Rows, bytes and end close a range; a record larger than the bytes comes alone.
    assert_eq!(read(&mut log, 0, &rows(4)).await, (FlushReason::Rows, bodies[..4].to_vec()));
    let tiny = Limits { bytes: 1, ..rows(100) };
    assert_eq!(read(&mut log, 4, &tiny).await, (FlushReason::Bytes, bodies[4..5].to_vec()));
    let thirty = Limits { bytes: 30, ..rows(100) };
    assert_eq!(read(&mut log, 5, &thirty).await, (FlushReason::Bytes, bodies[5..8].to_vec()));
    let pinned = Limits { end: Some(9), ..rows(usize::MAX) };
    assert_eq!(read(&mut log, 2, &pinned).await, (FlushReason::End, bodies[2..9].to_vec()), "an earlier one again");
    assert!(log.end() >= 9);

    // Age and idle.
    let brief = Limits { age: Duration::from_millis(200), ..rows(100) };
    assert_eq!(read(&mut log, 8, &brief).await, (FlushReason::Age, bodies[8..].to_vec()));
    let now = Limits { age: Duration::ZERO, idle: Duration::from_millis(50), ..rows(100) };
    assert_eq!(read(&mut log, 10, &now).await, (FlushReason::Idle, Vec::new()));

    // A read that may be thrown away, and one that is dropped, have taken nothing.
    fixture.append(&[b"late".to_vec()]).await;
    let late = vec![b"late".to_vec()];
    assert_eq!(read(&mut log, 10, &rows(1)).await.1, late);
    let peek = Limits { age: Duration::ZERO, ..rows(100) };
    assert_eq!(read(&mut log, 10, &peek).await.1, late);
    assert_eq!(read(&mut log, 10, &peek).await.1, late);
    let patient = Limits { age: Duration::from_secs(3600), ..rows(100) };
    let waiting = read(&mut log, 10, &patient);
    assert!(tokio::time::timeout(Duration::from_millis(300), waiting).await.is_err());
    assert_eq!(read(&mut log, 10, &rows(1)).await.1, late);
    let patient = Limits { idle: Duration::from_secs(3600), ..rows(100) };
    let waiting = read(&mut log, 11, &patient);
    assert!(tokio::time::timeout(Duration::from_millis(300), waiting).await.is_err());
    fixture.append(&[b"later".to_vec()]).await;
    assert_eq!(read(&mut log, 11, &rows(1)).await.1, [b"later".to_vec()]);

    // A position comes back to whoever owns the partition next.
    for position in [
        Position { next: 0, pinned: Some(7), hint: 3 },
        Position { next: 7, pinned: None, hint: 0 },
        Position { next: 7, pinned: Some(11), hint: u32::MAX },
    ] {
        log.store(position).await.unwrap();
        drop(log);
        log = fixture.open().await;
        assert_eq!(log.position().await.unwrap(), Some(position));
    }
    assert_eq!(read(&mut log, 7, &Limits { end: Some(11), ..rows(100) }).await.1.len(), 4);
}
