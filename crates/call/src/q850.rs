//! Release causes (ITU-T Q.850) and their mapping to and from SIP answers (RFC 3398 7.2.4.1, 7.2.6.1, 8.2.6.1).

use std::fmt;

/// A Q.850 release cause, 1..=127.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Q850(u8);

impl Q850 {
    pub const UNALLOCATED_NUMBER: Q850 = Q850(1);
    pub const NO_ROUTE_DESTINATION: Q850 = Q850(3);
    pub const NORMAL_CLEARING: Q850 = Q850(16);
    pub const USER_BUSY: Q850 = Q850(17);
    pub const NO_USER_RESPONSE: Q850 = Q850(18);
    pub const NO_ANSWER: Q850 = Q850(19);
    pub const CALL_REJECTED: Q850 = Q850(21);
    /// Another of those rung has taken the call.
    pub const NON_SELECTED_USER: Q850 = Q850(26);
    pub const NORMAL_UNSPECIFIED: Q850 = Q850(31);
    pub const NO_CHANNEL: Q850 = Q850(34);
    pub const TEMPORARY_FAILURE: Q850 = Q850(41);
    pub const RECOVERY_ON_TIMER_EXPIRE: Q850 = Q850(102);
    pub const INTERWORKING: Q850 = Q850(127);

    /// `None` outside of 1..=127.
    pub fn new(value: u8) -> Option<Q850> {
        (1..=127).contains(&value).then_some(Q850(value))
    }

    pub fn value(self) -> u8 {
        self.0
    }

    /// The cause of a call that a SIP answer of this code refused (RFC 3398 8.2.6.1; RFC 3326 takes precedence where
    /// the answer names a cause itself).
    pub fn from_sip(code: u16) -> Q850 {
        Q850(match code {
            200..=299 => 16,
            401 | 402 | 403 | 407 | 603 | 607 | 608 => 21,
            404 | 604 => 1,
            405 => 63,
            406 | 415 | 488 | 606 => 79,
            408 | 504 => 102,
            410 => 22,
            413 | 414 | 416 | 420 | 421 | 423 | 505 | 513 => 127,
            480 => 18,
            481 | 500 | 503 => 41,
            482 | 483 => 25,
            484 => 28,
            485 => 1,
            486 | 600 => 17,
            // The caller gave up (RFC 3398 8.2.6.1 has no row: CANCEL is the caller's own release).
            487 => 16,
            491 => 41,
            501 => 79,
            502 => 38,
            300..=399 => 23,
            _ => 31,
        })
    }

    /// The SIP answer that refuses a call for this cause (RFC 3398 7.2.4.1).
    pub fn to_sip(self) -> u16 {
        match self.0 {
            1..=3 => 404,
            17 => 486,
            18 => 408,
            19 | 20 => 480,
            21 => 403,
            22 => 410,
            23 => 410,
            25 => 483,
            26 => 404,
            27 => 502,
            28 => 484,
            29 => 501,
            31 => 480,
            34 | 38 | 41 | 42 | 44 | 47 => 503,
            50 | 63 => 503,
            55 | 57 => 403,
            58 => 503,
            65 | 70 | 88 => 488,
            69 | 79 => 501,
            87 => 403,
            95 | 96 | 97 | 99 | 100 | 101 | 111 | 127 => 500,
            102 => 504,
            16 => 480,
            _ => 500,
        }
    }

    /// Readable, as ITU-T Q.850 table 1 words it; `q850_cause_string` of the API.
    pub fn text(self) -> &'static str {
        self.row().1
    }

    /// The upper-case name the telephony world uses in logs and dial strings, e.g. `NO_USER_RESPONSE`.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    fn row(self) -> (&'static str, &'static str) {
        match self.0 {
            1 => ("UNALLOCATED_NUMBER", "Unallocated (unassigned) number"),
            2 => ("NO_ROUTE_TRANSIT_NET", "No route to specified transit network"),
            3 => ("NO_ROUTE_DESTINATION", "No route to destination"),
            4 => ("SEND_SPECIAL_TONE", "Send special information tone"),
            5 => ("MISDIALED_TRUNK_PREFIX", "Misdialled trunk prefix"),
            6 => ("CHANNEL_UNACCEPTABLE", "Channel unacceptable"),
            7 => ("CALL_AWARDED_DELIVERED", "Call awarded, being delivered in an established channel"),
            16 => ("NORMAL_CLEARING", "Normal call clearing"),
            17 => ("USER_BUSY", "User busy"),
            18 => ("NO_USER_RESPONSE", "No user responding"),
            19 => ("NO_ANSWER", "No answer from user (user alerted)"),
            20 => ("SUBSCRIBER_ABSENT", "Subscriber absent"),
            21 => ("CALL_REJECTED", "Call rejected"),
            22 => ("NUMBER_CHANGED", "Number changed"),
            23 => ("REDIRECTION_TO_NEW_DESTINATION", "Redirection to new destination"),
            25 => ("EXCHANGE_ROUTING_ERROR", "Exchange routing error"),
            26 => ("NON_SELECTED_USER_CLEARING", "Non-selected user clearing"),
            27 => ("DESTINATION_OUT_OF_ORDER", "Destination out of order"),
            28 => ("INVALID_NUMBER_FORMAT", "Invalid number format (address incomplete)"),
            29 => ("FACILITY_REJECTED", "Facility rejected"),
            30 => ("RESPONSE_TO_STATUS_ENQUIRY", "Response to STATUS ENQUIRY"),
            31 => ("NORMAL_UNSPECIFIED", "Normal, unspecified"),
            34 => ("NORMAL_CIRCUIT_CONGESTION", "No circuit/channel available"),
            38 => ("NETWORK_OUT_OF_ORDER", "Network out of order"),
            41 => ("NORMAL_TEMPORARY_FAILURE", "Temporary failure"),
            42 => ("SWITCH_CONGESTION", "Switching equipment congestion"),
            43 => ("ACCESS_INFO_DISCARDED", "Access information discarded"),
            44 => ("REQUESTED_CHAN_UNAVAIL", "Requested circuit/channel not available"),
            47 => ("RESOURCE_UNAVAILABLE", "Resource unavailable, unspecified"),
            49 => ("QOS_UNAVAILABLE", "Quality of service unavailable"),
            50 => ("FACILITY_NOT_SUBSCRIBED", "Requested facility not subscribed"),
            55 => ("INCOMING_CALL_BARRED", "Incoming calls barred within CUG"),
            57 => ("BEARERCAPABILITY_NOTAUTH", "Bearer capability not authorized"),
            58 => ("BEARERCAPABILITY_NOTAVAIL", "Bearer capability not presently available"),
            63 => ("SERVICE_UNAVAILABLE", "Service or option not available, unspecified"),
            65 => ("BEARERCAPABILITY_NOTIMPL", "Bearer capability not implemented"),
            66 => ("CHAN_NOT_IMPLEMENTED", "Channel type not implemented"),
            69 => ("FACILITY_NOT_IMPLEMENTED", "Requested facility not implemented"),
            70 => {
                ("RESTRICTED_DIGITAL_INFO_ONLY", "Only restricted digital information bearer capability is available")
            }
            79 => ("SERVICE_NOT_IMPLEMENTED", "Service or option not implemented, unspecified"),
            81 => ("INVALID_CALL_REFERENCE", "Invalid call reference value"),
            87 => ("USER_NOT_MEMBER_OF_CUG", "User not member of CUG"),
            88 => ("INCOMPATIBLE_DESTINATION", "Incompatible destination"),
            95 => ("INVALID_MSG_UNSPECIFIED", "Invalid message, unspecified"),
            96 => ("MANDATORY_IE_MISSING", "Mandatory information element is missing"),
            97 => ("MESSAGE_TYPE_NONEXIST", "Message type non-existent or not implemented"),
            99 => ("IE_NONEXIST", "Information element/parameter non-existent or not implemented"),
            100 => ("INVALID_IE_CONTENTS", "Invalid information element contents"),
            101 => ("WRONG_CALL_STATE", "Message not compatible with call state"),
            102 => ("RECOVERY_ON_TIMER_EXPIRE", "Recovery on timer expiry"),
            103 => ("MANDATORY_IE_LENGTH_ERROR", "Parameter non-existent or not implemented, passed on"),
            111 => ("PROTOCOL_ERROR", "Protocol error, unspecified"),
            127 => ("INTERWORKING", "Interworking, unspecified"),
            _ => ("NORMAL_UNSPECIFIED", "Unspecified"),
        }
    }
}

impl fmt::Display for Q850 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sip_refusals_become_the_causes_of_rfc_3398() {
        for (sip, cause) in [(404, 1), (486, 17), (480, 18), (408, 102), (603, 21), (503, 41), (484, 28), (410, 22)] {
            assert_eq!(Q850::from_sip(sip).value(), cause, "{sip}");
        }
    }

    #[test]
    fn causes_become_the_sip_refusals_of_rfc_3398() {
        for (cause, sip) in [(1, 404), (17, 486), (18, 408), (19, 480), (21, 403), (22, 410), (28, 484), (34, 503)] {
            assert_eq!(Q850(cause).to_sip(), sip, "{cause}");
        }
    }

    #[test]
    fn every_cause_has_a_name_and_a_final_answer_and_every_answer_a_cause() {
        for value in 1..=127 {
            let cause = Q850::new(value).unwrap();
            assert!(!cause.name().is_empty() && !cause.text().is_empty());
            assert!((400..700).contains(&cause.to_sip()), "{cause}");
        }
        for code in 0..=999 {
            assert!(Q850::new(Q850::from_sip(code).value()).is_some());
        }
        assert_eq!(Q850::new(0), None);
        assert_eq!(Q850::new(128), None);
    }
}
