//! Virtual media: an image of this host in a drive of a domain, in its definition and in what runs of it.

use bmc_core::error::BackendError;
use bmc_core::media::{MediaImage, MediaSlot};
use virt::connect::Connect;
use virt::domain::Domain;
use virt_sys as c;

use crate::connection::Failure;
use crate::xml::media::{self, Live};

/// Puts an image into a drive. What fails changes nothing.
pub(crate) fn insert(connect: &Connect, domain: &Domain, image: &MediaImage) -> Result<(), Failure> {
    let uri = connect.uri()?;
    if let Some(host) = remote_host(&uri) {
        return Err(BackendError::unsupported(format!(
            "the hypervisor is on {host}, which cannot read images of this host; run polybmc there for virtual media"
        ))
        .into());
    }
    change(
        connect,
        domain,
        image.slot,
        |live| media::insert_live(live, image),
        |xml| media::with_medium(xml, image),
    )
}

/// Empties a drive. What fails changes nothing.
pub(crate) fn eject(connect: &Connect, domain: &Domain, slot: MediaSlot) -> Result<(), Failure> {
    change(
        connect,
        domain,
        slot,
        |live| media::eject_live(live, slot),
        |xml| media::without_medium(xml, slot),
    )
}

/// Changes what runs, then the definition. Where one of them fails, what was in the drive comes back.
fn change(
    connect: &Connect,
    domain: &Domain,
    slot: MediaSlot,
    live: impl FnOnce(&str) -> Result<Live, BackendError>,
    definition: impl FnOnce(&str) -> Result<String, BackendError>,
) -> Result<(), Failure> {
    let before = domain.is_active()?.then(|| domain.xml_desc(c::VIR_DOMAIN_XML_SECURE)).transpose()?;
    let step = before.as_deref().map_or(Ok(Live::Nothing), live)?;
    let changed = change_live(domain, &step).and_then(|()| {
        if domain.is_persistent()? {
            define(connect, domain, definition)?;
        }
        Ok(())
    });
    if changed.is_err()
        && let Some(before) = before
        && let Err(failure) = restore(domain, &before, slot)
    {
        tracing::warn!(slot = slot.as_str(), ?failure, "what was in a drive could not be put back");
    }
    changed
}

fn restore(domain: &Domain, before: &str, slot: MediaSlot) -> Result<(), Failure> {
    if domain.is_active()? {
        let now = domain.xml_desc(c::VIR_DOMAIN_XML_SECURE)?;
        change_live(domain, &media::restore_live(before, &now, slot)?)?;
    }
    Ok(())
}

fn define(
    connect: &Connect,
    domain: &Domain,
    change: impl FnOnce(&str) -> Result<String, BackendError>,
) -> Result<(), Failure> {
    let xml = domain.xml_desc(c::VIR_DOMAIN_XML_INACTIVE | c::VIR_DOMAIN_XML_SECURE)?;
    let changed = change(&xml)?;
    if changed != xml {
        connect.define_domain_xml(&changed)?;
    }
    Ok(())
}

fn change_live(domain: &Domain, step: &Live) -> Result<(), Failure> {
    const LIVE: u32 = c::VIR_DOMAIN_AFFECT_LIVE;
    match step {
        Live::Nothing => {}
        // The guest may have locked the tray; a BMC's user is not asked to wait for it.
        Live::Update(device) => {
            domain.update_device_flags(device, LIVE | c::VIR_DOMAIN_DEVICE_MODIFY_FORCE)?
        }
        Live::Attach { first_detach, device } => {
            if let Some(there) = first_detach {
                domain.detach_device_flags(there, LIVE)?;
            }
            domain.attach_device_flags(device, LIVE)?;
        }
        Live::Detach(device) => domain.detach_device_flags(device, LIVE)?,
    }
    Ok(())
}

/// The host of a libvirt URI, unless it is this one.
pub(crate) fn remote_host(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let is_local =
        host.is_empty() || scheme.ends_with("+unix") || matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    (!is_local).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hypervisor_is_here_or_elsewhere() {
        for (uri, host) in [
            ("qemu:///system", None),
            ("test:///default", None),
            ("qemu+unix:///session?socket=/x", None),
            ("qemu+ssh://root@hv-3/system", Some("hv-3")),
            ("qemu+tls://hv-3:16514/system", Some("hv-3:16514")),
            ("qemu+tcp://localhost/system", None),
        ] {
            assert_eq!(remote_host(uri), host, "{uri}");
        }
    }
}
