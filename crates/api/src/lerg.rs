//! A LERG file on its way into the database: read line by line, written some thousands at a time.

use std::sync::Arc;

use opentact_store::Store;
use opentact_store::lerg::LergBlock;
use parking_lot::Mutex;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::AppError;

/// Rows of one transaction: others write in between.
const BATCH: usize = 5_000;
/// Wrong lines that are told; all are counted.
const MAX_ERRORS: usize = 1_000;
/// Columns that a file must have.
const NEEDED: [&str; 4] = ["npa", "nxx", "state", "rate_center"];

/// A line that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct WrongLine {
    /// Of the file, the header is 1.
    line: u64,
    column: &'static str,
    message: &'static str,
    value: String,
}

/// How far an upload is.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub(crate) struct Upload {
    /// Lines that are in the database.
    accepted: u64,
    /// Lines that were left out.
    failed: u64,
    /// Lines of the file, without its header.
    total: u64,
    /// The first 1,000 of those that were left out.
    errors: Vec<WrongLine>,
}

/// The upload that runs, and the one before.
#[derive(Debug, Clone, Default)]
pub(crate) struct Uploads(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    is_running: bool,
    upload: Upload,
}

/// Ends the upload whatever comes of it.
struct Running(Uploads);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0.lock().is_running = false;
    }
}

impl Uploads {
    /// Whether one runs, and how far the last is.
    pub(crate) fn progress(&self) -> (bool, Upload) {
        let state = self.0.lock();
        (state.is_running, state.upload.clone())
    }

    /// Takes a file, of which wrong lines are left out; 409 while another is on its way.
    pub(crate) async fn take(&self, store: &Store, text: &str) -> Result<Upload, AppError> {
        let mut lines = (1..).zip(text.trim_start_matches('\u{feff}').lines());
        let header = lines.next().map(|(_, line)| line).unwrap_or_default();
        let columns = Columns::read(header)?;
        let _running = self.begin(text.lines().skip(1).filter(|line| !line.trim().is_empty()).count())?;
        let mut batch = Vec::with_capacity(BATCH);
        for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
            match columns.block(line) {
                Ok(block) => batch.push(block),
                Err((column, message, value)) => self.failed(WrongLine { line: number, column, message, value }),
            }
            if batch.len() == BATCH {
                self.save(store, std::mem::take(&mut batch)).await?;
            }
        }
        self.save(store, batch).await?;
        Ok(self.progress().1)
    }

    fn begin(&self, total: usize) -> Result<Running, AppError> {
        let mut state = self.0.lock();
        if state.is_running {
            return Err(AppError::Conflict("A file is on its way already".to_owned()));
        }
        state.is_running = true;
        state.upload = Upload { total: total as u64, ..Upload::default() };
        Ok(Running(self.clone()))
    }

    fn failed(&self, wrong: WrongLine) {
        let upload = &mut self.0.lock().upload;
        upload.failed += 1;
        if upload.errors.len() < MAX_ERRORS {
            upload.errors.push(wrong);
        }
    }

    async fn save(&self, store: &Store, batch: Vec<LergBlock>) -> Result<(), AppError> {
        let rows = batch.len() as u64;
        store.lerg().save(batch).await?;
        let upload = &mut self.0.lock().upload;
        upload.accepted += rows;
        tracing::info!(accepted = upload.accepted, failed = upload.failed, total = upload.total, "LERG file");
        Ok(())
    }
}

/// Where each column is in a line.
struct Columns {
    npa: usize,
    nxx: usize,
    block: Option<usize>,
    country: Option<usize>,
    state: usize,
    rate_center: usize,
    lata: Option<usize>,
    ocn: Option<usize>,
    carrier: Option<usize>,
    county: Option<usize>,
}

/// Column, what is wrong, and what stands there.
type Wrong = (&'static str, &'static str, String);

impl Columns {
    fn read(header: &str) -> Result<Self, AppError> {
        let names: Vec<String> =
            cells(header).iter().map(|name| name.trim().to_lowercase().replace(' ', "_")).collect();
        let at = |name: &str| names.iter().position(|one| one == name);
        let (Some(npa), Some(nxx), Some(state), Some(rate_center)) =
            (at("npa"), at("nxx"), at("state"), at("rate_center"))
        else {
            let message = format!("the first line must name the columns {}", NEEDED.join(", "));
            return Err(AppError::param("file", message, header.chars().take(200).collect::<String>()));
        };
        Ok(Self {
            npa,
            nxx,
            block: at("block"),
            country: at("country"),
            state,
            rate_center,
            lata: at("lata"),
            ocn: at("ocn"),
            carrier: at("carrier"),
            county: at("county"),
        })
    }

    fn block(&self, line: &str) -> Result<LergBlock, Wrong> {
        let cells = cells(line);
        let cell = |at: usize| cells.get(at).map_or("", |cell| cell.trim());
        let optional = |at: Option<usize>| at.map(cell).filter(|cell| !cell.is_empty());
        let check = |is_right: bool, column, message, value: &str| {
            if is_right { Ok(()) } else { Err((column, message, value.chars().take(100).collect())) }
        };
        let code = |text: &str| {
            let octets = text.as_bytes();
            octets.len() == 3 && octets.iter().all(u8::is_ascii_digit) && octets[0] >= b'2'
        };
        let letters = |text: &str| text.len() == 2 && text.bytes().all(|octet| octet.is_ascii_alphabetic());
        let (npa, nxx, state, rate_center) = (cell(self.npa), cell(self.nxx), cell(self.state), cell(self.rate_center));
        let block = optional(self.block).unwrap_or("A");
        let country = optional(self.country).unwrap_or("US");
        let (lata, ocn, carrier) = (optional(self.lata), optional(self.ocn), optional(self.carrier));
        let county = optional(self.county);
        check(code(npa), "npa", "must be 3 digits, the first 2 to 9", npa)?;
        check(code(nxx), "nxx", "must be 3 digits, the first 2 to 9", nxx)?;
        let one = matches!(block.as_bytes(), [b'A' | b'a' | b'0'..=b'9']);
        check(one, "block", "must be A or a digit", block)?;
        check(letters(country), "country", "must be 2 letters", country)?;
        check(letters(state), "state", "must be 2 letters", state)?;
        check((1..=64).contains(&rate_center.len()), "rate_center", "must be 1 to 64 octets", rate_center)?;
        let digits = |text: &str| text.len() <= 5 && text.bytes().all(|octet| octet.is_ascii_digit());
        check(lata.is_none_or(digits), "lata", "must be up to 5 digits", lata.unwrap_or_default())?;
        let company = |text: &str| text.len() <= 4 && text.bytes().all(|octet| octet.is_ascii_alphanumeric());
        check(ocn.is_none_or(company), "ocn", "must be up to 4 letters and digits", ocn.unwrap_or_default())?;
        let long = carrier.is_some_and(|name| name.len() > 255);
        check(!long, "carrier", "must be up to 255 octets", carrier.unwrap_or_default())?;
        let long = county.is_some_and(|name| name.len() > 64);
        check(!long, "county", "must be up to 64 octets", county.unwrap_or_default())?;
        Ok(LergBlock {
            block: format!("{npa}{nxx}{}", block.to_ascii_uppercase()),
            country: country.to_ascii_uppercase(),
            state: state.to_ascii_uppercase(),
            rate_center: rate_center.to_owned(),
            lata: lata.map(str::to_owned),
            ocn: ocn.map(str::to_ascii_uppercase),
            carrier: carrier.map(str::to_owned),
            county: county.map(str::to_uppercase),
        })
    }
}

/// The cells of a line (RFC 4180), without line breaks in them.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let (mut quoted, mut characters) = (false, line.chars().peekable());
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                push(&mut cells, '"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            other => push(&mut cells, other),
        }
    }
    cells
}

fn push(cells: &mut [String], character: char) {
    if let Some(cell) = cells.last_mut() {
        cell.push(character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cells_in_quotes_or_not() {
        assert_eq!(cells(r#"201,"Acme, ""Inc""",,x"#), ["201", "Acme, \"Inc\"", "", "x"]);
        assert_eq!(cells(""), [""]);
    }

    #[test]
    fn a_line_is_taken_or_told_what_is_wrong() {
        let columns = Columns::read("NPA,NXX,Block,State,Rate Center,LATA,OCN,Carrier,County").unwrap();
        let block = columns.block("201,555,1,nj,JERSEYCITY,224,1a2b,\"Acme, Inc\",Hudson").unwrap();
        assert_eq!((block.block.as_str(), block.country.as_str(), block.state.as_str()), ("2015551", "US", "NJ"));
        assert_eq!((block.ocn.as_deref(), block.carrier.as_deref()), (Some("1A2B"), Some("Acme, Inc")));
        assert_eq!(block.county.as_deref(), Some("HUDSON"));
        assert_eq!(columns.block("201,555,,NJ,X").unwrap().block, "201555A");
        for (line, column) in [
            ("20,555,A,NJ,X", "npa"),
            ("201,155,A,NJ,X", "nxx"),
            ("201,555,AA,NJ,X", "block"),
            ("201,555,A,N,X", "state"),
            ("201,555,A,NJ", "rate_center"),
            ("201,555,A,NJ,X,north", "lata"),
            ("201,555,A,NJ,X,224,12345", "ocn"),
        ] {
            assert_eq!(columns.block(line).unwrap_err().0, column, "{line}");
        }
        assert!(Columns::read("a,b,c").is_err());
    }
}
