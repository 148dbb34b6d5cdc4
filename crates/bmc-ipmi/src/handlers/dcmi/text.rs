//! The asset tag and the controller's identifier, in pieces.
//!
//! A write ends the text where the piece ends: clients write from the front to the back. The text counts after every piece.

use bmc_core::error::RequestError;
use bmc_core::request::ASSET_TAG_MAX_BYTES;
use bmc_core::settings::dcmi::CONTROLLER_ID_MAX_BYTES;
use bmc_core::snapshot::Snapshot;
use ipmi_wire::CompletionCode;
use ipmi_wire::command::dcmi::{
    ASSET_TAG_BYTES_MAX, CONTROLLER_ID_BYTES_MAX, Dcmi, GetAssetTag, GetControllerId, PIECE_BYTES_MAX, Piece,
    ReadPiece, SetAssetTag, SetControllerId, WritePiece, Written,
};

use crate::Context;
use crate::table::{Act, Answer, Read};

/// Marks a tag as UTF-8; without it the bytes are Latin 1 (DCMI 1.5 §6.4.2).
const UTF8_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// The piece that was asked for of `text`, which is at most `max` long.
fn piece(text: &[u8], wanted: ReadPiece, max: u8) -> Answer<Piece> {
    let end = wanted.offset.checked_add(wanted.count).filter(|end| *end <= max);
    if wanted.count > PIECE_BYTES_MAX || end.is_none() {
        return Err(CompletionCode::PARAMETER_OUT_OF_RANGE);
    }
    let from = text.get(usize::from(wanted.offset)..).unwrap_or_default();
    let data = from.iter().take(wanted.count.into()).copied().collect();
    Ok(Piece { total: u8::try_from(text.len()).unwrap_or(u8::MAX), data })
}

/// The end of a piece that may be written into a text of at most `max`.
fn end_of(piece: &WritePiece, max: u8) -> Answer<u8> {
    let count = u8::try_from(piece.data.len()).ok().filter(|count| *count <= PIECE_BYTES_MAX);
    let end = count.and_then(|count| piece.offset.checked_add(count)).filter(|end| *end <= max);
    end.ok_or(CompletionCode::PARAMETER_OUT_OF_RANGE)
}

/// `text` with a piece in its place and nothing behind it; what was left out in between reads as spaces.
fn with_piece(mut text: Vec<u8>, WritePiece { offset, data }: &WritePiece) -> Vec<u8> {
    text.resize((*offset).into(), b' ');
    text.extend(data);
    text
}

/// The asset tag as bytes.
fn tag_bytes(tag: &str) -> Vec<u8> {
    if tag.is_ascii() {
        return tag.bytes().take(ASSET_TAG_MAX_BYTES).collect();
    }
    let room = ASSET_TAG_MAX_BYTES - UTF8_MARK.len();
    let end = (0..=room.min(tag.len())).rev().find(|end| tag.is_char_boundary(*end)).unwrap_or(0);
    [UTF8_MARK, tag.get(..end).unwrap_or_default().as_bytes()].concat()
}

/// The asset tag that bytes mean. What was cut off within a character is left out until the rest comes; so are zero bytes at the end.
fn tag_text(bytes: &[u8]) -> String {
    let text = match bytes.strip_prefix(UTF8_MARK) {
        Some(utf8) => {
            let chunk = utf8.utf8_chunks().next();
            chunk.map(|chunk| chunk.valid().to_owned()).unwrap_or_default()
        }
        None => bytes.iter().copied().map(char::from).collect(),
    };
    let text = text.trim_end_matches('\0');
    let printable = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    // A tag of Latin 1 may need more bytes here than it had.
    let mut tag = String::new();
    for c in printable {
        if tag.len() + c.len_utf8() > ASSET_TAG_MAX_BYTES {
            break;
        }
        tag.push(c);
    }
    tag
}

impl Read for Dcmi<GetAssetTag> {
    fn answer(self, context: &Context) -> Answer<Dcmi<Piece>> {
        let tag = tag_bytes(&context.bmc.snapshot().identity.asset_tag);
        piece(&tag, self.0.0, ASSET_TAG_BYTES_MAX).map(Dcmi)
    }
}

impl Act for Dcmi<SetAssetTag> {
    async fn act(self, context: &Context) -> Answer<Dcmi<Written>> {
        let Self(SetAssetTag(piece)) = self;
        let total = end_of(&piece, ASSET_TAG_BYTES_MAX)?;
        context
            .edit(move |editable| {
                let written = &mut editable.settings.dcmi.asset_tag_written;
                // Where the tag was changed by another door since, that is what the piece goes into.
                let before = std::mem::take(written);
                let is_current = tag_text(&before) == editable.identity.asset_tag;
                let before = if is_current { before } else { tag_bytes(&editable.identity.asset_tag) };
                *written = with_piece(before, &piece);
                editable.identity.asset_tag = tag_text(written);
                Ok::<(), RequestError>(())
            })
            .await?;
        Ok(Dcmi(Written { total }))
    }
}

/// The identifier that was set, or the specification's default: `DCMI` and the MAC address that LAN parameter 5 tells.
fn controller_id(snapshot: &Snapshot) -> Vec<u8> {
    let settings = &snapshot.settings;
    settings.dcmi.controller_id_or(settings.lan.mac_of(snapshot.uuid))
}

impl Read for Dcmi<GetControllerId> {
    fn answer(self, context: &Context) -> Answer<Dcmi<Piece>> {
        piece(&controller_id(&context.bmc.snapshot()), self.0.0, CONTROLLER_ID_BYTES_MAX).map(Dcmi)
    }
}

impl Act for Dcmi<SetControllerId> {
    async fn act(self, context: &Context) -> Answer<Dcmi<Written>> {
        let Self(SetControllerId(piece)) = self;
        let total = end_of(&piece, CONTROLLER_ID_BYTES_MAX)?;
        let default = controller_id(&context.bmc.snapshot());
        context
            .edit(move |editable| {
                let kept = &mut editable.settings.dcmi.controller_id;
                let id = with_piece(kept.take().unwrap_or_else(|| default.clone()), &piece);
                *kept = Some(
                    id.into_iter().take_while(|byte| *byte != 0).take(CONTROLLER_ID_MAX_BYTES).collect(),
                );
                Ok::<(), RequestError>(())
            })
            .await?;
        Ok(Dcmi(Written { total }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_ascii_or_marked_as_utf8() {
        assert_eq!(tag_bytes("shelf"), b"shelf");
        assert_eq!(tag_bytes("é"), [0xef, 0xbb, 0xbf, 0xc3, 0xa9]);
        assert_eq!(tag_bytes(&"é".repeat(31)).len(), 63);
        for tag in ["", "shelf 4", "é", "Ж-1"] {
            assert_eq!(tag_text(&tag_bytes(tag)), tag);
        }
        assert_eq!(tag_text(&[0xe9]), "é", "Latin 1");
        assert_eq!(tag_text(&[0xe9; 63]).len(), 62);
        assert_eq!(tag_text(&[0xef, 0xbb, 0xbf, b'a', 0xc3]), "a", "the rest of it is to come");
        assert_eq!(tag_text(b"a\x01b\0\0"), "a b");
    }
}
