//! Logs as CSV (RFC 4180): what is asked for with `Accept: text/csv`.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use opentact_store::Found;
use opentact_store::search::{MAX_TAKE, Search};
use serde_json::Value;

use crate::error::AppError;

/// Rows of one export; the next one goes on with the cursor in `X-Next-Cursor`.
const ROWS: u64 = 10_000;
const NEXT_CURSOR: HeaderName = HeaderName::from_static("x-next-cursor");

/// Whether the client would rather have CSV.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let first = accepts.split(',').next().unwrap_or_default();
    first.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/csv")
}

/// The columns of all that is found, page by page, or of the first `take`.
pub(crate) async fn export<F>(
    columns: &[&str],
    take: Option<u64>,
    mut search: Search,
    page: impl Fn(Search) -> F,
) -> Result<Response, AppError>
where
    F: Future<Output = Result<Found<Value>, AppError>> + Send,
{
    let mut left = take.unwrap_or(ROWS);
    let mut text = columns.join(",");
    text.push_str("\r\n");
    let mut cursor = None;
    search.count = false;
    while left > 0 {
        search.take = left.min(MAX_TAKE);
        let found = page(search.clone()).await?;
        let rows = found.data.len() as u64;
        for row in &found.data {
            line(&mut text, columns, row);
        }
        left -= rows.min(left);
        cursor = found.next_cursor;
        if rows < search.take {
            break;
        }
        // Newest first there is a cursor, in another order rows are counted.
        match &cursor {
            Some(cursor) => (search.cursor, search.skip) = (Some(cursor.clone()), 0),
            None => search.skip += rows,
        }
    }
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present"));
    if let Some(cursor) = cursor.and_then(|cursor| HeaderValue::from_str(&cursor).ok()) {
        headers.insert(NEXT_CURSOR, cursor);
    }
    Ok(response)
}

fn line(text: &mut String, columns: &[&str], row: &Value) {
    for (at, column) in columns.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        match &row[*column] {
            Value::Null => {}
            Value::String(cell) => quote(text, cell),
            other => quote(text, &other.to_string()),
        }
    }
    text.push_str("\r\n");
}

/// What a spreadsheet would take for a formula gets an apostrophe in front: messages are written by strangers.
fn quote(text: &mut String, cell: &str) {
    let is_number = cell.trim_start_matches(['+', '-']).parse::<f64>().is_ok();
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number;
    let plain = !cell.contains(['"', ',', '\r', '\n']) && !is_formula;
    if plain {
        return text.push_str(cell);
    }
    text.push('"');
    if is_formula {
        text.push('\'');
    }
    text.push_str(&cell.replace('"', "\"\""));
    text.push('"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let row =
            json!({"a": "plain", "b": "say \"hi\", you\nthere", "c": 12, "d": null, "e": "=1+1", "f": "+12015550100"});
        let mut text = String::new();
        line(&mut text, &["a", "b", "c", "d", "e", "f", "missing"], &row);
        assert_eq!(text, "plain,\"say \"\"hi\"\", you\nthere\",12,,\"'=1+1\",+12015550100,\r\n");
    }

    #[test]
    fn csv_is_given_to_who_asks_for_it() {
        let wanted = |accept: &str| is_wanted(&HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]));
        assert!(wanted("text/csv"));
        assert!(wanted("Text/CSV;q=1, */*"));
        assert!(!wanted("application/json, text/csv"));
        assert!(!wanted("*/*"));
    }
}
