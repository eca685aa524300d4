//! The panel under requests that nobody thought of: made up from its own OpenAPI document.

use penstock_tests::{System, oracle};

#[tokio::test]
async fn no_request_that_the_document_allows_or_forbids_ends_in_a_server_s_fault() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let input = oracle::input(folder.path());
    let mut system = System::holding(folder.path(), &input).await;
    oracle::schemathesis(&system, 25);
    // Still there, and nothing was lost on the way.
    let _ = system.expect(&["reconcile", "--wait", "60s"], 0);
    assert_eq!(system.stop().await, Some(0), "{}", system.log());
}
