//! From each firmware to each other, and what is left of it.

use super::*;
use crate::firmware::catalogue::by_word;

const SECURE: Kind = Kind::Secure { enrolled: true };
const SETUP: Kind = Kind::Secure { enrolled: false };
const NVRAM: &str = "/var/nvram/n_VARS.fd";

const BARE: &str = "<domain type='qemu'><name>n</name><uuid>11111111-2222-3333-4444-555555555555</uuid>\
    <metadata><app:note xmlns:app='urn:app'/></metadata><memory>1</memory><vcpu>1</vcpu>\
    <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type><boot dev='hd'/></os><devices/></domain>";

/// A definition with this attribute and these elements in `<os>`.
fn domain(attribute: &str, elements: &str) -> String {
    BARE.replace("<os>", &format!("<os{attribute}>")).replace("<boot dev", &format!("{elements}<boot dev"))
}

fn kind(xml: &str) -> Kind {
    let facts = facts(xml).unwrap();
    match machine_info(xml).unwrap().firmware {
        FirmwareMode::Legacy => Kind::Legacy,
        FirmwareMode::Uefi => by_word(&facts),
    }
}

fn switch(xml: &str, wanted: Kind) -> String {
    with_firmware(xml, (kind(xml), wanted), by_word, Some(NVRAM)).unwrap()
}

/// Order within `<os>` and spaces are libvirt's to normalise.
fn pieces(xml: &str) -> Vec<String> {
    let mut pieces: Vec<String> = xml.split('<').map(|piece| piece.split_whitespace().collect()).collect();
    pieces.sort();
    pieces
}

#[test]
fn every_way_there_and_back_leaves_the_definition_as_it_was() {
    let own_nvram = "<nvram>/mine/vars.fd</nvram>";
    let plain = "<firmware><feature enabled='no' name='secure-boot'/></firmware>";
    let secure = "<firmware><feature enabled='yes' name='enrolled-keys'/><feature enabled='yes' name='secure-boot'/></firmware>";
    let manual = "<loader readonly='yes' type='pflash'>/fw/OVMF_CODE.fd</loader><nvram>/v/odd.fd</nvram>";
    let by_hand = "<loader readonly='yes' secure='yes' type='pflash'>/fw/sb.fd</loader><nvram template='/fw/v.fd'>/v/odd.fd</nvram>";
    for (xml, is) in [
        (domain("", ""), Kind::Legacy),
        (domain("", "<loader type='rom'>/fw/bios.bin</loader>"), Kind::Legacy),
        (domain(" firmware='efi'", plain), Kind::Plain),
        (domain(" firmware='efi'", &format!("{plain}{own_nvram}")), Kind::Plain),
        (domain("", manual), Kind::Plain),
        (domain(" firmware='efi'", secure), SECURE),
        (domain(" firmware='efi'", &format!("{secure}{own_nvram}")), SECURE),
        (domain(" firmware='efi'", &secure.replace("'yes' name='enrolled", "'no' name='enrolled")), SETUP),
        (domain("", by_hand), SECURE),
    ] {
        assert_eq!(kind(&xml), is, "{xml}");
        for other in [Kind::Legacy, Kind::Plain, SECURE].into_iter().filter(|other| !other.is_like(is)) {
            let there = switch(&xml, other);
            assert_eq!(kind(&there), other, "{xml}\n{there}");
            let back = switch(&there, is);
            assert_eq!(kind(&back), is, "{there}\n{back}");
            // Where UEFI with keys was once asked for, the way back to it is kept.
            let plain_text = |xml: &str| {
                let Some(start) = xml.find("<polybmc:firmware") else { return xml.to_owned() };
                let end = xml.find("</polybmc:firmware>").unwrap() + "</polybmc:firmware>".len();
                [&xml[..start], &xml[end..]].concat()
            };
            assert_eq!(pieces(&plain_text(&back)), pieces(&xml), "{xml}\n{there}\n{back}");
            if other != SECURE || is != Kind::Legacy {
                assert!(!back.contains("polybmc"), "{back}");
            }
        }
    }
}

#[test]
fn variables_of_two_kinds_never_share_a_file() {
    let file = |xml: &str| facts(xml).unwrap().nvram.unwrap_or_else(|| NVRAM.to_owned());
    // Secure Boot where libvirt chose the file: the other kind has one of its own.
    let secure = domain(
        " firmware='efi'",
        "<firmware><feature enabled='yes' name='secure-boot'/><feature enabled='yes' name='enrolled-keys'/></firmware>",
    );
    let plain = switch(&secure, Kind::Plain);
    assert_eq!((file(&secure).as_str(), file(&plain).as_str()), (NVRAM, "/var/nvram/n_VARS-plain.fd"));
    assert_eq!(file(&switch(&plain, SECURE)), NVRAM);
    // By the way of BIOS too.
    let legacy = switch(&secure, Kind::Legacy);
    assert_eq!(file(&switch(&legacy, Kind::Plain)), "/var/nvram/n_VARS-plain.fd");
    assert_eq!(last_kept(&legacy, |facts| Some(by_word(facts))), Ok(Some(SECURE)));
    // And the other way round; where BIOS was first, an earlier UEFI may have left its variables.
    for start in [
        BARE.to_owned(),
        domain(" firmware='efi'", "<firmware><feature enabled='no' name='secure-boot'/></firmware>"),
    ] {
        let secure = switch(&start, SECURE);
        assert_eq!(file(&secure), "/var/nvram/n_VARS-secure.fd");
        assert_eq!(file(&switch(&secure, Kind::Plain)), NVRAM);
        // It is the same variables, with keys or without.
        let setup = switch(&secure, SETUP);
        assert_eq!((kind(&setup), file(&setup).as_str()), (SETUP, "/var/nvram/n_VARS-secure.fd"));
        // Without keys it comes back without keys.
        let plain = switch(&setup, Kind::Plain);
        assert_eq!(last_kept(&plain, |facts| Some(by_word(facts))), Ok(Some(SETUP)));
        assert_eq!(file(&switch(&plain, SETUP)), "/var/nvram/n_VARS-secure.fd");
    }
}

#[test]
fn uefi_comes_back_as_the_one_that_was_left() {
    let secure = switch(BARE, SECURE);
    let legacy = switch(&secure, Kind::Legacy);
    assert_eq!(last_kept(&legacy, |facts| Some(by_word(facts))), Ok(Some(SECURE)));
    let own = domain(
        "",
        "<loader readonly='yes' secure='yes' type='pflash'>/fw/sb.fd</loader><nvram>/v/odd.fd</nvram>",
    );
    let legacy = switch(&switch(&own, Kind::Plain), Kind::Legacy);
    assert_eq!(last_kept(&legacy, |facts| Some(by_word(facts))), Ok(Some(Kind::Plain)));
    let back = switch(&switch(&legacy, Kind::Plain), SECURE);
    assert_eq!(pieces(&back), pieces(&own));
}

#[test]
fn what_earlier_versions_kept_comes_back() {
    let old = BARE.replace(
        "</metadata>",
        "<polybmc:firmware xmlns:polybmc='urn:polybmc:firmware:1' mode='uefi'><loader readonly='yes' type='pflash'>/fw/OVMF_CODE.fd</loader><nvram>/v/odd.fd</nvram></polybmc:firmware></metadata>",
    );
    let back = switch(&old, Kind::Plain);
    assert!(!back.contains("polybmc"), "{back}");
    assert_eq!(facts(&back).unwrap().nvram.as_deref(), Some("/v/odd.fd"));
}

#[test]
fn a_machine_whose_firmware_is_fixed_keeps_it() {
    let arm = BARE.replace("x86_64", "aarch64");
    let refused = with_firmware(&arm, (Kind::Legacy, Kind::Plain), by_word, None).unwrap_err();
    assert_eq!(refused.kind, bmc_core::error::BackendErrorKind::Unsupported);
    assert_eq!(
        with_firmware(BARE, (Kind::Legacy, Kind::Legacy), by_word, None).unwrap(),
        BARE,
        "nothing to do"
    );
}
