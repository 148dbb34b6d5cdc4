//! The IPMI message inside a LAN session (IPMI 2.0 §13.8, table 13-8).
//!
//! ```text
//! request:  rsAddr | netFn/rsLUN | checksum 1 | rqAddr | rqSeq/rqLUN | cmd | data...       | checksum 2
//! response: rqAddr | netFn/rqLUN | checksum 1 | rsAddr | rqSeq/rsLUN | cmd | code, data... | checksum 2
//! ```

use alloc::vec::Vec;

use crate::{CompletionCode, DecodeError, NetFn, Reader, Writer};

/// The address of the BMC itself.
pub const BMC_ADDRESS: u8 = 0x20;
/// The software address that remote consoles use by habit.
pub const REMOTE_CONSOLE_ADDRESS: u8 = 0x81;

/// Addresses, codes and checksums around the data of a request.
const OVERHEAD: usize = 7;

/// The two's complement checksum: the byte that makes the sum of `bytes` and itself zero.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0_u8, |sum, b| sum.wrapping_add(*b)).wrapping_neg()
}

/// A request as it travels in a LAN session. Field names are those of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LanRequest<'a> {
    /// Who is to answer: [`BMC_ADDRESS`], or a controller behind it.
    pub rs_addr: u8,
    /// The network function; even in a request.
    pub netfn: NetFn,
    /// The responder's logical unit, 0 to 3.
    pub rs_lun: u8,
    /// Who asks: usually [`REMOTE_CONSOLE_ADDRESS`].
    pub rq_addr: u8,
    /// The requester's sequence number, 0 to 63, echoed in the response.
    pub rq_seq: u8,
    /// The requester's logical unit, 0 to 3, echoed in the response.
    pub rq_lun: u8,
    /// The command code.
    pub cmd: u8,
    /// The command's data.
    pub data: &'a [u8],
}

/// A response as it travels in a LAN session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LanResponse<'a> {
    /// Who asked.
    pub rq_addr: u8,
    /// The network function; odd in a response.
    pub netfn: NetFn,
    /// The requester's logical unit.
    pub rq_lun: u8,
    /// Who answers.
    pub rs_addr: u8,
    /// The sequence number of the request.
    pub rq_seq: u8,
    /// The responder's logical unit.
    pub rs_lun: u8,
    /// The command code of the request.
    pub cmd: u8,
    /// How it went.
    pub completion: CompletionCode,
    /// The response data after the completion code.
    pub data: &'a [u8],
}

/// What both directions share: two addresses with their units, and a body.
struct Frame<'a> {
    to: (u8, u8),
    netfn: NetFn,
    from: (u8, u8),
    seq: u8,
    cmd: u8,
    data: &'a [u8],
}

impl<'a> Frame<'a> {
    fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let to = r.u8()?;
        let netfn_lun = r.u8()?;
        if r.u8()? != checksum(&[to, netfn_lun]) {
            return Err(DecodeError::Checksum);
        }
        let (covered, check) = r.rest().split_last_chunk::<1>().ok_or(DecodeError::Truncated)?;
        if checksum(covered) != check[0] {
            return Err(DecodeError::Checksum);
        }
        let mut r = Reader::new(covered);
        let from = r.u8()?;
        let seq_lun = r.u8()?;
        let cmd = r.u8()?;
        Ok(Self {
            to: (to, netfn_lun & 3),
            netfn: NetFn::new(netfn_lun >> 2),
            from: (from, seq_lun & 3),
            seq: seq_lun >> 2,
            cmd,
            data: r.rest(),
        })
    }

    fn encode(&self, code: Option<CompletionCode>) -> Vec<u8> {
        let mut w = Writer::with_capacity(self.data.len().saturating_add(OVERHEAD).saturating_add(1));
        let head = [self.to.0, self.netfn.get() << 2 | self.to.1 & 3];
        w.bytes(&head).u8(checksum(&head));
        w.u8(self.from.0).u8(self.seq << 2 | self.from.1 & 3).u8(self.cmd);
        if let Some(code) = code {
            w.u8(code.0);
        }
        w.bytes(self.data);
        let check = checksum(w.as_slice().get(head.len().saturating_add(1)..).unwrap_or_default());
        w.u8(check);
        w.into_vec()
    }
}

impl<'a> LanRequest<'a> {
    /// Reads a request; both checksums are verified.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`], [`DecodeError::Checksum`], and [`DecodeError::Value`] when the network function is
    /// a response code.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let f = Frame::decode(bytes)?;
        if f.netfn.is_response() {
            return Err(DecodeError::value("netFn of a request", f.netfn.get()));
        }
        Ok(Self {
            rs_addr: f.to.0,
            netfn: f.netfn,
            rs_lun: f.to.1,
            rq_addr: f.from.0,
            rq_seq: f.seq,
            rq_lun: f.from.1,
            cmd: f.cmd,
            data: f.data,
        })
    }

    /// Writes the request with both checksums. Fields wider than their place on the wire are cut to it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Frame {
            to: (self.rs_addr, self.rs_lun),
            netfn: self.netfn.request(),
            from: (self.rq_addr, self.rq_lun),
            seq: self.rq_seq,
            cmd: self.cmd,
            data: self.data,
        }
        .encode(None)
    }

    /// The request without its data: all that [`LanRequest::response`] needs, to be kept until the answer is known.
    #[must_use]
    pub const fn header(&self) -> LanRequest<'static> {
        LanRequest {
            rs_addr: self.rs_addr,
            netfn: self.netfn,
            rs_lun: self.rs_lun,
            rq_addr: self.rq_addr,
            rq_seq: self.rq_seq,
            rq_lun: self.rq_lun,
            cmd: self.cmd,
            data: &[],
        }
    }

    /// Whether the request is for the BMC and not for a controller behind it.
    #[must_use]
    pub const fn is_for_bmc(&self) -> bool {
        self.rs_addr == BMC_ADDRESS
    }

    /// The response to this request: addresses swapped, sequence, units and command echoed.
    #[must_use]
    pub const fn response<'d>(&self, completion: CompletionCode, data: &'d [u8]) -> LanResponse<'d> {
        LanResponse {
            rq_addr: self.rq_addr,
            netfn: self.netfn.response(),
            rq_lun: self.rq_lun,
            rs_addr: self.rs_addr,
            rq_seq: self.rq_seq,
            rs_lun: self.rs_lun,
            cmd: self.cmd,
            completion,
            data,
        }
    }
}

impl<'a> LanResponse<'a> {
    /// Reads a response; both checksums are verified.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`], [`DecodeError::Checksum`], and [`DecodeError::Value`] when the network function is
    /// a request code.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let f = Frame::decode(bytes)?;
        if !f.netfn.is_response() {
            return Err(DecodeError::value("netFn of a response", f.netfn.get()));
        }
        let mut r = Reader::new(f.data);
        let completion = CompletionCode(r.u8()?);
        Ok(Self {
            rq_addr: f.to.0,
            netfn: f.netfn,
            rq_lun: f.to.1,
            rs_addr: f.from.0,
            rq_seq: f.seq,
            rs_lun: f.from.1,
            cmd: f.cmd,
            completion,
            data: r.rest(),
        })
    }

    /// Writes the response with both checksums. Fields wider than their place on the wire are cut to it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Frame {
            to: (self.rq_addr, self.rq_lun),
            netfn: self.netfn.response(),
            from: (self.rs_addr, self.rs_lun),
            seq: self.rq_seq,
            cmd: self.cmd,
            data: self.data,
        }
        .encode(Some(self.completion))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Get Channel Authentication Capabilities as `ipmitool -I lanplus` sends it.
    const IPMITOOL_AUTH_CAP: [u8; 9] = [0x20, 0x18, 0xc8, 0x81, 0x00, 0x38, 0x8e, 0x04, 0xb5];

    #[test]
    fn ipmitool_request_decodes_and_encodes_to_the_same_bytes() {
        let req = LanRequest::decode(&IPMITOOL_AUTH_CAP).unwrap();
        assert_eq!((req.rs_addr, req.netfn, req.rs_lun), (BMC_ADDRESS, NetFn::APP, 0));
        assert_eq!((req.rq_addr, req.rq_seq, req.rq_lun), (REMOTE_CONSOLE_ADDRESS, 0, 0));
        assert_eq!((req.cmd, req.data), (0x38, &[0x8e, 0x04][..]));
        assert_eq!(req.encode(), IPMITOOL_AUTH_CAP);
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        for i in 0..IPMITOOL_AUTH_CAP.len() * 8 {
            let mut bytes = IPMITOOL_AUTH_CAP;
            bytes[i / 8] ^= 1 << (i % 8);
            assert_eq!(LanRequest::decode(&bytes), Err(DecodeError::Checksum), "bit {i}");
        }
    }

    #[test]
    fn the_smallest_messages() {
        let req = LanRequest {
            rs_addr: 0x20,
            netfn: NetFn::CHASSIS,
            rs_lun: 0,
            rq_addr: 0x81,
            rq_seq: 63,
            rq_lun: 3,
            cmd: 1,
            data: &[],
        };
        let bytes = req.encode();
        assert_eq!(bytes.len(), OVERHEAD);
        assert_eq!(LanRequest::decode(&bytes), Ok(req));
        for n in 0..bytes.len() {
            assert!(LanRequest::decode(&bytes[..n]).is_err());
        }
        // A response has one byte more; without its completion code it is no response.
        assert!(matches!(LanResponse::decode(&bytes), Err(DecodeError::Value { .. })));
    }

    proptest! {
        #[test]
        fn request_round_trip(rs_addr: u8, netfn in 0_u8..32, rs_lun in 0_u8..4, rq_addr: u8, rq_seq in 0_u8..64,
                              rq_lun in 0_u8..4, cmd: u8, data: Vec<u8>, code: u8) {
            let netfn = NetFn::new(netfn * 2);
            let req = LanRequest { rs_addr, netfn, rs_lun, rq_addr, rq_seq, rq_lun, cmd, data: &data };
            let bytes = req.encode();
            prop_assert_eq!(LanRequest::decode(&bytes), Ok(req));
            let rsp = req.response(CompletionCode(code), &data);
            let bytes = rsp.encode();
            prop_assert_eq!(LanResponse::decode(&bytes), Ok(rsp));
        }

        #[test]
        fn decoding_never_panics(bytes: Vec<u8>) {
            let _ = LanRequest::decode(&bytes);
            let _ = LanResponse::decode(&bytes);
        }
    }
}
