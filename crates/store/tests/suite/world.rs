use opentact_store::accounts::{Account, NewAccount};
use opentact_store::types::Role;
use opentact_store::users::{NewUser, User};
use opentact_store::{Keyring, Money, Settings, Store};
use sea_orm::{ConnectionTrait, Database};
use tempfile::TempDir;
use uuid::Uuid;

/// A fresh migrated database of its own, gone when dropped.
pub struct World {
    pub store: Store,
    pub settings: Settings,
    dir: Option<TempDir>,
    postgres: Option<String>,
}

impl World {
    pub async fn sqlite() -> World {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings::new(format!("sqlite:{}", dir.path().join("store.db").display()));
        World::open(settings, Some(dir), None).await
    }

    /// `None` without `OPENTACT_TEST_POSTGRES`.
    pub async fn postgres() -> Option<World> {
        let url = std::env::var("OPENTACT_TEST_POSTGRES").ok()?;
        let schema = format!("test_{}", Uuid::new_v4().simple());
        let admin = Database::connect(&url).await.unwrap();
        admin.execute_unprepared(&format!("CREATE SCHEMA {schema}")).await.unwrap();
        admin.close().await.unwrap();
        let mut settings = Settings::new(url.clone());
        settings.schema = Some(schema);
        Some(World::open(settings, None, Some(url)).await)
    }

    async fn open(settings: Settings, dir: Option<TempDir>, postgres: Option<String>) -> World {
        let store = Store::connect(&settings, Keyring::ephemeral().unwrap()).await.unwrap();
        store.migrate().await.unwrap();
        World { store, settings, dir, postgres }
    }

    pub async fn close(self) {
        self.store.close().await.unwrap();
        if let (Some(url), Some(schema)) = (self.postgres, self.settings.schema) {
            let admin = Database::connect(&url).await.unwrap();
            admin.execute_unprepared(&format!("DROP SCHEMA {schema} CASCADE")).await.unwrap();
            admin.close().await.unwrap();
        }
        drop(self.dir);
    }
}

/// Runs each test on both databases.
macro_rules! on_both {
    ($($(#[$meta:meta])* async fn $name:ident($world:ident: &World) $body:block)+) => {
        $($(#[$meta])* mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn story($world: &crate::world::World) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                let world = crate::world::World::sqlite().await;
                story(&world).await;
                world.close().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                let Some(world) = crate::world::World::postgres().await else { return };
                story(&world).await;
                world.close().await;
            }
        })+
    };
}
pub(crate) use on_both;

/// An account with this balance and its admin.
pub async fn tenant(store: &Store, name: &str, balance: i64) -> (Account, User) {
    let account = NewAccount {
        name: name.to_owned(),
        email: format!("{name}@example.com"),
        balance: Money::units(balance),
        ..NewAccount::default()
    };
    let user = NewUser::new(format!("{name}@example.com"), "correct horse", Role::Admin);
    store.users().sign_up(account, user).await.unwrap()
}
