//! What is said on a call, as text: to a flow that asks for it, and of recordings.

use opentact_call::{Input, LegId, Listen};
use opentact_store::records::Record;
use opentact_store::transcripts::Transcript;

use super::{Core, Message};
use crate::recognition::{Heard, RATE, Wish, held, listen};

impl Core {
    pub(super) fn listen(&mut self, call: LegId, leg: LegId, id: u64, listen: Listen) {
        let Some(key) = self.media_key(leg) else {
            let result = Err("the leg has no media".to_owned());
            return self.tell_call(call, Input::Said { id, result });
        };
        let Some(account) = self.calls.get(&call).map(|entry| entry.book.context().tenant.row.clone()) else { return };
        let tap = self.drivers.media.tap(key, RATE);
        let (recognition, own) = (self.drivers.recognition.clone(), self.own.clone());
        let (router, journal) = (self.drivers.router.clone(), self.drivers.journal.clone());
        let wish = Wish { lang: listen.lang, hints: listen.hints };
        let task = self.drivers.runtime.spawn(async move {
            let prices = router.ledger().speech();
            // The core gone means the node is stopping.
            let tell = async |input| drop(own.send(Message::Call { call, input }).await);
            let most = prices.heard(recognition.longest_utterance());
            let held = match router.ledger().reserve(&account, &most).await {
                Ok(held) => held,
                Err(unpaid) => return tell(Input::Said { id, result: Err(unpaid.to_string()) }).await,
            };
            let tell = |heard| {
                let input = match heard {
                    Heard::Speaking => Input::Speaking { id },
                    Heard::Said(result, length) => {
                        if let (Ok(_), Some(held)) = (&result, held.clone()) {
                            journal.charged(account.uuid, held.spend(prices.heard(length), leg.0));
                        }
                        Input::Said { id, result }
                    }
                };
                tell(input)
            };
            self::listen(&recognition, tap, &wish, tell).await;
        });
        if let Some(entry) = self.calls.get_mut(&call) {
            entry.listening.insert(id, task.abort_handle());
        }
    }

    pub(super) fn stop_listen(&mut self, call: LegId, id: u64) {
        if let Some(task) = self.calls.get_mut(&call).and_then(|entry| entry.listening.remove(&id)) {
            task.abort();
        }
    }

    /// Transcribes a recording that is stored, in this language. It goes on when the call has ended.
    pub(super) fn transcribe(&mut self, call: LegId, record: Record, lang: String) {
        let Some(entry) = self.calls.get(&call) else { return };
        let Some(object) = entry.book.object(LegId(record.call)) else { return };
        let account = entry.book.context().tenant.row.clone();
        let (recognition, router) = (self.drivers.recognition.clone(), self.drivers.router.clone());
        let (archive, journal) = (self.drivers.archive.clone(), self.drivers.journal.clone());
        let waiting = Transcript::waiting(&record, lang);
        journal.to_transcribe(waiting.clone());
        self.drivers.runtime.spawn(async move {
            let settling = recognition.settle(&archive, &record, &waiting, &account, router.ledger());
            if let Some(settled) = held(router.store(), &waiting, settling).await {
                journal.transcribed(&record, settled, &object);
            }
        });
    }
}
