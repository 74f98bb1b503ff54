use std::time::Duration;

use opentact_store::mails::NewMail;
use opentact_store::transactions::{NewTransaction, TransactionFilter};
use opentact_store::types::{MailKind, RefType, Role, now};
use opentact_store::users::NewUser;
use opentact_store::{Money, Search, StoreError};
use uuid::Uuid;

use crate::world::{on_both, tenant};

on_both! {
    async fn migrating_twice_changes_nothing(world: &World) {
        world.store.migrate().await.unwrap();
        let products = world.store.products().await.unwrap();
        assert_eq!(products.iter().map(|p| (p.id, p.name.as_str())).collect::<Vec<_>>(), [(1, "default")]);
        let profiles = world.store.numbers().profiles().await.unwrap();
        assert_eq!(profiles.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["long_code", "toll_free"]);
        assert_eq!(profiles[0].prices.sms_per_send_cost.to_string(), "0.0075");
    }

    async fn sign_up_and_sign_in(world: &World) {
        let users = world.store.users();
        let (account, user) = tenant(&world.store, "Ada", 100).await;
        assert_eq!(account.balance, Money::units(100));
        assert_eq!(user.email, "ada@example.com");
        let read = world.store.accounts().get(account.uuid).await.unwrap();
        assert_eq!(read, account, "dates keep their milliseconds");

        let (who, of) = users.authenticate("ADA@example.com", "correct horse").await.unwrap().unwrap();
        assert_eq!((who.uuid, of.uuid), (user.uuid, account.uuid));
        assert_eq!(users.authenticate("ada@example.com", "wrong").await.unwrap(), None);
        assert_eq!(users.authenticate("nobody@example.com", "correct horse").await.unwrap(), None);

        let again = users.create(account.uuid, NewUser::new("Ada@Example.com", "x", Role::User)).await;
        assert!(matches!(again, Err(StoreError::Conflict("User"))), "{again:?}");

        users.set_password(account.uuid, user.uuid, "battery staple").await.unwrap();
        assert_eq!(users.authenticate("ada@example.com", "correct horse").await.unwrap(), None);
        // Somebody must be left who may change that.
        let last = users.set_deleted(account.uuid, user.uuid, true).await;
        assert!(matches!(last, Err(StoreError::LastAdmin)), "{last:?}");
        let role = users.update(account.uuid, user.uuid, |user| user.role = Role::User).await;
        assert!(matches!(role, Err(StoreError::LastAdmin)), "{role:?}");
        users.create(account.uuid, NewUser::new("bob@example.com", "x", Role::Admin)).await.unwrap();
        users.set_deleted(account.uuid, user.uuid, true).await.unwrap();
        assert_eq!(users.authenticate("ada@example.com", "battery staple").await.unwrap(), None);
        users.set_deleted(account.uuid, user.uuid, false).await.unwrap();
        assert!(users.authenticate("ada@example.com", "battery staple").await.unwrap().is_some());
    }

    async fn a_sign_up_that_fails_leaves_no_account(world: &World) {
        tenant(&world.store, "ada", 0).await;
        let account = opentact_store::accounts::NewAccount { name: "other".into(), ..Default::default() };
        let user = NewUser::new("ada@example.com", "correct horse", Role::Admin);
        assert!(matches!(world.store.users().sign_up(account, user).await, Err(StoreError::Conflict("User"))));
        assert_eq!(world.store.accounts().all().await.unwrap().len(), 1);
    }

    async fn a_password_is_reset_by_the_newest_token_once(world: &World) {
        let (account, user) = tenant(&world.store, "ada", 0).await;
        let (users, resets) = (world.store.users(), world.store.password_resets());
        let create = async |ttl| resets.create(account.uuid, user.uuid, Duration::from_secs(ttl)).await.unwrap();
        let (first, token) = (create(60).await, create(60).await);
        assert!(matches!(resets.find(&first).await, Err(StoreError::NotFound("Reset token"))));
        let reset = resets.find(&token).await.unwrap();
        assert!(!reset.hash.contains(&token));
        users.reset_password(&reset, "battery staple").await.unwrap();
        assert!(users.authenticate("ada@example.com", "battery staple").await.unwrap().is_some());
        // Who has found it at the same time is too late.
        let again = users.reset_password(&reset, "another one").await;
        assert!(matches!(again, Err(StoreError::NotFound("Reset token"))), "{again:?}");
        let token = create(60).await;
        users.set_password(account.uuid, user.uuid, "correct horse").await.unwrap();
        assert!(resets.find(&token).await.is_err());
        assert!(resets.find(&create(0).await).await.is_err());
    }

    async fn mails_wait_for_one_who_sends_them(world: &World) {
        let mails = world.store.mails();
        let mail = |to: &str| NewMail {
            kind: MailKind::PasswordReset,
            recipient: to.to_owned(),
            callback: Some("https://example.com/{token}".to_owned()),
            subject: None,
        };
        assert!(mails.queue(mail("Ada@example.com"), 1).await.unwrap());
        assert!(!mails.queue(mail("bob@example.com"), 1).await.unwrap());
        let hold = Duration::from_secs(60);
        let claimed = mails.claim(now(), hold).await.unwrap().unwrap();
        assert_eq!((claimed.recipient.as_str(), claimed.attempts), ("ada@example.com", 1));
        assert_eq!(mails.claim(now(), hold).await.unwrap(), None, "it is somebody's");
        assert_eq!(mails.next().await.unwrap(), Some(claimed.next_on));
        let later = mails.claim(claimed.next_on, hold).await.unwrap().unwrap();
        assert_eq!((later.uuid, later.attempts), (claimed.uuid, 2));
        mails.postpone(later.uuid, now()).await.unwrap();
        assert!(mails.claim(now(), hold).await.unwrap().is_some());
        mails.forget(later.uuid).await.unwrap();
        assert_eq!(mails.next().await.unwrap(), None);
        assert!(mails.queue(mail("bob@example.com"), 1).await.unwrap());
    }

    async fn another_accounts_users_are_not_found(world: &World) {
        let (_, ada) = tenant(&world.store, "ada", 0).await;
        let (bob, _) = tenant(&world.store, "bob", 0).await;
        let users = world.store.users();
        assert!(matches!(users.get(bob.uuid, ada.uuid).await, Err(StoreError::NotFound("User"))));
        let changed = users.update(bob.uuid, ada.uuid, |u| u.first_name = Some("Mallory".into())).await;
        assert!(matches!(changed, Err(StoreError::NotFound("User"))));
        assert_eq!(users.list(bob.uuid).await.unwrap().len(), 1);
    }

    async fn tokens_open_until_they_end(world: &World) {
        let tokens = world.store.tokens();
        let (account, user) = tenant(&world.store, "ada", 0).await;
        let (a, u) = (account.uuid, user.uuid);
        let (token, text) = tokens.create(a, u, "ci", None, vec![]).await.unwrap();
        assert!(!token.masked.contains(&text));
        let (found, who, _) = tokens.authenticate(&text).await.unwrap().unwrap();
        assert_eq!((found, who.uuid), (token.clone(), u));
        assert_eq!(tokens.authenticate("x").await.unwrap(), None);

        let past = now() - Duration::from_secs(1);
        tokens.update(a, u, token.uuid, |t| t.expired_on = Some(past)).await.unwrap();
        assert_eq!(tokens.authenticate(&text).await.unwrap(), None);
        assert_eq!(tokens.purge_expired().await.unwrap(), 1);

        let (_, one) = tokens.create(a, u, "one", Some(Duration::from_secs(60)), vec![]).await.unwrap();
        let (two, _) = tokens.create(a, u, "two", None, vec!["sms:read".into()]).await.unwrap();
        tokens.delete(a, u, &one).await.unwrap();
        assert!(matches!(tokens.delete(a, Uuid::new_v4(), &two.uuid.to_string()).await, Err(StoreError::NotFound(_))));
        assert_eq!(tokens.delete_all(a, u).await.unwrap(), 1);
        assert_eq!(tokens.list(a, u).await.unwrap(), []);
    }

    async fn balance_is_the_sum_of_transactions_whatever_runs_at_once(world: &World) {
        let (account, _) = tenant(&world.store, "ada", 10).await;
        let charge = |store: opentact_store::Store| async move {
            let price = Money::units(1);
            let charge = NewTransaction::charge(price, RefType::SmsOutgoing, Uuid::new_v4(), "one message");
            store.transactions().book(account.uuid, charge).await
        };
        let booked = futures_util::future::join_all((0..25).map(|_| tokio::spawn(charge(world.store.clone())))).await;
        let outcomes: Vec<_> = booked.into_iter().map(Result::unwrap).collect();
        assert_eq!(outcomes.iter().filter(|o| o.is_ok()).count(), 10);
        assert!(outcomes.iter().filter_map(|o| o.as_ref().err()).all(|e| matches!(e, StoreError::InsufficientBalance)));
        let balance = world.store.accounts().get(account.uuid).await.unwrap().balance;
        assert_eq!(balance, Money::ZERO);
        let found =
            world.store.transactions().search(account.uuid, TransactionFilter::default(), Search::first(100)).await;
        let all = found.unwrap();
        assert_eq!(all.total, Some(11));
        assert_eq!(all.data.iter().map(|t| t.amount).sum::<Money>(), balance);
        let report = world.store.transactions().report(account.uuid, now() - Duration::from_secs(60), now()).await;
        assert_eq!(report.unwrap().iter().map(|r| (r.ref_type, r.count)).collect::<Vec<_>>(), [
            (RefType::Payment, 1),
            (RefType::SmsOutgoing, 10),
        ]);
        let (from, to) = (now() - Duration::from_secs(60), now());
        let daily = world.store.transactions().daily(account.uuid, RefType::SmsOutgoing, from, to).await.unwrap();
        // Two days, should midnight be between.
        assert!(daily.iter().all(|day| (from.date_naive()..=to.date_naive()).contains(&day.date)), "{daily:?}");
        let sum = daily.iter().map(|day| (day.count, day.sum)).reduce(|a, b| (a.0 + b.0, a.1 + b.1));
        assert_eq!(sum, Some((10, Money::units(-10))));
    }
}
