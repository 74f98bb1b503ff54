//! The schema, as numbered SQL files that both databases run unchanged, but for those that say which.
//!
//! SQLite takes any type name, so the files say what PostgreSQL needs: `UUID`, `TIMESTAMPTZ`, `BIGINT`,
//! `BOOLEAN`, `TEXT`, `BYTEA`. A file that was released is never edited; a change is a new file.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

/// One file, or one for each database.
struct Sql {
    name: &'static str,
    up: &'static str,
    /// What SQLite runs instead.
    sqlite: Option<&'static str>,
}

impl MigrationName for Sql {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Sql {
    // The trait elides the lifetime; naming it here would make another signature.
    #[allow(elided_lifetimes_in_paths)]
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let sql = match manager.get_database_backend() {
            DbBackend::Sqlite => self.sqlite.unwrap_or(self.up),
            _ => self.up,
        };
        manager.get_connection().execute_unprepared(sql).await.map(|_| ())
    }

    /// A half-applied file must not stay behind, on SQLite neither.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

pub(crate) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        macro_rules! file {
            ($name:literal) => {
                Sql { name: $name, up: include_str!(concat!("migration/", $name, ".sql")), sqlite: None }
            };
        }
        let files = [
            file!("m0001_first_call"),
            file!("m0002_registrations"),
            file!("m0003_trunks"),
            file!("m0004_sip_messages"),
            file!("m0005_shaken_certificates"),
            file!("m0006_sip_switches"),
            file!("m0007_groups_and_filters"),
            file!("m0008_spend_limits"),
            file!("m0009_emergency"),
            Sql {
                name: "m0010_packed_events",
                up: include_str!("migration/m0010_packed_events.postgres.sql"),
                sqlite: Some(include_str!("migration/m0010_packed_events.sqlite.sql")),
            },
            file!("m0012_trunk_srtp"),
            file!("m0013_spent_calls"),
            file!("m0020_webhooks"),
            file!("m0021_records"),
            file!("m0022_second_flow_url"),
            file!("m0023_batches"),
            file!("m0024_sms"),
            file!("m0025_smpp"),
            file!("m0026_app_codecs"),
            file!("m0027_people"),
            file!("m0028_sms"),
            file!("m0029_ten_dlc"),
            file!("m0030_password_resets"),
            file!("m0030_sip_invites"),
            file!("m0030_lerg"),
            file!("m0032_call_numbers"),
            file!("m0031_calls_of_batches"),
            file!("m0035_transcripts"),
            file!("m0034_avatars"),
            file!("m0035_counties"),
            file!("m0036_special_prices"),
        ];
        files.into_iter().map(|file| Box::new(file) as Box<dyn MigrationTrait>).collect()
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectOptions, Database, EntityTrait, QueryOrder};

    use super::*;
    use crate::entity::event::{Column, Entity};

    #[tokio::test]
    async fn events_from_before_they_were_packed_are_kept() {
        let mut memory = ConnectOptions::new("sqlite::memory:");
        memory.max_connections(1);
        let db = Database::connect(memory).await.unwrap();
        Migrator::up(&db, Some(9)).await.unwrap();
        let account = "x'00000000000000000000000000000001'";
        for seq in [2, 1] {
            let row = format!(
                "INSERT INTO events VALUES ({account}, {seq}, {account}, '2026-11-24T06:15:22.328+00:00', 'sms', NULL, \
                 '{{\"seq\":{seq},\"message\":\"caf\u{e9}\"}}')"
            );
            db.execute_unprepared(&row).await.unwrap();
        }
        Migrator::up(&db, None).await.unwrap();
        let rows = Entity::find().order_by_asc(Column::Seq).all(&db).await.unwrap();
        let rows: Vec<(i64, &str)> = rows.iter().map(|row| (row.seq, &*row.body)).collect();
        assert_eq!(rows, [(1, "{\"seq\":1,\"message\":\"caf\u{e9}\"}"), (2, "{\"seq\":2,\"message\":\"caf\u{e9}\"}")]);
    }
}
