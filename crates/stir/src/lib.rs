//! STIR/SHAKEN without I/O: who vouches for a caller number, said and checked.
//!
//! PASSporTs (RFC 8225) and the `Identity` header that carries them (RFC 8224), the extensions `shaken` (RFC 8588,
//! ATIS-1000074) and `div` (RFC 8946), ES256 signatures, certificates and their TN Authorization List (RFC 8226), and
//! what a node remembers against replay.
//!
//! Not here: sockets, files and clocks. Time comes in as seconds since 1970, certificates as the octets that somebody
//! else has fetched. Checking has therefore two halves: [`Evidence::read`] says which certificates are needed, and
//! [`Evidence::judge`] decides with them. The one invariant the caller must keep: what [`Evidence::read`] let pass is not
//! believed before [`Evidence::judge`] has said so too.

mod authority;
mod certificate;
mod der;
mod evidence;
mod fault;
mod identity;
mod key;
mod number;
mod passport;
mod replay;
mod sign;
mod tn_auth_list;
mod verstat;

pub use authority::{AuthorityError, TestAuthority};
pub use certificate::{Anchors, Chain, ChainError};
pub use evidence::{Evidence, Rules, Subject, Verified};
pub use fault::{Fault, Reason};
pub use identity::{Identity, IdentityError};
pub use key::{KeyError, SigningKey};
pub use number::canonical;
pub use passport::{Attest, Claims, Destination, Extension, Header, Party, Passport, PassportError};
pub use replay::Replays;
pub use sign::{Origination, Signer};
pub use tn_auth_list::{TnAuthList, TnAuthListError, TnEntry};
pub use verstat::Verstat;
