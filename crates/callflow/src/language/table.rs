//! The table.

use std::ops::RangeInclusive;

use super::{Attribute, Children, Content, Element, Kind, Name};
use crate::tone::{CODES, Signal};

/// Elements of the language that this version does not run.
pub(super) const LATER: &[&str] =
    &["Conference", "Queue", "Enqueue", "Stream", "Refer", "SendDigits", "Sms", "Transcribe"];

const fn element(name: Name, text: &'static str, doc: &'static str) -> Element {
    Element {
        name,
        text,
        aliases: &[],
        doc,
        attributes: &[],
        content: Content::Nothing,
        children: Children::Only(PARTS),
        one_of: &[],
        count: None,
    }
}

impl Element {
    const fn aliases(mut self, aliases: &'static [&'static str]) -> Element {
        self.aliases = aliases;
        self
    }

    const fn attributes(mut self, attributes: &'static [Attribute]) -> Element {
        self.attributes = attributes;
        self
    }

    const fn content(mut self, content: Content) -> Element {
        self.content = content;
        self
    }

    const fn children(mut self, children: Children) -> Element {
        self.children = children;
        self
    }

    const fn one_of(mut self, names: &'static [&'static str]) -> Element {
        self.one_of = names;
        self
    }

    const fn count(mut self, name: Name, count: RangeInclusive<usize>) -> Element {
        self.count = Some((name, count));
        self
    }
}

const fn attribute(name: &'static str, kind: Kind, doc: &'static str) -> Attribute {
    Attribute { name, aliases: &[], kind, default: None, required: false, doc }
}

impl Attribute {
    const fn aliases(mut self, aliases: &'static [&'static str]) -> Attribute {
        self.aliases = aliases;
        self
    }

    const fn default(mut self, default: &'static str) -> Attribute {
        self.default = Some(default);
        self
    }

    const fn required(mut self) -> Attribute {
        self.required = true;
        self
    }
}

/// What most elements may hold.
const PARTS: &[Name] = &[Name::Meta, Name::Error];
/// 24 h: longer is a mistake in the unit.
const DAY_MS: u64 = 86_400_000;
const FETCH: Kind = Kind::Millis { min: 1, max: 600_000 };
const METHODS: Kind = Kind::Word(&["GET", "POST", "PATCH", "DELETE"]);

const TAG: Attribute = attribute("tag", Kind::Label, "Copied into the events of the element.");
const DTMF_STOP: Attribute = attribute("dtmf_stop", Kind::Keys, "Keys that end it.").default("none");
const LEG: Attribute = attribute("leg", Kind::Word(&["aleg", "bleg", "both"]), "Who hears it.").default("aleg");
const LOOP: Attribute =
    attribute("loop", Kind::Integer { min: 0, max: 1000 }, "How often; 0: until ended.").default("1");

const CHANNELS: Attribute =
    attribute("channels", Kind::Integer { min: 1, max: 2 }, "1 mixes both sides, 2 keeps them apart.").default("1");
const FORMAT: Attribute = attribute("format", Kind::Word(&["wav", "mp3"]), "Of the file.").default("wav");
const ASR: Attribute =
    attribute("asr", Kind::Flag, "Whether it is transcribed: a `call_transcript` event follows.").default("false");
const SPOKEN: Attribute = attribute("lang", Kind::Identifier, "Language that is spoken, BCP 47.").default("en-US");

pub(super) static ELEMENTS: &[Element] = &[
    element(Name::Response, "Response", "The document. Its elements run in order; after the last the call ends (cause 16).")
        .children(Children::Block),
    element(Name::Answer, "Answer", "Answers the call. On a live call it does nothing.").attributes(&[
        TAG,
        attribute("delay", Kind::Millis { min: 0, max: 600_000 }, "Waits this long after the answer.").default("0"),
    ]),
    element(Name::Say, "Say", "Speaks a text. Before the answer it is heard as early media.")
        .attributes(&[
            TAG,
            attribute("text", Kind::Text, "What to speak; also as the text inside, which may hold SSML marks.").required(),
            attribute("lang", Kind::Identifier, "Language, BCP 47.").default("en-US"),
            attribute("gender", Kind::Word(&["MALE", "FEMALE"]), "Of the voice.").default("FEMALE"),
            attribute("type", Kind::Word(&["Standard", "WaveNet"]), "Of the voice.").default("Standard"),
            attribute("code", Kind::Identifier, "A voice by its code; one that does not exist fails."),
            LOOP,
            LEG,
            DTMF_STOP,
        ])
        .content(Content::Speech("text")),
    element(Name::Play, "Play", "Plays a sound from a URL or a file, or a recording of this call.")
        .attributes(&[
            TAG,
            attribute("url", Kind::Sound, "Where the sound is (WAV, MP3, Ogg with Opus or Vorbis); also as the text inside."),
            attribute("record", Kind::Label, "The tag of an earlier Record."),
            LOOP,
            LEG,
            DTMF_STOP,
        ])
        .content(Content::Attribute("url"))
        .one_of(&["url", "record"]),
    element(Name::Tone, "Tone", "Plays a tone. Without attributes: the ring-back tone of the callee's country.")
        .attributes(&[
            TAG,
            attribute("signal", Kind::Word(Signal::WORDS), "A tone of the telephone network, where no step is given.")
                .default("ringback"),
            attribute("country", Kind::Word(CODES), "Whose network, ISO 3166; else the callee's."),
            attribute("don", Kind::Durations, "Milliseconds of sound of each step."),
            attribute("doff", Kind::Durations, "Milliseconds of silence after each step."),
            attribute("hz", Kind::Frequencies, "Frequencies of each step."),
            attribute("volume", Kind::Decibel, "Level, 0 is full scale.").aliases(&["v"]).default("-12"),
            LOOP,
            attribute("timeout", Kind::Millis { min: 1, max: DAY_MS }, "Longest time it sounds.").default("30000"),
            LEG,
            DTMF_STOP,
        ]),
    element(Name::Pause, "Pause", "Waits.").attributes(&[
        TAG,
        attribute("length", Kind::Millis { min: 0, max: DAY_MS }, "How long.").default("1000"),
        DTMF_STOP,
    ]),
    element(
        Name::Gather,
        "Gather",
        "Plays prompts and collects keys or words, then runs the DTMF or Case that equals them, else Default, or Error when nothing was entered.",
    )
    .attributes(&[
        TAG,
        attribute("dtmf_length", Kind::Integer { min: 1, max: 32 }, "How many keys.")
            .aliases(&["length", "numDigits"])
            .default("1"),
        attribute("dtmf_stop", Kind::Keys, "The key that ends the entry; `finishOnKey` defaults to *.")
            .aliases(&["finishOnKey"])
            .default("#"),
        attribute(
            "timeout",
            Kind::Millis { min: 1, max: 600_000 },
            "How long to wait for the next key once the prompts are over. With the 2021 spelling (`numDigits`, `finishOnKey`, `callback`, `Case`): for all keys of an attempt.",
        )
        .default("5000"),
        attribute("attempts", Kind::Integer { min: 1, max: 100 }, "How often the prompts are played while nothing is entered.")
            .default("1"),
        attribute("url", Kind::Url, "Asked with the keys or words; the XML answered is run.").aliases(&["callback"]),
        attribute("method", Kind::Word(&["GET", "POST"]), "How `url` is asked.").default("GET"),
        attribute("interrupt", Kind::Flag, "A key, or a word, stops the prompt at once.").default("true"),
        attribute("input", Kind::Word(&["dtmf", "speech", "both"]), "What is collected: keys, words, or what comes first.")
            .default("dtmf"),
        SPOKEN,
        attribute(
            "hints",
            Kind::Text,
            "Words and phrases that may be said, such as `sales,opening hours`; the values of the choices by default.",
        ),
    ])
    .children(Children::Only(&[
        Name::Say,
        Name::Play,
        Name::Tone,
        Name::Pause,
        Name::Dtmf,
        Name::Switch,
        Name::Case,
        Name::Default,
        Name::Meta,
        Name::Error,
    ])),
    element(Name::Dial, "Dial", "Rings one or more destinations and joins the first to answer with the caller.")
        .attributes(&[
            TAG,
            attribute("timeout", Kind::SecondsOrMillis, "How long they may ring.").default("60"),
            attribute("from", Kind::Text, "Caller number or URI shown; the caller's own by default."),
            attribute(
                "record",
                Kind::Word(&["do-not-record", "record-from-answer", "record-from-ringing"]),
                "Whether the conversation is recorded.",
            )
            .default("do-not-record"),
            attribute("max_length", Kind::Integer { min: 1, max: 86_400 }, "Longest conversation, seconds."),
            attribute("sequential", Kind::Flag, "One after another instead of all at once.").default("false"),
            attribute("sip_connection", Kind::Identifier, "UUID of the SIP connection to use."),
            attribute("outbound_voice_profile", Kind::Identifier, "UUID of the outbound voice profile to use."),
            attribute("answer_on_bridge", Kind::Flag, "False answers the caller at once.").default("true"),
            attribute("ring_tone", Kind::Sound, "A sound the caller hears while they ring, in place of the ring-back tone."),
            attribute(
                "confirm_url",
                Kind::Url,
                "Asked when one answers. The XML answered is run for the one who answered; at its end the two are joined, unless it has hung up.",
            ),
        ])
        .children(Children::Only(&[Name::To, Name::Meta, Name::Error]))
        .count(Name::To, 1..=20),
    element(Name::To, "To", "A destination: a number, a SIP URI, user@domain, or group:<uuid> for all users of a group.")
        .aliases(&["Number", "Sip"])
        .attributes(&[attribute("address", Kind::Destination, "Also as the text inside.").required()])
        .content(Content::Attribute("address"))
        .children(Children::Only(&[])),
    element(
        Name::Record,
        "Record",
        "Records while the elements inside run; with none inside, until timeout, silence, a stop key or the end of the call.",
    )
    .attributes(&[
        TAG,
        attribute("timeout", Kind::Millis { min: 1, max: DAY_MS }, "Longest recording."),
        attribute("silence", Kind::Millis { min: 100, max: 600_000 }, "Ends when nobody spoke for this long."),
        DTMF_STOP,
        attribute("beep", Kind::Flag, "A beep before it starts.").default("false"),
        CHANNELS,
        FORMAT,
        ASR,
        SPOKEN,
    ])
    .children(Children::Block),
    element(
        Name::RecordStart,
        "RecordStart",
        "Begins a recording in the background, which goes on until a RecordStop or the end of the call. Up to 4 at once.",
    )
    .attributes(&[TAG, CHANNELS, FORMAT, ASR, SPOKEN]),
    element(Name::RecordStop, "RecordStop", "Ends a recording that RecordStart has begun; its file is stored meanwhile.")
        .attributes(&[attribute("tag", Kind::Label, "Of the RecordStart; without it every one ends.")]),
    element(Name::RecordWait, "RecordWait", "Waits until a recording that RecordStart has begun is stored.").attributes(&[
        attribute("tag", Kind::Label, "Of the RecordStart; without it every one is waited for."),
        attribute("timeout", Kind::Millis { min: 1, max: DAY_MS }, "Longest wait.").default("10000"),
    ]),
    element(Name::Callback, "Callback", "Asks a URL and runs the XML it answers.")
        .attributes(&[
            TAG,
            attribute("url", Kind::Url, "Also as the text inside.").required(),
            attribute("method", METHODS, "How it is asked.").default("GET"),
            attribute("body", Kind::Flag, "Sends the call object as JSON.").default("false"),
            attribute("timeout", FETCH, "Longest wait for the answer.").default("10000"),
        ])
        .content(Content::Attribute("url")),
    element(Name::Redirect, "Redirect", "Asks a URL and runs the XML it answers in place of the rest of this document.")
        .attributes(&[
            TAG,
            attribute("url", Kind::Url, "Also as the text inside.").required(),
            attribute("method", METHODS, "How it is asked.").default("GET"),
            attribute("body", Kind::Flag, "Sends the call object as JSON.").default("false"),
            attribute("timeout", FETCH, "Longest wait for the answer.").default("10000"),
        ])
        .content(Content::Attribute("url")),
    element(Name::Reject, "Reject", "Refuses a call that is not yet answered.").attributes(&[
        TAG,
        attribute("reason", Kind::Word(&["busy", "rejected"]), "Busy is SIP 486, rejected 603.").default("rejected"),
        attribute("code", Kind::Integer { min: 400, max: 699 }, "Another SIP code."),
    ]),
    element(Name::Hangup, "Hangup", "Ends the call.").attributes(&[
        TAG,
        attribute("cause", Kind::Integer { min: 1, max: 127 }, "Q.850 cause.").default("16"),
    ]),
    element(Name::Meta, "Meta", "Sets a variable, `{{meta.NAME}}`, that callbacks are told.")
        .attributes(&[
            TAG,
            attribute("name", Kind::Identifier, "Of the variable.").required(),
            attribute("value", Kind::Text, "Also as the text inside.").default(""),
        ])
        .content(Content::Attribute("value"))
        .children(Children::Only(&[])),
    element(Name::Error, "Error", "Runs when the element it is in, or that it follows, did not succeed.")
        .attributes(&[
            TAG,
            attribute("say", Kind::Flag, "Speaks the reason first.").aliases(&["play"]).default("false"),
        ])
        .children(Children::Block),
    element(Name::Dtmf, "DTMF", "Runs when these keys were entered.")
        .attributes(&[TAG, attribute("value", Kind::Digits, "The keys.").required()])
        .children(Children::Block),
    element(Name::Default, "Default", "Runs when nothing else matches.").attributes(&[TAG]).children(Children::Block),
    element(Name::Switch, "Switch", "Runs the Case that equals the keys entered, or a variable.")
        .attributes(&[TAG, attribute("on", Kind::Identifier, "The variable; inside Gather the keys.")])
        .children(Children::Only(&[Name::Case, Name::Default, Name::Meta, Name::Error])),
    element(Name::Case, "Case", "Runs when its value equals.")
        .attributes(&[TAG, attribute("value", Kind::Text, "What it is compared with.").aliases(&["dtmf"]).required()])
        .children(Children::Block),
    element(Name::Call, "Call", "Runs its elements when a field of the call equals the value.")
        .attributes(&[
            TAG,
            attribute("field", Kind::Identifier, "`from`, `to`, `state`, `direction`, `type`, `meta.NAME`, ...").required(),
            attribute("value", Kind::Text, "Compared as text, number, boolean or null.").required(),
        ])
        .children(Children::Block),
    element(
        Name::Geo,
        "Geo",
        "Runs its elements when the caller's number is of one of these states, and of one of these counties. Without \
         attributes: always.",
    )
    .attributes(&[
        TAG,
        attribute("states", Kind::Places, "States or provinces by their two letters, such as NJ,CA."),
        attribute("county", Kind::Places, "Counties of the United States, such as ESSEX; by area code and exchange, or as a LERG file says."),
    ])
    .children(Children::Block),
    element(Name::Schedule, "Schedule", "Runs its elements when now is at such a time. What is left out is any.")
        .aliases(&["Scheduler"])
        .attributes(&[
            TAG,
            attribute("dow", Kind::Weekdays, "Days of the week: sun, mon, tue, wed, thu, fri, sat."),
            attribute(
                "time",
                Kind::Hours,
                "From and to, both included. May pass midnight; the hours after it belong to the day before.",
            ),
            attribute("tz", Kind::TimeZone, "IANA time zone; the account's by default, else UTC."),
            attribute("date", Kind::Dates, "Days of the calendar, and `/` from one to another; `,` parts them."),
            attribute("office_hours", Kind::Flag, "True while the account's office is open, false while it is closed."),
        ])
        .children(Children::Block),
    element(
        Name::Curl,
        "Curl",
        "Makes an HTTP request. It succeeds with a status of 200 to 299; the query is the URL's own.",
    )
    .attributes(&[
        TAG,
        attribute("url", Kind::Url, "Where to.").required(),
        attribute("method", Kind::Word(&["GET", "POST", "PUT", "PATCH", "DELETE"]), "How.").default("GET"),
        attribute("timeout", FETCH, "Longest wait for the answer.").default("10000"),
        attribute(
            "name",
            Kind::Variable,
            "A variable for the answer: `{{NAME}}` is all of it, `{{NAME.field}}` and `{{NAME.list.0.field}}` are parts of its JSON, `{{NAME.status}}` is the HTTP status where the JSON has no such field.",
        ),
        attribute("run", Kind::Flag, "The answer is XML, which is run in place.").default("false"),
    ])
    .children(Children::Only(&[Name::Header, Name::Body, Name::Meta, Name::Error]))
    .count(Name::Body, 0..=1),
    element(Name::Header, "Header", "A header of the request.")
        .attributes(&[
            attribute("name", Kind::HeaderName, "Such as `Authorization`.").required(),
            attribute("value", Kind::HeaderValue, "Also as the text inside.").required(),
        ])
        .content(Content::Attribute("value"))
        .children(Children::Only(&[])),
    element(
        Name::Body,
        "Body",
        "The body of the request. What begins with `{` or `[` is JSON where no `Content-Type` says otherwise. In JSON, XML and forms the values of variables are escaped.",
    )
    .attributes(&[attribute("text", Kind::Text, "Also as the text inside.").required()])
    .content(Content::Attribute("text"))
    .children(Children::Only(&[])),
    element(
        Name::Hold,
        "Hold",
        "Puts the other leg on hold, for so long or until another document comes. The elements inside are what it hears; the last goes on until the end, unless it has a `loop`.",
    )
    .attributes(&[
        TAG,
        attribute("timeout", Kind::Millis { min: 1, max: DAY_MS }, "How long.").default("300000"),
    ])
    .children(Children::Only(&[Name::Play, Name::Tone, Name::Say, Name::Meta, Name::Error])),
    element(
        Name::Unhold,
        "Unhold",
        "Takes the other leg back: they are joined again, until it hangs up, as after a `Dial`.",
    )
    .attributes(&[
        TAG,
        attribute("timeout", Kind::Millis { min: 1, max: DAY_MS }, "Of no effect; of the older form.").default("300000"),
    ]),
];
