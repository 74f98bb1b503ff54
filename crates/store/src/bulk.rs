//! Many rows in few statements. What writes all the time must not have its SQL parsed and planned each time: a statement
//! holds 1, 2, 4 ... rows, so that there are few texts for each table, which the connection keeps prepared.

use sea_orm::{
    ActiveModelTrait, DbBackend, DbErr, EntityTrait, IdenStatic, IntoActiveModel, Iterable, Statement, Value,
};
use uuid::Uuid;

use crate::writer::Db;

/// Rows of one statement at most: few enough for the parameters SQLite takes (32,766), as no table here has more than
/// 500 columns.
pub(crate) const ROWS: usize = 64;

/// What happens to a row that is there already.
pub(crate) enum Conflict<'a, C> {
    /// The statement fails.
    Refuse,
    /// By the same `key`: all columns but these are written anew.
    Update { key: C, keep: &'a [C] },
}

/// Inserts rows in their order.
pub(crate) async fn insert<E, A>(
    db: &impl Db,
    rows: Vec<E::Model>,
    conflict: &Conflict<'_, E::Column>,
) -> Result<(), DbErr>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<A>,
    A: ActiveModelTrait<Entity = E>,
{
    let backend = db.backend();
    let mut left = rows.len();
    let mut rows = rows.into_iter();
    let mut sql = (0, String::new());
    while let Some(count) = next(&mut left, db.rows_together()) {
        let mut values = Vec::with_capacity(count * E::Column::iter().len());
        for row in rows.by_ref().take(count) {
            let mut row = row.into_active_model();
            values.extend(E::Column::iter().filter_map(|column| row.take(column).into_value()));
        }
        if sql.0 != count {
            sql = (count, text::<E>(backend, count, conflict));
        }
        db.run(Statement::from_sql_and_values(backend, &sql.1, values)).await?;
    }
    Ok(())
}

/// Deletes the rows whose `column` is one of `keys`.
pub(crate) async fn delete<E: EntityTrait>(db: &impl Db, column: E::Column, keys: &[Uuid]) -> Result<(), DbErr> {
    let backend = db.backend();
    let (table, mut left, mut keys) = (E::default(), keys.len(), keys.iter());
    while let Some(count) = next(&mut left, ROWS) {
        let mut sql = format!("DELETE FROM \"{}\" WHERE \"{}\" IN (", table.table_name(), column.as_str());
        parameters(&mut sql, backend, 1, count);
        sql.push(')');
        let values = keys.by_ref().take(count).map(|key| Value::from(*key));
        db.run(Statement::from_sql_and_values(backend, sql, values)).await?;
    }
    Ok(())
}

/// Keys of an `IN`, with the last repeated up to the next power of two: few texts here too.
pub(crate) fn padded<K: Clone>(keys: impl IntoIterator<Item = K>) -> Vec<K> {
    let mut keys: Vec<K> = keys.into_iter().collect();
    if let Some(last) = keys.last().cloned() {
        keys.resize(keys.len().next_power_of_two(), last);
    }
    keys
}

/// How many rows the next statement holds, taken from those that are left.
fn next(left: &mut usize, most: usize) -> Option<usize> {
    let count = (1 << left.checked_ilog2()?).min(most);
    *left -= count;
    Some(count)
}

fn parameters(sql: &mut String, backend: DbBackend, first: usize, count: usize) {
    for number in first..first + count {
        if number > first {
            sql.push_str(", ");
        }
        match backend {
            DbBackend::Postgres => sql.push_str(&format!("${number}")),
            _ => sql.push('?'),
        }
    }
}

fn text<E: EntityTrait>(backend: DbBackend, rows: usize, conflict: &Conflict<'_, E::Column>) -> String {
    let columns: Vec<&str> = E::Column::iter().map(|column| column.as_str()).collect();
    let mut sql = format!("INSERT INTO \"{}\" (\"{}\") VALUES ", E::default().table_name(), columns.join("\", \""));
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        parameters(&mut sql, backend, row * columns.len() + 1, columns.len());
        sql.push(')');
    }
    if let Conflict::Update { key, keep } = conflict {
        let changes =
            columns.iter().filter(|name| **name != key.as_str() && keep.iter().all(|kept| kept.as_str() != **name));
        let changes: Vec<String> = changes.map(|name| format!("\"{name}\" = excluded.\"{name}\"")).collect();
        sql.push_str(&format!(" ON CONFLICT (\"{}\") DO UPDATE SET {}", key.as_str(), changes.join(", ")));
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entity::event::{Column, Entity};

    #[test]
    fn statements_are_what_each_database_reads() {
        let text = |backend, conflict| text::<Entity>(backend, 2, &conflict);
        assert_eq!(
            text(DbBackend::Sqlite, Conflict::Refuse),
            "INSERT INTO \"events\" (\"account\", \"seq\", \"uuid\", \"created_on\", \"type\", \"ref_id\", \"body\") \
             VALUES (?, ?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?, ?)"
        );
        let keep = [Column::Account, Column::Seq, Column::CreatedOn, Column::Kind, Column::RefId];
        let sql = text(DbBackend::Postgres, Conflict::Update { key: Column::Uuid, keep: &keep });
        assert!(sql.contains("VALUES ($1, $2, $3, $4, $5, $6, $7), ($8, "), "{sql}");
        assert!(sql.ends_with("$14) ON CONFLICT (\"uuid\") DO UPDATE SET \"body\" = excluded.\"body\""), "{sql}");
    }
}
