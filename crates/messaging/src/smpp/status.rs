//! Command status (SMPP 3.4 5.1.3).

use std::fmt;

/// `command_status` of a response. Zero is no error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub u32);

/// Kinds of command status, by what becomes of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    Accepted,
    /// The peer is busy: later, slower.
    Throttled,
    /// The peer has a fault of its own: later, or elsewhere.
    Temporary,
    /// It is how we are bound that the peer does not like: elsewhere, and later here.
    Elsewhere,
    /// The message is at fault, or its recipient: never.
    Permanent,
}

impl Status {
    pub const OK: Status = Status(0x00);
    pub const INVALID_MESSAGE_LENGTH: Status = Status(0x01);
    pub const INVALID_COMMAND_LENGTH: Status = Status(0x02);
    pub const INVALID_COMMAND_ID: Status = Status(0x03);
    pub const INVALID_BIND_STATUS: Status = Status(0x04);
    pub const ALREADY_BOUND: Status = Status(0x05);
    pub const SYSTEM_ERROR: Status = Status(0x08);
    pub const INVALID_SOURCE: Status = Status(0x0a);
    pub const INVALID_DESTINATION: Status = Status(0x0b);
    pub const BIND_FAILED: Status = Status(0x0d);
    pub const INVALID_PASSWORD: Status = Status(0x0e);
    pub const INVALID_SYSTEM_ID: Status = Status(0x0f);
    pub const QUEUE_FULL: Status = Status(0x14);
    pub const INVALID_ESM_CLASS: Status = Status(0x43);
    pub const SUBMIT_FAILED: Status = Status(0x45);
    pub const THROTTLED: Status = Status(0x58);
    pub const INVALID_SCHEDULE: Status = Status(0x61);
    pub const TEMPORARY_APPLICATION_ERROR: Status = Status(0x64);
    pub const PERMANENT_APPLICATION_ERROR: Status = Status(0x65);
    pub const REJECTED_APPLICATION_ERROR: Status = Status(0x66);

    pub fn is_ok(self) -> bool {
        self == Status::OK
    }

    /// Worth another try a little later: the peer is busy, the message is not at fault.
    pub fn is_throttle(self) -> bool {
        self.class() == Class::Throttled
    }

    /// What to do with a message that was answered so.
    pub fn class(self) -> Class {
        match self.0 {
            0x00 => Class::Accepted,
            0x14 | 0x58 => Class::Throttled,
            // ESME_RSYSERR, ESME_RX_T_APPN, ESME_RUNKNOWNERR.
            0x08 | 0x64 | 0xff => Class::Temporary,
            // ESME_RINVCMDID, ESME_RINVBNDSTS, ESME_RBINDFAIL, ESME_RINVPASWD, ESME_RINVSYSID, ESME_RINVSERTYP,
            // ESME_RINVSYSTYP.
            0x03 | 0x04 | 0x0d | 0x0e | 0x0f | 0x15 | 0x53 => Class::Elsewhere,
            _ => Class::Permanent,
        }
    }

    /// The name of the standard, `None` for vendors' own and reserved ones.
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0x00 => "ESME_ROK",
            0x01 => "ESME_RINVMSGLEN",
            0x02 => "ESME_RINVCMDLEN",
            0x03 => "ESME_RINVCMDID",
            0x04 => "ESME_RINVBNDSTS",
            0x05 => "ESME_RALYBND",
            0x06 => "ESME_RINVPRTFLG",
            0x07 => "ESME_RINVREGDLVFLG",
            0x08 => "ESME_RSYSERR",
            0x0a => "ESME_RINVSRCADR",
            0x0b => "ESME_RINVDSTADR",
            0x0c => "ESME_RINVMSGID",
            0x0d => "ESME_RBINDFAIL",
            0x0e => "ESME_RINVPASWD",
            0x0f => "ESME_RINVSYSID",
            0x11 => "ESME_RCANCELFAIL",
            0x13 => "ESME_RREPLACEFAIL",
            0x14 => "ESME_RMSGQFUL",
            0x15 => "ESME_RINVSERTYP",
            0x43 => "ESME_RINVESMCLASS",
            0x45 => "ESME_RSUBMITFAIL",
            0x48 => "ESME_RINVSRCTON",
            0x49 => "ESME_RINVSRCNPI",
            0x50 => "ESME_RINVDSTTON",
            0x51 => "ESME_RINVDSTNPI",
            0x53 => "ESME_RINVSYSTYP",
            0x54 => "ESME_RINVREPFLAG",
            0x58 => "ESME_RTHROTTLED",
            0x61 => "ESME_RINVSCHED",
            0x62 => "ESME_RINVEXPIRY",
            0x63 => "ESME_RINVDFTMSGID",
            0x64 => "ESME_RX_T_APPN",
            0x65 => "ESME_RX_P_APPN",
            0x66 => "ESME_RX_R_APPN",
            0xfe => "ESME_RDELIVERYFAILURE",
            0xff => "ESME_RUNKNOWNERR",
            _ => return None,
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "SMPP status 0x{:08x}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_message_is_not_at_fault_for_is_not_final() {
        assert_eq!(Status::OK.class(), Class::Accepted);
        assert_eq!(Status::QUEUE_FULL.class(), Class::Throttled);
        assert_eq!(Status::SYSTEM_ERROR.class(), Class::Temporary);
        assert_eq!(Status::INVALID_BIND_STATUS.class(), Class::Elsewhere);
        for permanent in [Status::INVALID_DESTINATION, Status::SUBMIT_FAILED, Status(0x400)] {
            assert_eq!(permanent.class(), Class::Permanent, "{permanent}");
        }
    }
}
