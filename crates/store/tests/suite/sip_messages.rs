use std::time::Duration;

use opentact_store::sip_messages::{Copy, NewSipMessage, SipMessageFilter};
use opentact_store::types::{SmsState, now};
use opentact_store::{Search, StoreError};
use uuid::Uuid;

use crate::world::{on_both, tenant};

fn to(recipient: Uuid, position: i64, seconds: u64) -> NewSipMessage {
    NewSipMessage {
        sender: Some(Uuid::from_u128(1)),
        recipient: Some(recipient),
        position,
        from: "alice@home".to_owned(),
        to: "bob@home".to_owned(),
        thread: "0".repeat(32),
        content_type: "text/plain".to_owned(),
        message: format!("number {position}"),
        hops: 70,
        waits_until: Some(now() + Duration::from_secs(seconds)),
        reason: None,
    }
}

on_both! {
    async fn messages_wait_for_a_user_in_order_and_up_to_the_limit(world: &World) {
        let messages = world.store.sip_messages();
        let (ada, _) = tenant(&world.store, "ada", 0).await;
        let bob = Uuid::new_v4();
        for position in [2, 1, 3] {
            messages.create(ada.uuid, to(bob, position, 60), None, 3).await.unwrap().unwrap();
        }
        assert_eq!(messages.create(ada.uuid, to(bob, 4, 60), None, 3).await.unwrap(), None);
        let other = Uuid::new_v4();
        messages.create(ada.uuid, to(other, 5, 60), None, 3).await.unwrap().unwrap();
        assert_eq!(messages.waiting(bob, now()).await.unwrap(), 3);
        let mut awaited = messages.awaited().await.unwrap();
        awaited.sort();
        let mut expected = vec![bob, other];
        expected.sort();
        assert_eq!(awaited, expected);

        let mut read = Vec::new();
        while let Some(next) = messages.next(bob, now()).await.unwrap() {
            read.push(next.message.clone());
            let settled = messages.settle(next.uuid, None).await.unwrap();
            assert_eq!((settled.len(), settled[0].state, settled[0].delivered), (1, SmsState::Success, true));
        }
        assert_eq!(read, ["number 1", "number 2", "number 3"]);
        assert_eq!(messages.awaited().await.unwrap(), [other]);
    }

    async fn a_message_that_waited_too_long_is_no_longer_given_out(world: &World) {
        let messages = world.store.sip_messages();
        let (ada, _) = tenant(&world.store, "ada", 0).await;
        let bob = Uuid::new_v4();
        messages.create(ada.uuid, to(bob, 1, 60), None, 10).await.unwrap().unwrap();
        let later = now() + Duration::from_secs(61);
        assert_eq!(messages.next(bob, later).await.unwrap(), None);
        assert_eq!(messages.expired(now()).await.unwrap(), []);
        let expired = messages.expired(later).await.unwrap();
        let failed = messages.settle(expired[0].uuid, Some("Expired")).await.unwrap();
        assert_eq!((failed[0].state, failed[0].reason.as_deref()), (SmsState::Failed, Some("Expired")));
        assert_eq!(messages.expired(later).await.unwrap(), []);
    }

    async fn each_account_sees_its_own_row_of_a_message(world: &World) {
        let messages = world.store.sip_messages();
        let (ada, _) = tenant(&world.store, "ada", 0).await;
        let (eve, _) = tenant(&world.store, "eve", 0).await;
        let new = NewSipMessage { from: "anonymous".to_owned(), ..to(Uuid::new_v4(), 1, 60) };
        let copy = Copy { account: eve.uuid, from: "eve@other".to_owned(), thread: "1".repeat(32) };
        let written = messages.create(ada.uuid, new, Some(copy), 10).await.unwrap().unwrap();
        assert_eq!(written[1].copy_of, Some(written[0].uuid));
        let settled = messages.settle(written[0].uuid, None).await.unwrap();
        assert!(settled.iter().all(|row| row.delivered));

        let find = async |account, from: &str| {
            let filter = SipMessageFilter { from: Some(from.to_owned()), ..SipMessageFilter::default() };
            messages.search(account, filter, Search::first(10)).await.unwrap().data.len()
        };
        assert_eq!((find(ada.uuid, "anonymous").await, find(ada.uuid, "eve@*").await), (1, 0));
        assert_eq!((find(eve.uuid, "anonymous").await, find(eve.uuid, "eve@*").await), (0, 1));
        let theirs = messages.get(eve.uuid, written[0].uuid).await;
        assert!(matches!(theirs, Err(StoreError::NotFound("SIPMessage"))), "{theirs:?}");
    }
}
