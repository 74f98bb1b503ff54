//! What a call wants heard, joined and recorded, told to the media threads; and what they tell.

use std::sync::Arc;
use std::time::Duration;

use opentact_call::{Input, LegEvent, LegId, Prompt, PromptEnd, Record, Recording, RecordingEnd};
use opentact_media::control::{Clip, Command, Event, LegKey, RecordEnd, RecordFormat, RecordOrder, Source};
use tokio::task::AbortHandle;
use uuid::Uuid;

use super::calls::{PromptStage, RecordingFile};
use super::{Core, Message, quality};
use crate::speech::SayRequest;
use crate::{recordings, tone};

impl Core {
    pub(super) fn on_media(&mut self, key: LegKey, event: Event) {
        // Of a leg that is released nothing is heard any more.
        let Some(&leg) = self.media_legs.get(&key) else { return };
        let Some(call) = self.legs.get(&leg).map(|leg| leg.call) else { return };
        match event {
            Event::Dtmf { digit, duration_ms } => self.tell_call(call, Input::Dtmf { leg, digit, duration_ms }),
            Event::PlayDone { id, completed } => {
                let end = if completed { PromptEnd::Completed } else { PromptEnd::Stopped };
                self.prompt_ended(call, id, Ok(end));
            }
            Event::PlayFailed { id, reason } => self.prompt_ended(call, id, Err(reason.to_string())),
            Event::RecordDone { id, duration_ms, rate, bytes, error, reason } => {
                let ended_by = match reason {
                    RecordEnd::MaxLength => RecordingEnd::Full,
                    RecordEnd::Silence => RecordingEnd::Silence,
                    RecordEnd::Stopped | RecordEnd::Closed => RecordingEnd::Stopped,
                    RecordEnd::Failed => {
                        // The leg does not know that nobody writes any more.
                        self.stop_record(leg, id);
                        RecordingEnd::CutOff
                    }
                };
                let result = match error {
                    Some(error) if duration_ms == 0 => {
                        self.recorded(call, id, Err(&error));
                        Err(error)
                    }
                    incomplete => Ok(Recording { duration_ms, rate, bytes, ended_by, incomplete }),
                };
                self.tell_call(call, Input::Recorded { id, result });
            }
            Event::Timeout => self.on_rtp_timeout(leg),
            Event::DtmfSent | Event::MixFull { .. } | Event::Marked { .. } | Event::SaidTooMuch { .. } => {}
            Event::SignalKey { digit, duration_ms } => self.send_info(leg, digit, duration_ms),
            Event::Closed(stats) => {
                self.media_legs.remove(&key);
                if stats.codec.is_some()
                    && let Some(entry) = self.calls.get_mut(&call)
                {
                    entry.book.measured(leg, quality::view(&stats));
                }
                self.leg_event(leg, LegEvent::Closed);
            }
        }
        self.drain_ua();
    }

    /// A peer that sends nothing for `media.rtp_timeout` is gone: its network, its power or its BYE was lost.
    ///
    /// Before the answer it need not send: with early media it often listens only. It is told again after another such
    /// time.
    fn on_rtp_timeout(&mut self, leg: LegId) {
        if !self.legs.get(&leg).is_some_and(|leg| leg.is_answered()) {
            return;
        }
        tracing::info!(%leg, "no RTP; the leg is hung up");
        let cause = opentact_call::Q850::RECOVERY_ON_TIMER_EXPIRE;
        self.leg_event(leg, LegEvent::HungUp { q850: cause });
        self.hang_up(leg, cause);
    }

    pub(super) fn play(&mut self, call: LegId, leg: LegId, id: u64, prompt: Prompt, loops: u32) {
        let Some(entry) = self.calls.get(&call) else { return };
        let task = match prompt {
            Prompt::Tone(tone) => {
                return self.start_play(call, leg, id, loops, tone::source(&tone));
            }
            Prompt::Say(voice) => {
                let (prompts, journal) = (self.drivers.prompts.clone(), self.drivers.journal.clone());
                let (router, account) = (self.drivers.router.clone(), entry.book.context().tenant.row.clone());
                self.prepare(call, leg, id, loops, async move {
                    let cost = router.ledger().speech().spoken(voice.text.chars().count());
                    let held = router.ledger().reserve(&account, &cost).await.map_err(|unpaid| unpaid.to_string())?;
                    let clip = prompts.say(SayRequest::from(&voice)).await.map_err(|error| error.to_string())?;
                    if let Some(held) = held {
                        journal.charged(account.uuid, held.spend(cost, leg.0));
                    }
                    Ok::<_, String>(clip)
                })
            }
            Prompt::Url(url) => {
                let prompts = self.drivers.prompts.clone();
                self.prepare(call, leg, id, loops, async move { prompts.named(&url).await })
            }
            Prompt::Recording { tag } => {
                let Some(file) =
                    entry.recordings.iter().rev().find(|file| file.record.tag.as_deref() == Some(tag.as_str()))
                else {
                    return self.prompt_ended(call, id, Err(format!("no recording with tag `{tag}` on this call")));
                };
                let (prompts, path) =
                    (self.drivers.prompts.clone(), recordings::path(self.drivers.archive.folder(), &file.record));
                self.prepare(call, leg, id, loops, async move { prompts.file(&tag, &path).await })
            }
        };
        if let Some(entry) = self.calls.get_mut(&call) {
            entry.prompts.insert(id, PromptStage::Preparing(task));
        }
    }

    fn prepare(
        &self,
        call: LegId,
        leg: LegId,
        id: u64,
        loops: u32,
        clip: impl Future<Output = Result<Arc<Clip>, impl ToString>> + Send + 'static,
    ) -> AbortHandle {
        self.spawn(async move {
            let source = clip.await.map(Source::Clip).map_err(|error| error.to_string());
            Message::PromptReady { call, leg, id, loops, source }
        })
    }

    pub(super) fn on_prompt_ready(
        &mut self,
        call: LegId,
        leg: LegId,
        id: u64,
        loops: u32,
        source: Result<Source, String>,
    ) {
        // Stopped while it was being prepared: its end has been told.
        if !self.calls.get(&call).is_some_and(|entry| entry.prompts.contains_key(&id)) {
            return;
        }
        match source {
            Ok(source) => self.start_play(call, leg, id, loops, source),
            Err(reason) => self.prompt_ended(call, id, Err(reason)),
        }
    }

    fn start_play(&mut self, call: LegId, leg: LegId, id: u64, loops: u32, source: Source) {
        let Some(key) = self.media_key(leg) else {
            return self.prompt_ended(call, id, Err("the leg has no media".to_owned()));
        };
        if let Some(entry) = self.calls.get_mut(&call) {
            entry.prompts.insert(id, PromptStage::Playing);
        }
        self.drivers.media.command(key, Command::Play { id, source, loops });
    }

    pub(super) fn stop_play(&mut self, call: LegId, leg: LegId, id: u64) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        match entry.prompts.get(&id) {
            Some(PromptStage::Preparing(task)) => {
                task.abort();
                self.prompt_ended(call, id, Ok(PromptEnd::Stopped));
            }
            Some(PromptStage::Playing) => self.media_command(leg, Command::StopPlay { id }),
            None => {}
        }
    }

    fn prompt_ended(&mut self, call: LegId, id: u64, result: Result<PromptEnd, String>) {
        self.tell_call(call, Input::Prompt { id, result });
    }

    pub(super) fn record(&mut self, call: LegId, leg: LegId, id: u64, order: &Record) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        let record = entry.book.recording_begins(leg, Uuid::new_v4(), order, Self::now().utc);
        let path = recordings::path(self.drivers.archive.folder(), &record);
        entry.recordings.push(RecordingFile { id, record, asr: order.asr.clone() });
        if self.legs.get(&leg).is_none_or(|leg| leg.media.is_none()) {
            let reason = "the leg has no media".to_owned();
            self.recorded(call, id, Err(&reason));
            return self.tell_call(call, Input::Recorded { id, result: Err(reason) });
        }
        let millis = |duration: Option<Duration>| duration.map(|it| u32::try_from(it.as_millis()).unwrap_or(u32::MAX));
        let order = RecordOrder {
            format: match order.format {
                opentact_call::RecordFormat::Wav => RecordFormat::Wav,
                opentact_call::RecordFormat::Mp3 => RecordFormat::Mp3,
            },
            channels: order.channels,
            max_ms: millis(order.max),
            silence_ms: millis(order.silence),
            beep: order.beep,
            ..RecordOrder::new(id, path)
        };
        self.media_command(leg, Command::Record(order));
    }

    /// A recording is over, and told of.
    pub(super) fn recorded(&mut self, call: LegId, id: u64, result: Result<&Recording, &str>) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        let Some(file) = entry.recordings.iter().find(|file| file.id == id) else { return };
        let (record, asr) = (file.record.clone(), file.asr.clone());
        let record = entry.book.recorded(record, result, Self::now().utc);
        if let (Some(lang), Ok(_)) = (asr, result) {
            self.transcribe(call, record, lang);
        }
    }

    pub(super) fn stop_record(&mut self, leg: LegId, id: u64) {
        self.media_command(leg, Command::StopRecord { id });
    }

    pub(super) fn media_key(&self, leg: LegId) -> Option<LegKey> {
        self.legs.get(&leg).and_then(|leg| leg.media.as_ref()).map(|media| media.key)
    }

    pub(super) fn media_command(&self, leg: LegId, command: Command) {
        if let Some(key) = self.media_key(leg) {
            self.drivers.media.command(key, command);
        }
    }
}
