//! Bounds of questions; what they answer is held against REST in `tests/graphql.rs`.

use super::*;

#[test]
fn first_has_bounds_and_a_default() {
    assert_eq!(first(None, 200).unwrap(), DEFAULT_FIRST);
    assert_eq!(first(None, 10).unwrap(), 10);
    assert_eq!(first(Some(200), 200).unwrap(), 200);
    assert!(first(Some(0), 200).is_err() && first(Some(201), 200).is_err());
}

#[test]
fn a_problem_keeps_its_code_and_its_field() {
    let error = failed(Problem::parameter("ids", "too many"));
    let extensions = error.extensions.unwrap();
    assert_eq!(extensions.get("code"), Some(&"bad_parameter".into()));
    assert_eq!(extensions.get("field"), Some(&"ids".into()));
}
