//! Does for the flow what it says.

use opentact_callflow::{Dial, Input as FlowInput, Leg as Hearer, OpResult, Output as FlowOutput, Sound};

use crate::call::{Call, Pending};
use crate::fork::Owner;
use crate::io::*;
use crate::leg::CallState;
use crate::q850::Q850;

impl Call {
    /// Drains the flow. What it says may give it something to hear at once; then it says more.
    pub(crate) fn drive_flow(&mut self, now: Now) {
        while let Some(output) = self.flow.poll() {
            self.flow_output(now, output);
        }
    }

    fn flow_output(&mut self, now: Now, output: FlowOutput) {
        let leg = self.id();
        let up = self.legs[0].is_up();
        match output {
            // Nothing begins on a leg that has ended; the flow has been told.
            FlowOutput::Play { .. }
            | FlowOutput::Dial { .. }
            | FlowOutput::Record { .. }
            | FlowOutput::Hold { .. }
            | FlowOutput::Unhold { .. }
            | FlowOutput::Listen { .. }
            | FlowOutput::Fetch { .. }
                if !up => {}
            FlowOutput::Answer => match self.legs[0].is_live() {
                true => self.flow.handle(now, FlowInput::Answered),
                false => self.answer(),
            },
            FlowOutput::Play { op, sound, leg: hearer, loops } => self.play(now, op, sound, hearer, loops),
            FlowOutput::StopPlay { op } => self.stop_play(op),
            FlowOutput::Dial { op, dial } => {
                let Dial { targets, from, timeout, sequential, max_length, ring_tone, confirm, .. } = dial;
                let Dial { sip_connection, outbound_voice_profile, .. } = dial;
                let options = DialOptions { sip_connection, outbound_voice_profile };
                let spec = DialSpec { targets, from, timeout, max_length, options, ring_tone, confirm };
                self.start_fork(now, Owner::Flow { op }, spec, sequential);
            }
            FlowOutput::StopDial { .. } => self.stop_fork(now),
            FlowOutput::Record { op, record } => {
                self.recordings.insert(op, Pending { leg, tag: record.tag.clone() });
                self.put(Output::Record { leg, id: op, record });
            }
            FlowOutput::Hold { op } => self.hold(now, op),
            FlowOutput::Unhold { op } => self.unhold(now, op),
            FlowOutput::StopRecord { op } => self.put(Output::StopRecord { leg, id: op }),
            FlowOutput::Listen { op, listen } => self.put(Output::Listen { leg, id: op, listen }),
            FlowOutput::StopListen { op } => self.put(Output::StopListen { id: op }),
            FlowOutput::Fetch { op, request } => self.put(Output::Fetch { id: op, request }),
            FlowOutput::DropFetch { op } => self.put(Output::DropFetch { id: op }),
            FlowOutput::Reject { code } => {
                if self.legs[0].state < CallState::Live {
                    let cause = Q850::from_sip(code);
                    self.put(Output::Leg { leg, command: LegCommand::Reject { code, cause, reason: None } });
                    self.end(now, cause);
                }
            }
            FlowOutput::End => self.hang_up(now, Q850::NORMAL_CLEARING),
            FlowOutput::Hangup { cause, tag } => {
                if up {
                    self.legs[0].hangup_tag = tag;
                }
                self.hang_up(now, Q850::new(cause).unwrap_or(Q850::NORMAL_CLEARING));
            }
            FlowOutput::Step(report) => self.put(Output::Step { leg, report }),
        }
    }

    fn play(&mut self, now: Now, op: u64, sound: Sound, hearer: Hearer, loops: u32) {
        // While an element plays nobody is joined: the other leg is on hold, has left, or is not there yet.
        let other = self.held.as_ref().map(|held| held.leg);
        let leg = match (hearer, other) {
            (Hearer::B, None) => {
                let result = OpResult::Played(Err("there is no other leg".into()));
                return self.flow.handle(now, FlowInput::Result { op, result });
            }
            (Hearer::B, Some(other)) => other,
            (Hearer::A | Hearer::Both, _) => self.id(),
        };
        let prompt = prompt(sound);
        if let (Hearer::Both, Some(other)) = (hearer, other) {
            // The element ends when the origin has heard it.
            let id = self.own_id();
            self.elsewhere.push((op, other, id));
            self.put(Output::Play { leg: other, id, prompt: prompt.clone(), loops });
        }
        if leg == self.id() {
            self.progress(now);
        } else {
            self.elsewhere.push((op, leg, op));
        }
        self.put(Output::Play { leg, id: op, prompt, loops });
    }

    /// Stops what an element plays, for whomever it plays it.
    fn stop_play(&mut self, op: u64) {
        let mut of_origin = true;
        for (_, leg, id) in self.elsewhere.extract_if(.., |(of, ..)| *of == op).collect::<Vec<_>>() {
            of_origin &= id != op;
            self.put(Output::StopPlay { leg, id });
        }
        if of_origin {
            let leg = self.id();
            self.put(Output::StopPlay { leg, id: op });
        }
    }
}

pub(crate) fn prompt(sound: Sound) -> Prompt {
    match sound {
        Sound::Say(voice) => Prompt::Say(voice),
        Sound::Url(url) => Prompt::Url(url),
        Sound::Tone(tone) => Prompt::Tone(tone),
        Sound::Recording(tag) => Prompt::Recording { tag },
    }
}
