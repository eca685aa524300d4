//! Text of few different values as an Arrow dictionary.
//!
//! A `LowCardinality` column of ClickHouse takes a dictionary as it is; plain text it looks up value
//! by value. Events that follow each other mostly say the same, so a run of one value is looked up
//! here once.

use arrow::array::{DictionaryArray, StringDictionaryBuilder};
use arrow::datatypes::{DataType, Int32Type};
use arrow::error::ArrowError;

/// A column under way.
pub(super) struct Symbols {
    builder: StringDictionaryBuilder<Int32Type>,
    /// The value of the last rows, `run` of them, which the builder has not got yet.
    last: String,
    run: usize,
}

impl Symbols {
    /// What [`Symbols::finish`] makes.
    pub fn data_type() -> DataType {
        DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
    }

    /// With room for so many rows.
    pub fn with_capacity(rows: usize) -> Symbols {
        Symbols { builder: StringDictionaryBuilder::with_capacity(rows, 64, 1024), last: String::new(), run: 0 }
    }

    /// Appends a row. Errors: more than 2^31 different values.
    pub fn push(&mut self, text: &str) -> Result<(), ArrowError> {
        if text != self.last {
            self.end_run()?;
            self.last.clear();
            self.last.push_str(text);
        }
        self.run += 1;
        Ok(())
    }

    /// All rows. Errors: as of [`Symbols::push`].
    pub fn finish(mut self) -> Result<DictionaryArray<Int32Type>, ArrowError> {
        self.end_run()?;
        Ok(self.builder.finish())
    }

    fn end_run(&mut self) -> Result<(), ArrowError> {
        if self.run > 0 {
            self.builder.append_n(&self.last, std::mem::take(&mut self.run))?;
        }
        Ok(())
    }
}
