//! The machine's UUID in IPMI's byte order.
//!
//! IPMI 2.0 §20.8 sends the fields of an RFC 4122 UUID least significant byte first and the node first: the
//! sixteen bytes of the UUID's text in reverse. FreeIPMI's `bmc-info` prints a GUID that way only. `ipmitool mc guid`
//! guesses between three orders by where a valid version digit stands; for a UUID of RFC 4122 the SMBIOS reading
//! finds the variant there, which is no version, so that the guess is right with this order too.

/// The wire bytes of the UUID whose sixteen bytes, in text order, are `uuid`.
#[must_use]
pub const fn to_wire(uuid: [u8; 16]) -> [u8; 16] {
    u128::from_be_bytes(uuid).to_le_bytes()
}

/// The UUID, in text order, of the GUID `wire`. The inverse of [`to_wire`].
#[must_use]
pub const fn from_wire(wire: [u8; 16]) -> [u8; 16] {
    u128::from_le_bytes(wire).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_comes_first_and_backwards() {
        let uuid: [u8; 16] = hex::decode("00112233445546778899aabbccddeeff").unwrap().try_into().unwrap();
        assert_eq!(hex::encode(to_wire(uuid)), "ffeeddccbbaa99887746554433221100");
        assert_eq!(from_wire(to_wire(uuid)), uuid);
    }
}
