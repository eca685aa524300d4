//! The codec held against apache-avro and arrow-avro, and against garbage.

mod columns;
mod encoding;
mod events;
mod garbage;
mod schemas;
