use chrono::{DateTime, Utc};
use uuid::{Builder, Uuid, Version};

/// A UUID of version 7 (RFC 9562 5.7): milliseconds of `now`, then random bits. Rows that are written in the order of time
/// stand together in the indexes of these, where random ones would change a page each.
pub fn ordered_uuid(now: DateTime<Utc>) -> Uuid {
    let mut octets = Uuid::new_v4().into_bytes();
    let millis = now.timestamp_millis().to_be_bytes();
    if let (Some(time), [_, _, rest @ ..]) = (octets.first_chunk_mut::<6>(), millis) {
        *time = rest;
    }
    Builder::from_bytes(octets).with_version(Version::SortRand).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_of_version_7_and_in_the_order_of_time() {
        let at = |millis| ordered_uuid(DateTime::from_timestamp_millis(millis).unwrap());
        let uuid = at(0x0180_0000_0001);
        assert_eq!((uuid.get_version_num(), uuid.get_variant()), (7, uuid::Variant::RFC4122));
        assert_eq!(uuid.as_bytes()[..6], [1, 0x80, 0, 0, 0, 1]);
        assert!(at(0x0180_0000_0001) < at(0x0180_0000_0002));
        assert_ne!(at(0), at(0));
    }
}
