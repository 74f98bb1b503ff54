//! The closed sets of words of the domain.

use crate::types::text_enum;

text_enum! {
    pub enum AccountLevel {
        ServiceAccount = "ServiceAccount",
        Level0 = "Level0",
        Level1 = "Level1",
        Level2 = "Level2",
    }
}

text_enum! {
    pub enum Role { Admin = "Admin", User = "User", Provider = "Provider" }
}

text_enum! {
    /// What is written to somebody.
    pub enum MailKind {
        /// A token that sets the password of a user anew.
        PasswordReset = "password_reset",
        /// One that sets that of SIP users anew.
        SipPasswordReset = "sip_password_reset",
        /// An invite to become a SIP user.
        SipInvite = "sip_invite",
    }
}

text_enum! {
    pub enum Gender { Male = "Male", Female = "Female", Other = "Other" }
}

text_enum! {
    /// Why an office is closed.
    pub enum OfficeHoursType {
        Nonworking = "nonworking",
        Lunchtime = "lunchtime",
        Coffeebreak = "coffeebreak",
        Weekends = "weekends",
    }
}

text_enum! {
    pub enum DayOfWeek {
        Sun = "sun",
        Mon = "mon",
        Tue = "tue",
        Wed = "wed",
        Thu = "thu",
        Fri = "fri",
        Sat = "sat",
    }
}

text_enum! {
    /// HTTP method of a webhook or a call-flow request.
    pub enum Method { Get = "GET", Post = "POST" }
}

text_enum! {
    /// Level of confidence in a caller id (ATIS-1000074 5.2.3).
    pub enum Attestation { A = "A", B = "B", C = "C" }
}

text_enum! {
    pub enum SipTransport { Udp = "udp", Tcp = "tcp", Tls = "tls" }
}

text_enum! {
    /// Whether a trunk's audio is protected by SRTP.
    pub enum Srtp { Off = "off", Optional = "optional", Required = "required" }
}

text_enum! {
    pub enum TnKind { LongCode = "long_code", TollFree = "toll_free" }
}

text_enum! {
    /// What a number can be used for; a subscription of a lease.
    pub enum Feature { Voice = "voice", Sms = "sms", Mms = "mms", Fax = "fax", Emergency = "emergency" }
}

text_enum! {
    pub enum Priority { High = "high", Normal = "normal", Low = "low" }
}

text_enum! {
    pub enum OrderState {
        Created = "created",
        Verify = "verify",
        Processing = "processing",
        Success = "success",
        Failed = "failed",
    }
}

text_enum! {
    pub enum Direction { In = "in", Out = "out" }
}

text_enum! {
    pub enum CallState {
        Init = "init",
        Ringing = "ringing",
        Live = "live",
        Hangup = "hangup",
        Destroyed = "destroyed",
    }
}

text_enum! {
    /// How far a batch of calls is.
    pub enum BatchState {
        /// Nobody was called yet.
        Created = "created",
        Running = "running",
        Paused = "paused",
        Finished = "finished",
        Canceled = "canceled",
    }
}

text_enum! {
    /// How far a number of a batch is.
    pub enum ItemState {
        Waiting = "waiting",
        Calling = "calling",
        /// Somebody has answered.
        Done = "done",
        Failed = "failed",
    }
}

text_enum! {
    pub enum RecordState {
        Recording = "recording",
        Stored = "stored",
        /// There is no file.
        Failed = "failed",
    }
}

text_enum! {
    pub enum TranscriptState {
        /// For the engine.
        Waiting = "waiting",
        Done = "done",
        /// There is no text.
        Failed = "failed",
    }
}

text_enum! {
    pub enum CallType {
        /// Handled by a SIP Control App.
        Sca = "CallSCA",
        User = "CallUser",
        Trunk = "CallTrunk",
        Batch = "CallBatch",
    }
}

text_enum! {
    pub enum SmsType {
        /// Outbound from one number.
        Outbound = "smso",
        Inbound = "smsi",
        /// Outbound from the number pool of a messaging profile.
        Pool = "smsr",
    }
}

text_enum! {
    pub enum SmsState { Created = "created", Sending = "sending", Success = "success", Failed = "failed" }
}

text_enum! {
    /// Who put a number on the list of those who want no messages.
    pub enum OptOutSource {
        /// The recipient, by a keyword.
        Recipient = "recipient",
        /// The account, by REST.
        Account = "account",
    }
}

text_enum! {
    /// What a registry of 10DLC makes of a brand or a campaign.
    pub enum Vetting { Pending = "pending", Approved = "approved", Rejected = "rejected" }
}

text_enum! {
    /// What a brand is, by The Campaign Registry's words.
    pub enum BrandEntity {
        PrivateProfit = "PRIVATE_PROFIT",
        PublicProfit = "PUBLIC_PROFIT",
        NonProfit = "NON_PROFIT",
        Government = "GOVERNMENT",
        SoleProprietor = "SOLE_PROPRIETOR",
    }
}

text_enum! {
    /// The trade of a brand.
    pub enum Vertical {
        Professional = "PROFESSIONAL",
        RealEstate = "REAL_ESTATE",
        Healthcare = "HEALTHCARE",
        HumanResources = "HUMAN_RESOURCES",
        Energy = "ENERGY",
        Entertainment = "ENTERTAINMENT",
        Retail = "RETAIL",
        Transportation = "TRANSPORTATION",
        Agriculture = "AGRICULTURE",
        Insurance = "INSURANCE",
        Postal = "POSTAL",
        Education = "EDUCATION",
        Hospitality = "HOSPITALITY",
        Financial = "FINANCIAL",
        Political = "POLITICAL",
        Gambling = "GAMBLING",
        Legal = "LEGAL",
        Construction = "CONSTRUCTION",
        Ngo = "NGO",
        Manufacturing = "MANUFACTURING",
        Government = "GOVERNMENT",
        Technology = "TECHNOLOGY",
        Communication = "COMMUNICATION",
    }
}

text_enum! {
    /// What the messages of a campaign are for.
    pub enum Usecase {
        TwoFactor = "2FA",
        AccountNotification = "ACCOUNT_NOTIFICATION",
        CustomerCare = "CUSTOMER_CARE",
        DeliveryNotification = "DELIVERY_NOTIFICATION",
        FraudAlert = "FRAUD_ALERT",
        HigherEducation = "HIGHER_EDUCATION",
        Marketing = "MARKETING",
        PollingVoting = "POLLING_VOTING",
        PublicServiceAnnouncement = "PUBLIC_SERVICE_ANNOUNCEMENT",
        SecurityAlert = "SECURITY_ALERT",
        /// Several of the others.
        Mixed = "MIXED",
        /// Several of the others, few messages.
        LowVolume = "LOW_VOLUME",
        SoleProprietor = "SOLE_PROPRIETOR",
        AgentsFranchises = "AGENTS_FRANCHISES",
        CarrierExempt = "CARRIER_EXEMPT",
        Charity = "CHARITY",
        Emergency = "EMERGENCY",
        K12Education = "K12_EDUCATION",
        M2m = "M2M",
        Political = "POLITICAL",
        Proxy = "PROXY",
        Social = "SOCIAL",
        Sweepstake = "SWEEPSTAKE",
        Trial = "TRIAL",
        UcaasHigh = "UCAAS_HIGH",
        UcaasLow = "UCAAS_LOW",
    }
}

text_enum! {
    pub enum Channel { Wss = "wss", Webhook = "webhook" }
}

text_enum! {
    /// What has become of telling somebody of an event.
    pub enum DeliveryState {
        /// Not told yet; tried again.
        Waiting = "waiting",
        Delivered = "delivered",
        /// Given up.
        Dead = "dead",
    }
}

text_enum! {
    pub enum EventType {
        Auth = "auth",
        CallState = "call_state",
        CallFlow = "call_flow",
        CallBridge = "call_bridge",
        CallRecord = "call_record",
        CallTranscript = "call_transcript",
        CallAmd = "call_amd",
        Sms = "sms",
        TnOrder = "tn_order",
        TnLease = "tn_lease",
        Balance = "balance",
        SipConnection = "sip_connection",
        SpendLimit = "spend_limit",
        CallLimit = "call_limit",
        EmergencyCall = "emergency_call",
        TcrBrand = "tcr_brand",
        TcrCampaign = "tcr_campaign",
    }
}

text_enum! {
    /// What a transaction is for.
    pub enum RefType {
        Payment = "payment",
        TnLeaseMrc = "tnlease_mrc",
        TnLeaseNrc = "tnlease_nrc",
        SmsIncoming = "sms_incoming",
        SmsOutgoing = "sms_outgoing",
        SmsNrc = "sms_nrc",
        SmsMrc = "sms_mrc",
        MmsIncoming = "mms_incoming",
        MmsOutgoing = "mms_outgoing",
        MmsNrc = "mms_nrc",
        MmsMrc = "mms_mrc",
        VoiceIncoming = "voice_incoming",
        VoiceOutgoing = "voice_outgoing",
        VoiceNrc = "voice_nrc",
        VoiceMrc = "voice_mrc",
        FaxIncoming = "fax_incoming",
        FaxOutgoing = "fax_outgoing",
        FaxNrc = "fax_nrc",
        FaxMrc = "fax_mrc",
        EmergencyIncoming = "emergency_incoming",
        EmergencyOutgoing = "emergency_outgoing",
        EmergencyNrc = "emergency_nrc",
        EmergencyMrc = "emergency_mrc",
        Tts = "tts",
        Asr = "asr",
        Lookup = "lookup",
    }
}

text_enum! {
    /// What becomes of a call that a number's filter keeps out.
    pub enum OnReject {
        /// SIP 603.
        Decline = "decline",
        /// SIP 486.
        Busy = "busy",
        /// An app takes it.
        VoicemailApp = "voicemail_app",
    }
}

text_enum! {
    pub enum ProductType { Public = "public", Private = "private" }
}

text_enum! {
    /// Container of call recordings.
    pub enum RecordFormat { Wav = "wav", Mp3 = "mp3" }
}
