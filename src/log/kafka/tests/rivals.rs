//! Two members of one name, which fence each other.

use super::*;
use crate::log::{Log as _, LogError, Position};

#[tokio::test]
async fn a_member_that_was_fenced_is_out_says_why_and_joins_anew_when_its_rival_is_gone() {
    let topic = topic(1).await;
    append(&topic, 0, &vec![b"x".to_vec(); 30]).await;
    let id = log_id(&topic, 0);
    let metrics = KafkaLogMetrics::default();
    let member = counted(&topic, &topic, "one name", &metrics);
    owns(&member, 1).await;
    let old = member.owner(&id).unwrap();
    let mut log = open(&fetcher(), id.clone(), Some(old.clone()), None);
    log.store(Position { next: 5, pinned: Some(10), hint: 1 }).await.unwrap();

    let rival = join(&topic, &topic, "one name");
    let mut assignment = member.assignment();
    let out = tokio::time::timeout(LONG, assignment.wait_for(|a| a.out.is_some())).await.expect("not fenced").unwrap();
    assert!(out.partitions.is_empty());
    assert!(out.out.as_deref().is_some_and(|why| why.contains("consume.instance_id")), "{out:?}");
    drop(out);
    // What it had under way is refused while it is out, and stays refused when it is back.
    assert!(!old.is_current());
    assert!(matches!(log.store(Position::at(10)).await, Err(LogError::Fenced(_))));
    drop(rival);
    owns(&member, 1).await;
    assert_eq!(member.assignment().borrow().out, None);
    assert!(metrics.memberships_ended.get() >= 1);
    assert!(matches!(log.store(Position::at(10)).await, Err(LogError::Fenced(_))));

    let mut log = open(&fetcher(), id.clone(), member.owner(&id), None);
    assert_eq!(log.position().await.unwrap(), Some(Position { next: 5, pinned: Some(10), hint: 1 }));
    log.store(Position::at(10)).await.unwrap();
    assert_eq!(log.position().await.unwrap(), Some(Position::at(10)));
}
