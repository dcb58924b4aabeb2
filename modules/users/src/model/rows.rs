//! Rows out of a body that comes in pieces, with the memory of one row: lines of JSON, or records of CSV.
//!
//! Left out: what a row means. Whatever comes is a row that is good or one that is refused; only a CSV without a usable
//! header is refused as a whole.

use contracts::{Error, Result};
use csv_core::{ReadRecordResult, Reader};
use platform::http::read_json;
use serde_json::Value;

use super::{ImportFormat, Object, disarmed};

/// Bytes of a row.
const ROW: usize = 64 * 1024;

/// Columns that a header may name.
const COLUMNS: [&str; 15] = [
    "id",
    "email",
    "email_verified",
    "state",
    "display_name",
    "given_name",
    "family_name",
    "phone",
    "locale",
    "time_zone",
    "avatar_url",
    "attributes",
    "created_at",
    "password",
    "password_hash",
];

/// A row as it came.
pub(crate) struct Raw {
    /// What its checksum is made of.
    pub(crate) bytes: Vec<u8>,
    /// What it says, or why it can't be read.
    pub(crate) said: Result<Object>,
}

/// Cuts a body into rows.
pub(crate) enum Rows {
    Ndjson(Lines),
    Csv(Box<Records>),
}

impl Rows {
    pub(crate) fn new(format: ImportFormat) -> Self {
        match format {
            ImportFormat::Ndjson => Self::Ndjson(Lines::default()),
            ImportFormat::Csv => Self::Csv(Box::default()),
        }
    }

    /// Takes the next piece; appends the rows that are complete by now.
    ///
    /// # Errors
    /// When the header of a CSV names columns that are not there.
    pub(crate) fn feed(&mut self, piece: &[u8], found: &mut Vec<Raw>) -> Result<()> {
        match self {
            Self::Ndjson(lines) => {
                lines.feed(piece, found);
                Ok(())
            }
            Self::Csv(records) => records.feed(piece, found),
        }
    }

    /// Ends the body: what is left is a row, too.
    ///
    /// # Errors
    /// As for a piece.
    pub(crate) fn finish(&mut self, found: &mut Vec<Raw>) -> Result<()> {
        match self {
            Self::Ndjson(lines) => {
                lines.end(found);
                Ok(())
            }
            Self::Csv(records) => records.finish(found),
        }
    }
}

fn too_long() -> Error {
    Error::invalid("too_long", "A row has at most 64 KiB.")
}

/// Lines of JSON.
#[derive(Default)]
pub(crate) struct Lines {
    line: Vec<u8>,
    too_long: bool,
}

impl Lines {
    fn feed(&mut self, piece: &[u8], found: &mut Vec<Raw>) {
        let mut parts = piece.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = parts.next() {
            let room = ROW.saturating_sub(self.line.len());
            self.too_long |= part.len() > room;
            self.line.extend(part.iter().take(room));
            if parts.peek().is_some() {
                self.end(found);
            }
        }
    }

    fn end(&mut self, found: &mut Vec<Raw>) {
        let bytes = std::mem::take(&mut self.line);
        let too_long_one = std::mem::take(&mut self.too_long);
        if bytes.trim_ascii().is_empty() && !too_long_one {
            return;
        }
        let said = if too_long_one { Err(too_long()) } else { object(&bytes) };
        found.push(Raw { bytes, said });
    }
}

fn object(bytes: &[u8]) -> Result<Object> {
    read_json(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)).map_err(|problem| problem.error().clone())
}

/// Records of CSV.
pub(crate) struct Records {
    reader: Reader,
    cells: Vec<u8>,
    ends: Vec<usize>,
    written: usize,
    ended: usize,
    too_long: bool,
    header: Vec<String>,
}

impl Default for Records {
    fn default() -> Self {
        Self {
            reader: Reader::new(),
            cells: vec![0; ROW],
            ends: vec![0; 64],
            written: 0,
            ended: 0,
            too_long: false,
            header: Vec::new(),
        }
    }
}

impl Records {
    fn feed(&mut self, mut piece: &[u8], found: &mut Vec<Raw>) -> Result<()> {
        while !piece.is_empty() {
            let (result, read) = self.step(piece);
            piece = piece.get(read..).unwrap_or_default();
            self.note(&result, found)?;
        }
        Ok(())
    }

    fn finish(&mut self, found: &mut Vec<Raw>) -> Result<()> {
        loop {
            match self.step(&[]).0 {
                ReadRecordResult::End => break,
                result => self.note(&result, found)?,
            }
        }
        if self.header.is_empty() { Err(header("A CSV begins with a header.")) } else { Ok(()) }
    }

    fn step(&mut self, piece: &[u8]) -> (ReadRecordResult, usize) {
        let cells = self.cells.get_mut(self.written..).unwrap_or_default();
        let ends = self.ends.get_mut(self.ended..).unwrap_or_default();
        let (result, read, written, ended) = self.reader.read_record(piece, cells, ends);
        self.written += written;
        self.ended += ended;
        (result, read)
    }

    fn note(&mut self, result: &ReadRecordResult, found: &mut Vec<Raw>) -> Result<()> {
        match result {
            ReadRecordResult::InputEmpty | ReadRecordResult::End => {}
            // The rest of the record is read over what is there of it.
            ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                self.too_long = true;
                (self.written, self.ended) = (0, 0);
            }
            ReadRecordResult::Record => {
                let record = self.record();
                (self.written, self.ended) = (0, 0);
                let too_long_one = std::mem::take(&mut self.too_long);
                if self.header.is_empty() {
                    self.header = columns(&record, too_long_one)?;
                    return Ok(());
                }
                let bytes = framed(&record);
                let said = if too_long_one { Err(too_long()) } else { self.read(&record) };
                found.push(Raw { bytes, said });
            }
        }
        Ok(())
    }

    fn record(&self) -> Vec<Vec<u8>> {
        let ends = self.ends.iter().take(self.ended).copied();
        let starts = std::iter::once(0).chain(ends.clone());
        starts.zip(ends).map(|(start, end)| self.cells.get(start..end).unwrap_or_default().to_vec()).collect()
    }

    fn read(&self, record: &[Vec<u8>]) -> Result<Object> {
        if record.len() != self.header.len() {
            return Err(Error::invalid("wrong_number_of_cells", "A row has as many cells as the header."));
        }
        let mut said = Object::new();
        for (column, bytes) in self.header.iter().zip(record) {
            let cell = std::str::from_utf8(bytes).ok().filter(|cell| !cell.contains('\0'));
            let cell =
                cell.ok_or_else(|| broken(column, "invalid_character", "Must be UTF-8 without U+0000."))?;
            if !cell.is_empty() {
                said.insert(column.clone(), value(column, &disarmed(cell))?);
            }
        }
        Ok(said)
    }
}

/// What a cell of a column means.
fn value(column: &str, cell: &str) -> Result<Value> {
    match (column, cell) {
        ("email_verified", "true") => Ok(Value::Bool(true)),
        ("email_verified", "false") => Ok(Value::Bool(false)),
        ("attributes", json) => object(json.as_bytes())
            .map(Value::Object)
            .map_err(|_| broken(column, "malformed_json", "Must be a JSON object.")),
        _ => Ok(Value::String(cell.to_owned())),
    }
}

fn broken(column: &str, code: &'static str, message: &'static str) -> Error {
    let error = Error::invalid("platform.invalid_input", "The input breaks at least one rule.");
    error.at(format!("/{column}"), code, message)
}

fn header(rule: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::invalid("users.import_header", rule)
}

fn columns(record: &[Vec<u8>], too_long_one: bool) -> Result<Vec<String>> {
    let names: Vec<String> = record
        .iter()
        .map(|name| String::from_utf8_lossy(name).trim_start_matches('\u{feff}').trim().to_owned())
        .collect();
    let unknown = names.iter().any(|name| !COLUMNS.contains(&name.as_str()));
    let twice =
        names.iter().enumerate().any(|(place, name)| names.iter().skip(place + 1).any(|it| it == name));
    if unknown || twice || too_long_one || !names.iter().any(|name| name == "email") {
        let known = COLUMNS.join(", ");
        return Err(header(format!(
            "The header names email and, each once, some of these columns: {known}."
        )));
    }
    Ok(names)
}

/// The cells, each after its length, so that they can't be cut differently.
fn framed(record: &[Vec<u8>]) -> Vec<u8> {
    let frame = |cell: &Vec<u8>| [&(cell.len() as u64).to_be_bytes(), cell.as_slice()].concat();
    record.iter().flat_map(frame).collect()
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
