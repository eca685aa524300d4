//! Which events a question is about, beyond their times: `[{"dim":"country","op":"in","values":["DE"]}]`.

use super::columns::{Dimension, dimension};
use super::owners::Owners;
use crate::api::problem::Problem;
use crate::statistics::Question;
use serde::Deserialize;

/// Conditions of one filter.
const MOST_CONDITIONS: usize = 8;
/// Values of one condition, and bytes of one value.
const MOST_VALUES: usize = 100;
const LONGEST_VALUE: usize = 256;

/// How values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Op {
    In,
    NotIn,
    StartsWith,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    dim: String,
    op: Op,
    values: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Number(u64),
}

/// One condition, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Condition {
    dimension: &'static Dimension,
    op: Op,
    texts: Vec<String>,
    numbers: Vec<u64>,
}

/// A filter, checked. Empty: all events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter(Vec<Condition>);

/// The bound values' names.
const NAMES: [&str; MOST_CONDITIONS] = ["f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7"];
/// A list of texts by its name.
const TEXTS: [&str; MOST_CONDITIONS] = [
    "{f0: Array(String)}",
    "{f1: Array(String)}",
    "{f2: Array(String)}",
    "{f3: Array(String)}",
    "{f4: Array(String)}",
    "{f5: Array(String)}",
    "{f6: Array(String)}",
    "{f7: Array(String)}",
];
/// A list of numbers by its name.
const NUMBERS: [&str; MOST_CONDITIONS] = [
    "{f0: Array(UInt64)}",
    "{f1: Array(UInt64)}",
    "{f2: Array(UInt64)}",
    "{f3: Array(UInt64)}",
    "{f4: Array(UInt64)}",
    "{f5: Array(UInt64)}",
    "{f6: Array(UInt64)}",
    "{f7: Array(UInt64)}",
];

impl Filter {
    /// Reads the parameter `filter`; none is no condition. Errors: `bad_parameter`.
    pub fn parse(text: Option<&str>) -> Result<Filter, Problem> {
        let Some(text) = text else { return Ok(Filter::default()) };
        let bad = |why: String| Problem::parameter("filter", why);
        let shape =
            r#"must be JSON such as [{"dim":"country","op":"in","values":["DE"]}], op in, not_in or starts_with"#;
        let given: Vec<Given> = serde_json::from_str(text).map_err(|e| bad(format!("{shape}: {e}")))?;
        if given.len() > MOST_CONDITIONS {
            return Err(bad(format!("may have at most {MOST_CONDITIONS} conditions")));
        }
        given.into_iter().map(|g| condition(g).map_err(bad)).collect::<Result<_, _>>().map(Filter)
    }

    /// Only events of this campaign besides.
    ///
    /// Errors: `bad_parameter` when there are as many conditions as there may be.
    pub fn of_campaign(mut self, id: u32) -> Result<Filter, Problem> {
        if self.0.len() == MOST_CONDITIONS {
            return Err(Problem::parameter("filter", "has as many conditions as it may have besides campaign_id"));
        }
        if let Some(dimension) = dimension("campaign_id") {
            self.0.push(Condition { dimension, op: Op::In, texts: Vec::new(), numbers: vec![u64::from(id)] });
        }
        Ok(self)
    }

    /// Whether a condition is on whose campaigns are.
    #[must_use]
    pub fn asks_owners(&self) -> bool {
        self.0.iter().any(|c| c.dimension.owner)
    }

    /// Such conditions as conditions on campaigns.
    #[must_use]
    pub fn by(self, owners: &Owners) -> Filter {
        Filter(self.0.into_iter().map(|c| c.by(owners)).collect())
    }

    /// Whether the minutes' roll-up has all that is asked for.
    pub(super) fn rolls_up(&self) -> bool {
        self.0.iter().all(|c| c.dimension.rolled.is_some())
    }

    /// Adds the conditions (`AND …`) with their values.
    #[must_use]
    pub fn apply(&self, mut q: Question) -> Question {
        for (i, condition) in self.0.iter().enumerate().take(MOST_CONDITIONS) {
            // One on owners that nobody was asked for holds for nothing.
            let Some(column) = condition.dimension.column else { return q.and("AND 0") };
            let list = if condition.dimension.number { NUMBERS[i] } else { TEXTS[i] };
            q = match condition.op {
                Op::In => q.and("AND").and(column).and("IN").and(list),
                Op::NotIn => q.and("AND").and(column).and("NOT IN").and(list),
                Op::StartsWith => q
                    .and("AND arrayExists(prefix -> startsWith(toString(")
                    .and(column)
                    .and("), prefix),")
                    .and(list)
                    .and(")"),
            };
            q = if condition.dimension.number {
                q.uints(NAMES[i], &condition.numbers)
            } else {
                q.texts(NAMES[i], condition.texts.clone())
            };
        }
        q
    }
}

impl Condition {
    fn by(self, owners: &Owners) -> Condition {
        let Some(campaigns) = dimension("campaign_id").filter(|_| self.dimension.owner) else { return self };
        let listed = |payer: u32, currency: &str| match self.op {
            Op::StartsWith => self.texts.iter().any(|prefix| currency.starts_with(prefix)),
            Op::In | Op::NotIn if self.dimension.number => self.numbers.contains(&u64::from(payer)),
            Op::In | Op::NotIn => self.texts.iter().any(|text| text == currency),
        };
        let numbers = owners.campaigns(self.dimension, listed);
        // None at all is a condition too: of no campaign's number.
        let numbers = if numbers.is_empty() { vec![u64::MAX] } else { numbers };
        let op = if self.op == Op::NotIn { Op::NotIn } else { Op::In };
        Condition { dimension: campaigns, op, texts: Vec::new(), numbers }
    }
}

fn condition(given: Given) -> Result<Condition, String> {
    let dimension = dimension(&given.dim)
        .filter(|d| d.column.is_some() || d.owner)
        .ok_or_else(|| "its dim is none that can be filtered by; times have parameters of their own".to_owned())?;
    if given.values.is_empty() || given.values.len() > MOST_VALUES {
        return Err(format!("a condition has 1 to {MOST_VALUES} values"));
    }
    let (mut texts, mut numbers) = (Vec::new(), Vec::new());
    for value in given.values {
        let text = match value {
            Value::Text(text) => text,
            Value::Number(n) => n.to_string(),
        };
        if text.len() > LONGEST_VALUE || text.contains('\0') {
            return Err(format!("a value has at most {LONGEST_VALUE} bytes and no NUL"));
        }
        if dimension.number {
            let number =
                text.parse::<u32>().map_err(|_| format!("{} is a number up to {}", dimension.name, u32::MAX))?;
            numbers.push(u64::from(number));
        } else {
            texts.push(text);
        }
    }
    if dimension.number && given.op == Op::StartsWith {
        return Err(format!("{} is a number: use in or not_in", dimension.name));
    }
    Ok(Condition { dimension, op: given.op, texts, numbers })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_filter_is_refused_with_its_parameter() {
        let many = format!("[{}]", [r#"{"dim":"os","op":"in","values":["a"]}"#; 9].join(","));
        let long = format!(r#"[{{"dim":"os","op":"in","values":["{}"]}}]"#, "x".repeat(257));
        for text in [
            "{}",
            "[",
            r#"[{"dim":"cost_nanos","op":"in","values":["1"]}]"#,
            r#"[{"dim":"hour","op":"in","values":["1"]}]"#,
            r#"[{"dim":"os","op":"like","values":["a"]}]"#,
            r#"[{"dim":"os","op":"in","values":[]}]"#,
            r#"[{"dim":"os","op":"in","values":[null]}]"#,
            r#"[{"dim":"os","op":"in","values":["a"],"or":1}]"#,
            r#"[{"dim":"campaign_id","op":"in","values":["1 OR 1"]}]"#,
            r#"[{"dim":"campaign_id","op":"starts_with","values":["1"]}]"#,
            &many,
            &long,
        ] {
            assert_eq!(Filter::parse(Some(text)).unwrap_err().field.as_deref(), Some("filter"), "{text}");
        }
    }

    #[test]
    fn no_value_comes_into_the_sql() {
        let evil = r#"[{"dim":"country","op":"in","values":["') OR 1=1 --"]},{"dim":"campaign_id","op":"not_in","values":[7,"8"]}]"#;
        let q = Filter::parse(Some(evil)).unwrap().apply(Question::new("t", "SELECT 1 FROM events WHERE 1"));
        assert_eq!(
            q.sql(),
            "SELECT 1 FROM events WHERE 1 AND country IN {f0: Array(String)} AND campaign_id NOT IN {f1: Array(UInt64)}"
        );
    }
}
