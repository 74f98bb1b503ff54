//! What carriers say became of messages, many in one transaction.

use std::cmp::Reverse;
use std::collections::hash_map::Entry as Place;
use std::collections::{BTreeSet, HashMap};

use futures_util::FutureExt;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use uuid::Uuid;

use crate::bulk;
use crate::entity::sms::{Column, Entity};
use crate::entity::sms_segment;
use crate::sms::{Messages, Sms, rewrite};
use crate::types::{SmsState, SmsType, now};
use crate::writer::Db;
use crate::{Result, smpp, sms_untold};

/// What a carrier says of the message, or the segment of one, that it named so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReceipt {
    pub carrier: String,
    pub reference_id: String,
    /// Why it failed; `None`: it is delivered.
    pub failed: Option<String>,
}

/// The message that a receipt is of.
#[derive(Debug, Clone)]
pub struct Receipted {
    /// As it is after it.
    pub sms: Sms,
    /// Whether the receipt made it so.
    pub changed: bool,
}

/// Messages that carriers have named, with their segments.
struct Named {
    /// By carrier and reference: the newest message, and which segment of it.
    names: HashMap<(String, String), (Uuid, Option<i64>)>,
    messages: HashMap<Uuid, Sms>,
    segments: HashMap<Uuid, Vec<sms_segment::Model>>,
}

impl Messages<'_> {
    /// Applies receipts in their order, all or none: each of the newest outbound message, of whatever account, of which the
    /// carrier named the whole or a segment so. `None` where there is no such message, or `is_busy` says that it is not its
    /// turn yet; not changed where it says nothing new: a message is delivered when all of its segments are, and has failed
    /// when one has.
    pub async fn receipts(
        &self,
        receipts: Vec<NewReceipt>,
        is_busy: impl Fn(Uuid) -> bool + Send + 'static,
    ) -> Result<Vec<Option<Receipted>>> {
        self.store
            .write(move |tx| {
                async move {
                    let Named { names, mut messages, mut segments } = named(&tx, &receipts).await?;
                    let mut results = Vec::with_capacity(receipts.len());
                    let (mut changes, mut delivered) = (Vec::new(), BTreeSet::new());
                    let modified_on = now();
                    for NewReceipt { carrier, reference_id, failed } in receipts {
                        let Some((uuid, part)) =
                            names.get(&(carrier, reference_id)).copied().filter(|(sms, _)| !is_busy(*sms))
                        else {
                            results.push(None);
                            continue;
                        };
                        let Some(sms) = messages.get_mut(&uuid) else {
                            results.push(None);
                            continue;
                        };
                        let settled = sms.delivered || sms.state != SmsState::Success;
                        let mut changed = !settled;
                        match (failed, part) {
                            _ if settled => {}
                            (Some(reason), _) => (sms.state, sms.reason) = (SmsState::Failed, Some(reason)),
                            (None, None) => sms.delivered = true,
                            (None, Some(part)) => {
                                let all = segments.entry(uuid).or_default();
                                all.iter_mut().filter(|one| one.number == part).for_each(|one| one.delivered = true);
                                delivered.insert((uuid, part));
                                sms.delivered = all.iter().all(|one| one.delivered);
                                changed = sms.delivered;
                            }
                        }
                        if changed {
                            sms.modified_on = modified_on;
                            changes.push(sms.clone());
                        }
                        results.push(Some(Receipted { sms: sms.clone(), changed }));
                    }
                    for (sms, number) in delivered {
                        use sms_segment::Column as Part;
                        let told = sms_segment::Entity::update_many()
                            .col_expr(Part::Delivered, Expr::value(true))
                            .filter(Part::Sms.eq(sms).and(Part::Number.eq(number)));
                        tx.run(told.build(tx.backend())).await?;
                    }
                    write(&tx, changes).await?;
                    Ok(results)
                }
                .boxed()
            })
            .await
    }
}

/// Each has come to an end, and is in `changes` once.
async fn write(db: &impl Db, changes: Vec<Sms>) -> Result<()> {
    let (good, bad): (Vec<&Sms>, Vec<&Sms>) = changes.iter().partition(|sms| sms.delivered);
    let ids = |messages: Vec<&Sms>| messages.iter().map(|sms| sms.uuid).collect();
    smpp::ended(db, ids(good), true).await?;
    smpp::ended(db, ids(bad), false).await?;
    sms_untold::note(db, changes.iter()).await?;
    rewrite(db, changes).await?;
    Ok(())
}

async fn named(db: &impl Db, receipts: &[NewReceipt]) -> Result<Named> {
    use sms_segment::Column as Part;
    let references: BTreeSet<&str> = receipts.iter().map(|receipt| receipt.reference_id.as_str()).collect();
    let parts = sms_segment::Entity::find()
        .filter(Part::ReferenceId.is_in(bulk::padded(references.iter().copied())))
        .order_by_desc(Part::CreatedOn);
    let parts = db.all(parts).await?;
    let wholes = Entity::find()
        .filter(Column::ReferenceId.is_in(bulk::padded(references)))
        .filter(Column::Kind.ne(SmsType::Inbound));
    let wholes = db.all(wholes).await?.into_iter().map(|sms| sms.uuid);
    let of_several: BTreeSet<Uuid> = parts.iter().map(|part| part.sms).collect();
    // Other nodes may have receipts of the same messages: in one order, so that no two wait for each other.
    let messages = Entity::find()
        .filter(Column::Uuid.is_in(bulk::padded(wholes.chain(of_several.iter().copied()))))
        .order_by_asc(Column::Uuid)
        .lock_exclusive();
    let mut messages = db.all(messages).await?;
    messages.sort_unstable_by_key(|sms| Reverse(sms.created_on));
    let mut named = Named { names: HashMap::new(), messages: HashMap::new(), segments: HashMap::new() };
    for part in parts {
        // The newest stands first.
        named.names.entry((part.carrier, part.reference_id)).or_insert((part.sms, Some(part.number)));
    }
    for sms in messages {
        if let (Some(carrier), Some(reference)) = (&sms.carrier, &sms.reference_id)
            && let Place::Vacant(place) = named.names.entry((carrier.clone(), reference.clone()))
        {
            place.insert((sms.uuid, None));
        }
        named.messages.insert(sms.uuid, sms);
    }
    if !of_several.is_empty() {
        let segments = sms_segment::Entity::find().filter(Part::Sms.is_in(bulk::padded(of_several)));
        let segments = db.all(segments).await?;
        for segment in segments {
            named.segments.entry(segment.sms).or_default().push(segment);
        }
    }
    Ok(named)
}
