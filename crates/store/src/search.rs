//! Search as the REST API has it: page, mode, order, dates, text masks, cursor.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Func, LikeExpr};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, Order, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::owned::Owned;
use crate::types::text_enum;
use crate::{Result, StoreError};

text_enum! {
    /// How the filters of a search are joined.
    pub enum Mode { And = "AND", Or = "OR" }
}

text_enum! {
    pub enum Sort { Asc = "ASC", Desc = "DESC" }
}

pub const DEFAULT_TAKE: u64 = 10;
pub const MAX_TAKE: u64 = 100;

/// What every search has besides the filters of its entity.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// 1..=100.
    pub take: u64,
    pub skip: u64,
    /// Joins the entity's filters. The account, the dates and the cursor always narrow.
    pub mode: Mode,
    /// Field and direction, first the most significant. Empty means newest first.
    pub order: Vec<(String, Sort)>,
    pub created_on_from: Option<DateTime<Utc>>,
    pub created_on_to: Option<DateTime<Utc>>,
    pub modified_on_from: Option<DateTime<Utc>>,
    pub modified_on_to: Option<DateTime<Utc>>,
    /// Goes on where an earlier answer's `next_cursor` stopped; only newest first, without `skip`.
    pub cursor: Option<String>,
    /// Whether to count all matches.
    pub count: bool,
}

impl Default for Search {
    fn default() -> Search {
        Search {
            take: DEFAULT_TAKE,
            skip: 0,
            mode: Mode::And,
            order: Vec::new(),
            created_on_from: None,
            created_on_to: None,
            modified_on_from: None,
            modified_on_to: None,
            cursor: None,
            count: true,
        }
    }
}

impl Search {
    /// The first `take` rows, newest first.
    pub fn first(take: u64) -> Search {
        Search { take, ..Search::default() }
    }
}

/// One page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Found<T> {
    pub take: u64,
    pub skip: u64,
    pub mode: Mode,
    pub order: Vec<(String, Sort)>,
    /// All matches; `None` when not asked for.
    pub total: Option<u64>,
    /// Present when there may be more and the order is newest first.
    pub next_cursor: Option<String>,
    pub data: Vec<T>,
}

impl<T> Found<T> {
    pub fn map<U>(self, to: impl FnMut(T) -> U) -> Found<U> {
        Found {
            take: self.take,
            skip: self.skip,
            mode: self.mode,
            order: self.order,
            total: self.total,
            next_cursor: self.next_cursor,
            data: self.data.into_iter().map(to).collect(),
        }
    }
}

/// What the generic search must know of an entity.
pub(crate) trait Searchable: Owned {
    const MODIFIED_ON: Self::Column;
    /// Fields that a caller may order by, by their outer names.
    const SORTABLE: &'static [(&'static str, Self::Column)];

    fn created_on(row: &Self::Model) -> DateTime<Utc>;
    fn uuid(row: &Self::Model) -> Uuid;
}

macro_rules! searchable {
    ($module:ident, { $($field:literal => $column:ident),* $(,)? }) => {
        impl $crate::search::Searchable for $crate::entity::$module::Entity {
            const MODIFIED_ON: Self::Column = $crate::entity::$module::Column::ModifiedOn;
            const SORTABLE: &'static [(&'static str, Self::Column)] = &[
                ("created_on", $crate::entity::$module::Column::CreatedOn),
                ("modified_on", $crate::entity::$module::Column::ModifiedOn),
                $(($field, $crate::entity::$module::Column::$column),)*
            ];

            fn created_on(row: &Self::Model) -> chrono::DateTime<chrono::Utc> {
                row.created_on
            }

            fn uuid(row: &Self::Model) -> uuid::Uuid {
                row.uuid
            }
        }
    };
}
pub(crate) use searchable;

/// Names of the fields that a search of `E` may be ordered by.
pub(crate) fn sortable<E: Searchable>() -> Vec<&'static str> {
    E::SORTABLE.iter().map(|(name, _)| *name).collect()
}

/// Runs a search over the account's rows that meet `always` and the joined `filters`.
pub(crate) async fn run<E: Searchable>(
    db: &impl ConnectionTrait,
    account: Uuid,
    always: Condition,
    filters: Vec<Expr>,
    search: Search,
) -> Result<Found<E::Model>> {
    if !(1..=MAX_TAKE).contains(&search.take) {
        return Err(StoreError::invalid("take", "must be 1..100"));
    }
    // The database counts rows in 63 bits.
    if i64::try_from(search.skip).is_err() {
        return Err(StoreError::invalid("skip", "is too large"));
    }
    let joined = match search.mode {
        Mode::And => Condition::all(),
        Mode::Or => Condition::any(),
    };
    let no_filters = filters.is_empty();
    let joined = filters.into_iter().fold(joined, Condition::add);
    let mut narrow = Condition::all()
        .add(E::ACCOUNT.eq(account))
        .add(always)
        .add_option(search.created_on_from.map(|d| E::CREATED_ON.gte(d)))
        .add_option(search.created_on_to.map(|d| E::CREATED_ON.lte(d)))
        .add_option(search.modified_on_from.map(|d| E::MODIFIED_ON.gte(d)))
        .add_option(search.modified_on_to.map(|d| E::MODIFIED_ON.lte(d)));
    if !no_filters {
        narrow = narrow.add(joined);
    }
    let mut query = E::find().filter(narrow);

    // Of all matches, wherever a cursor stands.
    let all = search.count.then(|| query.clone());

    let newest_first = match search.order.as_slice() {
        [] => true,
        [(field, Sort::Desc)] => field == "created_on",
        _ => false,
    };
    if newest_first {
        query = query.order_by(E::CREATED_ON, Order::Desc).order_by(E::UUID, Order::Desc);
    } else {
        for (field, direction) in &search.order {
            let column = E::SORTABLE.iter().find(|(name, _)| name == field).map(|(_, column)| *column);
            let column = column.ok_or_else(|| StoreError::invalid("order", format!("cannot order by `{field}`")))?;
            query = query.order_by(column, if *direction == Sort::Asc { Order::Asc } else { Order::Desc });
        }
        query = query.order_by(E::UUID, Order::Desc);
    }
    if let Some(cursor) = &search.cursor {
        if !newest_first || search.skip > 0 {
            return Err(StoreError::invalid("cursor", "only without skip and with the newest first"));
        }
        let (created_on, uuid) = decode_cursor(cursor)?;
        let after =
            Condition::any().add(E::CREATED_ON.lt(created_on)).add(E::CREATED_ON.eq(created_on).and(E::UUID.lt(uuid)));
        // What an index can begin at: through the other no database sees.
        query = query.filter(E::CREATED_ON.lte(created_on)).filter(after);
    }
    let data = query.limit(search.take).offset(search.skip).all(db).await?;
    let rows = data.len() as u64;
    let is_last = rows < search.take && (rows > 0 || search.skip == 0);
    let total = match all {
        // The page itself tells.
        Some(_) if is_last && search.cursor.is_none() => Some(search.skip + rows),
        Some(all) => Some(all.count(db).await?),
        None => None,
    };
    let next_cursor = match data.last() {
        Some(last) if newest_first && rows == search.take => Some(encode_cursor(E::created_on(last), E::uuid(last))),
        _ => None,
    };
    Ok(Found { take: search.take, skip: search.skip, mode: search.mode, order: search.order, total, next_cursor, data })
}

/// The time as exact as the database keeps it: rows of one millisecond are told apart.
fn encode_cursor(created_on: DateTime<Utc>, uuid: Uuid) -> String {
    let (seconds, nanoseconds) = (created_on.timestamp(), created_on.timestamp_subsec_nanos());
    URL_SAFE_NO_PAD.encode(format!("{seconds}.{nanoseconds}:{uuid}"))
}

fn decode_cursor(cursor: &str) -> Result<(DateTime<Utc>, Uuid)> {
    let parse = || {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let (time, uuid) = text.split_once(':')?;
        let (seconds, nanoseconds) = time.split_once('.')?;
        Some((DateTime::from_timestamp(seconds.parse().ok()?, nanoseconds.parse().ok()?)?, uuid.parse().ok()?))
    };
    parse().ok_or_else(|| StoreError::invalid("cursor", "not a cursor"))
}

/// A text filter: `*` and `%` stand for any run of characters; without one the text must be equal.
/// Case does not matter.
pub(crate) fn mask(column: impl ColumnTrait, mask: &str) -> Expr {
    let column = Expr::col((column.entity_name(), column));
    text_mask(column, mask)
}

/// A filter over the digits of a number, leading `+` ignored on both sides.
pub(crate) fn digits_mask(column: impl ColumnTrait, mask: &str) -> Expr {
    let digits = mask.strip_prefix('+').unwrap_or(mask);
    let plain = Expr::col((column.entity_name(), column));
    if is_mask(digits) {
        let with_plus = Expr::col((column.entity_name(), column));
        return text_mask(plain, digits).or(text_mask(with_plus, &format!("+{digits}")));
    }
    plain.is_in([digits.to_owned(), format!("+{digits}")])
}

/// A filter over a column that holds a [`crate::Tn`].
pub(crate) fn tn_mask(column: impl ColumnTrait, mask: &str) -> Expr {
    let digits = mask.strip_prefix('+').unwrap_or(mask);
    let column = Expr::col((column.entity_name(), column));
    match digits.parse::<i64>() {
        Ok(number) => column.eq(number),
        Err(_) => text_mask(column.cast_as("TEXT"), digits),
    }
}

fn is_mask(text: &str) -> bool {
    text.contains(['*', '%'])
}

fn text_mask(column: Expr, mask: &str) -> Expr {
    let lower = mask.to_lowercase();
    let column = Expr::expr(Func::lower(column));
    if !is_mask(mask) {
        return column.eq(lower);
    }
    let mut pattern = String::with_capacity(lower.len() + 4);
    for c in lower.chars() {
        match c {
            '*' | '%' => pattern.push('%'),
            '_' | '\\' => pattern.extend(['\\', c]),
            other => pattern.push(other),
        }
    }
    column.like(LikeExpr::new(pattern).escape('\\'))
}
