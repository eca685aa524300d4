//! One query, built from fixed fragments of SQL and bound values.

/// One query with its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// Label in the metrics.
    pub(super) name: &'static str,
    pub(super) sql: String,
    pub(super) params: Vec<(&'static str, Param)>,
}

/// A bound value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Param {
    Text(String),
    Int(i64),
    Uint(u64),
    Uints(Vec<u64>),
    Texts(Vec<String>),
}

impl Question {
    /// Begins a query; `name` labels it in the metrics.
    #[must_use]
    pub fn new(name: &'static str, sql: &'static str) -> Question {
        Question { name, sql: sql.to_owned(), params: Vec::new() }
    }

    /// Appends SQL.
    #[must_use]
    pub fn and(mut self, sql: &'static str) -> Question {
        self.sql.push(' ');
        self.sql.push_str(sql);
        self
    }

    /// Appends another question with its values.
    #[must_use]
    pub fn also(mut self, other: Question) -> Question {
        self.sql.push(' ');
        self.sql.push_str(&other.sql);
        self.params.extend(other.params);
        self
    }

    /// Binds `{name: String}`.
    #[must_use]
    pub fn text(mut self, name: &'static str, value: impl Into<String>) -> Question {
        self.params.push((name, Param::Text(value.into())));
        self
    }

    /// Binds `{name: Int64}`.
    #[must_use]
    pub fn int(mut self, name: &'static str, value: i64) -> Question {
        self.params.push((name, Param::Int(value)));
        self
    }

    /// Binds `{name: UInt64}`.
    #[must_use]
    pub fn uint(mut self, name: &'static str, value: u64) -> Question {
        self.params.push((name, Param::Uint(value)));
        self
    }

    /// Appends numbers with commas between them: lists that are too long for a bound value, which
    /// travels in the address.
    #[must_use]
    pub fn numbers(mut self, numbers: &[u32]) -> Question {
        for (i, number) in numbers.iter().enumerate() {
            if i > 0 {
                self.sql.push(',');
            }
            self.sql.push_str(&number.to_string());
        }
        self
    }

    /// The SQL, without its values.
    #[cfg(test)]
    pub(crate) fn sql(&self) -> &str {
        &self.sql
    }

    /// Binds `{name: Array(String)}`.
    #[must_use]
    pub fn texts(mut self, name: &'static str, values: Vec<String>) -> Question {
        self.params.push((name, Param::Texts(values)));
        self
    }

    /// Binds `{name: Array(UInt64)}`.
    #[must_use]
    pub fn uints(mut self, name: &'static str, values: &[u64]) -> Question {
        self.params.push((name, Param::Uints(values.to_vec())));
        self
    }
}
