//! The schema, as numbered SQL files that both databases run unchanged.
//!
//! SQLite takes any type name, so the files say what PostgreSQL needs: `UUID`, `TIMESTAMPTZ`, `BIGINT`,
//! `BOOLEAN`, `TEXT`, `BYTEA`. A file that was released is never edited; a change is a new file.

use sea_orm_migration::prelude::*;

/// One file.
struct Sql {
    name: &'static str,
    up: &'static str,
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
        manager.get_connection().execute_unprepared(self.up).await.map(|_| ())
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
        vec![
            Box::new(Sql { name: "m0001_first_call", up: include_str!("migration/m0001_first_call.sql") }),
            Box::new(Sql { name: "m0002_registrations", up: include_str!("migration/m0002_registrations.sql") }),
            Box::new(Sql { name: "m0003_trunks", up: include_str!("migration/m0003_trunks.sql") }),
            Box::new(Sql { name: "m0004_sip_messages", up: include_str!("migration/m0004_sip_messages.sql") }),
            Box::new(Sql {
                name: "m0005_shaken_certificates",
                up: include_str!("migration/m0005_shaken_certificates.sql"),
            }),
            Box::new(Sql { name: "m0006_sip_switches", up: include_str!("migration/m0006_sip_switches.sql") }),
            Box::new(Sql {
                name: "m0007_groups_and_filters",
                up: include_str!("migration/m0007_groups_and_filters.sql"),
            }),
            Box::new(Sql { name: "m0008_spend_limits", up: include_str!("migration/m0008_spend_limits.sql") }),
            Box::new(Sql { name: "m0009_emergency", up: include_str!("migration/m0009_emergency.sql") }),
        ]
    }
}
